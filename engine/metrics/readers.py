"""What the readers' verdicts say: shares with intervals, agreement between and within readers, time, order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from engine.protocol import Review
from engine.statistics.association import Spearman, spearman
from engine.statistics.rater_agreement import RaterAgreement, gwet_ac1, specific_agreement, weighted_kappa
from store.records import JUDGEMENTS, Verdict
from store.reviews import READER_STUDY, latest_verdicts, place_of

NEEDS_CORRECTION = (1, 2, 3)  # minor, major, missed
FEWEST_FOR_ORDER = 5


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
class _Readings:
    """Two readers, or one twice: case -> last word of each."""

    first: str
    second: str
    one: dict[str, Verdict]
    other: dict[str, Verdict]

    @property
    def same_mask(self) -> tuple[str, ...]:
        """Cases of which both judged the very same mask; simulated readers name none, and are compared so."""
        both = self.one.keys() & self.other.keys()
        return tuple(sorted(case for case in both if self.one[case].mask_key == self.other[case].mask_key))


@dataclass(frozen=True, slots=True)
class ReaderSummary:
    """One reader: counts of none, minor, major and missed; median and total active minutes, changes included."""

    reader: str
    n: int
    counts: tuple[int, ...]
    median_minutes: float
    total_minutes: float
    amended: int


@dataclass(frozen=True, slots=True)
class OrderEffect:
    """Whether a reader's severity or time drifts with the place in his order; None under five readings."""

    reader: str
    n: int
    severity: Spearman | None
    seconds: Spearman | None


def readers_of(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """Who judged, by name; adjudicators and contours of a blank canvas do not count."""
    return tuple(sorted({v.reader for v in _judged(verdicts)}))


def pair_agreements(verdicts: Sequence[Verdict], rules: Review) -> tuple[PairAgreement, ...]:
    """Every pair of readers with at least one mask in common, by name; last words of first readings."""
    pairs = (_pair(readings, rules) for readings in _between(verdicts))
    return tuple(pair for pair in pairs if pair.n)


def intra_reader(verdicts: Sequence[Verdict], rules: Review) -> tuple[PairAgreement, ...]:
    """Each reader's first reading against his hidden repeat, where he has any."""
    pairs = (_pair(readings, rules) for readings in _within(verdicts))
    return tuple(pair for pair in pairs if pair.n)


def left_out(verdicts: Sequence[Verdict]) -> tuple[LeftOut, ...]:
    """What `pair_agreements` and `intra_reader` leave out, where they do: two words on different masks are no pair."""
    readings = (*_between(verdicts), *_within(verdicts))
    found = (LeftOut(r.first, r.second, len(r.one.keys() & r.other.keys()) - len(r.same_mask)) for r in readings)
    return tuple(one for one in found if one.n)


def summaries(verdicts: Sequence[Verdict]) -> tuple[ReaderSummary, ...]:
    """Every reader's counts and minutes, by name."""
    found = []
    for reader, said in sorted(_by_reader(verdicts, 1).items()):
        words = [v.judgement for v in said.values()]
        minutes = [_seconds(verdicts, v) / 60 for v in said.values()]
        amended = sum(v.reader == reader and bool(v.amends) for v in verdicts)
        counts = tuple(words.count(word) for word in JUDGEMENTS)
        found.append(ReaderSummary(reader, len(words), counts, median(minutes), math.fsum(minutes), amended))
    return tuple(found)


def order_effect(reader: str, order: Sequence[tuple[str, int]], verdicts: Sequence[Verdict]) -> OrderEffect:
    """Spearman's correlation of a reader's severity (none 0 .. missed 3) and active seconds with the place.

    What he changed afterwards counts with his last word, and with the time of the first: he took it in that order.
    """
    mine = [v for v in latest_verdicts(tuple(verdicts)) if v.reader == reader and v.judgement in JUDGEMENTS]
    found = {(v.case_id, v.reading): v for v in mine if v.mode == READER_STUDY}
    placed = [(place, found[one]) for place, one in enumerate(order, start=1) if one in found]
    if len(placed) < FEWEST_FOR_ORDER:
        return OrderEffect(reader, len(placed), None, None)
    places = [place for place, _ in placed]
    severity = [JUDGEMENTS.index(v.judgement) for _, v in placed]
    seconds = [_signed_by(verdicts, v)[0].active_seconds for _, v in placed]
    return OrderEffect(reader, len(placed), _correlation(places, severity), _correlation(places, seconds))


def _signed_by(verdicts: Sequence[Verdict], last: Verdict) -> list[Verdict]:
    """All that the reader of a last word signed on that reading, in order: what he amended stays in the record."""
    return [v for v in verdicts if place_of(v) == place_of(last)]


def _seconds(verdicts: Sequence[Verdict], last: Verdict) -> float:
    return math.fsum(v.active_seconds for v in _signed_by(verdicts, last))


def _correlation(places: Sequence[float], values: Sequence[float]) -> Spearman | None:
    return spearman(places, values) if len(set(values)) > 1 else None


def _between(verdicts: Sequence[Verdict]) -> list[_Readings]:
    said = _by_reader(verdicts, 1)
    return [_Readings(one, other, said[one], said[other]) for one, other in combinations(sorted(said), 2)]


def _within(verdicts: Sequence[Verdict]) -> list[_Readings]:
    first, again = _by_reader(verdicts, 1, READER_STUDY), _by_reader(verdicts, 2, READER_STUDY)
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
    return [v for v in latest_verdicts(tuple(verdicts)) if v.role == "reader" and v.judgement in JUDGEMENTS]


def _by_reader(verdicts: Sequence[Verdict], reading: int, mode: str = "") -> dict[str, dict[str, Verdict]]:
    """Reader -> case -> his last word; a reader study counts before the work list, where he read in both."""
    found: dict[str, dict[str, Verdict]] = {}
    for verdict in sorted(_judged(verdicts), key=lambda v: v.mode == READER_STUDY):
        if verdict.reading == reading and mode in ("", verdict.mode):
            found.setdefault(verdict.reader, {})[verdict.case_id] = verdict
    return found
