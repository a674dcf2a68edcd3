"""IBSI-2, phase 1: our filters' responses to the digital phantoms against the reference response maps.

A map is met where every voxel lies within 1 % of the reference map's intensity range (IBSI-2's criterion).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.ibsi2_filters import (
    LOG_UNITS,
    RECURSION,
    ROTATIONS,
    SAME_TAPS,
    SLICEWISE,
    Response,
    filter_source,
    log_response,
    pooled_wavelet,
    sampled_log,
    stretched_wavelet,
    wavelet_response,
)
from engine.geometry import Box, grid_of
from engine.measure.filters.source import FilterSource
from store.records import Conformity
from store.volumes import Triple

ALLOWED_PERCENT = 1.0
PHANTOMS, MAPS = "ibsi2/digital_phantoms", "ibsi2/reference_response_maps"
Source = Callable[[NDArray[np.int16], Triple, Box], FilterSource]
Filter = Callable[[FilterSource], Response]


@dataclass(frozen=True, slots=True)
class MapTest:
    """One reference map: its name, phantom and filter; ours, where we offer it, with IBSI's own beside it."""

    name: str
    phantom: str
    what: str
    note: str
    source: Source | None = None
    ours: Filter | None = None
    cause: str = ""
    as_ibsi: Filter | None = None


def _log(sigma_mm: float) -> Source:
    return partial(filter_source, sigma_mm=sigma_mm)


def _wavelet(family: str, level: int = 1) -> Source:
    return partial(filter_source, family=family, level=level)


MAP_TESTS = (
    MapTest("1.a.1", "checkerboard", "mean of 15 voxels", "a mean filter is not offered"),
    MapTest("2.a", "impulse", "LoG, 3 mm", LOG_UNITS, _log(3.0), log_response, RECURSION, sampled_log),
    MapTest("2.b", "checkerboard", "LoG, 5 mm", LOG_UNITS, _log(5.0), log_response, RECURSION, sampled_log),
    MapTest("2.c", "checkerboard", "LoG within slices, 5 mm", SLICEWISE),
    MapTest("6.a.1", "sphere", "wavelet coif1 HHL", "", _wavelet("coif1"), partial(wavelet_response, band="HHL")),
    MapTest(
        "6.a.2",
        "sphere",
        "wavelet coif1 HHL, rotation invariant",
        ROTATIONS,
        _wavelet("coif1"),
        partial(pooled_wavelet, band="HHL"),
    ),
    MapTest(
        "7.a.1",
        "checkerboard",
        "wavelet haar LLL, level 2, rotation invariant",
        ROTATIONS,
        _wavelet("haar", 2),
        partial(pooled_wavelet, band="LLL"),
        SAME_TAPS,
        partial(stretched_wavelet, band="LLL"),
    ),
)


def map_rows(data: Path) -> list[Conformity]:
    """One row a reference map that is there: the largest deviation in percent of its range, at most 1 allowed."""
    return [_row(test, data) for test in MAP_TESTS if _map_path(test, data).exists()]


def _map_path(test: MapTest, data: Path) -> Path:
    return data / MAPS / f"{test.name.replace('.', '_')}-ValidCRM.nii.gz"


def _row(test: MapTest, data: Path) -> Conformity:
    head = (f"ibsi2 {test.name}", "response_map", f"{test.what}: largest deviation, % of range")
    if test.ours is None or test.source is None:
        return Conformity(*head, None, 0.0, ALLOWED_PERCENT, "not offered", test.note)
    phantom = sitk.ReadImage(str(data / PHANTOMS / f"{test.phantom}_image.nii.gz"))
    image = sitk.GetArrayFromImage(phantom).astype(np.int16)
    z, y, x = (slice(0, n) for n in image.shape)
    source = test.source(image, grid_of(phantom).spacing_mm, (z, y, x))
    reference = sitk.GetArrayFromImage(sitk.ReadImage(str(_map_path(test, data)))).astype(np.float64)
    off = _percent_off(test.ours(source), reference)
    largest, within = float(off.max()), int(np.count_nonzero(off <= ALLOWED_PERCENT))
    reasons = [test.note, f"{within} of {off.size} voxels within 1 %"]
    if largest > ALLOWED_PERCENT and test.as_ibsi is not None:
        own = float(_percent_off(test.as_ibsi(source), reference).max())
        reasons.append(f"{test.cause}: {own:.2g} % off at most")
    verdict = "met" if largest <= ALLOWED_PERCENT else "not met"
    return Conformity(*head, largest, 0.0, ALLOWED_PERCENT, verdict, "; ".join(filter(None, reasons)))


def _percent_off(response: Response, reference: Response) -> Response:
    """Distance of every voxel from the reference in percent of the reference's range."""
    return np.asarray(100.0 * np.abs(response - reference) / (reference.max() - reference.min()))
