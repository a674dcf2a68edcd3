"""Images and masks as records: a grid, a CT series, a mask. Axis order is stated in `engine/geometry.py`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

VolumeZyx: TypeAlias = NDArray[np.int16] | NDArray[np.float32]
BoolZyx: TypeAlias = NDArray[np.bool_]
Triple: TypeAlias = tuple[float, float, float]

IDENTITY_DIRECTION = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SMALLEST_HANDEDNESS_ERROR = 1e-3

STRUCTURES = ("tumour", "doubt", "lung_left", "lung_right", "anatomy", "intratumoural", "peritumoural", "whole_lung")
ORIGINS = ("automatic", "accepted", "corrected", "independent", "perturbed")


@dataclass(frozen=True, slots=True)
class Grid:
    """Where voxels lie: size, spacing, origin are x, y, z in LPS millimetres; direction is row-major 3x3 as in ITK."""

    size_xyz: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple
    direction: tuple[float, ...] = IDENTITY_DIRECTION

    def __post_init__(self) -> None:
        if len(self.direction) != 9:
            raise ValueError(f"direction needs nine cosines, got {len(self.direction)}")
        if min(self.size_xyz) < 1 or min(self.spacing_mm) <= 0:
            raise ValueError(f"grid needs positive size and spacing, got {self.size_xyz} and {self.spacing_mm}")
        matrix = np.array(self.direction).reshape(3, 3)
        if np.abs(matrix @ matrix.T - np.eye(3)).max() > SMALLEST_HANDEDNESS_ERROR:
            raise ValueError(f"direction must be orthonormal, got {self.direction}")

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Array shape z, y, x of a volume on this grid."""
        x, y, z = self.size_xyz
        return (z, y, x)

    @property
    def spacing_zyx_mm(self) -> Triple:
        """Spacing in array order z, y, x, in millimetres."""
        x, y, z = self.spacing_mm
        return (z, y, x)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class CtSeries:
    """One CT image: intensities in HU, array z, y, x, int16 where the source holds whole numbers, else float32."""

    intensity_hu: VolumeZyx
    grid: Grid

    def __post_init__(self) -> None:
        if self.intensity_hu.shape != self.grid.shape_zyx:
            raise ValueError(f"CT array {self.intensity_hu.shape} does not fill its grid {self.grid.shape_zyx}")


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """One structure on a grid: boolean array z, y, x, with who drew it (`origin`, `source`) and which lesion it is.

    structure is one of STRUCTURES; origin one of ORIGINS; source names the reader, the model (first 12 of its sha256)
    or the method (`threshold`); lesion is 0 for the index lesion, 1.. for others, 0 for lungs.
    """

    structure: str
    origin: str
    source: str
    voxels: BoolZyx
    grid: Grid
    lesion: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        if self.voxels.dtype != np.bool_:
            raise TypeError(f"mask must be boolean, got {self.voxels.dtype}")
        if self.voxels.shape != self.grid.shape_zyx:
            raise ValueError(f"mask array {self.voxels.shape} does not fill its grid {self.grid.shape_zyx}")
        if self.structure not in STRUCTURES:
            raise ValueError(f"structure must be one of {STRUCTURES}, got {self.structure!r}")
        if self.origin not in ORIGINS:
            raise ValueError(f"origin must be one of {ORIGINS}, got {self.origin!r}")

    @property
    def volume_ml(self) -> float:
        """Volume of the mask in millilitres."""
        return float(self.voxels.sum()) * self.grid.voxel_ml


def mask_key(mask: Mask) -> str:
    """sha256 (hex) of what a reader judges: the voxels, where they lie and who drew them; as stored and as read."""
    grid = mask.grid
    places = [float(v) for v in (*grid.size_xyz, *grid.spacing_mm, *grid.origin_mm, *grid.direction)]
    state = hashlib.sha256(repr((mask.structure, mask.source, mask.lesion, places)).encode())
    state.update(np.packbits(mask.voxels).tobytes())
    return state.hexdigest()


