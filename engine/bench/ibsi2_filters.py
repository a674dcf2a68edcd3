"""Our filters as IBSI-2 asks for them: their settings, units and pooling; and what a sampled LoG kernel would give."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import Box
from engine.measure.filters.log import laplacian
from engine.measure.filters.source import FilterSource
from engine.measure.filters.wavelet import wavelet
from engine.metrics.recipe import recipe_named
from store.volumes import Triple

Response = NDArray[np.float64]
RECIPE = recipe_named("paper-1967")
CUT_SIGMAS = 4.0
FLIPS = tuple(itertools.product((1, -1), repeat=3))

LOG_UNITS = "ours times (spacing / sigma)²: ITK's LoG is in mm and normalised across scale"
ROTATIONS = "mean over the 24 right-angle rotations of our filter; no recipe pools so"
SLICEWISE = "filters within slices (2D) are not offered"
SECOND_LEVEL = "a second level of wavelet decomposition is not offered"


def log_response(intensity_hu: NDArray[np.int16], spacing_mm: Triple, box: Box, sigma_mm: float) -> Response:
    """Our LoG (sigma in mm, isotropic spacing) in a box of an image z, y, x, in IBSI's units: per voxel squared."""
    recipe = replace(RECIPE, log_sigma_mm=(sigma_mm,))
    ((_, response),) = laplacian(_source(intensity_hu, spacing_mm, box, recipe.wavelet, recipe.log_sigma_mm))
    return np.asarray(response.astype(np.float64) * (spacing_mm[0] / sigma_mm) ** 2)


def sampled_log(intensity_hu: NDArray[np.int16], spacing_mm: Triple, box: Box, sigma_mm: float) -> Response:
    """LoG by a sampled kernel cut at 4 sigma, mirrored at the border, as IBSI-2 defines it, in the same box."""
    sigma = sigma_mm / spacing_mm[0]
    reach = int(np.ceil(CUT_SIGMAS * sigma)) + 1
    wide, inner = _source(intensity_hu, spacing_mm, box, "", ()).widened((reach, reach, reach))
    volume = intensity_hu[wide].astype(np.float64)
    return np.asarray(ndimage.gaussian_laplace(volume, sigma, mode="reflect", truncate=CUT_SIGMAS)[inner])


def wavelet_response(intensity_hu: NDArray[np.int16], spacing_mm: Triple, box: Box, family: str, band: str) -> Response:
    """One band (first letter along x) of our undecimated wavelet of a family, level 1, in a box."""
    source = _source(intensity_hu, spacing_mm, box, family, ())
    return next(np.asarray(values, dtype=np.float64) for name, values in wavelet(source) if name == f"wavelet-{band}")


def pooled_wavelet(intensity_hu: NDArray[np.int16], spacing_mm: Triple, box: Box, family: str, band: str) -> Response:
    """The mean of a band over IBSI's 24 right-angle rotations of the filter.

    For a band of two kinds of letters they are the eight flips of its three orders of letters, each counted once.
    """
    wanted = {f"wavelet-{''.join(order)}" for order in itertools.permutations(band)}
    total = np.zeros([side.stop - side.start for side in box])
    for flip in FLIPS:
        turn = tuple(slice(None, None, step) for step in flip)
        flipped = np.ascontiguousarray(intensity_hu[turn])
        source = _source(flipped, spacing_mm, _flipped(box, intensity_hu.shape, flip), family, ())
        for name, values in wavelet(source):
            if name in wanted:
                total += values[turn]
    return total / (len(FLIPS) * len(wanted))


def _flipped(box: Box, shape: tuple[int, ...], flip: tuple[int, ...]) -> Box:
    """Where a box lies once its image is flipped."""
    z, y, x = (
        side if step == 1 else slice(size - side.stop, size - side.start)
        for side, size, step in zip(box, shape, flip, strict=True)
    )
    return (z, y, x)


def _source(
    intensity_hu: NDArray[np.int16], spacing_mm: Triple, box: Box, family: str, sigmas_mm: tuple[float, ...]
) -> FilterSource:
    union = np.ones([side.stop - side.start for side in box], dtype=np.bool_)
    recipe = replace(RECIPE, wavelet=family, log_sigma_mm=sigmas_mm)
    return FilterSource(intensity_hu, spacing_mm, box, union, recipe)
