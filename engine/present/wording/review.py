"""Sentences about reading: the case header, what a mode hides, how far a reader is, whether readers agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.metrics.readers import PairAgreement, ReaderSummary
from engine.present.intervals import share_interval
from engine.present.numbers import counted, interval, number, percent
from store.queries.cohort import CaseFacts
from store.records import JUDGEMENTS
from store.reviews import ADJUDICATION, BLANK_CANVAS, READER_STUDY

MODE_SENTENCES = {
    READER_STUDY: "in random order; doubt, outcome, clinical data and the other reader are hidden, and some cases come "
    "twice",
    BLANK_CANVAS: "contour the index lesion without seeing any automatic outline",
    ADJUDICATION: "the readers differ; your verdict decides which mask is measured",
}


def case_header(facts: CaseFacts | None, mode: str) -> str:
    """The index lesion as reported and the scan, in one line; a study of readers hides what would lead them."""
    if facts is None:
        return ""
    scan = [
        "" if facts.scan_days is None else f"scan {facts.scan_days:+d} days from time zero".replace("-", "−"),
        {"yes": "contrast", "no": "no contrast"}.get(facts.contrast, ""),
        f"kernel {facts.convolution_kernel}" if facts.convolution_kernel else "",
        "" if facts.slice_thickness_mm is None else f"{facts.slice_thickness_mm:g} mm slices",
        f"voxels {facts.spacing_x_mm:.2g} × {facts.spacing_y_mm:.2g} × {facts.spacing_z_mm:.2g} mm",
    ]
    lesion = [] if mode in (READER_STUDY, BLANK_CANVAS) else _lesion(facts)
    if mode == READER_STUDY:
        scan = scan[-2:]
    return "; ".join(part for part in (*lesion, *scan) if part).capitalize() + "."


def _lesion(facts: CaseFacts) -> list[str]:
    if facts.side is None and facts.maximum_3d_diameter_mm is None:
        return []
    where = " ".join(part for part in (facts.side, facts.lobe or facts.third) if part and part != "unknown")
    size = "" if facts.maximum_3d_diameter_mm is None else f"{facts.maximum_3d_diameter_mm:.0f} mm"
    return [f"index lesion: {', '.join(part for part in (where, size) if part)}"]


def mode_sentence(mode: str, place: int, signed: int, total: int) -> str:
    """What is on screen in a mode that names no case."""
    return f"**{mode.capitalize()}**, reading {place} of {total}, {signed} signed: {MODE_SENTENCES.get(mode, '')}."


def progress_text(signed: int, total: int) -> str:
    """Beside the bar of a reader's progress."""
    return f"{signed} of {total} signed"


def readers_answer(pairs: Sequence[PairAgreement]) -> str:
    """Whether readers agree, in one sentence with kappa and its interval; of the pair with most cases in common."""
    if not pairs:
        return "No two readers have judged the same case yet."
    pair = max(pairs, key=lambda found: found.n)
    alike = f"**{pair.first}** and **{pair.second}** judged {pair.agreed} of {counted(pair.n, 'case')} alike"
    if math.isnan(pair.kappa.estimate):
        return f"{alike}; kappa is not defined, because all judgements are the same word."
    return (
        f"{alike}: weighted kappa **{number(pair.kappa.estimate)}** "
        f"(95 % CI {interval(pair.kappa.lower, pair.kappa.upper)}), Gwet's AC1 {number(pair.ac1.estimate)} "
        f"({interval(pair.ac1.lower, pair.ac1.upper)})."
    )


def share_sentence(reader: ReaderSummary) -> str:
    """Shares of a reader's words with their intervals, and his time."""
    parts = []
    for word, count in zip(JUDGEMENTS, reader.counts, strict=True):
        found = share_interval(count, reader.n)
        parts.append(f"{word} {percent(found.estimate)} ({percent(found.lower)} to {percent(found.upper)})")
    minutes = f"median {number(reader.median_minutes, 1)} min a case, {number(reader.total_minutes, 1)} min in all"
    return f"**{reader.reader}**, n = {reader.n}: {', '.join(parts)}; {minutes}."
