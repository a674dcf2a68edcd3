"""The typed records of a study: one record type is one table of the snapshot.

Per-case records carry no case_id: they are stored under a key that knows only content, and the publisher adds
run_id and case_id. Records of cohort stages name the case where they speak of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from store.volumes import ORIGINS

ROIS = ("intratumoural", "peritumoural", "whole_lung")
STATUSES = ("ok", "degenerate", "too_small", "empty", "no_lungs", "not_finite")
NO_MODEL, OTHER_FOLD = "no_model", "other_fold"
CONFORMITIES = ("met", "not met", "not offered")
BASE_MASK = "none"
JUDGEMENTS = ("none", "minor", "major", "missed")
DRAWN = "drawn"
READER_ROLES = ("reader", "adjudicator")
REVIEW_MODES = ("work list", "reader study", "blank canvas", "adjudication")


R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Cohort(Generic[R]):
    """The records of one type of every case that has them, in the order of case ids."""

    rows: tuple[tuple[str, R], ...]

    def __iter__(self) -> Iterator[tuple[str, R]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Resamples(Generic[R]):
    """The records of one type of every resample, in order."""

    rows: tuple[tuple[int, R], ...]

    def __iter__(self) -> Iterator[tuple[int, R]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class DeclinedError(Exception):
    """An analysis that must not be done on these data (too few events, no outcome): the runner records the reason."""


class RefusedError(ValueError):
    """An input that must not get in; carries code, file role, message and remedy, never a patient identifier."""

    def __init__(self, code: str, file: str, message: str, remedy: str) -> None:
        super().__init__(f"{code}: {file}: {message} {remedy}")
        self.code, self.file, self.message, self.remedy = code, file, message, remedy


def _check_share(name: str, value: float | None) -> None:
    if value is not None and not (math.isnan(value) or -1e-12 <= value <= 1 + 1e-12):
        raise ValueError(f"{name} must lie in 0..1, got {value}")


def _check_not_negative(record: object, *names: str) -> None:
    for name in names:
        if getattr(record, name) < 0:
            raise ValueError(f"{name} must not be negative, got {getattr(record, name)}")


def _check_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")


# --- acquire ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How the index series was made; unknown is a category, never a guess."""

    source_format: str  # dicom | nifti | nrrd
    manufacturer: str
    model: str
    convolution_kernel: str
    kernel_group: str  # sharp | soft | unknown
    contrast: str  # yes | no | unknown
    contrast_evidence: str
    slice_thickness_mm: float | None
    kvp: float | None
    spacing_x_mm: float
    spacing_y_mm: float
    spacing_z_mm: float
    size_x: int
    size_y: int
    size_z: int
    scan_days: int | None  # days from time zero; None when no date is known
    series_choice: str  # why this is the index series
    series_alternatives: int
    synthetic: bool = False
    stored_axes: str = ""  # where the file's axes grow to, such as LPS or RAS; read in LPS order
    vendor: str = "unknown"  # Siemens | GE | Philips | Canon | other | unknown, however the tag spells it


@dataclass(frozen=True, slots=True)
class PriorScan:
    """An earlier CT of the same patient, shown beside the index series and never measured.

    shift_*_mm, added to a point of the earlier CT (x, y, z in LPS), gives the same place of the index series as far as
    moving one chest onto the other goes; lung_overlap is the Dice coefficient of the air in both lungs after it.
    """

    days_before: int | None  # from this scan to the index scan; None where no dates are known
    convolution_kernel: str
    kernel_group: str  # sharp | soft | unknown
    contrast: str  # yes | no | unknown
    slice_thickness_mm: float | None
    spacing_x_mm: float
    spacing_y_mm: float
    spacing_z_mm: float
    shift_x_mm: float | None  # None: the lungs do not match, the two are not linked
    shift_y_mm: float | None
    shift_z_mm: float | None
    lung_overlap: float | None

    def __post_init__(self) -> None:
        _check_share("lung_overlap", self.lung_overlap)


@dataclass(frozen=True, slots=True)
class Flag:
    """Something the gate accepted but says aloud."""

    stage: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A case the gate did not let in: file role, field, law and remedy, never a patient identifier."""

    case_id: str
    code: str
    file: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Lesion:
    """One outlined or found lesion of a patient; lesion 0 is the index lesion, only it is fed to features."""

    lesion: int
    name: str
    role: str  # index | satellite | node | other
    origin: str
    source: str
    volume_ml: float
    centroid_x_mm: float
    centroid_y_mm: float
    centroid_z_mm: float
    rule: str  # named | click | largest

    def __post_init__(self) -> None:
        _check_one_of("origin", self.origin, ORIGINS)
        _check_one_of("role", self.role, ("index", "satellite", "node", "other"))


@dataclass(frozen=True, slots=True)
class MaskVersion:
    """What a stored mask is: who drew it, how much it holds."""

    structure: str
    origin: str
    source: str
    lesion: int
    version: int
    voxels: int
    volume_ml: float
    components: int
    touches_border: bool


@dataclass(frozen=True, slots=True)
class Covariate:
    """One value of the clinical table, with the moment at which it is known."""

    case_id: str
    name: str
    kind: str  # number | category | stage
    unit: str
    when_known: str  # preoperative | at surgery | postoperative
    number: float | None
    category: str | None
    tnm_edition: str = ""
    tnm_prefix: str = ""  # c | p | "" when it is not a stage

    def __post_init__(self) -> None:
        _check_one_of("when_known", self.when_known, ("preoperative", "at surgery", "postoperative"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to a patient, in days from time zero, and the two-year label with its reason.

    dfs_label is None where it is undetermined (censored before the horizon); that is never "no event".
    """

    case_id: str
    time_zero: str  # surgery | start of radiotherapy | scan | diagnosis
    recurrence_days: int | None
    death_days: int | None
    cause: str  # cancer | other | unknown | none
    last_imaging_days: int | None
    last_contact_days: int | None
    dfs_days: int | None
    dfs_event: bool | None
    composite_only: bool
    dfs_label: bool | None
    label_reason: str


