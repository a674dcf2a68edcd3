"""A structure to be perturbed: its mask and the image around it, in its box; its supervoxels are made once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import box_of, cropped_grid
from engine.metrics.margins import signed_distance_mm
from engine.metrics.supervoxels import Clustering, supervoxels
from engine.protocol import Perturb
from store.volumes import BoolZyx, Grid, Triple

MARGIN_MM = 25.0  # around the structure; Zwanenburg 2019 cuts the image so
SMOOTHING_VOXELS = 1.0
BEYOND_RANGE_SHARE = 0.1  # of the structure's range of HU on either side; values beyond are clipped
REACH_SIZES = 2.0  # supervoxels are made within so many of their edges of the boundary
Image = Callable[[Grid], NDArray[np.float32]]


class Structure:
    """A non-empty mask on a box of the feature grid, 25 mm beyond it on every side; `image` gives the CT on a grid."""

    def __init__(self, mask: BoolZyx, grid: Grid, image: Image, choices: Perturb) -> None:
        z, y, x = (int(np.ceil(MARGIN_MM / step)) for step in grid.spacing_zyx_mm)
        box = box_of(mask, (z, y, x))
        self.mask, self.grid = mask[box].copy(), cropped_grid(grid, box)
        self._image, self._choices = image, choices
        self._labels: NDArray[np.int32] | None = None
        self._depth: NDArray[np.float64] | None = None

    @property
    def depth(self) -> NDArray[np.float64]:
        """Smoothed signed distance (mm) to the boundary, negative inside; made when it is first asked for."""
        if self._depth is None:
            self._depth = smoothed_depth(self.mask, self.grid.spacing_zyx_mm)
        return self._depth

    @property
    def labels(self) -> NDArray[np.int32]:
        """Supervoxels (z, y, x) near the boundary, -1 elsewhere; made when they are first asked for."""
        if self._labels is None:
            size = self._size()
            where = np.abs(self.depth) <= REACH_SIZES * np.cbrt(size.volume_mm3)
            self._labels = supervoxels(self._values(), where, self.grid.spacing_zyx_mm, size)
        return self._labels

    def _size(self) -> Clustering:
        """The protocol's size, less in a small structure, and never under so many voxels."""
        choices, voxel_mm3 = self._choices, self.grid.voxel_ml * 1000.0
        own_mm3 = np.count_nonzero(self.mask) * voxel_mm3
        wanted = min(choices.supervoxel_mm3, choices.supervoxel_share * own_mm3)
        return Clustering(max(wanted, choices.supervoxel_voxels * voxel_mm3), choices.supervoxel_compactness)

    def _values(self) -> NDArray[np.float64]:
        """The smoothed image, clipped to the structure's own range of HU and a tenth, scaled to 0..1."""
        intensity = self._image(self.grid).astype(np.float64)
        low, high = float(intensity[self.mask].min()), float(intensity[self.mask].max())
        beyond = BEYOND_RANGE_SHARE * max(high - low, 1.0)
        scaled = (np.clip(intensity, low - beyond, high + beyond) - low + beyond) / (high - low + 2 * beyond)
        return np.asarray(ndimage.gaussian_filter(scaled, SMOOTHING_VOXELS))


def smoothed_depth(mask: BoolZyx, spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Signed distance (mm) to a mask's boundary smoothed by a voxel, negative inside; the array's edge is no boundary.

    Smoothing rounds what grows from corners, and parts voxels that lie equally far.
    """
    if mask.all():
        return np.full(mask.shape, -min(spacing_zyx_mm))
    return np.asarray(ndimage.gaussian_filter(signed_distance_mm(mask, spacing_zyx_mm), SMOOTHING_VOXELS))
