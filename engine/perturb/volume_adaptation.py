"""Growth and shrinkage of a mask to a given share of its volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.perturb.plan import Context, Draw, Drawn, drawn_size
from engine.perturb.structure import Structure, smoothed_depth
from store.volumes import BoolZyx


@dataclass(frozen=True, slots=True)
class VolumeAdaptation:
    """Change of volume in percent, to the nearest voxel."""

    percent: float

    def apply(self, mask: BoolZyx, structure: Structure) -> BoolZyx:
        """Add the nearest outside voxels, or take away the outermost inside ones, by smoothed signed distance."""
        change = round(np.count_nonzero(mask) * self.percent / 100.0)
        if change == 0:
            return mask.copy()
        depth = structure.depth if mask is structure.mask else smoothed_depth(mask, structure.grid.spacing_zyx_mm)
        pool = np.flatnonzero(~mask if change > 0 else mask)
        nearest = _smallest(depth.ravel()[pool] * np.sign(change), abs(change))
        adapted = mask.ravel().copy()
        adapted[pool[nearest]] = change > 0
        return adapted.reshape(mask.shape)


def _smallest(values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Places of so many smallest values, the first of equal ones: the same on every machine."""
    if count >= values.size:
        return np.arange(values.size)
    limit = np.partition(values, count - 1)[count - 1]
    below, equal = np.flatnonzero(values < limit), np.flatnonzero(values == limit)
    return np.concatenate([below, equal[: count - below.size]])


def draw_volume(percent: float) -> Draw:
    """A given change of volume; nothing is random."""

    def draw(_: np.random.Generator, context: Context) -> Drawn:
        return Drawn(steps=(VolumeAdaptation(percent),))

    return draw


def drawn_volume(rng: np.random.Generator, context: Context) -> VolumeAdaptation:
    """A change between half of the protocol's volume_percent and all of it, either way."""
    return VolumeAdaptation(drawn_size(rng, context.choices.volume_percent))
