"""Segmentation models as data: a manifest beside its weights, found by name or sha256, listed and imported."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.protocol import digest
from store.records import RefusedError

SHIPPED_FOLDER = Path(__file__).parent / "models"
HOME_VARIABLE = "COHORTSCOPE_HOME"
SHORTEST_SHA_PREFIX = 8
LARGEST_MANIFEST_BYTES = 8_000_000
READ_BLOCK_BYTES = 1 << 20
MOST_WEIGHTS = 500_000_000  # the largest network that nnU-Net's planners give has 350 million

Size3 = tuple[
    Annotated[int, Field(ge=1, le=512)], Annotated[int, Field(ge=1, le=512)], Annotated[int, Field(ge=1, le=512)]
]
Channels = Annotated[int, Field(ge=1, le=1024)]
Convolutions = Annotated[int, Field(ge=1, le=8)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Spacing = Annotated[float, Field(gt=0.1, le=10)]
Axes = Literal["LPS", "RAS"]
Resampling = Literal["block_linear", "nnunet", "nnunet_linear"]  # ours; nnU-Net's cubic default; its torch resampling


class Described(BaseModel):
    """A frozen part of a manifest: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Architecture(Described):
    """Layer parameters of a U-Net of nnU-Net; strides and kernels are z, y, x.

    n_conv_per_stage counts convolutions in a stage of PlainConvUNet, residual blocks in one of ResidualEncoderUNet.
    """

    network: Literal["PlainConvUNet", "ResidualEncoderUNet"]
    features_per_stage: tuple[Channels, ...] = Field(min_length=3, max_length=8)
    kernel_sizes: tuple[Size3, ...]
    strides: tuple[Size3, ...]
    n_conv_per_stage: tuple[Convolutions, ...]
    n_conv_per_stage_decoder: tuple[Convolutions, ...]

    @model_validator(mode="after")
    def _same_stages(self) -> Architecture:
        stages = len(self.features_per_stage)
        if not (len(self.kernel_sizes) == len(self.strides) == len(self.n_conv_per_stage) == stages):
            raise ValueError(f"kernel_sizes, strides and n_conv_per_stage need {stages} entries each")
        if len(self.n_conv_per_stage_decoder) != stages - 1:
            raise ValueError(f"n_conv_per_stage_decoder needs {stages - 1} entries")
        if self.weights > MOST_WEIGHTS:
            raise ValueError(f"the network would hold more than {MOST_WEIGHTS:,} weights")
        return self

    @property
    def weights(self) -> int:
        """About how many weights the convolutions hold (a residual block counts as two of its stage)."""
        blocks = 2 if self.network == "ResidualEncoderUNet" else 1
        stages = zip(self.features_per_stage, self.kernel_sizes, self.n_conv_per_stage, strict=True)
        encoder = sum(f * f * math.prod(kernel) * n * blocks for f, kernel, n in stages)
        steps = zip(self.features_per_stage, self.kernel_sizes, self.n_conv_per_stage_decoder, strict=False)
        return encoder + sum(f * f * math.prod(kernel) * (n + 1) for f, kernel, n in steps)

    @property
    def total_stride(self) -> Size3:
        """Voxels z, y, x of the input behind one cell of the deepest stage."""
        z = y = x = 1
        for stride in self.strides:
            z, y, x = z * stride[0], y * stride[1], x * stride[2]
        return (z, y, x)


class SeenByFold(Described):
    """What one fold of a training saw: hash of its weights, hashes (`ct_key`) of the images."""

    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    saw: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = Field(max_length=100_000)