@dataclass(frozen=True, slots=True)
class Treatment:
    """What decides whether a patient may enter: None where the study declares no column or the cell is empty."""

    case_id: str
    neoadjuvant: bool | None
    adjuvant: bool | None
    margins_involved: bool | None
    scan_days_before: int | None  # days from the CT to time zero; negative: scanned after it


# --- segment, review -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segmentation:
    """One automatic segmentation: seconds by step, what ran it, how sure it was."""

    model_sha256: str
    device: str
    seconds_read: float
    seconds_resample: float
    seconds_network: float
    seconds_export: float
    tumour_found: bool
    mean_entropy: float | None  # nats, over the predicted tumour
    lungs_method: str  # outlined | model | threshold | none; where one lung is outlined, of the other if it was made
    hardware: str = ""  # the processor's or the GPU's name
    threads: int = 0
    precision: str = ""  # float32 | bfloat16 | float16
    tile_zyx: str = ""  # voxels, "96 x 96 x 112"
    tiles: int = 0
    members: int = 0  # folds times mirrors
    drawn_around: str = ""  # what the swept box was drawn around: lungs | body | none
    swept_share: float | None = None  # of the CT's voxels
    fallback: str = ""  # after memory ran out: "" | smaller tiles | cpu


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What the model was unsure of in one case; None where no tumour was found, or (disagreement) with one member."""

    tumour_ml: float  # on the model's grid
    components: int
    largest_share: float | None  # of the tumour's volume in its largest piece
    mean_entropy: float | None  # nats
    mean_lead: float | None  # logit over the best other label
    disagreement: float | None  # mean sd of the members' probability, 0..0.5
    largest_probability: float  # of tumour, anywhere
    candidate_ml: float  # probability of tumour at least 0.1

    def __post_init__(self) -> None:
        _check_share("largest_share", self.largest_share)
        _check_share("largest_probability", self.largest_probability)


@dataclass(frozen=True, slots=True)
class EmbeddingName:
    """One place of the frozen order of a network's embeddings, such as encoder-stage2_mean_017."""

    feature_set: str  # sha256 of the model's sha256 and the ordered names
    place: int
    model_sha256: str
    stage: int
    statistic: str  # mean | sd | max
    channel: int
    feature: str


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The encoder's features pooled over one ROI in the order of a feature set; NaN where the status is not ok."""

    roi: str
    status: str  # of the ROI, else no_model or other_fold (then without values)
    feature_set: str
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        _check_one_of("roi", self.roi, ROIS)
        _check_one_of("status", self.status, (*STATUSES, NO_MODEL, OTHER_FOLD))


# --- training --------------------------------------------------------------------------------------------------------

TRAINING_ROLES = ("tumour_free", "training", "monitored", "reported")


@dataclass(frozen=True, slots=True)
class TrainableCase:
    """What a case can be trained for; content_sha256 names its image whatever the case is called."""

    content_sha256: str
    tumour_ml: float  # of the reference; 0: tumour-free
    anatomy: str  # names of the labelled structures, joined by commas


@dataclass(frozen=True, slots=True)
class TrainingMember:
    """The part of one case in one fold: one of TRAINING_ROLES."""

    fold: int
    case_id: str
    content_sha256: str
    role: str
    anatomy: str  # names of its labelled structures, joined by commas

    def __post_init__(self) -> None:
        _check_one_of("role", self.role, TRAINING_ROLES)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """nnU-Net's plans for all strategies of a study, with the cases that were looked at to make them."""

    plans_json: str
    labels: str  # anatomical structures in order of value, joined by commas
    planned_on: str  # content_sha256 of each case that was looked at, joined by commas
    plans_sha256: str


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """One training of one strategy and what it cost."""

    strategy: str
    seed: int
    fold: int
    weights_sha256: str
    plans_sha256: str
    iterations: int  # of all phases together
    cpu_seconds: float
    seconds: float
    device: str
    threads: int
    cases: int  # trained on, pretraining included


@dataclass(frozen=True, slots=True)
class SeenCase:
    """That a model saw an image: for planning, pretraining, training or monitoring."""

    strategy: str
    seed: int
    fold: int
    content_sha256: str
    purpose: str


