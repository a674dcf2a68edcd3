"""Which CT series of a patient is the index series, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.acquire.acquisition import kernel_group
from engine.acquire.dicom import DicomHeader

THICKEST_PREFERRED_MM = 3.0
MOST_EARLIER = 4
DAY = re.compile("[0-9]{8}")  # not isdigit(): a superscript is a digit that int() does not take


@dataclass(frozen=True, slots=True)
class SeriesCandidate:
    """One CT series of a patient: its slices' headers, whether somebody outlined on it, and whether the reference."""

    series_uid: str
    headers: tuple[DicomHeader, ...]
    outlined: bool
    reference_outlined: bool = False


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """The index series, how many others there were, and the rule that chose it in words."""

    series: SeriesCandidate
    alternatives: int
    reason: str


def choose_index_series(candidates: Sequence[SeriesCandidate], fewest_slices: int) -> SeriesChoice:
    """The index series of a patient.

    In order: enough slices, outlined, the reference outlined (lungs and organs are outlined on any series, often by
    software), not the attenuation CT of a PET, original rather than derived, latest date, at most 3 mm, soft kernel,
    thinnest, most slices, then by UID. ValueError where there is no candidate.
    """
    if not candidates:
        raise ValueError("a patient needs at least one CT series, got none")
    ordered = sorted(candidates, key=lambda c: _rank(c, fewest_slices))
    if len(ordered) == 1:
        return SeriesChoice(ordered[0], 0, "the only CT series")
    return SeriesChoice(ordered[0], len(ordered) - 1, _reason(ordered, fewest_slices))


def earlier_series(
    candidates: Sequence[SeriesCandidate], index: SeriesCandidate, fewest_slices: int
) -> tuple[SeriesCandidate, ...]:
    """The CT series to try beside the index series, at most MOST_EARLIER: of earlier days, the latest first, then as an
    index series is chosen. Whether one shows a chest is known only once it is read.

    Empty where no date is known, no series is earlier, or those that are have too few slices, are derived, or were made
    for a PET's attenuation.
    """
    before = [
        candidate
        for candidate in candidates
        if _date(candidate)
        and _date(candidate) < _date(index)
        and len(candidate.headers) >= fewest_slices
        and not candidate.headers[0].attenuation_map
        and "DERIVED" not in candidate.headers[0].image_type
    ]
    return tuple(sorted(before, key=lambda c: _rank(c, fewest_slices)[RULES.index(LATEST) :])[:MOST_EARLIER])


def days_between(earlier: SeriesCandidate, later: SeriesCandidate) -> int | None:
    """Days from one series to another by their dates; None where one is no date of the calendar."""
    try:
        dates = [datetime.strptime(c.headers[0].study_date, "%Y%m%d").date() for c in (earlier, later)]
    except ValueError:
        return None
    return (dates[1] - dates[0]).days


LATEST = "latest date (time zero unknown here)"
RULES = (
    "enough slices",
    "outlined",
    "the reference outlined",
    "not the attenuation CT of a PET",
    "original, not derived",
    LATEST,
    "at most 3 mm",
    "soft kernel",
    "thinnest",
    "most slices",
    "first UID",
)


def _rank(candidate: SeriesCandidate, fewest_slices: int) -> tuple[float | str, ...]:
    first = candidate.headers[0]
    thickness = first.slice_thickness_mm or 99.0
    return (
        float(len(candidate.headers) < fewest_slices),
        float(not candidate.outlined),
        float(not candidate.reference_outlined),
        float(first.attenuation_map),
        float("DERIVED" in first.image_type),
        -float(_date(candidate)),
        float(thickness > THICKEST_PREFERRED_MM),
        float(kernel_group(first.kernel, first.manufacturer) == "sharp"),
        thickness,
        -float(len(candidate.headers)),
        candidate.series_uid,
    )


def _date(candidate: SeriesCandidate) -> int:
    """The day of a series as a number that grows with time, 0 where none is known."""
    written = candidate.headers[0].study_date
    return int(written) if DAY.fullmatch(written) else 0


def _reason(ordered: list[SeriesCandidate], fewest_slices: int) -> str:
    best, second = _rank(ordered[0], fewest_slices), _rank(ordered[1], fewest_slices)
    decisive = next((rule for rule, a, b in zip(RULES, best, second, strict=True) if a != b), RULES[-1])
    return f"of {len(ordered)} CT series, decided by: {decisive}"
