"""Our filters as IBSI-2 asks for them: settings, units, pooling; and IBSI's own filter where ours differs from it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pywt
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
# Taps of the first level and twice as many of the second.
STRETCHED_REACH = 3
FLIPS = tuple(itertools.product((1, -1), repeat=3))

LOG_UNITS = "ours times (spacing / sigma)²: ITK's LoG is in mm and normalised across scale"
ROTATIONS = "mean over the 24 right-angle rotations of our filter; no recipe pools so"
SLICEWISE = "filters within slices (2D) are not offered"
# Why ours is not IBSI's, and what is computed beside it to show that this is the cause.
RECURSION = "ours is ITK's recursive approximation of the Gaussian; a sampled kernel cut at 4 sigma"
SAME_TAPS = (
    "ours filters the second level by the same taps and repeats the image at its border, as PyRadiomics does; taps"
    " stretched by two and a mirrored border"
)


def filter_source(
    intensity_hu: NDArray[np.int16],
    spacing_mm: Triple,
    box: Box,
    family: str = "",
    level: int = 1,
    sigma_mm: float | None = None,
) -> FilterSource:
    """An image z, y, x and the box in which the response of one wavelet family or LoG width (mm) is wanted."""
    union = np.ones([side.stop - side.start for side in box], dtype=np.bool_)
    sigmas = () if sigma_mm is None else (sigma_mm,)
    recipe = replace(RECIPE, wavelet=family, wavelet_level=level, log_sigma_mm=sigmas)
    return FilterSource(intensity_hu, spacing_mm, box, union, recipe)


def log_response(source: FilterSource) -> Response:
    """Our LoG of the source's width on its isotropic grid in IBSI's units: per voxel squared."""
    ((_, response),) = laplacian(source)
    (sigma_mm,) = source.recipe.log_sigma_mm
    return np.asarray(response.astype(np.float64) * (source.spacing_mm[0] / sigma_mm) ** 2)


def sampled_log(source: FilterSource) -> Response:
    """LoG by a sampled kernel cut at 4 sigma, mirrored at the border, as IBSI-2 defines it, in the same box."""
    (sigma_mm,) = source.recipe.log_sigma_mm
    sigma = sigma_mm / source.spacing_mm[0]
    reach = int(np.ceil(CUT_SIGMAS * sigma)) + 1
    wide, inner = source.widened((reach, reach, reach))
    volume = source.intensity_hu[wide].astype(np.float64)
    return np.asarray(ndimage.gaussian_laplace(volume, sigma, mode="reflect", truncate=CUT_SIGMAS)[inner])


def wavelet_response(source: FilterSource, band: str) -> Response:
    """One band (first letter along x) of the first level of our undecimated wavelet."""
    return next(np.asarray(values, dtype=np.float64) for name, values in wavelet(source) if name == f"wavelet-{band}")


def pooled_wavelet(source: FilterSource, band: str) -> Response:
    """The mean of a band of the source's last wavelet level over IBSI's 24 right-angle rotations of the filter.

    They are the eight flips of each distinct order of the band's letters.
    """
    name = "wavelet" if source.recipe.wavelet_level == 1 else f"wavelet{source.recipe.wavelet_level}"
    wanted = {f"{name}-{''.join(order)}" for order in itertools.permutations(band)}
    total = np.zeros([side.stop - side.start for side in source.box])
    for flip in FLIPS:
        turn = tuple(slice(None, None, step) for step in flip)
        flipped = np.ascontiguousarray(source.intensity_hu[turn])
        box = _flipped(source.box, flipped.shape, flip)
        for found, values in wavelet(replace(source, intensity_hu=flipped, box=box)):
            if found in wanted:
                total += values[turn]
    return total / (len(FLIPS) * len(wanted))


def stretched_wavelet(source: FilterSource, band: str) -> Response:
    """A second level as IBSI-2 defines it: low passes, then taps with zeros between them; mirrored, pooled as above.

    Flips act on each axis by itself, so their mean is taken axis by axis.
    """
    bank = pywt.Wavelet(source.recipe.wavelet)
    taps = {"L": np.array(bank.dec_lo), "H": np.array(bank.dec_hi)}
    wide, inner = source.widened((STRETCHED_REACH * bank.dec_len,) * 3)
    orders = sorted(set(itertools.permutations(band)))
    total = np.zeros([side.stop - side.start for side in source.box])
    for order in orders:
        volume = source.intensity_hu[wide].astype(np.float64)
        for axis, letter in zip((2, 1, 0), order, strict=True):
            turned = np.flip(_second_level(np.flip(volume, axis), axis, taps["L"], taps[letter]), axis)
            volume = (_second_level(volume, axis, taps["L"], taps[letter]) + turned) / 2.0
        total += volume[inner]
    return total / len(orders)


def _second_level(volume: Response, axis: int, low: Response, taps: Response) -> Response:
    stretched = np.zeros(2 * len(taps))
    stretched[::2] = taps
    passed = ndimage.convolve1d(volume, low, axis, mode="reflect")
    return np.asarray(ndimage.convolve1d(passed, stretched, axis, mode="reflect"))


def _flipped(box: Box, shape: tuple[int, ...], flip: tuple[int, ...]) -> Box:
    """Where a box lies once its image is flipped."""
    z, y, x = (
        side if step == 1 else slice(size - side.stop, size - side.start)
        for side, size, step in zip(box, shape, flip, strict=True)
    )
    return (z, y, x)
