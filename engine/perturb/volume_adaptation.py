"""Growth and shrinkage of a mask to a given share of its volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.perturb.plan import Context, Draw, padded_distance_mm, unpadded
from store.volumes import BoolZyx, Grid

SMOOTHING_VOXELS = 1.0


@dataclass(frozen=True, slots=True)
class VolumeAdaptation:
    """Change of volume in percent, to the nearest voxel."""

    percent: float

    def apply(self, mask: BoolZyx, grid: Grid) -> BoolZyx:
        """Add the nearest outside voxels, or take away the outermost inside ones, by smoothed signed distance."""
        distance = padded_distance_mm(mask, grid.spacing_zyx_mm)
        inside = distance <= 0
        change = round(np.count_nonzero(inside) * self.percent / 100.0)
        order = ndimage.gaussian_filter(distance, SMOOTHING_VOXELS).ravel()
        pool = np.flatnonzero(~inside if change > 0 else inside)
        ranked = pool[np.argsort(order[pool] * np.sign(change), kind="stable")]
        adapted = inside.ravel().copy()
        adapted[ranked[: abs(change)]] = change > 0
        return unpadded(adapted.reshape(inside.shape))


def draw_volume(direction: int) -> Draw:
    """The volume change of the protocol, +1 grown or -1 shrunk; nothing is random."""

    def draw(_: np.random.Generator, context: Context) -> VolumeAdaptation:
        return VolumeAdaptation(direction * context.choices.volume_percent)

    return draw
