"""What the readers' verdicts say: shares with intervals, agreement between and within readers, time, order.

Verdicts are all that were signed, in order of signing; mode: of one mode of judging, or of both where it is empty.
shown: to whom others' words on which mask of a case, or on every one, were shown, and since when.
Shares are of a reader's last words. Agreement between readers is of words signed before the others' could be seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from types import MappingProxyType

from engine.protocol import Review
from engine.statistics.association import Spearman, spearman
from engine.statistics.rater_agreement import RaterAgreement, gwet_ac1, specific_agreement, weighted_kappa
from store.reading_orders import EVERY_MASK
from store.records import JUDGEMENTS, Verdict
from store.reviews import (
    ADJUDICATOR,
    FIRST_READING,
    JUDGING_MODES,
    READER_STUDY,
    WORK_LIST,
    latest_verdicts,
    place_of,
)

NEEDS_CORRECTION = (1, 2, 3)  # minor, major, missed
FEWEST_FOR_ORDER = 5
Shown = Mapping[tuple[str, str, str], str]  # (reader, case, mask key) -> since when he knows what others said of it
NOBODY: Shown = MappingProxyType({})
NEVER = "9999"


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two readers over the cases whose same mask both judged: table (rows first reader, none to missed), measures."""

    first: str
    second: str
    n: int
    table: tuple[tuple[int, ...], ...]
    kappa: RaterAgreement
    ac1: RaterAgreement
    positive: RaterAgreement

    @property
    def agreed(self) -> int:
        """Cases judged alike."""
        return sum(row[place] for place, row in enumerate(self.table))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Cases that two readers judged, or one twice, on masks that are not the same, or of which one names none."""

    first: str
    second: str
    n: int


@dataclass(frozen=True, slots=True)
class RepeatsLeftOut:
    """Cases that a reader read twice in a reader study, of which a reading came when he could see the others' words."""

    reader: str
    n: int


@dataclass(frozen=True, slots=True)
class _Readings:
    """Two readers, or one twice: case -> the word of each that counts."""

    first: str
    second: str
    one: dict[str, Verdict]
    other: dict[str, Verdict]

    @property
    def both(self) -> frozenset[str]:
        """Cases that both judged, on whatever mask."""
        return frozenset(self.one.keys() & self.other.keys())

    @property
    def same_mask(self) -> tuple[str, ...]:
        """Cases of which both judged the very same mask; simulated readers name none, and are compared so."""
        return tuple(sorted(case for case in self.both if self.one[case].mask_key == self.other[case].mask_key))


@dataclass(frozen=True, slots=True)
class ReaderSummary:
    """One reader: counts of none, minor, major and missed; median and total active minutes, changes included.

    amended: cases whose word he changed on the same mask; amended_knowing: of these, in the work list, where signing
    had shown him what others said; aware: cases that he judged only when he could see it, so that no agreement counts
    them: he had adjudicated them or looked at their adjudication, or signed them in the work list before he met them in
    a reader study.
    """

    reader: str
    n: int
    counts: tuple[int, ...]
    median_minutes: float
    total_minutes: float
    amended: int
    amended_knowing: int
    aware: int


@dataclass(frozen=True, slots=True)
class OrderEffect:
    """Whether a reader's severity or time drifts with the place in his order; None under five readings."""

    reader: str
    n: int
    severity: Spearman | None
    seconds: Spearman | None


def readers_of(verdicts: Sequence[Verdict], mode: str = "") -> tuple[str, ...]:
    """Who judged, by name; adjudicators and contours of a blank canvas do not count."""
    return tuple(sorted({v.reader for v in _judged(latest_verdicts(verdicts)) if mode in ("", v.mode)}))


def pair_agreements(
    verdicts: Sequence[Verdict], rules: Review, mode: str = "", shown: Shown = NOBODY
) -> tuple[PairAgreement, ...]:
    """Every pair of readers with at least one mask in common, by name; words of first readings, signed unaware."""
    pairs = (_pair(readings, rules) for readings in _between(verdicts, mode, shown))
    return tuple(pair for pair in pairs if pair.n)


def intra_reader(verdicts: Sequence[Verdict], rules: Review, shown: Shown = NOBODY) -> tuple[PairAgreement, ...]:
    """Each reader's first reading against his hidden repeat, where he has any; words signed unaware."""
    pairs = (_pair(readings, rules) for readings in _within(verdicts, shown))
    return tuple(pair for pair in pairs if pair.n)