@dataclass(frozen=True, slots=True)
class TrainingEpoch:
    """One epoch of one training; pseudo_dice is nnU-Net's, over monitored patches: mean of labels, and the tumour's."""

    strategy: str
    seed: int
    fold: int
    phase: str  # pretraining | training
    epoch: int
    epochs: int
    loss: float
    monitored_loss: float
    pseudo_dice: float | None
    tumour_pseudo_dice: float | None
    learning_rate: float
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class StrategyOverlap:
    """Agreement of one trained model with the reference of one case that it never saw."""

    strategy: str
    seed: int
    fold: int
    case_id: str
    dsc: float
    surface_dsc: float
    missed: bool
    volume_ml: float

    def __post_init__(self) -> None:
        _check_share("dsc", self.dsc)
        _check_share("surface_dsc", self.surface_dsc)


@dataclass(frozen=True, slots=True)
class ComparedTraining:
    """Whether the trainings of one strategy with one seed enter the comparison, and if not, why."""

    strategy: str
    seed: int
    folds: int
    scored_folds: int  # those whose every reported case has a score
    compared: bool
    reason: str  # empty when compared


@dataclass(frozen=True, slots=True)
class StrategySummary:
    """One strategy over all reported cases; DSC is averaged over trainings first, its interval is over cases."""

    strategy: str
    cases: int
    trainings: int  # seeds
    dsc_mean: float
    dsc_sd: float | None  # over cases
    dsc_lo: float | None
    dsc_hi: float | None
    surface_dsc_mean: float
    missed_share: float  # of cases x trainings
    seed_dsc_lowest: float  # mean over cases, of the worst and of the best training
    seed_dsc_highest: float
    iterations: int  # of one training
    cpu_seconds: float  # of one training, on average
    seconds: float
    device: str


@dataclass(frozen=True, slots=True)
class StrategyComparison:
    """One test between strategies on the same cases; first and second are empty where all are tested together."""

    test: str  # friedman | wilcoxon | mcnemar | mixed model
    first: str
    second: str
    measure: str  # dsc | missed
    n: int
    effect_name: str
    effect: float | None  # first minus second
    effect_lo: float | None
    effect_hi: float | None
    statistic: float | None
    p: float | None
    p_holm: float | None
    note: str


@dataclass(frozen=True, slots=True)
class FeatureMask:
    """Which mask stands for a structure downstream, the first that exists of feature_mask_order."""

    structure: str
    mask_source: str  # adjudicated | reviewed | reference | automatic | none
    origin: str
    source: str
    overlaps_reference: bool | None = None  # tumour: shares a voxel with the outlined index lesion; None: not known


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reader's judgement of one automatic mask; append-only, from the ledger.

    A later verdict of the same reader, role, mode and reading replaces the earlier, says why, and both stay. "drawn" is
    no judgement: the reader contoured the case without seeing an automatic mask.
    """

    case_id: str
    structure: str
    reader: str
    judgement: str  # none | minor | major | missed | drawn
    reason: str
    comment: str
    active_seconds: float
    signed_at: str  # UTC, ISO 8601
    mask_key: str  # of the automatic mask that was judged; empty: none was seen
    role: str = "reader"  # reader | adjudicator
    mode: str = "work list"  # work list | reader study | blank canvas | adjudication
    reading: int = 1  # 2: a hidden repeat of the reader study
    amends: str = ""  # why it replaces the reader's earlier verdict; empty for a first one
    drawn_key: str = ""  # the reader's own version of the mask; empty: he drew none
    identity: str = ""  # how the reader was known: "named himself"; empty: simulated or imported

    def __post_init__(self) -> None:
        _check_one_of("judgement", self.judgement, (*JUDGEMENTS, DRAWN))
        _check_one_of("role", self.role, READER_ROLES)
        _check_one_of("mode", self.mode, REVIEW_MODES)
        if self.judgement == DRAWN and not self.drawn_key:
            raise ValueError("drawn_key must name the contour of a verdict 'drawn', got none")
        if self.judgement == "none" and self.drawn_key:
            raise ValueError("judgement must not be 'none' where the reader changed the mask")


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """One saved version of a mask that a reader drew; append-only, the voxels lie among the artifacts by drawn_key."""

    case_id: str
    structure: str
    version: int  # counts over all readers of the case
    reader: str
    origin: str  # corrected | independent
    drawn_key: str
    parent_key: str  # of the mask it was drawn from, automatic or drawn before; empty: the first of a blank canvas
    via: str  # viewer | file
    voxels: int
    changed_voxels: int  # against the automatic mask; of a blank canvas all
    volume_ml: float
    edit_dsc: float | None  # to the automatic mask; None: a blank canvas
    volume_change_percent: float | None  # of the automatic mask's volume; None: a blank canvas, or an empty one
    saved_at: str  # UTC, ISO 8601
    identity: str = ""

    def __post_init__(self) -> None:
        _check_one_of("origin", self.origin, ("corrected", "independent"))
        _check_share("edit_dsc", self.edit_dsc)


# --- measure ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoiMask:
    """One region on the feature grid: what it holds, what was cut away, which mask it stands on."""

    roi: str
    status: str
    mask_source: str
    width_mm: float | None
    voxels: int
    volume_ml: float
    share_left: float | None  # of the ring before clipping to lung
    clipped: bool
    lungs_method: str
    clipped_hu_share: float  # share of voxels whose HU was clipped
    native_voxels: int  # voxels of the feature mask at native spacing, before precedence

    def __post_init__(self) -> None:
        _check_one_of("roi", self.roi, ROIS)
        _check_one_of("status", self.status, STATUSES)
        _check_share("share_left", self.share_left)


# automatic against an independent reference; against one that was made from it; two readers; two models
COMPARISONS = ("agreement", "edit_distance", "readers", "models")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Agreement of two masks of one structure; dsc and surface_dsc are 0 where the prediction is empty."""

    structure: str
    from_source: str  # the reference
    to_source: str
    comparison: str  # one of COMPARISONS
    dsc: float
    surface_dsc: float
    tolerance_mm: float
    surface_dsc_1mm: float
    surface_dsc_3mm: float
    hd95_mm: float | None
    mean_surface_distance_mm: float | None
    volume_error_ml: float
    centroid_distance_mm: float | None
    missed: bool
    missed_kind: str  # found | empty | wrong_place
    extra_components: int
    lesion_dsc: float = 0.0  # with the predicted components that touch the lesion only
    missed_at_low_dsc: bool = False  # missed, or lesion_dsc under the protocol's low_lesion_dsc
    surface_dsc_smooth: float | None = None  # on smooth surfaces (smooth_surface.py); None: not of lungs

    def __post_init__(self) -> None:
        _check_share("dsc", self.dsc)
        _check_share("surface_dsc", self.surface_dsc)
        _check_share("lesion_dsc", self.lesion_dsc)
        _check_share("surface_dsc_smooth", self.surface_dsc_smooth)
        _check_one_of("comparison", self.comparison, COMPARISONS)


