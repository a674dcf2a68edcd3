"""Sentences of the overview: the headline figures of a run, and what waits for somebody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.present.colours import plain_model
from engine.present.intervals import mean_interval, share_interval
from engine.present.numbers import counted, interval, number, percent
from store.queries.agreement import AgreementSummary
from store.queries.reproducibility import SurvivalShare
from store.queries.study import RunFacts
from store.records import Comparison, ModelSummary, Stability


@dataclass(frozen=True, slots=True)
class Headline:
    """One headline figure: its name, value, what stands beside it (interval and n), and the page that shows it."""

    name: str
    value: str
    beside: str
    page: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for a person, and the page where it is done."""

    text: str
    page: str


def headlines(
    agreement: AgreementSummary | None,
    shares: Sequence[SurvivalShare],
    alike: Sequence[Stability],
    models: Sequence[ModelSummary],
    pairs: Sequence[Comparison],
) -> list[Headline]:
    """The figures that a run has, in the order of the work."""
    found = [] if agreement is None else _masks(agreement)
    tested, surviving = sum(s.tested for s in shares), sum(s.surviving for s in shares)
    if tested:
        share = percent(surviving / tested)
        found.append(Headline("Features that survive", share, f"{surviving} of {tested} tested", "reproducibility"))
    kept = next((row for row in alike if row.step != "mrmr"), None)
    if kept is not None:
        beside = f"95 % CI {interval(kept.lo, kept.hi)}; {counted(kept.resamples, 'resample')}"
        found.append(Headline("Stability of the chosen set", number(kept.stability), beside, "selection"))
    return found + _prognosis(models, pairs)


def _masks(summary: AgreementSummary) -> list[Headline]:
    dsc = mean_interval(summary.dsc_mean, summary.dsc_sd, summary.n)
    detected = share_interval(summary.detected, summary.n)
    bounds = f"95 % CI {percent(detected.lower)} to {percent(detected.upper)}"
    return [
        Headline(
            "DSC, all cases",
            number(summary.dsc_mean),
            f"95 % CI {interval(dsc.lower, dsc.upper)}; n = {summary.n}",
            "agreement",
        ),
        Headline("Tumours detected", percent(detected.estimate), f"{bounds}; n = {summary.n}", "agreement"),
    ]


def _prognosis(models: Sequence[ModelSummary], pairs: Sequence[Comparison]) -> list[Headline]:
    by_name = {plain_model(row.model): row for row in models}
    found = []
    for name in ("clinical", "combined"):
        row = by_name.get(name)
        if row is not None:
            beside = f"spread {interval(row.auc_lo, row.auc_hi)}; n = {row.n}, {row.events} events"
            found.append(Headline(f"AUC, {name}", number(row.auc), beside, "discrimination"))
    return found if pairs else found[:1]


def home_answer(found: Sequence[Headline], run: RunFacts) -> str:
    """The state of the study in a sentence."""
    if not found:
        return f"The run is **{run.state}**; no result is published yet."
    said = "; ".join(f"{line.name} **{line.value}** ({line.beside})" for line in found[:2])
    return f"{said}."


@dataclass(frozen=True, slots=True)
class Left:
    """How many of each kind wait."""

    unread: int
    cases: int
    disputed: int
    flagged: int
    refused: int
    failed: int
    declined: int
    actions: int


def waiting_lines(left: Left) -> list[Waiting]:
    """What waits for a person, the most urgent first; nothing is listed that does not wait."""
    lines = (
        (left.failed, f"**{counted(left.failed, 'failure')}** in this run", "runs"),
        (left.refused, f"**{counted(left.refused, 'case')}** refused at the gate", "cohort"),
        (left.disputed, f"**{counted(left.disputed, 'case')}** on which readers disagree", "review"),
        (left.unread, f"**{left.unread} of {counted(left.cases, 'case')}** that no reader has judged", "review"),
        (left.flagged, f"**{counted(left.flagged, 'case')}** let in with a flag", "cohort"),
        (left.declined, f"**{counted(left.declined, 'analysis', 'analyses')}** declined, with the reason", "runs"),
        (left.actions, f"**{counted(left.actions, 'decision')}** of the team to follow up", "meeting"),
    )
    return [Waiting(text, page) for count, text, page in lines if count]
