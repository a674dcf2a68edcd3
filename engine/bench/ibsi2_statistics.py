"""IBSI-2, phase 2: intensity statistics of the filtered CT phantom against the consensus values.

Filters see the whole image; the mask is cut out of the response, resegmented to [-1000, 400] HU of the unfiltered
image. A configurations lie on the image's own grid and filter within slices, B on a 1 mm grid by cubic spline.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.conformance import CT, KURTOSIS_OF_NORMAL, Configuration, prepared, verdict_of
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
)
from engine.bench.ibsi_names import INTENSITY
from engine.geometry import Box, box_of
from engine.measure.feature_image import FeatureImage
from engine.measure.filters.source import FilterSource
from engine.measure.formulas.first_order import SortedValues, first_order_features
from engine.measure.levels import Binning
from engine.metrics.recipe import FEATURES_OF_CLASS
from store.records import Conformity
from store.volumes import BoolZyx

VALUES = "ibsi2/reference_values_ct_phantom.csv"
RANGE_HU = (-1000, 400)
EXCESS = "ours less 3: IBSI gives the excess over a normal distribution, PyRadiomics does not"
NO_FEATURE = "not among PyRadiomics' first-order features"
Filter = Callable[[FeatureImage, Box], Response]
Reference = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FilterTest:
    """One filter of the table: what it is, ours with a note, and IBSI's own where ours differs, with the cause."""

    what: str
    ours: Filter | None
    note: str = ""
    cause: str = ""
    as_ibsi: Filter | None = None


def _plain(image: FeatureImage, box: Box) -> Response:
    return image.intensity_hu[box].astype(np.float64)


def _filtered(response: Callable[[FilterSource], Response], source: Callable[..., FilterSource]) -> Filter:
    return lambda image, box: response(source(image.intensity_hu, image.grid.spacing_mm, box))


LOG = partial(filter_source, sigma_mm=1.5)
SECOND_LEVEL = partial(filter_source, family="db3", level=2)


ON_GRID = {
    "A": Configuration("A", CT, "", (0, 0, 0), sitk.sitkLinear, (), 0.0, Binning(25.0)),
    "B": Configuration("B", CT, "", (1, 1, 1), sitk.sitkBSpline, (), 0.0, Binning(25.0)),
}
SIMONCELLI = "Simoncelli's wavelet"
WITHIN_SLICES = (("3.A", "LoG"), ("6.A", "wavelet"), ("7.A", "wavelet, level 2"))
ABSENT = (
    *((f"2.{letter}", "a mean filter") for letter in "AB"),
    *((f"4.{letter}", "Laws' kernel") for letter in "AB"),
    *((f"5.{letter}", "a Gabor filter") for letter in "AB"),
    *((f"{level}.{letter}", SIMONCELLI) for level in "89" for letter in "AB"),
)
FILTERS = {
    "1.A": FilterTest("no filter", _plain),
    "1.B": FilterTest("no filter", _plain),
    "3.B": FilterTest("LoG, 1.5 mm", _filtered(log_response, LOG), LOG_UNITS, RECURSION, _filtered(sampled_log, LOG)),
    "6.B": FilterTest(
        "wavelet db3 LLH, rotation invariant",
        _filtered(partial(pooled_wavelet, band="LLH"), partial(filter_source, family="db3")),
        ROTATIONS,
    ),
    "7.B": FilterTest(
        "wavelet db3 HHH, level 2, rotation invariant",
        _filtered(partial(pooled_wavelet, band="HHH"), SECOND_LEVEL),
        ROTATIONS,
        SAME_TAPS,
        _filtered(partial(stretched_wavelet, band="HHH"), SECOND_LEVEL),
    ),
    **{name: FilterTest(what, None, SLICEWISE) for name, what in WITHIN_SLICES},
    **{name: FilterTest(what, None, f"{what} is not offered") for name, what in ABSENT},
}


def statistic_rows(data: Path) -> list[Conformity]:
    """One row a filter and statistic of IBSI-2's table; rows without a consensus value are left out."""
    references = _references(data / VALUES)
    images = {letter: _image(one, data) for letter, one in ON_GRID.items()}
    return [row for name, of_filter in references.items() for row in _rows(name, of_filter, images[name[-1]])]


def _references(path: Path) -> dict[str, dict[str, Reference]]:
    """Consensus value and tolerance by filter and tag."""
    found: dict[str, dict[str, Reference]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=";"):
            if row["consensus_value"]:
                pair = (float(row["consensus_value"]), float(row["tolerance"]))
                found.setdefault(row["filter_id"], {})[row["feature_tag"]] = pair
    return found


def _image(one: Configuration, data: Path) -> tuple[FeatureImage, BoolZyx]:
    image, mask = prepared(one, data / one.folder)
    low, high = RANGE_HU
    return image, mask & (image.intensity_hu >= low) & (image.intensity_hu <= high)


def _rows(name: str, references: dict[str, Reference], of: tuple[FeatureImage, BoolZyx]) -> list[Conformity]:
    test = FILTERS[name]
    ours = _statistics(test.ours, of) if test.ours is not None else {}
    rows = [_row(name, test, tag, reference, ours.get(tag)) for tag, reference in references.items()]
    missed = [row for row in rows if row.verdict == "not met"]
    if not missed or test.as_ibsi is None:
        return rows
    own = _statistics(test.as_ibsi, of)
    again = {row.tag: _row(name, test, row.tag, references[row.tag], row.value, own[row.tag]) for row in missed}
    return [again.get(row.tag, row) for row in rows]


def _row(
    name: str, test: FilterTest, tag: str, reference: Reference, value: float | None, own: float | None = None
) -> Conformity:
    feature = f"{test.what}: {INTENSITY.get(tag, tag.removeprefix('stat_'))}"
    verdict = verdict_of(value, *reference)
    reasons = [NO_FEATURE if test.ours is not None and value is None else test.note]
    if tag == "stat_kurt" and value is not None:
        reasons.append(EXCESS)
    if own is not None:
        reasons.append(f"{test.cause}: {own:.6g}, {verdict_of(own, *reference)}")
    return Conformity(f"ibsi2 {name}", tag, feature, value, *reference, verdict, "; ".join(filter(None, reasons)))


def _statistics(response: Filter, of: tuple[FeatureImage, BoolZyx]) -> dict[str, float]:
    """Our first-order features of a response in the mask, by IBSI's tag; kurtosis less 3."""
    image, mask = of
    box = box_of(mask)
    values = response(image, box)[mask[box]]
    found = dict(zip(FEATURES_OF_CLASS["firstorder"], _first_order(values), strict=True))
    found["Kurtosis"] -= KURTOSIS_OF_NORMAL
    return {tag: found[name] for tag, name in INTENSITY.items()}


def _first_order(values: NDArray[np.float64]) -> tuple[float, ...]:
    pivot = float(values.mean())
    rest = SortedValues.of(np.zeros(0), pivot)
    return first_order_features(SortedValues.of(values, pivot), rest, pivot, np.array([len(values)]), 1.0)