@dataclass(frozen=True, slots=True)
class SurfaceDscPoint:
    """One point of the tolerance curve of one comparison of tumours."""

    structure: str
    from_source: str
    to_source: str
    comparison: str
    tolerance_mm: float
    surface_dsc: float
    surface_dsc_smooth: float

    def __post_init__(self) -> None:
        _check_share("surface_dsc", self.surface_dsc)
        _check_share("surface_dsc_smooth", self.surface_dsc_smooth)


@dataclass(frozen=True, slots=True)
class ReaderOverlap(Overlap):
    """The same of a reader's mask: against the automatic one, or another reader's; no reader is a reference here.

    comparison: agreement (contoured without seeing the automatic mask) | edit_distance | readers.
    """


@dataclass(frozen=True, slots=True)
class Morphology:
    """Shape of one ROI by IBSI names."""

    roi: str
    mask_source: str
    volume_ml: float
    surface_mm2: float
    sphericity: float
    maximum_3d_diameter_mm: float
    surface_to_volume_per_mm: float
    elongation: float
    slices: int
    small: bool  # under 10 mm or 5 slices: read the shape with care


@dataclass(frozen=True, slots=True)
class Location:
    """Where the tumour lies and what it touches; contact is never called invasion."""

    mask_source: str
    side: str  # left | right | unknown
    third: str  # upper | middle | lower | unknown
    lobe: str
    distance_to_pleura_mm: float | None
    contact_mm2: float | None
    contact_share: float | None
    costal_contact_mm2: float | None
    mediastinal_contact_mm2: float | None
    diaphragmatic_contact_mm2: float | None
    contact_1mm: bool | None
    contact_3mm: bool | None
    contact_5mm: bool | None
    chest_wall_contact: bool | None  # costal contact within the protocol's contact_mm, as are the areas above
    costal_contact_share: float | None = None  # of the tumour's surface
    distance_to_mediastinum_mm: float | None = None
    protrusion_mm: float | None = None  # beyond the run of the pleura around it; None: too little of it to say


@dataclass(frozen=True, slots=True)
class ContactArea:
    """Tumour surface within a distance of the pleura, all of it or of one face."""

    mask_source: str
    face: str  # all | costal | mediastinal | diaphragmatic
    within_mm: float
    contact_mm2: float
    contact_share: float  # of the tumour's surface

    def __post_init__(self) -> None:
        _check_one_of("face", self.face, ("all", "costal", "mediastinal", "diaphragmatic"))
        _check_share("contact_share", self.contact_share)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureVector:
    """All features of one mask in the frozen order of a feature set; NaN (stored as NULL) where the status says so."""

    roi: str
    perturbation: str  # BASE_MASK for the base mask
    feature_set: str  # sha256 of the ordered names
    values: NDArray[np.float64]
    statuses: NDArray[np.uint8]  # index into STATUSES

    def __post_init__(self) -> None:
        if len(self.values) != len(self.statuses):
            raise ValueError(f"{len(self.values)} values but {len(self.statuses)} statuses")


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedFeatureVector(FeatureVector):
    """The features of one perturbed mask or image; shown in the same table as the base masks."""


@dataclass(frozen=True, slots=True)
class FeatureName:
    """One place of a feature set's frozen order."""

    feature_set: str
    place: int
    image_type: str
    feature_class: str
    feature: str


@dataclass(frozen=True, slots=True)
class Conformity:
    """Our value against one published reference; value is None where we offer no such feature, and reason says why."""

    configuration: str  # digital, A .. E of IBSI-1; "ibsi2 2.a" a response map, "ibsi2 3.B" a filtered CT
    tag: str
    feature: str
    value: float | None
    reference: float
    tolerance: float
    verdict: str  # met | not met | not offered
    reason: str

    def __post_init__(self) -> None:
        _check_one_of("verdict", self.verdict, CONFORMITIES)


