"""Sentences about what a cohort could have detected."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.numbers import number, percent
from engine.statistics.calibration import wilson_interval
from store.queries.prognosis import DetectionRate
from store.records import Comparison

LIKELY = 0.8
OF_THE_HEADLINE = "Measured for combined against clinical + volume; of the other pairs no rate is known."
NOT_PLANTED = "What gains it could have detected is told by `python -m engine detectable DIR`."


def detection_answer(rates: Sequence[DetectionRate]) -> str:
    """The smallest planted gain that was called in four of five plantings, and how often none was called one."""
    if not rates:
        return "No gains have been planted in this cohort yet."
    seen = [row for row in rates if row.gain > 0 and row.claimed >= LIKELY]
    none = next((row for row in rates if row.gain == 0), None)
    false = "" if none is None else f' Where nothing was planted, "adds" was said in {_times(none)}.'
    if not seen:
        largest = max(rates, key=lambda row: row.gain)
        return (
            f"**No gain up to +{number(largest.gain)} would have been found in four of five such cohorts**: "
            f"+{number(largest.gain)} was called in {_times(largest)}.{false} {OF_THE_HEADLINE}"
        )
    first = min(seen, key=lambda row: row.gain)
    return (
        f"**A gain of +{number(first.gain)} would have been found in four of five such cohorts**: it was called in "
        f"{_times(first)}.{false} {OF_THE_HEADLINE}"
    )


def _times(rate: DetectionRate) -> str:
    """So many of the plantings, and what share of many more that leaves open (Wilson, 95 %)."""
    called = round(rate.claimed * rate.repeats)
    bounds = wilson_interval(called, rate.repeats)
    return f"{called} of {rate.repeats} (95 % CI {percent(bounds.lower)} to {percent(bounds.upper)})"


def detection_lines(rates: Sequence[DetectionRate]) -> list[str]:
    """The table as text."""
    return [
        f"+{number(row.gain)}: adds in {percent(row.claimed)}, too small to tell in {percent(row.too_small)}; mean "
        f"difference {number(row.difference, 3)}, spread holds the gain in {percent(row.covered)} of {row.repeats}"
        for row in rates
    ]


def needed_difference(found: Comparison) -> str:
    """What the spread itself says: how large the difference would have had to be, all else equal."""
    return (
        "With this spread only a difference above "
        f'+{number(found.difference - found.spread_lo)} would have been called "adds".'
    )
