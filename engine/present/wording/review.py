"""Sentences about reading: the case header, what a mode hides, how far a reader is, whether readers agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.metrics.readers import LeftOut, OrderEffect, PairAgreement, ReaderSummary, RepeatsLeftOut
from engine.present.intervals import share_interval
from engine.present.numbers import counted, duration, interval, number, p_term, percent
from engine.present.wording.doubt import TOGETHER
from engine.statistics.rater_agreement import RaterAgreement
from store.queries.agreement import ReviewCase
from store.queries.cohort import CaseFacts
from store.queries.inference import StepSeconds
from store.records import JUDGEMENTS, PriorScan, Verdict
from store.reviews import ADJUDICATION, BLANK_CANVAS, READER_STUDY

SMALLEST_SE = 1e-6  # what rounding leaves of a standard error of 0
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
        {"yes": "contrast", "no": "no contrast"}.get(facts.contrast or "", ""),
        f"kernel {facts.convolution_kernel}" if facts.convolution_kernel else "",
        "" if facts.slice_thickness_mm is None else f"{facts.slice_thickness_mm:g} mm slices",
        f"voxels {facts.spacing_x_mm:.2g} × {facts.spacing_y_mm:.2g} × {facts.spacing_z_mm:.2g} mm",
    ]
    lesion = [] if mode in (READER_STUDY, BLANK_CANVAS) else _lesion(facts)
    if mode == READER_STUDY:
        scan = scan[-2:]
    return "; ".join(part for part in (*lesion, *scan) if part).capitalize() + "."


def prior_title(scan: PriorScan, mode: str) -> str:
    """What an earlier CT beside the index series is, in one line; a study of readers hides of it what the case header
    hides of the index series: when it was made, and with which kernel.
    """
    days = scan.days_before
    facts = [
        "date unknown" if days is None else f"{counted(days, 'day')} before",
        f"kernel {scan.convolution_kernel}" if scan.convolution_kernel not in ("", "unknown") else "",
        "" if scan.slice_thickness_mm is None else f"{scan.slice_thickness_mm:g} mm slices",
    ]
    if mode == READER_STUDY:
        facts = facts[-1:]
    return ": ".join(part for part in ("Earlier CT", "; ".join(fact for fact in facts if fact)) if part)


def _lesion(facts: CaseFacts) -> list[str]:
    if facts.side is None and facts.maximum_3d_diameter_mm is None:
        return []
    where = " ".join(part for part in (facts.side, facts.lobe or facts.third) if part and part != "unknown")
    size = "" if facts.maximum_3d_diameter_mm is None else f"{facts.maximum_3d_diameter_mm:.0f} mm"
    return [f"index lesion: {', '.join(part for part in (where, size) if part)}"]


def mode_sentence(mode: str, place: int, signed: int, total: int) -> str:
    """What is on screen in a mode that names no case."""
    return f"**{mode.capitalize()}**, reading {place} of {total}, {signed} signed: {MODE_SENTENCES.get(mode, '')}."


def nothing_waits(mode: str) -> str:
    """Why a mode has no case for a reader."""
    if mode == BLANK_CANVAS:
        return (
            "No blank canvas is left for you: you have seen the automatic outline of every case, so a contour of yours "
            "would not be independent of it. Let who has judged nothing contour, before he judges."
        )
    if mode != ADJUDICATION:
        return "No case of this list is in this run, or none of them is segmented."
    return (
        "No case waits for adjudication: nobody disagrees, you judged every such case yourself, or it stands "
        "in your own reader study or on a blank canvas of yours that you have yet to finish. It takes two readers who "
        "judged the same case differently; choose **Work list** or **Reader study** under *Mode* to judge."
    )


def ring_sentence(measured: bool) -> str:
    """What the ring on screen goes around."""
    return "around the mask that is measured." if measured else "around the outline that is judged."


def differing_sentence(words: Sequence[Verdict]) -> str:
    """What each reader said of a case that is adjudicated, with the reason and whether a mask was drawn."""
    parts = []
    for word in words:
        more = [part for part in (word.reason, "drew a mask" if word.drawn_key else "") if part]
        why = f" ({', '.join(more)})" if more else ""
        parts.append(f"{word.reader}: **{word.judgement}**{why}")
    return "; ".join(parts) + "." if parts else ""


def adjudicated_sentence(word: Verdict | None, reader: str) -> str:
    """Who has adjudicated a case already, and what a further signature does; empty where nobody has."""
    if word is None:
        return ""
    if word.reader == reader:
        return "You have adjudicated it."
    return f"Adjudicated by **{word.reader}**: **{word.judgement}**; your signature would replace it."


def progress_text(signed: int, total: int) -> str:
    """Beside the bar of a reader's progress."""
    return f"{signed} of {total} signed"


