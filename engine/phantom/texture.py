"""Random fields: tissue texture, tumour texture, and image noise as sharp and soft kernels leave it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from engine.phantom.case import SHAPE_ZYX, SPACING_MM
from engine.phantom.space import Field

PSF_SD_VOXELS = {"sharp": 0.40, "soft": 0.70}
SOFT_NOISE_SD_VOXELS = 0.85
SHARP_NOISE_UNDERSHOOT = 0.45
TRUNCATE = 3.0
COARSE = 4


def smooth_field(rng: np.random.Generator, shape_zyx: tuple[int, int, int], scale_mm: float) -> Field:
    """A Gaussian random field of mean 0 and sd 1 with correlation length scale_mm (sd of the smoothing kernel)."""
    noise = rng.standard_normal(shape_zyx, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, scale_mm / SPACING_MM, mode="wrap", truncate=TRUNCATE)
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)


def coarse_field(rng: np.random.Generator) -> Field:
    """A slowly varying field on the whole grid, mean about 0 and sd about 1, correlation about 12 mm."""
    shape = tuple(-(-n // COARSE) + 1 for n in SHAPE_ZYX)
    small = rng.standard_normal(shape, dtype=np.float32)
    for axis, size in enumerate(SHAPE_ZYX):
        small = _stretched(small, axis, size)
    return np.asarray(small / small.std(), dtype=np.float32)


def _stretched(array: Field, axis: int, size: int) -> Field:
    """Linear interpolation along one axis to `size` samples."""
    position = np.linspace(0, array.shape[axis] - 1.001, size)
    lower = position.astype(np.intp)
    share = (position - lower).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.take(array, lower, axis) * (1 - share) + np.take(array, lower + 1, axis) * share


def point_spread(hu: Field, kernel: str) -> Field:
    """The image after the kernel's point spread (sd in voxels: PSF_SD_VOXELS)."""
    return np.asarray(ndimage.gaussian_filter(hu, PSF_SD_VOXELS[kernel], truncate=TRUNCATE), dtype=np.float32)


def kernel_noise(rng: np.random.Generator, kernel: str, sd_hu: float) -> Field:
    """Noise of an sd on the whole grid: soft = smoothed; sharp = white with its low frequencies partly removed."""
    white = rng.standard_normal(SHAPE_ZYX, dtype=np.float32)
    low = ndimage.gaussian_filter(white, (0.4, SOFT_NOISE_SD_VOXELS, SOFT_NOISE_SD_VOXELS), truncate=TRUNCATE)
    noise = low if kernel == "soft" else white - SHARP_NOISE_UNDERSHOOT * low
    return np.asarray(noise * np.float32(sd_hu / float(noise.std())), dtype=np.float32)
