"""What a perturbation is: parameters drawn first and recorded, then applied to a mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.metrics.margins import signed_distance_mm
from engine.protocol import Perturb
from store.volumes import BoolZyx, CtSeries, Grid, Triple

Parameters: TypeAlias = dict[str, float | int | list[float]]
PAD_VOXELS = 6
SMALLEST_DRAWN_SHARE = 0.5


class Perturbation(Protocol):
    """One drawn perturbation; a frozen dataclass whose fields are its parameters."""

    def apply(self, mask: BoolZyx, grid: Grid) -> BoolZyx:
        """The perturbed mask of a non-empty mask z, y, x on its grid; the same shape, the same answer every time."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a perturbation may look at before it is drawn: the CT, the native mask, the protocol's choices."""

    ct: CtSeries
    native_mask: BoolZyx
    choices: Perturb


Draw: TypeAlias = Callable[[np.random.Generator, Context], Perturbation]


@dataclass(frozen=True, slots=True)
class Planned:
    """One perturbation of a preset: its name, its family (random or fixed), its method and how it is drawn."""

    name: str
    family: str
    method: str
    draw: Draw


def drawn_size(rng: np.random.Generator, largest: float) -> float:
    """A size between half of the largest and the largest, either sign: nearer to 0 the mask would hardly change."""
    return float(rng.choice([-1.0, 1.0]) * rng.uniform(SMALLEST_DRAWN_SHARE, 1.0) * largest)


def padded_distance_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Signed distance (mm) of a mask padded by PAD_VOXELS on every side, so that it may move without being cut."""
    return signed_distance_mm(np.pad(mask, PAD_VOXELS), spacing_zyx_mm)


def unpadded(mask: BoolZyx) -> BoolZyx:
    """A padded mask without its padding."""
    inner = (slice(PAD_VOXELS, -PAD_VOXELS),) * 3
    return mask[inner]