def readers_answer(pairs: Sequence[PairAgreement]) -> str:
    """Whether readers agree, in one sentence with kappa and its interval; of the pair with most cases in common."""
    if not pairs:
        return "No two readers have judged the same mask of a case yet."
    pair = max(pairs, key=lambda found: found.n)
    alike = f"**{pair.first}** and **{pair.second}** judged {pair.agreed} of {counted(pair.n, 'case')} alike"
    if math.isnan(pair.kappa.estimate):
        return f"{alike}; kappa is not defined, because all judgements are the same word."
    return (
        f"{alike}: weighted kappa **{number(pair.kappa.estimate)}** "
        f"({_bounds(pair.kappa, '95 % CI ')}), Gwet's AC1 {_with_interval(pair.ac1)}."
    )


def share_sentence(reader: ReaderSummary) -> str:
    """Shares of a reader's words with their intervals, and his time."""
    parts = []
    for word, count in zip(JUDGEMENTS, reader.counts, strict=True):
        found = share_interval(count, reader.n)
        parts.append(f"{word} {percent(found.estimate)} ({percent(found.lower)} to {percent(found.upper)})")
    minutes = f"median {number(reader.median_minutes, 1)} min a case, {number(reader.total_minutes, 1)} min in all"
    return f"**{reader.reader}**, n = {reader.n}: {', '.join(parts)}; {minutes}.{_changed(reader)}"


def _changed(reader: ReaderSummary) -> str:
    """How many of a reader's words are not his first on the mask; empty where all are."""
    if not reader.amended:
        return ""
    knowing = f", {reader.amended_knowing} in the work list, where he saw the others' by then"
    return f" Changed after signing: {counted(reader.amended, 'word')}{knowing if reader.amended_knowing else ''}."


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A case of the queue as a table shows it; readers: how many have judged its mask."""

    place: int | None
    case_id: str
    predicted_dsc: float | None
    missed_probability: float | None
    dsc: float | None
    readers: int


def queue_rows(cases: Sequence[ReviewCase], readers: Mapping[str, int]) -> tuple[QueueRow, ...]:
    """The queue in its order, with how many readers have judged each case by now."""
    return tuple(
        QueueRow(c.place, c.case_id, c.predicted_dsc, c.missed_probability, c.dsc, readers.get(c.case_id, 0))
        for c in cases
    )


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two readers as a table shows them."""

    first: str
    second: str
    n: int
    agreed: int
    kappa: str
    ac1: str
    positive: str


def pair_rows(pairs: Sequence[PairAgreement]) -> tuple[PairRow, ...]:
    """Coefficients with their intervals, one row a pair."""
    return tuple(
        PairRow(
            p.first, p.second, p.n, p.agreed, _with_interval(p.kappa), _with_interval(p.ac1), _with_interval(p.positive)
        )
        for p in pairs
    )


def table_caption(pair: PairAgreement) -> str:
    """What the table of two readers counts: cases, and which word of each."""
    return (
        f"n = {pair.n} cases of which both judged the same mask; of each the word signed before the other's could be "
        f"seen: in the work list the first, in a reader study the last. Rows: {pair.first}; columns: {pair.second}; "
        "the diagonal is agreement. "
        f"Positive agreement on the need of a correction {_with_interval(pair.positive)}."
    )


def left_out_sentence(found: Sequence[LeftOut]) -> str:
    """How many cases no agreement counts, because the mask changed in between; empty where there are none."""
    if not found:
        return ""
    each = ", ".join(f"{counted(one.n, 'case')} of {one.first} and {one.second}" for one in found)
    return (
        f"Left out of the agreement: {each}. The automatic mask changed between the two verdicts, or one of them names "
        "no mask."
    )


def which_masks(earlier: bool) -> str:
    """Of which automatic masks the words in a figure are."""
    return f"{'Only' if earlier else 'Without'} verdicts on automatic masks that are no more."


def other_masks_sentence(others: int, earlier: bool) -> str:
    """How many verdicts are not counted because they are on the other masks; empty where there are none."""
    if not others:
        return ""
    left = f"Left out: {counted(others, 'signed verdict')} on"
    if earlier:
        return f"{left} the automatic masks as they are now. The earlier ones may be of several models."
    return f"{left} automatic masks that are no more; choose them in the sidebar under **Automatic masks**."


