"""Sentences about prognosis: what the comparison allows to say, and what the figures are made of."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import plain_model
from engine.present.numbers import counted, interval, number, percent
from store.queries.study import RunFacts
from store.records import CalibrationBin, Comparison, CoxTerm, ModelSummary, SurvivalPoint


def headline_comparison(comparisons: Sequence[Comparison]) -> Comparison | None:
    """The comparison to lead with: combined against clinical + volume, else against anything, else the first."""

    def rank(found: Comparison) -> tuple[bool, bool]:
        return (plain_model(found.extended) != "combined", "volume" not in found.base)

    return min(comparisons, key=rank, default=None)


def discrimination_answer(comparisons: Sequence[Comparison], summaries: Sequence[ModelSummary]) -> str:
    """The comparison's own sentence with its difference and spread; only that may be said."""
    found = headline_comparison(comparisons)
    if found is None:
        named = [f"{plain_model(row.model)} {number(row.auc)}" for row in summaries]
        return f"No pair of models was compared. Out-of-bag AUC: {', '.join(named)}."
    said = found.sentence.strip().rstrip(".")
    return (
        f"**{said[:1].upper()}{said[1:]}.** {plain_model(found.extended).capitalize()} against "
        f"{plain_model(found.base)}: AUC difference {number(found.difference)}, spread over {found.resamples} "
        f"resamples {interval(found.spread_lo, found.spread_hi)}; n = {found.n}, {counted(found.events, 'event')}."
    )


def _sample(summaries: Sequence[ModelSummary]) -> str:
    first = summaries[0]
    return f"n = {first.n} ({counted(first.events, 'event')}; effective n {number(first.effective_n, 0)})"


def roc_caption(summaries: Sequence[ModelSummary]) -> str:
    """What the curves are made of."""
    return (
        f"{_sample(summaries)}. Mean out-of-bag predictions, weighted for censoring; the AUC in the legend is the mean "
        f"over resamples, so it need not be the area drawn."
    )


def auc_caption(summaries: Sequence[ModelSummary], run: RunFacts) -> str:
    """What the bars mean: a spread, not a confidence interval."""
    return (
        f"{_sample(summaries)}. Point: mean over {run.resamples} resamples; bar: their middle 95 %, a spread and not a "
        f"confidence interval; faint: each resample. Dashed: chance."
    )


def calibration_caption(bins: Sequence[CalibrationBin], models: Sequence[str]) -> str:
    """What the points are."""
    counts = {model: sum(row.n for row in bins if row.model == model) for model in models}
    named = ", ".join(f"{plain_model(model)} n = {n}" for model, n in counts.items())
    return f"Groups of patients by predicted risk, {named}; bars: 95 % CI of the observed risk. On the line: exact."


def survival_at(points: Sequence[SurvivalPoint], days: float) -> SurvivalPoint | None:
    """The estimate that holds at a time: the last one up to it; None before the first or once nobody is followed."""
    before = [point for point in points if point.days <= days]
    followed = any(point.days >= days for point in points)
    return max(before, key=lambda point: point.days) if before and followed else None


def survival_answer(points: Sequence[SurvivalPoint], terms: Sequence[CoxTerm], horizon_days: int) -> str:
    """Survival at the horizon in each group, then the clinical terms whose interval leaves 1."""
    parts = []
    for level in dict.fromkeys(point.level for point in points):
        held = survival_at([point for point in points if point.level == level], horizon_days)
        name = "all patients" if level == "all" else level
        said = "not followed so long" if held is None else f"**{percent(held.survival)}** ({_bounds(held)})"
        parts.append(f"{name} {said}")
    return f"Free of the event at {horizon_days} days (95 % CI): {', '.join(parts)}. {_cox_sentence(terms)}".strip()


def _bounds(held: SurvivalPoint) -> str:
    return f"{percent(held.lo)} to {percent(held.hi)}"


def _cox_sentence(terms: Sequence[CoxTerm]) -> str:
    if not terms:
        return ""
    clear = [term for term in terms if term.lo is not None and term.hi is not None and (term.lo > 1 or term.hi < 1)]
    if not clear:
        return "In the clinical Cox model no term's 95 % interval leaves 1."
    named = [f"**{t.term}** (hazard ratio {number(t.hazard_ratio)}, {interval(t.lo, t.hi)})" for t in clear]
    return f"In the clinical Cox model the 95 % interval leaves 1 for {'; '.join(named)}."


def survival_caption(points: Sequence[SurvivalPoint], grouping: str, run: RunFacts) -> str:
    """What the curves are made of."""
    levels = dict.fromkeys(point.level for point in points)
    n = sum(max(point.at_risk for point in points if point.level == level) for level in levels)
    events = sum(point.events for point in points)
    risk = " Risk groups are cut inside the resamples." if "risk" in grouping else ""
    return (
        f"Kaplan-Meier of {run.endpoint}, n = {n}, {counted(events, 'event')}; bands: 95 % CI; dashed: "
        f"{run.horizon_days} days.{risk}"
    )


def cox_caption(terms: Sequence[CoxTerm]) -> str:
    """What the forest is made of."""
    return f"n = {terms[0].n}, {counted(terms[0].events, 'event')}; bars: 95 % CI. Left of 1: longer free of the event."
