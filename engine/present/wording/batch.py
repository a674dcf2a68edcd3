"""Sentences about batches: whether outcome goes with them, what they explain, what ComBat does to reproducibility."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import roi_label
from engine.present.numbers import counted, number, percent
from store.queries.batch import IccBesideCombat
from store.records import BatchLevel, BatchOutcome, BatchPoint, BatchVariance

WORTH_SAYING = 0.10  # of a feature's variance


def association_answer(outcome: BatchOutcome, levels: Sequence[BatchLevel]) -> str:
    """Whether the outcome goes with the batch: to be read before anything about harmonising."""
    groups = ", ".join(_level(level) for level in levels)
    if outcome.cramers_v is None:
        why = "all patients are of one batch" if outcome.levels < 2 else "no outcome is known"
        return f"By {outcome.variable}: {groups}. Whether outcome goes with it cannot be said: {why}."
    v = f"Cramér's V **{number(outcome.cramers_v)}**, n = {outcome.n}"
    if outcome.confounded:
        return (
            f"**Outcome goes with {outcome.variable}** ({v}): {groups}. Taking the batch out of the features takes "
            "outcome out with it, and leaving it in lets a model read the scanner."
        )
    return f"Outcome does not visibly go with {outcome.variable} ({v}): {groups}."


def _level(level: BatchLevel) -> str:
    known = "" if level.events is None else f", {counted(level.events, 'event')}"
    return f"{level.level} {level.n}{known}"


def variance_answer(rows: Sequence[BatchVariance], outcome: BatchOutcome) -> str:
    """How many features a batch explains noticeably, and how many after ComBat."""
    if outcome.levels < 2:
        return f"All patients have one {outcome.variable}: it explains nothing here."
    noticed = sum(row.before >= WORTH_SAYING for row in rows)
    share = percent(noticed / len(rows)) if rows else "0 %"
    said = f"{outcome.variable.capitalize()} explains at least {percent(WORTH_SAYING)} of the variance of **{share}** "
    said += f"of the features ({noticed} of {len(rows)})"
    after = [row for row in rows if row.after is not None]
    if not after:
        return f"{said}. ComBat could not be fitted: {outcome.reason or 'too few patients with features'}."
    left = sum((row.after or 0.0) >= WORTH_SAYING for row in after)
    return f"{said}; after ComBat of **{percent(left / len(after))}** ({left} of {len(after)})."


def variance_caption(rows: Sequence[BatchVariance]) -> str:
    """What the boxes are."""
    patients = max((row.n for row in rows), default=0)
    return (
        f"Adjusted share of variance between patients; boxes: median, quartiles, whiskers 1.5 times their distance. "
        f"n = {counted(len(rows), 'feature')}, {counted(patients, 'patient')}. Here ComBat is fitted on all patients, "
        "as a description; the selection fits it on training patients only."
    )


def plane_caption(points: Sequence[BatchPoint], roi: str) -> str:
    """What the two panels are."""
    patients = len({point.case_id for point in points})
    return (
        f"{roi_label(roi)}: standardised features on two principal components, with their share of variance; "
        f"n = {counted(patients, 'patient')}. Click a point to see its images."
    )


def icc_answer(counts: Sequence[IccBesideCombat], threshold: float) -> str:
    """How many features are reproducible without and with ComBat; why fewer is no fault of it."""
    if not counts:
        return "The ICC after ComBat was not computed: it could not be fitted, or no region was perturbed."
    before, after = sum(count.before for count in counts), sum(count.after for count in counts)
    return (
        f"Over all regions and families the lower bound reaches {number(threshold)} **{before}** times without and "
        f"**{after}** times with ComBat on {counts[0].variable}. A batch that spreads patients apart lifts the ICC, so "
        "fewer after ComBat is the honest number."
    )


def selection_note(combat: bool, variable: str) -> str:
    """Whether the selection of this run harmonises."""
    if combat:
        return f"In this run the selection harmonises by {variable} inside each bootstrap."
    return "In this run nothing is harmonised: [batch] combat = true in study.toml does it inside each bootstrap."