def aware_sentence(readers: Sequence[ReaderSummary]) -> str:
    """How many cases no agreement counts, because a reader knew the others' words; empty where there are none."""
    each = ", ".join(f"{counted(one.aware, 'case')} of {one.reader}" for one in readers if one.aware)
    return f"Left out of the agreement, judged when the others' words could be seen: {each}." if each else ""


def intra_sentence(pairs: Sequence[PairAgreement]) -> str:
    """Each reader's first reading against his hidden repeat."""
    if not pairs:
        return "Not known: there is no hidden repeat of a reader study to compare."
    return " ".join(
        f"**{pair.first}** judged {pair.agreed} of {counted(pair.n, 'repeat')} as before "
        f"(weighted kappa {_with_interval(pair.kappa)})."
        for pair in pairs
    )


def repeats_left_out_sentence(found: Sequence[RepeatsLeftOut]) -> str:
    """How many signed repeats do not count, because the reader knew the others' words; empty where there are none."""
    if not found:
        return ""
    each = ", ".join(f"{counted(one.n, 'repeat')} of {one.reader}" for one in found)
    return (
        f"Left out: {each}. The first reading or the repeat was signed when the others' words on that mask could be "
        "seen: after signing it in the work list, or after adjudicating it or being shown what they said."
    )


def order_effect_sentence(found: OrderEffect) -> str:
    """Whether judgement or time drifts along the order of a reader study."""
    if found.severity is None and found.seconds is None:
        return f"**{found.reader}**, order effect: not known (n = {found.n}; five readings that differ are needed)."
    parts = [
        f"{name} Spearman ρ {number(test.rho)} ({p_term(test.p_value)})"
        for name, test in (("severity", found.severity), ("time", found.seconds))
        if test is not None
    ]
    return f"**{found.reader}**, order effect over {counted(found.n, 'reading')}: {', '.join(parts)}."


def seconds_beside(readers: Sequence[ReaderSummary], steps: Sequence[StepSeconds]) -> str:
    """Reader minutes beside machine seconds."""
    whole = next((step for step in steps if step.step == TOGETHER), None)
    machine = (
        "" if whole is None else f"; the machine took {number(whole.median, 1)} s a series (median, {whole.device})"
    )
    said = ", ".join(f"**{r.reader}** {number(r.median_minutes, 1)} min" for r in readers)
    return f"A case takes {said} of active reading (medians; pauses are not counted){machine}."


def masks_hidden(named: bool) -> str:
    """Why no drawn mask is listed: nobody has said who looks, or he is still reading unaware of the others."""
    if not named:
        return "Say on **Review** who you are: masks are listed of cases that you have signed yourself."
    return (
        "Hidden until your reader study and your blank canvases are signed, so that you do not meet their cases "
        "elsewhere."
    )


def masks_left_out(count: int) -> str:
    """How many drawn masks a reader may not know of yet; empty where he may know of all."""
    return f"{counted(count, 'mask')} of cases that you have not signed: hidden until you have." if count else ""


def cases_left_out(count: int) -> str:
    """How many cases the queue leaves out because they are closed to the reader; empty where none is."""
    return (
        f"{counted(count, 'case')} left out: closed to you until you have read what you began blinded." if count else ""
    )


def _with_interval(found: RaterAgreement) -> str:
    if math.isnan(found.estimate):
        return "–"
    return f"{number(found.estimate)} ({_bounds(found)})"


def _bounds(found: RaterAgreement, before: str = "") -> str:
    """The interval; none where the standard error is 0 or unknown, which says nothing of how sure the estimate is."""
    sure = found.se > SMALLEST_SE
    return f"{before}{interval(found.lower, found.upper)}" if sure else f"no interval from these {found.n} cases"


def stale_sentence(of_cases: int, cases: int, of_cohort: int, seconds: float | None) -> str:
    """What signed verdicts and drawn masks would have a run compute."""
    return (
        f":orange-badge[Not in the numbers yet] {counted(of_cases, 'result')} of {counted(cases, 'case')} and "
        f"{counted(of_cohort, 'result')} of the cohort would be computed, {about(seconds)}."
    )


def about(seconds: float | None) -> str:
    """Seconds as a rough duration."""
    if seconds is None:
        return "in a time that is not known before the first run"
    return f"about {seconds:.0f} s" if seconds < 60 else f"about {duration(seconds)}"
