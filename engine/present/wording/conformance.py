"""Sentences about agreement with published reference values."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.numbers import counted, percent
from store.queries.conformance import ConformityCount

FILTERS = {
    "1": "no filter",
    "2": "mean",
    "3": "LoG",
    "4": "Laws",
    "5": "Gabor",
    "6": "wavelet",
    "7": "wavelet, level 2",
    "8": "Simoncelli",
    "9": "Simoncelli, level 2",
}
MAPS = "maps"


def group_label(count: ConformityCount) -> str:
    """A group's name as figures write it."""
    if count.group == MAPS:
        return "IBSI-2 response maps"
    if count.chapter == 1:
        return f"IBSI-1 {count.group}"
    return f"IBSI-2 CT, {FILTERS.get(count.group, count.group)}"


def conformance_answer(counts: Sequence[ConformityCount]) -> str:
    """How many of the references that we offer are met, by configuration, and how many we do not offer."""
    met, compared = _met(counts), _compared(counts)
    missing = sum(count.not_offered for count in counts)
    if not compared:
        return f"Nothing could be compared: none of {counted(missing, 'reference value')} is of what we offer."
    maps = [count for count in counts if count.group == MAPS]
    filtered = [count for count in counts if count.chapter > 1 and count.group != MAPS]
    parts = [_part(count.group, [count]) for count in counts if count.chapter == 1 and _compared([count])]
    parts += [_part("IBSI-2 response maps", maps)] if _compared(maps) else []
    parts += [_part("statistics of the filtered CT", filtered)] if _compared(filtered) else []
    said = f"**{percent(met / compared)}** of the reference values that we can be compared with are met"
    absent = f"Not offered: {counted(missing, 'value')}."
    return f"{said} ({met} of {compared}): {', '.join(parts)}. {absent} {_missed(compared - met)}".strip()


def conformance_caption(counts: Sequence[ConformityCount]) -> str:
    """What the bars hold."""
    total = sum(count.met + count.not_met + count.not_offered for count in counts)
    return (
        f"n = {counted(total, 'reference value')}. IBSI-1: its digital phantom and configurations A to E of its CT"
        " phantom. IBSI-2: a map is met where every voxel lies within 1 % of its range; statistics of the CT phantom by"
        " filter. Computed live with this study's backend and bin origin; IBSI dictates the rest."
    )


def _part(name: str, counts: Sequence[ConformityCount]) -> str:
    return f"{name} {_met(counts)} of {_compared(counts)}"


def _met(counts: Sequence[ConformityCount]) -> int:
    return sum(count.met for count in counts)


def _compared(counts: Sequence[ConformityCount]) -> int:
    return sum(count.met + count.not_met for count in counts)


def _missed(missed: int) -> str:
    if not missed:
        return ""
    return "The one that is not met says why below." if missed == 1 else f"The {missed} that are not met say why below."
