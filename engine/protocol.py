"""Every choice of a study: frozen, validated, read from study.toml, each field with unit, interval and source."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from engine.clinical_protocol import ENDPOINTS as ENDPOINTS
from engine.clinical_protocol import Clinical as Clinical
from engine.clinical_protocol import CovariateColumn as CovariateColumn
from engine.clinical_protocol import Covariates as Covariates
from engine.clinical_protocol import External as External
from engine.clinical_protocol import Outcome as Outcome
from engine.eligibility_protocol import Eligibility as Eligibility
from engine.governance_protocol import Governance as Governance
from engine.reproducibility_protocol import Batch as Batch
from engine.reproducibility_protocol import Perturb as Perturb
from engine.reproducibility_protocol import Reproducibility as Reproducibility
from engine.review_protocol import Agreement as Agreement
from engine.review_protocol import Masks as Masks
from engine.review_protocol import Review as Review
from engine.section import Section, Share
from engine.selection_protocol import Detection as Detection
from engine.selection_protocol import SelectionProtocol as SelectionProtocol
from engine.selection_protocol import SelfTest as SelfTest
from engine.selection_protocol import StabilityProtocol as StabilityProtocol
from engine.training_protocol import Anatomy, Strategies, Train

PROTOCOL_FILE = "study.toml"
# What a locked plan may change: how the study is called and where its files lie.
NOT_LOCKED: dict[str, bool | set[str]] = {
    "plan": True,
    "study": {"name", "notice"},
    "images": {"root"},
    "clinical": {"files"},
    "features_table": {"file"},
    "anatomy": True,  # how segmentation models are trained touches no outcome; segment.model is locked
    "train": True,
    "strategies": True,
    "governance": True,
    "self_test": True,
    "detection": True,
    "external": True,  # another study's model, fixed before these patients were seen
}
LARGEST_HU = 32767  # HU are stored in 16 bits


class Study(Section):
    """What the study is: its title, its seed, whether its patients exist."""

    name: str = Field("study", description="title shown on every page")
    seed: int = Field(20250617, ge=0, description="the one seed all randomness comes from")
    synthetic: bool = Field(False, description="true: every page says that the data are synthetic")
    public_ids: bool = Field(False, description="true: case ids are shown as they are; false: pseudonyms (keyed hash)")
    kind: Literal["images", "table"] = Field("images", description="images, or table: imported features only")
    notice: str = Field("", description="one line shown on every page, such as a reduced demo setting")


class Images(Section):
    """Where the images lie and what the outlined structures are called."""

    root: str = Field("", description="folder of DICOM / NIfTI, relative to study.toml or absolute; nothing is copied")
    reference: tuple[str, ...] = Field(
        (), description="ROI, segment or file stem of the reference tumour, first match per case"
    )
    readers: tuple[str, ...] = Field(
        (), description="ROIs, segments, file stems or images.csv columns: the same tumour outlined by further readers"
    )
    predictions: tuple[str, ...] = Field(
        (), description="the same: automatic outlines of the tumour that other programs made, to be compared"
    )
    lungs: str = Field(r"lung[-_ ]?(left|right|l|r)|lungs", description="pattern (case-insensitive) of outlined lungs")
    reference_origin: Literal["independent", "accepted", "corrected"] = Field(
        "independent", description="how imported references were drawn"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Images:
        """Refuse a name that would stand for two outlines of the same tumour."""
        names = [name.strip().lower() for name in (*self.reference, *self.readers, *self.predictions)]
        if len(set(names)) != len(names):
            raise ValueError(f"images.reference, readers and predictions must name each outline once, got {names}")
        return self


class ImportedFeatures(Section):
    """A table of features somebody else extracted."""

    file: str = Field("", description="table study: CSV of features, one row a patient or long with a rater column")
    id: str = Field("", description="its patient column")
    rater: str = Field("", description="its repeated-measures column (rater or scan), empty for one row a patient")
    repeats: Literal["test-retest", "readers", "software"] = Field(
        "readers",
        description="what that column tells apart; test-retest: family random, readers: readers, software: fixed",
    )
    columns: tuple[str, ...] = Field((), description="feature columns; what is left out is listed by new")
    overflow: Literal["drop", "missing"] = Field(
        "drop",
        description="a value beyond float32: drop leaves its column out; missing takes the value for missing",
    )


class Acquire(Section):
    """Laws of the gate."""

    max_spacing_gap_share: float = Field(
        0.01, gt=0, le=0.1, description="of slice spacing; larger gaps between slices refuse the series"
    )
    min_slices: int = Field(10, ge=2, description="fewer CT slices refuse the series")
    max_voxels: int = Field(
        1_000_000_000, ge=1000, description="more voxels than this refuse the image before it is read"
    )


class Segment(Section):
    """Which model segments, and how."""

    model: str = Field(
        "", description="name or sha256 of a registered tumour + lung model; empty: no automatic tumour segmentation"
    )
    tile_step_share: float = Field(0.5, gt=0, le=1, description="of the patch, between sliding windows")
    crop: bool | Literal["auto"] = Field(
        "auto",
        description="true: sweep only the box of both lungs and its margin; false: the whole image; auto: the box, "
        "but the whole image for a model of nnU-Net, whose tiles then lie where nnU-Net itself lays them",
    )
    crop_margin_mm: float = Field(
        40.0, ge=10, le=200, description="mm around both lungs that are swept too: wall, apex, diaphragm"
    )
    mirrors: tuple[Literal["z", "y", "x"], ...] = Field(
        (),
        max_length=3,
        description="axes that are mirrored as well, all combinations averaged (2, 4 or 8 times the work); x "
        "exchanges labels in _left and _right",
    )
    folds: int = Field(0, ge=0, le=20, description="folds of the model that are averaged; 0: all that it has")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU when there is one")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="auto: float16 on a GPU, bfloat16 on a CPU that has it, else float32; float32: the same masks on "
        "every machine",
    )
    lungs_fallback: bool = Field(
        True, description="without outlined lungs and model: thresholding + morphology, flagged"
    )


class FeatureGrid(Section):
    """The grid and the clipping on which features are computed."""

    spacing_mm: float = Field(1.0, ge=0.5, le=5, description="isotropic feature grid, mm; B-spline CT, nearest mask")
    lowest_hu: int = Field(-1000, description="HU, clipping of the CT before features")
    highest_hu: int = Field(400, description="HU")


class Rois(Section):
    """The three regions."""

    ring_mm: float = Field(
        6.0, ge=1, le=30, description="width of the peritumoural ring outside the tumour, mm (Diagnostics 2022;12:1313)"
    )
    lung_excludes_tumour: bool = Field(True, description="whole lung without tumour and ring")
    ring_flag_share: Share = Field(
        0.30, description="flag when less than this share of the ring is left after clipping to lung"
    )
    smallest_voxels: int = Field(27, ge=1, description="fewer voxels on the feature grid: too_small")


class Features(Section):
    """The feature recipe and its discretisation."""

    recipe: Literal[
        "paper-1967",
        "paper-1967-wavelet2",
        "paper-1967-log5",
        "paper-1967-log6",
        "paper-1967-log7",
        "paper-1967-all",
        "original-107",
    ] = Field("paper-1967", description="named recipe of engine/metrics/recipes; names and count are asserted")
    bin_width_hu: float = Field(25.0, gt=0, le=200, description="HU")
    bin_count: int = Field(
        0,
        ge=0,
        le=512,
        description="0: bins of bin_width_hu; else so many equal bins over each ROI's own range in each image (IBSI's "
        "fixed bin number, PyRadiomics' binCount)",
    )
    bin_origin: Literal["pyradiomics", "ibsi"] = Field(
        "pyradiomics",
        description="pyradiomics: bins anchored at 0, level 1 the lowest in the ROI; ibsi: level 1 begins at "
        "resegment_hu, else grid.lowest_hu (original image only; filtered images keep pyradiomics)",
    )
    resegment_hu: tuple[float, ...] = Field(
        (),
        description="lowest and highest HU, in the clipped CT of [grid], of the voxels that intensities and textures "
        "are taken from; empty: all; shape keeps the whole mask",
    )
    resegment_sd: float = Field(
        0.0,
        ge=0,
        le=10,
        description="voxels further than so many standard deviations from the ROI's mean are left out too; 0: none",
    )
    distances: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        (1,),
        description="voxels (largest of x, y, z), 1 to 5, ascending: neighbours of co-occurrence, dependence and tone "
        "difference, as PyRadiomics' distances",
    )
    directions: Literal["3D", "2.5D"] = Field(
        "3D",
        description="2.5D: textures see neighbours of the same slice only (IBSI's 2.5D, PyRadiomics' force2D); filters "
        "and shape stay 3D",
    )
    weighting: Literal["none", "merged", "euclidean", "manhattan", "infinity"] = Field(
        "none",
        description="directions of co-occurrence and runs. none: features averaged over directions; merged: one table "
        "(PyRadiomics' no_weighting, IBSI's merged); a norm: one table, weighted by it",
    )
    backend: Literal["engine", "legacy"] = Field(
        "engine",
        description="engine: filters see the whole image; legacy: PyRadiomics 3.0.1 as is, with its crop around each "
        "mask (25 times slower, for comparison)",
    )

    @model_validator(mode="after")
    def _settings_agree(self) -> Features:
        """Refuse ranges without order and settings of which one would silently overrule the other."""
        if self.resegment_hu and (len(self.resegment_hu) != 2 or not self.resegment_hu[0] < self.resegment_hu[1]):
            raise ValueError(f"features.resegment_hu must be empty or lowest < highest, got {self.resegment_hu}")
        if not all(-LARGEST_HU <= hu <= LARGEST_HU for hu in self.resegment_hu):
            raise ValueError(f"features.resegment_hu must lie in +-{LARGEST_HU} HU, got {self.resegment_hu}")
        if not self.distances or list(self.distances) != sorted(set(self.distances)):
            raise ValueError(f"features.distances must be ascending and not empty, got {self.distances}")
        if self.bin_count and self.bin_origin == "ibsi":
            raise ValueError(
                "features.bin_origin must be pyradiomics with a bin_count, which spans each ROI's own range"
            )
        if self.backend == "legacy" and self.bin_origin == "ibsi":
            raise ValueError("features.bin_origin must be pyradiomics with backend legacy, which knows no other")
        if self.backend == "legacy" and self.directions == "2.5D" and self.recipe != "original-107":
            raise ValueError(
                "features.directions must be 3D with backend legacy and wavelets, which it would flatten too"
            )
        if self.backend == "legacy" and self.resegment_hu and self.resegment_sd:
            raise ValueError(
                "features.resegment_sd must be 0 with backend legacy and a resegment_hu: it takes one of them"
            )
        return self


class Plan(Section):
    """The locked analysis plan; empty means exploratory."""

    locked_at: str = Field("", description="UTC time of locking, written by lock-plan; empty: exploratory")
    protocol_sha256: str = Field(
        "", description="hash of the locked choices; after a change the study is refused until locked again"
    )
    locked_by: str = Field("", description="role that locked")
    derived_from: str = Field(
        "", description="the selection (id of a signature file) a feature list was read off; its patients are refused"
    )


class Protocol(Section):
    """The whole protocol of a study; one section of study.toml per field."""

    study: Study = Study()
    images: Images = Images()
    clinical: Clinical = Clinical()
    outcome: Outcome = Outcome()
    covariates: Covariates = Covariates()
    eligibility: Eligibility = Eligibility()
    features_table: ImportedFeatures = ImportedFeatures()
    acquire: Acquire = Acquire()
    segment: Segment = Segment()
    anatomy: Anatomy = Anatomy()
    train: Train = Train()
    strategies: Strategies = Strategies()
    masks: Masks = Masks()
    review: Review = Review()
    grid: FeatureGrid = FeatureGrid()
    rois: Rois = Rois()
    agreement: Agreement = Agreement()
    features: Features = Features()
    perturb: Perturb = Perturb()
    reproducibility: Reproducibility = Reproducibility()
    batch: Batch = Batch()
    selection: SelectionProtocol = SelectionProtocol()
    stability: StabilityProtocol = StabilityProtocol()
    self_test: SelfTest = SelfTest()
    detection: Detection = Detection()
    plan: Plan = Plan()
    external: External = External()
    governance: Governance = Governance()

    @model_validator(mode="after")
    def _resegmentation_cuts(self) -> Protocol:
        """Refuse a resegmentation that could drop nothing, or everything, of a CT clipped to the grid's range."""
        kept, grid = self.features.resegment_hu, (self.grid.lowest_hu, self.grid.highest_hu)
        drops_nothing = kept and kept[0] <= grid[0] and kept[1] >= grid[1]
        if drops_nothing or (kept and (kept[0] > grid[1] or kept[1] < grid[0])):
            raise ValueError(
                f"features.resegment_hu must cut into grid.lowest_hu..highest_hu, which is {grid}, got {kept}"
            )
        return self

    @model_validator(mode="after")
    def _predicts_from_what_is_known(self) -> Protocol:
        """Refuse a predictor that is known only after the moment of prediction."""
        order = ("preoperative", "at surgery", "postoperative")
        moment = self.covariates.moment_of_prediction
        late = [c.column for c in self.covariates.columns if order.index(c.when_known) > order.index(moment)]
        if late:
            raise ValueError(
                f"covariates.columns must be known at the moment of prediction ({moment}), got {', '.join(late)}: take"
                " them out or move covariates.moment_of_prediction"
            )
        return self

    @model_validator(mode="after")
    def _is_as_locked(self) -> Protocol:
        """Refuse a lock that was typed in or outlived the choices it was made for; stages trust locked_at alone."""
        wanted = plan_digest(self) if self.plan.locked_at else self.plan.protocol_sha256
        if self.plan.protocol_sha256 != wanted:
            raise ValueError(
                "plan.protocol_sha256 must be the hash of the study's choices while plan.locked_at is set, got"
                f" {self.plan.protocol_sha256[:12] or 'none'} and not {wanted[:12]}: the choices changed after locking;"
                " lock the plan again or empty [plan]"
            )
        return self


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no blanks: the same value gives the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: object) -> str:
    """sha256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def without_paths(protocol: Protocol) -> Protocol:
    """A protocol whose file names are replaced by their roles: what is stored, shown and hashed."""
    clinical = protocol.clinical
    roles = tuple(f"clinical table {number}" for number in range(1, len(clinical.files) + 1))
    table = "feature table" if protocol.features_table.file else ""
    return protocol.model_copy(
        update={
            "images": protocol.images.model_copy(update={"root": "images" if protocol.images.root else ""}),
            "clinical": clinical.model_copy(update={"files": roles}),
            "features_table": protocol.features_table.model_copy(update={"file": table}),
            "external": External(model="model file" if protocol.external.model else ""),
        }
    )


def plan_digest(protocol: Protocol) -> str:
    """Hash of every choice that a locked plan fixes: all but the lock itself, title, notice and file names."""
    return digest(protocol.model_dump(mode="json", exclude=NOT_LOCKED))


def protocol_sha256(protocol: Protocol) -> str:
    """Hash of every choice of a protocol."""
    return digest(protocol.model_dump(mode="json"))


def read_protocol(directory: Path) -> Protocol:
    """The protocol of a study folder; ValueError names the field, the law and the value where study.toml breaks one."""
    return checked_protocol(_sections(directory))


def read_unlocked(directory: Path) -> Protocol:
    """The protocol of a study folder with its plan unlocked, whatever the lock says; ValueError as read_protocol."""
    sections = _sections(directory)
    plan = sections.get("plan")
    if isinstance(plan, dict):
        sections["plan"] = {name: value for name, value in plan.items() if name == "derived_from"}
    return checked_protocol(sections)


def _sections(directory: Path) -> dict[str, object]:
    path = directory / PROTOCOL_FILE
    if not path.exists():
        raise ValueError(f"no {PROTOCOL_FILE} in this folder; make one with `python -m engine new`")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{PROTOCOL_FILE} is not valid TOML: {error}") from error


def checked_protocol(sections: Mapping[str, object]) -> Protocol:
    """The protocol of these sections; ValueError names the field, the law and the value where one is broken."""
    try:
        return Protocol.model_validate(sections)
    except ValidationError as error:
        laws = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}"
            if e["loc"]
            else e["msg"].removeprefix("Value error, ")
            for e in error.errors()
        ]
        raise ValueError(f"{PROTOCOL_FILE}: " + "; ".join(laws)) from None


def write_protocol(directory: Path, protocol: Protocol) -> Path:
    """Write study.toml with every default in full and each field explained, whole or not at all; returns its path."""
    path = directory / PROTOCOL_FILE
    written = directory / f".{PROTOCOL_FILE}.{os.getpid()}"
    written.write_text(protocol_text(protocol), encoding="utf-8")
    return written.replace(path)


def protocol_text(protocol: Protocol) -> str:
    """study.toml of a protocol: every field with its value and a comment of its meaning."""
    blocks = ["# Cohortscope study protocol. Every choice is here; a change recomputes only what depends on it.\n"]
    for name in Protocol.model_fields:
        section: Section = getattr(protocol, name)
        lines = [f"[{name}]"]
        for field, info in type(section).model_fields.items():
            if info.description:
                lines.append(f"# {info.description}")
            lines.append(f"{field} = {_toml(getattr(section, field))}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _toml(value: object) -> str:
    if isinstance(value, BaseModel):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
