"""IBSI-2, phase 1: our filters' responses to the digital phantoms against the reference response maps.

A map is met where every voxel lies within 1 % of the reference map's intensity range (IBSI-2's criterion).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.ibsi2_filters import (
    LOG_UNITS,
    ROTATIONS,
    SECOND_LEVEL,
    SLICEWISE,
    Response,
    log_response,
    pooled_wavelet,
    sampled_log,
    wavelet_response,
)
from engine.geometry import Box, grid_of
from store.records import Conformity
from store.volumes import Triple

ALLOWED_PERCENT = 1.0
PHANTOMS, MAPS = "ibsi2/digital_phantoms", "ibsi2/reference_response_maps"
RECURSION = "ours is ITK's recursive approximation of the Gaussian"
Image = NDArray[np.int16]
Filter = Callable[[Image, Triple, Box], Response]


@dataclass(frozen=True, slots=True)
class MapTest:
    """One reference map: its name, phantom and filter; our filter and note, the sampled kernel where ours differs."""

    name: str
    phantom: str
    what: str
    ours: Filter | None
    note: str
    sampled: Filter | None = None


MAP_TESTS = (
    MapTest("1.a.1", "checkerboard", "mean of 15 voxels", None, "a mean filter is not offered"),
    MapTest(
        "2.a",
        "impulse",
        "LoG, 3 mm",
        lambda image, mm, box: log_response(image, mm, box, 3.0),
        LOG_UNITS,
        lambda image, mm, box: sampled_log(image, mm, box, 3.0),
    ),
    MapTest(
        "2.b",
        "checkerboard",
        "LoG, 5 mm",
        lambda image, mm, box: log_response(image, mm, box, 5.0),
        LOG_UNITS,
        lambda image, mm, box: sampled_log(image, mm, box, 5.0),
    ),
    MapTest("2.c", "checkerboard", "LoG within slices, 5 mm", None, SLICEWISE),
    MapTest(
        "6.a.1",
        "sphere",
        "wavelet coif1 HHL",
        lambda image, mm, box: wavelet_response(image, mm, box, "coif1", "HHL"),
        "",
    ),
    MapTest(
        "6.a.2",
        "sphere",
        "wavelet coif1 HHL, rotation invariant",
        lambda image, mm, box: pooled_wavelet(image, mm, box, "coif1", "HHL"),
        ROTATIONS,
    ),
    MapTest("7.a.1", "checkerboard", "wavelet haar LLL, level 2, rotation invariant", None, SECOND_LEVEL),
)


def map_rows(data: Path) -> list[Conformity]:
    """One row a reference map that is there: the largest deviation in percent of its range, at most 1 allowed."""
    return [_row(test, data) for test in MAP_TESTS if _map_path(test, data).exists()]


def _map_path(test: MapTest, data: Path) -> Path:
    return data / MAPS / f"{test.name.replace('.', '_')}-ValidCRM.nii.gz"


def _row(test: MapTest, data: Path) -> Conformity:
    head = (f"ibsi2 {test.name}", "response_map", f"{test.what}: largest deviation, % of range")
    if test.ours is None:
        return Conformity(*head, None, 0.0, ALLOWED_PERCENT, "not offered", test.note)
    phantom = sitk.ReadImage(str(data / PHANTOMS / f"{test.phantom}_image.nii.gz"))
    image, spacing_mm = sitk.GetArrayFromImage(phantom).astype(np.int16), grid_of(phantom).spacing_mm
    z, y, x = (slice(0, n) for n in image.shape)
    reference = sitk.GetArrayFromImage(sitk.ReadImage(str(_map_path(test, data)))).astype(np.float64)
    off = _percent_off(test.ours(image, spacing_mm, (z, y, x)), reference)
    largest, within = float(off.max()), int(np.count_nonzero(off <= ALLOWED_PERCENT))
    verdict = "met" if largest <= ALLOWED_PERCENT else "not met"
    reasons = [test.note, f"{within} of {off.size} voxels within 1 %"]
    if verdict == "not met" and test.sampled is not None:
        sampled = float(_percent_off(test.sampled(image, spacing_mm, (z, y, x)), reference).max())
        reasons.append(f"{RECURSION}; a sampled kernel cut at 4 sigma is {sampled:.2g} % off at most")
    return Conformity(*head, largest, 0.0, ALLOWED_PERCENT, verdict, "; ".join(filter(None, reasons)))


def _percent_off(response: Response, reference: Response) -> Response:
    """Distance of every voxel from the reference in percent of the reference's range."""
    return np.asarray(100.0 * np.abs(response - reference) / (reference.max() - reference.min()))
