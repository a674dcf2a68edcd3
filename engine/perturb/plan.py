"""What a perturbation is: parameters drawn first and recorded, then applied to the image's grid and to masks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from engine.perturb.structure import Structure
from engine.protocol import Perturb
from store.records import ROIS, PerturbedImage
from store.volumes import BoolZyx, CtSeries, Grid, Triple

SMALLEST_DRAWN_SHARE = 0.5
LARGEST_SEED = 2**31
UNCHANGED = PerturbedImage("")


class Step(Protocol):
    """One change of a mask; a frozen dataclass whose fields are its parameters."""

    def apply(self, mask: BoolZyx, structure: Structure) -> BoolZyx:
        """The changed mask z, y, x of a structure in its box; the same shape, the same answer every time."""
        ...


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn perturbation: what becomes of the image, of the mask step by step, and of the ring's width."""

    image: PerturbedImage = UNCHANGED
    steps: tuple[Step, ...] = ()
    ring_mm: float = 0.0  # added to the width of the ring

    def parameters(self) -> str:
        """All that was drawn as JSON, by field; fields of the image that are 0 are left out."""
        found = {name: value for name, value in dataclasses.asdict(self.image).items() if value}
        for step in self.steps:
            found |= dataclasses.asdict(step)  # type: ignore[call-overload]
        if self.ring_mm:
            found["ring_mm"] = self.ring_mm
        found.pop("perturbation", None)
        return json.dumps(found, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Context:
    """What a perturbation may look at before it is drawn: the CT, the native mask, the feature grid, the choices."""

    ct: CtSeries
    native_mask: BoolZyx
    grid: Grid
    pivot_mm: Triple  # the tumour's centre
    choices: Perturb


Draw: TypeAlias = Callable[[np.random.Generator, Context], Drawn | None]


@dataclass(frozen=True, slots=True)
class Planned:
    """One perturbation of a preset: its name, its family, its method, how it is drawn, the ROIs that it changes."""

    name: str
    family: str
    method: str
    draw: Draw  # None: it cannot be had of this CT, such as slices thinner than its own
    rois: tuple[str, ...] = ROIS


def drawn_size(rng: np.random.Generator, largest: float) -> float:
    """A size between half of the largest and the largest, either sign: nearer to 0 little would change."""
    return float(rng.choice([-1.0, 1.0]) * rng.uniform(SMALLEST_DRAWN_SHARE, 1.0) * largest)