def left_out(verdicts: Sequence[Verdict], mode: str = "", shown: Shown = NOBODY) -> tuple[LeftOut, ...]:
    """What `pair_agreements` and `intra_reader` leave out, where they do: two words on different masks are no pair."""
    again = _within(verdicts, shown) if mode != WORK_LIST else []
    readings = (*_between(verdicts, mode, shown), *again)
    found = (LeftOut(r.first, r.second, len(r.both) - len(r.same_mask)) for r in readings)
    return tuple(one for one in found if one.n)


def repeats_left_out(verdicts: Sequence[Verdict], shown: Shown = NOBODY) -> tuple[RepeatsLeftOut, ...]:
    """Signed repeats that `intra_reader` leaves out because the reader could see the others' words, by name.

    With what it counts and what `left_out` tells of him, these are all that he has signed after a first reading.
    """
    unaware = {readings.first: readings.both for readings in _within(verdicts, shown)}
    signed = {readings.first: readings.both for readings in _twice(verdicts)}
    found = (RepeatsLeftOut(name, len(cases - unaware.get(name, frozenset()))) for name, cases in signed.items())
    return tuple(one for one in found if one.n)


def summaries(verdicts: Sequence[Verdict], mode: str = "", shown: Shown = NOBODY) -> tuple[ReaderSummary, ...]:
    """Every reader's counts and minutes, by name."""
    unaware, signed = _unaware(verdicts, mode, shown), _signed(verdicts)
    found = []
    for reader, said in sorted(_last_words(verdicts, FIRST_READING, mode).items()):
        words = [v.judgement for v in said.values()]
        minutes = [math.fsum(one.active_seconds for one in signed[place_of(v)]) / 60 for v in said.values()]
        changed = [v for v in said.values() if _is_changed(signed[place_of(v)])]
        found.append(
            ReaderSummary(
                *(reader, len(words), tuple(words.count(word) for word in JUDGEMENTS)),
                *(median(minutes), math.fsum(minutes)),
                *(len(changed), sum(v.mode == WORK_LIST for v in changed)),
                len(said.keys() - unaware.get(reader, {}).keys()),
            )
        )
    return tuple(found)


def order_effect(reader: str, order: Sequence[tuple[str, int]], verdicts: Sequence[Verdict]) -> OrderEffect:
    """Spearman's correlation of a reader's severity (none 0 .. missed 3) and active seconds with the place.

    What he changed afterwards counts with his last word, and with the time of the first: he took it in that order.
    """
    mine_ever = [v for v in verdicts if v.reader == reader]
    mine = [v for v in latest_verdicts(mine_ever) if v.judgement in JUDGEMENTS]
    found = {(v.case_id, v.reading): v for v in mine if v.mode == READER_STUDY}
    placed = [(place, found[one]) for place, one in enumerate(order, start=1) if one in found]
    if len(placed) < FEWEST_FOR_ORDER:
        return OrderEffect(reader, len(placed), None, None)
    places = [place for place, _ in placed]
    severity = [JUDGEMENTS.index(v.judgement) for _, v in placed]
    signed = _signed(mine_ever)
    seconds = [signed[place_of(v)][0].active_seconds for _, v in placed]
    return OrderEffect(reader, len(placed), _correlation(places, severity), _correlation(places, seconds))


def _signed(verdicts: Sequence[Verdict]) -> dict[tuple[str, ...], list[Verdict]]:
    """All that was signed on each reading, in order: what a reader amended stays in the record."""
    found: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(place_of(verdict), []).append(verdict)
    return found


def _is_changed(said: Sequence[Verdict]) -> bool:
    """Whether the last word on a reading amends one on the same mask; a word on a new mask changes nobody's mind."""
    return sum(v.mask_key == said[-1].mask_key for v in said) > 1


def _correlation(places: Sequence[float], values: Sequence[float]) -> Spearman | None:
    return spearman(places, values) if len(set(values)) > 1 else None


def _between(verdicts: Sequence[Verdict], mode: str, shown: Shown) -> list[_Readings]:
    said = _unaware(verdicts, mode, shown)
    return [_Readings(one, other, said[one], said[other]) for one, other in combinations(sorted(said), 2)]


