"""Noise of a CT image, estimated from the image itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.geometry import box_of
from store.volumes import BoolZyx, VolumeZyx

# The median absolute deviation of a normal variable is 0.6745 of its standard deviation.
MAD_OF_NORMAL = 0.6744897501960817


def noise_sd_hu(intensity_hu: VolumeZyx, region: BoolZyx) -> float:
    """Standard deviation (HU) of white noise inside a region, from the finest diagonal detail of the image.

    The Haar detail HHH of every 2x2x2 block whose eight voxels lie in the region has the noise's own standard
    deviation; its median absolute deviation is robust against edges (Donoho and Johnstone, Biometrika 1994;81:425).
    0.0 where no such block exists or the region is flat. Correlated (smooth-kernel) noise is underestimated.
    """
    if not region.any():
        return 0.0
    box = box_of(region)
    detail = intensity_hu[box].astype(np.float64)
    inside = region[box]
    for axis in range(3):
        detail = np.diff(detail, axis=axis)
        inside = _both(inside, axis)
    values = detail[inside] / np.sqrt(8.0)
    return float(np.median(np.abs(values)) / MAD_OF_NORMAL) if values.size else 0.0


def add_noise(intensity_hu: VolumeZyx, sd_hu: float, seed: int) -> NDArray[np.float32]:
    """The image with normal white noise of a standard deviation (HU); one seed gives one noise field."""
    field = np.random.default_rng(seed).standard_normal(intensity_hu.shape, dtype=np.float32)
    return np.asarray(intensity_hu + np.float32(sd_hu) * field, dtype=np.float32)


def _both(mask: BoolZyx, axis: int) -> BoolZyx:
    ahead = np.take(mask, range(1, mask.shape[axis]), axis=axis)
    return np.asarray(ahead & np.take(mask, range(mask.shape[axis] - 1), axis=axis))
