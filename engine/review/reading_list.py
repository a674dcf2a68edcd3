"""Which case a reader reads next: the work list, a reader study in random order, a blank-canvas sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from store.records import Verdict
from store.reviews import ADJUDICATOR, BLANK_CANVAS, JUDGING_MODES, readers_words

SMALLEST_GAP = 2  # readings between a case and its hidden repeat, where the study is long enough


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of a reader's readings are signed."""

    signed: int
    total: int


def study_order(cases: Sequence[str], reader: str, seed: int, repeat_share: float) -> tuple[tuple[str, int], ...]:
    """A reader study's (case, reading) in random order: every case once, a share of them again, never told.

    The order is the reader's own: a function of the study's seed and his name. Repeats are drawn from the first half
    and put into the second, so that time lies between the two. At least one repeat from two cases on.
    """
    rng = np.random.default_rng([seed, int(hashlib.sha256(reader.encode()).hexdigest()[:16], 16)])
    order = [(case, 1) for case in rng.permutation(sorted(cases)).tolist()]
    if len(order) < 2 or repeat_share <= 0:
        return tuple(order)
    half = len(order) // 2
    count = min(half, max(1, round(repeat_share * len(order))))
    again = rng.choice(half, size=count, replace=False).tolist()
    for number in sorted(again):
        case = order[number][0]
        now = next(place for place, (one, _) in enumerate(order) if one == case)
        earliest = min(max(half, now + SMALLEST_GAP), len(order))
        order.insert(int(rng.integers(earliest, len(order) + 1)), (case, 2))
    return tuple(order)


def blank_sample(
    cases: Sequence[str], seed: int, count: int, seen: frozenset[str] = frozenset()
) -> tuple[tuple[str, int], ...]:
    """The random sample that is contoured without seeing the automatic mask: the first of one order for all readers.

    `seen`: cases whose automatic mask the reader knows; the next of the order stand in for them.
    """
    rng = np.random.default_rng([seed, len(BLANK_CANVAS)])
    order = [case for case in rng.permutation(sorted(cases)).tolist() if case not in seen]
    return tuple((case, 1) for case in order[:count])


def simulated_readers(verdicts: Iterable[Verdict]) -> frozenset[str]:
    """Names under which a simulation judged: it saw no mask and drew none. Nobody reads under such a name."""
    return frozenset(v.reader for v in verdicts if not (v.mask_key or v.drawn_key or v.identity))


def signed_readings(verdicts: Iterable[Verdict], reader: str, mode: str) -> frozenset[tuple[str, int]]:
    """(case, reading) that a reader has signed in a mode; simulated verdicts, which saw no mask, do not count."""
    return frozenset(
        (v.case_id, v.reading)
        for v in verdicts
        if v.reader == reader and v.mode == mode and (v.mask_key or v.drawn_key)
    )


def unread_first(order: Sequence[tuple[str, int]], signed: frozenset[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The order with what is not signed first; otherwise unchanged."""
    return tuple(sorted(order, key=lambda reading: reading in signed))


def next_reading(
    order: Sequence[tuple[str, int]], signed: frozenset[tuple[str, int]], after: tuple[str, int] | None
) -> tuple[str, int] | None:
    """The next unsigned reading after one, from the beginning again at the end; None when all are signed."""
    start = order.index(after) + 1 if after in order else 0
    turned = [*order[start:], *order[:start]]
    return next((reading for reading in turned if reading not in signed), None)


def progress(order: Sequence[tuple[str, int]], signed: frozenset[tuple[str, int]]) -> Progress:
    """How many readings of an order are signed."""
    return Progress(sum(reading in signed for reading in order), len(order))


def readers_by_case(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many readers have judged the automatic mask of each case that anybody has; simulated ones saw none."""
    said: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.mask_key:
            said.setdefault(verdict.case_id, []).append(verdict)
    return {case: len(words) for case, rows in said.items() if (words := readers_words(rows, "tumour"))}


def on_present_masks(verdicts: Iterable[Verdict], keys: Mapping[str, str]) -> tuple[Verdict, ...]:
    """Verdicts without those on an automatic mask that is no more; keys: case -> key of the mask that is judged now."""
    return tuple(v for v in verdicts if not v.mask_key or v.mask_key == keys.get(v.case_id, v.mask_key))


def kept_order(order: Sequence[tuple[str, int]], cases: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """An order without the cases that have left the run."""
    present = frozenset(cases)
    return tuple(reading for reading in order if reading[0] in present)


def cases_known(verdicts: Iterable[Verdict], reader: str) -> frozenset[str]:
    """Cases of which a reader may know what others did: he has judged or adjudicated their mask himself.

    A contour on a blank canvas opens nothing: he may still judge that case unaware of the others.
    """
    mine = (v for v in verdicts if v.reader == reader and v.mode != BLANK_CANVAS)
    return frozenset(v.case_id for v in mine if v.mask_key)


def to_adjudicate(verdicts: Sequence[Verdict], adjudicator: str) -> tuple[tuple[str, int], ...]:
    """Cases of which two others judged the same mask differently, or drew differently, by case.

    Words on another mask than the one judged last are no disagreement about it. Simulated readers, and whoever saw no
    mask, differ about nothing that could be measured. Who judged a case himself does not adjudicate it.
    """
    said: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        if verdict.role == "reader" and verdict.mode in JUDGING_MODES and verdict.reading == 1:
            said.setdefault(verdict.case_id, {})[verdict.reader] = verdict
    cases = []
    for case, last in sorted(said.items()):
        on_masks = sorted((v for v in last.values() if v.mask_key), key=lambda v: v.signed_at)
        words = {(v.judgement, v.drawn_key) for v in on_masks if v.mask_key == on_masks[-1].mask_key}
        if len(words) > 1 and adjudicator not in last:
            cases.append((case, 1))
    return tuple(cases)


def adjudications(verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    """Case -> the adjudicator's word that stands: no reader has judged since; verdicts in order of signing."""
    last: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.role == ADJUDICATOR or (verdict.mode in JUDGING_MODES and verdict.reading == 1):
            last[verdict.case_id] = verdict
    return {case: verdict for case, verdict in last.items() if verdict.role == ADJUDICATOR}


def open_disputes(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Cases on which readers disagree and that nobody has adjudicated since, by case; verdicts in order of signing."""
    settled = adjudications(verdicts)
    return tuple(case for case, _ in to_adjudicate(verdicts, "") if case not in settled)