def _within(verdicts: Sequence[Verdict], shown: Shown) -> list[_Readings]:
    """First readings and repeats, without what a reader signed once he could see the others' words on that mask.

    So he could after a word of his own on it in the work list or as adjudicator, and since he was shown theirs.
    """
    aware: set[tuple[str, str, str]] = set()
    unaware = []
    for verdict in verdicts:
        on_mask = (verdict.reader, verdict.case_id, verdict.mask_key)
        if verdict.mode == WORK_LIST or verdict.role == ADJUDICATOR:
            aware.add(on_mask)
        elif on_mask not in aware and verdict.signed_at < _shown_since(verdict, shown):
            unaware.append(verdict)
    return _twice(unaware)


def _shown_since(verdict: Verdict, shown: Shown) -> str:
    """Since when a reader was shown what others said of the mask he judged; NEVER where he was not."""
    return min(shown.get((verdict.reader, verdict.case_id, key), NEVER) for key in (verdict.mask_key, EVERY_MASK))


def _twice(verdicts: Sequence[Verdict]) -> list[_Readings]:
    """First readings and repeats of a reader study, by name of who has signed any repeat."""
    first = _last_words(verdicts, FIRST_READING, READER_STUDY)
    again = _last_words(verdicts, FIRST_READING + 1, READER_STUDY)
    return [_Readings(name, f"{name}, again", first.get(name, {}), again[name]) for name in sorted(again)]


def _pair(readings: _Readings, rules: Review) -> PairAgreement:
    table = [[0] * len(JUDGEMENTS) for _ in JUDGEMENTS]
    for case in readings.same_mask:
        row, column = readings.one[case].judgement, readings.other[case].judgement
        table[JUDGEMENTS.index(row)][JUDGEMENTS.index(column)] += 1
    counts = tuple(tuple(row) for row in table)
    kappa = weighted_kappa(counts, rules.kappa_weights)
    return PairAgreement(
        *(readings.first, readings.second, kappa.n, counts),
        *(kappa, gwet_ac1(counts), specific_agreement(counts, NEEDS_CORRECTION)),
    )


def _judged(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [v for v in verdicts if v.role != ADJUDICATOR and v.mode in JUDGING_MODES and v.judgement in JUDGEMENTS]


def _last_words(verdicts: Sequence[Verdict], reading: int, mode: str) -> dict[str, dict[str, Verdict]]:
    """Reader -> case -> his last word on the mask that he judged last, by `_by_reader`."""
    return _by_reader([v for v in _judged(latest_verdicts(verdicts)) if v.reading == reading], mode)


def _unaware(verdicts: Sequence[Verdict], mode: str, shown: Shown) -> dict[str, dict[str, Verdict]]:
    """Reader -> case -> his last word on the mask he judged last that he signed before he could see the others'.

    A signature in the work list opens a case, and so does adjudicating it: what follows on the same mask is left out.
    So does to have been shown what others said of that mask, in an adjudication or a consensus, signed or not.
    """
    aware: set[tuple[str, str, str]] = set()
    words = []
    for verdict in verdicts:
        on_mask = (verdict.reader, verdict.case_id, verdict.mask_key)
        if verdict.role == ADJUDICATOR:
            aware.add(on_mask)
        elif verdict.reading == FIRST_READING and _judged([verdict]):
            if on_mask not in aware and verdict.signed_at < _shown_since(verdict, shown):
                words.append(verdict)
            if verdict.mode == WORK_LIST:
                aware.add(on_mask)
    return _by_reader(words, mode)


def _by_reader(words: Sequence[Verdict], mode: str) -> dict[str, dict[str, Verdict]]:
    """Reader -> case -> his last word on the mask judged last; of two on it the one of the reader study counts.

    Words in order of signing: what a reader study said of a mask that he has judged anew since gives way.
    """
    asked = [v for v in words if mode in ("", v.mode)]
    judged_last = {(v.reader, v.case_id): v.mask_key for v in asked}
    found: dict[str, dict[str, Verdict]] = {}
    for verdict in sorted(asked, key=lambda v: v.mode == READER_STUDY):
        if verdict.mask_key == judged_last[verdict.reader, verdict.case_id]:
            found.setdefault(verdict.reader, {})[verdict.case_id] = verdict
    return found