class Manifest(Described):
    """What a model is: network, input, labels, recipe; `weights_sha256` ties it to one file of tensors."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    architecture: Architecture
    spacing_mm: tuple[Spacing, Spacing, Spacing]  # x, y, z
    patch_zyx: Size3  # tile of inference
    hu_low: float
    hu_high: float
    hu_mean: float
    hu_sd: float = Field(gt=0)
    labels: tuple[str, ...] = Field(min_length=2, max_length=256)  # place = label value; the first is background
    training: dict[str, str | int | float]
    trained_on: str
    resampling: Resampling = "block_linear"  # how a CT comes to spacing_mm (resampling.py)
    coarse_axis_apart: bool = True  # nnU-Net's ways only: along one coarse axis the nearest slice
    axes: Axes = "LPS"  # where the x, y, z of the images that it was trained on run to
    ensemble_sha256: tuple[Sha256, ...] = ()  # weights of further folds that are averaged, <name>.1.pt and so on
    folds: tuple[SeenByFold, ...] = Field((), max_length=100)  # of the training, this one among them; empty: not known

    @property
    def of_nnunet(self) -> bool:
        """Whether images are resampled, padded and tiled as nnU-Net itself does it."""
        return self.resampling != "block_linear"

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if self.labels[0] != "background" or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be distinct and begin with background, got {self.labels}")
        if self.hu_high <= self.hu_low:
            raise ValueError(f"hu_high must exceed hu_low, got {self.hu_low}..{self.hu_high}")
        if self.folds and self.weights_sha256 not in {fold.weights_sha256 for fold in self.folds}:
            raise ValueError("folds, where they are listed, must list the model's own weights, got others alone")
        if any(p % s for p, s in zip(self.patch_zyx, self.architecture.total_stride, strict=True)):
            raise ValueError(f"patch {self.patch_zyx} must be a multiple of {self.architecture.total_stride}")
        return self

    def normalised(self, intensity_hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """HU clipped to the training foreground's range, minus its mean, over its sd, any shape."""
        clipped = np.clip(intensity_hu, np.float32(self.hu_low), np.float32(self.hu_high))
        return np.asarray((clipped - np.float32(self.hu_mean)) / np.float32(self.hu_sd), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class SegmentationModel:
    """A registered model, light to pass around: sha256 stands for the manifest and, through it, for the weights."""

    name: str
    sha256: str
    manifest_path: str
    weights_path: str


def models_home() -> Path:
    """The folder of imported models: $COHORTSCOPE_HOME/models, by default under the user's data folder."""
    home = os.environ.get(HOME_VARIABLE)
    base = Path(home) if home else Path.home() / ".local" / "share" / "cohortscope"
    return base / "models"


def list_models() -> tuple[SegmentationModel, ...]:
    """All registered models, shipped ones first, then imported ones, by file name; RefusedError for a bad manifest."""
    return tuple(describe_model(path) for path in _manifests())


def _manifests() -> list[Path]:
    return [path for folder in (SHIPPED_FOLDER, models_home()) for path in sorted(folder.glob("*.json"))]


def _readable() -> tuple[list[SegmentationModel], list[str]]:
    """The registered models, and the file names of manifests that are not readable."""
    models, broken = [], []
    for path in _manifests():
        try:
            models.append(describe_model(path))
        except RefusedError:
            broken.append(path.name)
    return models, broken


def find_model(name_or_sha: str) -> SegmentationModel:
    """The model of a name or of a sha256 (at least eight leading digits); ValueError when none or several fit.

    A broken manifest beside the wanted one does no harm; it is named when nothing fits.
    """
    models, broken = _readable()
    by_sha = len(name_or_sha) >= SHORTEST_SHA_PREFIX and re.fullmatch("[0-9a-f]+", name_or_sha) is not None
    found = {m.sha256: m for m in models if m.name == name_or_sha or (by_sha and m.sha256.startswith(name_or_sha))}
    if len(found) != 1:
        known = ", ".join(f"{m.name} ({m.sha256[:12]})" for m in models) or "none"
        problem = "no registered model" if not found else f"{len(found)} registered models (name one by its sha256)"
        unreadable = f"; not readable: {', '.join(broken)}" if broken else ""
        raise ValueError(f"{problem} called {name_or_sha!r}; registered: {known}{unreadable}")
    return next(iter(found.values()))


def describe_model(manifest_path: Path) -> SegmentationModel:
    """The light record of the model of a manifest file."""
    manifest = read_manifest(manifest_path)
    weights = manifest_path.with_suffix(".pt")
    return SegmentationModel(manifest.name, manifest_sha256(manifest), str(manifest_path), str(weights))


def labels_of(model: SegmentationModel) -> tuple[str, ...]:
    """The labels of a model, in order of value."""
    return read_manifest(Path(model.manifest_path)).labels


def fold_paths(model: SegmentationModel) -> tuple[Path, ...]:
    """The weights of a model's folds, the first first: <name>.pt, <name>.1.pt and so on."""
    first = Path(model.weights_path)
    further = len(read_manifest(Path(model.manifest_path)).ensemble_sha256)
    return (first, *(first.with_suffix(f".{fold}.pt") for fold in range(1, further + 1)))


def read_manifest(path: Path) -> Manifest:
    """A manifest from its JSON file; RefusedError(model_manifest) names the field and the law that it breaks."""
    try:
        if path.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise _refused("the file is larger than eight megabytes.")
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(f"it cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise _refused("it is not text.") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise _refused(f"{field}: {first['msg']}.") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as indented JSON, whole or not at all."""
    text = json.dumps(manifest.model_dump(mode="json", exclude_defaults=True), indent=1) + "\n"
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def manifest_sha256(manifest: Manifest) -> str:
    """sha256 of a model: of the canonical JSON of its manifest, which holds the sha256 of its weights.

    Fields at their default do not enter, so that a field added later leaves known models their name.
    """
    return digest(manifest.model_dump(mode="json", exclude_defaults=True))


def file_sha256(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    running = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(READ_BLOCK_BYTES):
            running.update(block)
    return running.hexdigest()


def _refused(message: str) -> RefusedError:
    return RefusedError("model_manifest", "model manifest", message, "Import the model again with `model import FILE`.")