@dataclass(frozen=True, slots=True)
class PerturbedImage:
    """What one perturbation does to the image and to the grid that features are taken on; 0 everywhere: nothing.

    Slices are thickened and noise is added on the CT's own grid; then the feature grid is turned about its z axis
    through a pivot and shifted.
    """

    perturbation: str
    noise_sd_hu: float = 0.0
    noise_seed: int = 0
    slice_mm: float = 0.0  # thickness that slices are averaged to
    voxel_mm: float = 0.0  # of the isotropic feature grid, 0: the protocol's
    rotation_degrees: float = 0.0  # from +x towards +y of the grid
    pivot_x_mm: float = 0.0
    pivot_y_mm: float = 0.0
    pivot_z_mm: float = 0.0
    shift_x_mm: float = 0.0  # along the grid's own axes
    shift_y_mm: float = 0.0
    shift_z_mm: float = 0.0

    def __post_init__(self) -> None:
        _check_not_negative(self, "noise_sd_hu", "slice_mm", "voxel_mm")

    @property
    def moves(self) -> bool:
        """Whether features are taken on another grid than the protocol's."""
        return any((self.rotation_degrees, self.shift_x_mm, self.shift_y_mm, self.shift_z_mm, self.voxel_mm))

    @property
    def changes(self) -> bool:
        """Whether the feature image differs from the unperturbed one."""
        return self.moves or self.noise_sd_hu > 0 or self.slice_mm > 0


@dataclass(frozen=True, slots=True)
class PerturbedMask:
    """One perturbed ROI: what was drawn, what it achieved, whether it changed enough to test anything."""

    roi: str
    perturbation: str
    family: str  # random | fixed | resampling | readers
    method: str  # rotation | translation | noise | contour | volume | combined | ring_width | ...
    parameters: str  # JSON of what was drawn
    dsc: float | None  # with the unperturbed ROI, both on the feature grid
    volume_change_percent: float | None
    tested: (
        bool  # False: neither mask (DSC above the protocol's) nor image changed, or another reader missed the lesion
    )
    plausible: bool = True  # False: a DSC that nobody would call another reading of the same contour


# --- analyse ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Association:
    """One test of what makes segmentation harder; p and q are None in exploratory analyses."""

    outcome: str  # dsc | surface_dsc | missed
    variable: str
    test: str
    subset: str  # all | detected
    n: int
    effect_name: str
    effect: float | None
    effect_lo: float | None
    effect_hi: float | None
    p: float | None
    q: float | None
    verdict: str  # "" | equivalent | different | inconclusive
    groups: str  # JSON: level -> [n, median]
    change: float | None = None  # of the score: per change_per of a number, or first less second of two groups
    change_lo: float | None = None
    change_hi: float | None = None
    change_per: str = ""  # "10 mm", "yes less no"
    aliased_with: str = ""  # other acquisition variables that this one cannot be told from, joined by commas
    from_source: str = ""  # the pair of masks that was tested: reader and model
    to_source: str = ""


@dataclass(frozen=True, slots=True)
class BatchDifference:
    """Mean score of one group of scans less that of another, with its 90 % interval against the margin."""

    outcome: str  # dsc | surface_dsc
    subset: str  # all | detected
    variable: str
    first: str
    second: str
    n_first: int
    n_second: int
    difference: float
    lo: float
    hi: float
    margin: float
    verdict: str  # equivalent | different | inconclusive
    aliased_with: str  # as in Association

    def __post_init__(self) -> None:
        _check_one_of("verdict", self.verdict, ("equivalent", "different", "inconclusive"))


@dataclass(frozen=True, slots=True)
class AcquisitionPair:
    """How two acquisition variables go together: aliased, their effects cannot be told apart and are one."""

    first: str
    second: str
    n: int  # patients with both known
    cramers_v: float | None  # 0..1; None where one of them has one level only
    aliased: bool
    counts: str  # JSON: level of first -> level of second -> n, unknown included

    def __post_init__(self) -> None:
        _check_share("cramers_v", self.cramers_v)


@dataclass(frozen=True, slots=True)
class DoubtEstimate:
    """How good one automatic tumour outline is expected to be; place 1 is looked at first."""

    case_id: str
    place: int
    basis: str  # left out: the fit did not see this case | no reference: nothing to compare | nothing found
    predicted_dsc: float
    missed_probability: float | None  # None: too few misses to learn from
    achieved_dsc: float | None
    missed: bool | None

    def __post_init__(self) -> None:
        _check_one_of("basis", self.basis, ("left out", "no reference", "nothing found"))
        _check_share("predicted_dsc", self.predicted_dsc)
        _check_share("missed_probability", self.missed_probability)


@dataclass(frozen=True, slots=True)
class DoubtQuality:
    """How good the doubt is, on left-out predictions; rho and auc with their 95 % bounds, None where not defined."""

    subset: str  # found: cases in which a tumour was predicted | all
    n: int
    missed: int
    rho: float | None  # Spearman, predicted against achieved DSC
    rho_lo: float | None
    rho_hi: float | None
    auc: float | None  # of the probability of a miss
    auc_lo: float | None
    auc_hi: float | None
    mean_error: float  # mean absolute error of the predicted DSC
    mean_error_of_the_mean: float  # the same, had the mean of all cases been predicted for each
    bias: float  # mean achieved minus mean predicted DSC; 0: right on average
    slope: float | None  # of the achieved on the predicted DSC; 1: calibrated, below 1: predictions too far apart
    expected_missed: float | None  # sum of the probabilities of a miss, beside `missed`
    ranks: bool  # rho_lo > 0
    detects: bool  # auc_lo > 0.5