def ct_key(ct: CtSeries) -> str:
    """sha256 (hex) of a CT's voxels and grid: the same image gives the same key whatever its case is called."""
    grid = ct.grid
    places = [float(v) for v in (*grid.size_xyz, *grid.spacing_mm, *grid.origin_mm, *grid.direction)]
    state = hashlib.sha256(repr((str(ct.intensity_hu.dtype), places)).encode())
    state.update(np.ascontiguousarray(ct.intensity_hu).data)
    return state.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class MaskSet:
    """The masks of one case from one stage, in any number; at most one per (structure, source, lesion)."""

    masks: tuple[Mask, ...]

    def __post_init__(self) -> None:
        names = [(m.structure, m.source, m.lesion) for m in self.masks]
        if len(set(names)) != len(names):
            raise ValueError(f"a mask set holds each (structure, source, lesion) once, got {names}")

    def find(self, structure: str, lesion: int = 0) -> Mask | None:
        """The first mask of a structure and lesion, or None."""
        return next((m for m in self.masks if m.structure == structure and m.lesion == lesion), None)

    def others(self, structure: str) -> BoolZyx | None:
        """The voxels of all further lesions of a structure together (not of the index lesion), None without any."""
        further = [m.voxels for m in self.masks if m.structure == structure and m.lesion > 0]
        return np.logical_or.reduce(further) if further else None


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceMasks(MaskSet):
    """What a study brought along: outlined tumours (index lesion 0) and outlined lungs, on the native grid."""


@dataclass(frozen=True, slots=True, eq=False)
class FurtherMasks(MaskSet):
    """More outlines of the index tumour, native grid: of further readers, and automatic ones of other programs."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelMaps(MaskSet):
    """The anatomy that a study brought as a label map: structure `anatomy`, lesion = value, name = structure."""


@dataclass(frozen=True, slots=True, eq=False)
class AnatomyMasks(MaskSet):
    """What models are trained on: structure `anatomy` (lesion = place from 1, name = structure) and the tumour."""


@dataclass(frozen=True, slots=True, eq=False)
class AutomaticMasks(MaskSet):
    """What was segmented: the tumour by the study's model, lungs by the model or by thresholding, native grid."""


@dataclass(frozen=True, slots=True, eq=False)
class DoubtMasks(MaskSet):
    """Where the model wavered whether it is tumour (structure `doubt`), native grid; empty without a model."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMasks(MaskSet):
    """The masks that stand downstream, native grid: index tumour, two lungs, and other lesions to be kept out."""


@dataclass(frozen=True, slots=True, eq=False)
class SecondLungs(MaskSet):
    """Both lungs by another method than the study's own, native grid; empty where there is no other."""


@dataclass(frozen=True, slots=True, eq=False)
class RoiMasks(MaskSet):
    """The three ROIs on the feature grid (structure = ROI name); an ROI without voxels is present and empty."""


@dataclass(frozen=True, slots=True, eq=False)
class PerturbedMasks(MaskSet):
    """Perturbed ROI masks on a box of their perturbation's feature grid: structure = ROI name, source = its name."""


class ArrayRecord:
    """Base of frozen dataclasses stored as one npz: fields are arrays, tuples of strings, strings, numbers, or None."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class CaseFingerprint(ArrayRecord):
    """What nnU-Net's planning reads of one case: size and spacing z, y, x, a sample of its foreground in HU."""

    shape_zyx: tuple[int, ...]
    spacing_zyx_mm: tuple[float, ...]
    relative_size: float  # after cropping to the non-zero box
    foreground_hu: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PriorImage(ArrayRecord):
    """An earlier CT of a patient, to be looked at beside the index series; no voxels where it could not be read."""

    intensity_hu: NDArray[np.int16]  # array z, y, x, whole HU
    spacing_mm: Triple
    origin_mm: Triple
    direction: tuple[float, ...]

    @property
    def ct(self) -> CtSeries | None:
        """The image on its grid, None where there is none."""
        if not self.intensity_hu.size:
            return None
        z, y, x = self.intensity_hu.shape
        return CtSeries(self.intensity_hu, Grid((x, y, z), self.spacing_mm, self.origin_mm, self.direction))


@dataclass(frozen=True, slots=True, eq=False)
class TrainedWeights(ArrayRecord):
    """A trained model as its two files: the manifest (JSON) and the bytes of its weights."""

    manifest_json: str
    weights: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class EncoderFeatures(ArrayRecord):
    """A network's features of one CT (channel, z, y, x of coarse cells), with the grid that the network saw.

    Cell i along an axis covers the grid's voxels from i * stride on; without a model the sha256 is empty and so are
    the values.
    """

    values: NDArray[np.float16]
    stage: int
    stride_zyx: tuple[int, int, int]
    size_xyz: tuple[int, int, int]
    spacing_mm: Triple
    origin_mm: Triple
    direction: tuple[float, ...]
    model_sha256: str

    @property
    def grid(self) -> Grid:
        """The grid that the network saw."""
        return Grid(self.size_xyz, self.spacing_mm, self.origin_mm, self.direction)
