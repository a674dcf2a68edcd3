"""The inclusion flow: from the cases of the study to the analysed patients, each branch with its events."""

from __future__ import annotations

from dataclasses import dataclass

from store.records import FlowStep, Outcome

TOP = "cases of the study"
ELSEWHERE = "measured component does not touch the reference"
WITH_FEATURES = "with features in every region used"
ANALYSED = "with an outcome (analysed)"


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Case ids of every box of the inclusion flow.

    missed: the automatic tumour segmentation has no component on the reference; elsewhere: the component that features
    are of does not touch the reference, though another may.
    """

    cases: tuple[str, ...]
    missed: tuple[str, ...]
    with_features: tuple[str, ...]
    analysed: tuple[str, ...]
    rois: tuple[tuple[str, tuple[str, ...]], ...]  # ROI, cases that have it
    used_rois: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()


def inclusion_flow(inclusion: Inclusion, outcomes: tuple[Outcome, ...]) -> tuple[FlowStep, ...]:
    """The boxes of the inclusion flow; events count patients with the event by the horizon."""
    boxes = [(TOP, "", inclusion.cases)]
    if inclusion.missed:
        boxes.append(("missed by the automatic segmentation", TOP, inclusion.missed))
    if inclusion.elsewhere:
        boxes.append((ELSEWHERE, TOP, inclusion.elsewhere))
    for roi, cases in inclusion.rois:
        note = "" if roi in inclusion.used_rois else " (region not used: fewer than half have it)"
        boxes.append((f"with {roi.replace('_', ' ')} features{note}", TOP, cases))
    without = tuple(case for case in inclusion.cases if case not in set(inclusion.with_features))
    undocumented = tuple(case for case in inclusion.with_features if case not in set(inclusion.analysed))
    boxes += [
        ("without features in every region used", TOP, without),
        (WITH_FEATURES, TOP, inclusion.with_features),
        ("without an outcome", WITH_FEATURES, undocumented),
        (ANALYSED, WITH_FEATURES, inclusion.analysed),
    ]
    return tuple(
        FlowStep("inclusion", place, label, parent, len(cases), count_events(cases, outcomes))
        for place, (label, parent, cases) in enumerate(boxes)
    )


def count_events(case_ids: tuple[str, ...], outcomes: tuple[Outcome, ...]) -> int:
    """How many of these cases had the event by the horizon."""
    chosen = set(case_ids)
    return sum(o.case_id in chosen and o.dfs_label is True for o in outcomes)


def outcome_flow(case_ids: tuple[str, ...], known: dict[str, Outcome], horizon_days: int) -> tuple[FlowStep, ...]:
    """Analysed patients split into event, free of it and undetermined at the horizon (never "no event")."""
    top = f"analysed at {horizon_days} days"
    labels = [known[case].dfs_label for case in case_ids]
    events, free = labels.count(True), labels.count(False)
    return (
        FlowStep("outcome", 0, top, "", len(labels), events),
        FlowStep("outcome", 1, "event by the horizon", top, events, events),
        FlowStep("outcome", 2, "free of event at the horizon", top, free, 0),
        FlowStep("outcome", 3, "undetermined (censored before the horizon)", top, labels.count(None), None),
    )