@dataclass(frozen=True, slots=True)
class IccEstimate:
    """Reproducibility of one feature in one family of perturbations; class on the lower 95 % bound."""

    roi: str
    image_type: str
    feature_class: str
    feature: str
    family: str
    n: int
    k: int
    icc11: float | None
    icc11_lo: float | None
    icc11_hi: float | None
    icc21: float | None
    icc21_lo: float | None
    icc21_hi: float | None
    icc31: float | None
    icc31_lo: float | None
    icc31_hi: float | None
    icc_rank: float | None
    icc_trimmed: float | None  # without the 5 % most extreme patients
    disagreement: bool
    icc_class: str  # poor | moderate | good | excellent | constant | not_tested
    survives: bool  # in every family that the protocol declares
    within_cv: float | None = None  # within-patient sd over the absolute mean
    repeatability: float | None = None  # 95 % of two measurements of a patient differ by less, in the feature's unit
    declared: bool = True  # whether this family decides survival


@dataclass(frozen=True, slots=True)
class PerturbationEffect:
    """What one perturbation does to one ROI and its features, over the patients in which it was tested."""

    roi: str
    perturbation: str
    family: str
    method: str
    n: int  # patients
    features: int
    below: int  # features whose ICC between unperturbed and perturbed values alone is under the threshold
    median_icc: float | None
    dsc_median: float | None
    dsc_lowest: float | None
    volume_change_median_percent: float | None
    implausible: int  # masks that nobody would call another reading of the same contour


@dataclass(frozen=True, slots=True)
class BatchLevel:
    """One level of a batch variable: how many patients, and what became of them, before anything is harmonised."""

    variable: str  # kernel | contrast | manufacturer | slice thickness
    level: str
    n: int
    events: int | None  # None: no outcome is known
    free: int | None


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """How far a batch variable and the outcome go together: harmonising it then takes outcome away, or adds it."""

    variable: str
    levels: int
    n: int  # with a known outcome
    cramers_v: float | None  # None: one level or no outcome
    confounded: bool  # above the protocol's limit
    harmonised: bool  # whether ComBat could be fitted on it
    reason: str  # why not


@dataclass(frozen=True, slots=True)
class BatchVariance:
    """Share of one feature's variance between patients that a batch variable explains, adjusted for its levels."""

    variable: str
    roi: str
    image_type: str
    feature_class: str
    feature: str
    n: int
    levels: int
    before: float  # adjusted R2: about 0 where batches do nothing, may be negative
    after: float | None  # after ComBat fitted on all these patients; None: it could not be fitted


@dataclass(frozen=True, slots=True)
class BatchPoint:
    """One patient in the plane of the two directions in which the features of a ROI vary most."""

    case_id: str
    variable: str
    level: str
    roi: str
    harmonised: bool
    first: float
    second: float
    first_share: float  # of the variance
    second_share: float


@dataclass(frozen=True, slots=True)
class BatchIcc:
    """Reproducibility of one feature in one family before and after ComBat on the protocol's batch variable."""

    variable: str
    roi: str
    image_type: str
    feature_class: str
    feature: str
    family: str
    n: int
    before: float  # lower 95 % bound that decides
    after: float


REGION_ARMS = ROIS  # radiomics of one region alone
DEEP_ARMS = ("deep", "clinical_deep")  # the segmentation network's embeddings in the place of radiomics: exploratory
MODELS = (
    *("clinical", "clinical_volume", "combined", "combined_offset", "radiomic", *REGION_ARMS, "volume", *DEEP_ARMS),
    *("forest_clinical", "forest_clinical_volume", "forest_combined"),
    *("cox_clinical", "cox_clinical_volume", "cox_combined", "shuffled"),
)


@dataclass(frozen=True, slots=True)
class SelectionSize:
    """What the selection starts from: patients, events, parameters and how many features the rule lets it keep."""

    patients: int
    events: int
    free: int
    undetermined: int
    clinical_parameters: int
    features: int  # columns of the design table
    tested_features: int  # columns with a perturbed or repeated measurement
    mrmr_features: int
    kept: int  # max(1, min(most_kept, events // 10 - clinical parameters))
    icc_filter: str  # "" = on; else why it is off


@dataclass(frozen=True, slots=True)
class Selection:
    """One feature that a bootstrap's mRMR took, with its rank there and whether RF-RFE kept it.

    The sets of any other size are there too: mRMR's first k are those of rank <= k, the k that elimination would have
    kept those of rfe_rank <= k.
    """

    resample: int
    roi: str
    image_type: str
    feature_class: str
    feature: str
    mrmr_rank: int
    kept: bool
    rfe_rank: int = 0


@dataclass(frozen=True, slots=True)
class SelectionFrequency:
    """How often a feature was kept, its correlation with tumour volume beside."""

    roi: str
    image_type: str
    feature_class: str
    feature: str
    mrmr_count: int
    kept_count: int
    resamples: int
    volume_correlation: float | None


