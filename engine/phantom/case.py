"""What one synthetic chest CT is asked to be, and what it came out as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.volumes import BoolZyx, Grid

SIDES = ("left", "right")
THIRDS = ("upper", "middle", "lower")
KINDS = ("free", "costal", "hilar")
KERNELS = ("sharp", "soft")
SMALLEST_DIAMETER_MM, LARGEST_DIAMETER_MM = 6.0, 60.0

SPACING_MM = 3.0
SHAPE_ZYX = (96, 88, 120)
PHANTOM_GRID = Grid(
    (SHAPE_ZYX[2], SHAPE_ZYX[1], SHAPE_ZYX[0]),
    (SPACING_MM, SPACING_MM, SPACING_MM),
    (-178.5, -130.5, -142.5),
)
ANATOMY_LABELS = {"lung_left": 1, "lung_right": 2, "heart": 3, "wall": 4, "vessels": 5, "tumour": 6}


@dataclass(frozen=True, slots=True)
class TumourPlan:
    """A tumour to be made: size, shape, texture and place.

    diameter_mm is the longest diameter before anything is cut away at the pleura; axis_ratios are the
    second and third axis over the first; roughness is the relative sd of the radius over directions; heterogeneity_hu
    the sd of the inner texture and texture_scale_mm its correlation length; wall_invasion_mm how far a costal tumour
    may grow into the chest wall (0: it only abuts).
    """

    diameter_mm: float
    axis_ratios: tuple[float, float]
    roughness: float
    heterogeneity_hu: float
    texture_scale_mm: float
    mean_hu: float
    side: str
    third: str
    kind: str
    wall_invasion_mm: float = 0.0

    def __post_init__(self) -> None:
        if not SMALLEST_DIAMETER_MM <= self.diameter_mm <= LARGEST_DIAMETER_MM:
            raise ValueError(f"diameter_mm must lie in 6..60, got {self.diameter_mm}")
        if not all(0.3 <= ratio <= 1 for ratio in self.axis_ratios):
            raise ValueError(f"axis_ratios must lie in 0.3..1, got {self.axis_ratios}")
        for name, value, allowed in (
            ("side", self.side, SIDES),
            ("third", self.third, THIRDS),
            ("kind", self.kind, KINDS),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}")


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """One synthetic chest CT to be made; the anatomy, vessels and noise follow from the seed alone."""

    seed: int
    kernel: str
    noise_sd_hu: float
    contrast: bool
    tumour: TumourPlan | None

    def __post_init__(self) -> None:
        if self.kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {KERNELS}, got {self.kernel!r}")
        if self.seed < 0 or self.noise_sd_hu < 0:
            raise ValueError(f"seed and noise_sd_hu must not be negative, got {self.seed} and {self.noise_sd_hu}")


@dataclass(frozen=True, slots=True)
class TumourTruth:
    """What the tumour came out as on the grid: longest diameter and volume after cutting, place, contact."""

    volume_ml: float
    longest_diameter_mm: float
    centre_mm: tuple[float, float, float]
    third: str
    touches_wall: bool
    distance_to_wall_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """One synthetic chest CT with its truth; arrays z, y, x on `grid`.

    lung_left / lung_right are the anatomical lungs: vessels and the whole tumour belong to them. The `_without_tumour`
    masks lack the tumour, which is what thresholding gives for a wall-adherent one. `anatomy` holds ANATOMY_LABELS,
    0 elsewhere (air, mediastinal fat, abdomen).
    """

    case: PhantomCase
    intensity_hu: NDArray[np.int16]
    grid: Grid
    tumour: BoolZyx
    lung_left: BoolZyx
    lung_right: BoolZyx
    lung_left_without_tumour: BoolZyx
    lung_right_without_tumour: BoolZyx
    anatomy: NDArray[np.uint8]
    truth: TumourTruth | None