@dataclass(frozen=True, slots=True)
class FeatureGroup:
    """A feature of a group whose members stand for each other; in how many resamples any of them was kept."""

    group: int  # from 1, the group kept most often first
    roi: str
    image_type: str
    feature_class: str
    feature: str
    kept_count: int
    group_count: int
    resamples: int


@dataclass(frozen=True, slots=True)
class CoSelection:
    """Two often kept features, first before second in the order of groups: taken by mRMR together, how alike."""

    first: int  # place in the order of groups, from 0
    second: int
    first_name: str
    second_name: str
    together: int
    expected: float  # if the two were taken independently of each other
    correlation: float | None  # Spearman over patients
    resamples: int


@dataclass(frozen=True, slots=True)
class SizeStability:
    """Stability of the sets of one size, with its 95 % interval."""

    step: str  # mrmr | rfe
    size: int
    stability: float
    lo: float
    hi: float
    resamples: int


@dataclass(frozen=True, slots=True)
class PermutedAuc:
    """Self-test: mean AUC of one model over the bootstraps of one permutation of the outcomes."""

    repeat: int
    model: str
    evaluation: str  # out-of-bag | cross-validation
    auc: float
    resamples: int


@dataclass(frozen=True, slots=True)
class PlantedClaim:
    """What the comparison says of a cohort in which a gain in AUC over clinical + volume was planted."""

    repeat: int
    gain: float
    base_auc: float
    difference: float
    spread_lo: float
    spread_hi: float
    sentence: str
    adds: bool
    resamples: int


@dataclass(frozen=True, slots=True)
class ColumnState:
    """What became of one column of an imported table."""

    column: str
    state: str  # feature | left out
    reason: str
    rows: int
    missing: int
    overflowed: int


@dataclass(frozen=True, slots=True)
class Stability:
    """Nogueira stability of the kept sets with its 95 % interval."""

    step: str  # mrmr | rfe
    stability: float
    se: float
    lo: float
    hi: float
    resamples: int
    candidates: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """Mean out-of-bag probability of an event by the horizon, one row a patient and model."""

    case_id: str
    model: str
    probability: float
    resamples: int
    label: bool | None
    weight: float  # inverse probability of censoring, 0 where undetermined
    risk_group: str  # low | high | "" : chosen inside the resamples


@dataclass(frozen=True, slots=True)
class OutOfBag:
    """One prediction for a patient that the resample's training part did not hold."""

    case_id: str
    model: str
    resample: int
    probability: float
    high_risk: bool  # above the median of the same model's training predictions


@dataclass(frozen=True, slots=True)
class Performance:
    """Out-of-bag AUC of one model in one resample."""

    model: str
    resample: int
    auc: float
    features: int
    candidates: int = 0  # features left for mRMR after the filters
    icc_filtered: bool = False  # False: fewer than three perturbed patients in the training part, or no filter asked
    train_sha256: str = ""  # of the training ids: every fit can be traced to its patients
    scheme: str = ""  # of mRMR, where the protocol names several the one chosen inside this resample
    training_auc: float | None = None  # on the resample's own training part, for optimism
    whole_auc: float | None = None  # of the same model on the whole cohort, for optimism


@dataclass(frozen=True, slots=True)
class FinalModel:
    """One arm fitted on all patients; it has no AUC of its own: the apparent one serves .632+ and optimism only."""

    model: str
    apparent_auc: float
    features: int
    specification: str  # JSON of engine.portable_model; empty where it cannot be carried elsewhere (ComBat)


@dataclass(frozen=True, slots=True)
class FinalFeature:
    """One feature of the final signature: what the procedure kept on all patients."""

    roi: str
    image_type: str
    feature_class: str
    feature: str


@dataclass(frozen=True, slots=True)
class CarriedModel:
    """A model made on another study, to be tested here."""

    study: str
    n: int
    events: int
    arms: str
    text: str


@dataclass(frozen=True, slots=True)
class ExternalPrediction:
    """Risk of one patient of this study by a model made elsewhere."""

    case_id: str
    model: str
    probability: float
    label: bool | None


@dataclass(frozen=True, slots=True)
class ExternalSummary:
    """One arm of a model made elsewhere on held-out patients; bounds of the AUC by DeLong on the logit scale."""

    model: str
    auc: float  # determined patients, unweighted, as its bounds
    auc_lo: float
    auc_hi: float
    weighted_auc: float
    internal_auc: float | None  # out-of-bag, where it was made
    mean_risk: float
    observed: float
    calibration_intercept: float
    intercept_lo: float
    intercept_hi: float
    calibration_slope: float | None
    slope_lo: float | None
    slope_hi: float | None
    brier: float
    scaled_brier: float
    brier_shifted: float  # after the intercept was fitted here
    brier_recalibrated: float | None  # after intercept and slope were
    n: int
    events: int
    effective_n: float


@dataclass(frozen=True, slots=True)
class ExternalComparison:
    """DeLong's test of two arms on held-out patients; z and p are None before the plan is locked."""

    base: str
    extended: str
    difference: float
    lo: float
    hi: float
    z: float | None
    p: float | None
    n: int
    events: int
    exploratory: bool


@dataclass(frozen=True, slots=True)
class ExternalAspect:
    """What the model was made for beside what it is tested on."""

    aspect: str
    made_for: str
    tested_on: str
    differs: bool


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One arm of the comparison over all resamples; the interval is a spread over resamples, not a CI."""

    model: str
    auc: float
    auc_lo: float
    auc_hi: float
    brier: float
    calibration_intercept: float | None
    calibration_slope: float | None
    n: int
    events: int
    effective_n: float
    intercept_lo: float | None = None
    intercept_hi: float | None = None
    slope_lo: float | None = None
    slope_hi: float | None = None
    scaled_brier: float | None = None
    ici: float | None = None  # mean distance of the smooth calibration curve from the diagonal
    e50: float | None = None
    e90: float | None = None
    apparent_auc: float | None = (
        None  # of the model fitted on all: never an estimate, only what overfitting starts from
    )
    auc_632_plus: float | None = None
    optimism: float | None = None  # Harrell's
    corrected_auc: float | None = None  # apparent less optimism


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same resamples and patients; `sentence` is all that may be said."""

    base: str
    extended: str
    difference: float
    spread_lo: float
    spread_hi: float
    sentence: str
    delong_difference: float | None  # as in the paper: on out-of-bag means, determined patients only
    delong_lo: float | None
    delong_hi: float | None
    delong_z: float | None
    delong_p: float | None
    n: int
    events: int
    resamples: int
    exploratory: bool


@dataclass(frozen=True, slots=True)
class RocPoint:
    """One point of a model's weighted ROC curve: mean sensitivity over resamples, and the middle 95 % of it.

    lo and hi are a spread, no confidence band; None in results of versions that drew the curve of averaged risks.
    """

    model: str
    false_positive_share: float
    true_positive_share: float
    lo: float | None
    hi: float | None


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """Observed against predicted risk on a smooth curve, with its 95 % bounds."""

    model: str
    predicted: float
    observed: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """Net benefit of acting on an arm's risk at a threshold; model "treat all" needs no risk, treating none is 0."""

    model: str
    threshold: float
    net_benefit: float


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Two arms in one group of patients; AUCs are None with fewer than five of either class.

    Means over the resamples that left out patients of both classes; the bounds are a spread over them, no CI.
    """

    grouping: str
    level: str
    base: str
    extended: str
    base_auc: float | None
    extended_auc: float | None
    difference: float | None
    difference_lo: float | None
    difference_hi: float | None
    resamples: int
    n: int
    events: int
    effective_n: float


@dataclass(frozen=True, slots=True)
class SampleSizeNeed:
    """Patients that Riley's criteria ask for beside those there are."""

    model: str
    parameters: int
    needed: int
    n: int
    events: int


@dataclass(frozen=True, slots=True)
class BlockTest:
    """Likelihood-ratio test of a radiomic block fixed beforehand; p is None before the plan is locked."""

    kind: str  # Cox | logistic
    features: int
    statistic: float
    degrees: int
    p: float | None
    n: int
    events: int


@dataclass(frozen=True, slots=True)
class IncidencePoint:
    """Aalen-Johansen estimate of one cause in one group at one time, other causes competing."""

    grouping: str
    level: str
    cause: str  # event | competing death
    days: float
    incidence: float
    lo: float
    hi: float
    at_risk: int


@dataclass(frozen=True, slots=True)
class EndpointCount:
    """What one definition of the endpoint makes of the same patients; risk by the horizon is Aalen-Johansen's."""

    definition: str
    endpoint: str
    chosen: bool
    n: int
    events: int
    competing: int
    free: int
    undetermined: int
    left_out: int
    risk: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Predicted against observed risk in one group of patients."""

    model: str
    predicted: float
    observed: float
    observed_lo: float
    observed_hi: float
    n: int


@dataclass(frozen=True, slots=True)
class SurvivalPoint:
    """Kaplan-Meier estimate of one group at one time, with the number at risk."""

    grouping: str  # all | stage | clinical risk | combined risk
    level: str
    days: float
    survival: float
    lo: float
    hi: float
    at_risk: int
    events: int
    censored: int


@dataclass(frozen=True, slots=True)
class CoxTerm:
    """One term of the clinical model: a Cox model with modern R's test of proportional hazards, or Fine and Gray's."""

    term: str
    hazard_ratio: float | None  # None with lo and hi: not estimable, the level holds no event or nothing but events
    lo: float | None
    hi: float | None
    p: float | None
    ph_p: float | None
    n: int
    events: int
    effect: str = "hazard"  # hazard (of the cause, where deaths compete) | subdistribution hazard


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One box of the inclusion flow; parent is the label of the box above, empty at the top."""

    flow: str  # inclusion | outcome
    place: int
    label: str
    parent: str
    n: int
    events: int | None


@dataclass(frozen=True, slots=True)
class Declined:
    """An analysis that was not done, with its reason: an honest result, not a failure."""

    analysis: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """What was declared before outcomes were used; derived_from names a study whose figures a list was read off."""

    protocol_sha256: str
    locked_at: str
    locked_by: str
    endpoint: str
    derived_from: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A stage that gave up on a case (or on the cohort: case_id is empty) after its attempts."""

    stage: str
    case_id: str
    reason: str
    attempts: int
