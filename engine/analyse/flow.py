"""The inclusion flow: from the cases of the study to the analysed patients, each branch with its events."""

from __future__ import annotations

from dataclasses import dataclass

from engine.analyse.eligibility import Rule, judged, who_leaves
from engine.analyse.endpoint import COMPETING, Endpoints, define_endpoints
from engine.protocol import Eligibility
from engine.protocol import Outcome as OutcomeChoices
from store.records import FlowStep, Outcome, Treatment

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


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may be analysed as far as outcome and treatment go: endpoints, the rules, and why the others leave."""

    endpoints: Endpoints
    rules: tuple[Rule, ...]
    left_out: dict[str, str]

    def admits(self, case_id: str) -> bool:
        """Whether a case has an outcome of the study's definition and no rule sends it away."""
        return case_id in self.endpoints.every and case_id not in self.left_out

    def eligible(self, case_id: str) -> bool:
        """Whether no rule of treatment or scan sends a case away, whatever the endpoint's definition says."""
        return not any(rule.leave and case_id in rule.cases for rule in self.rules)


def admission(
    outcomes: tuple[Outcome, ...], treatments: tuple[Treatment, ...], choices: OutcomeChoices, eligibility: Eligibility
) -> Admission:
    """Endpoints by the study's definition and the rules of eligibility, of which the first that holds counts."""
    endpoints = define_endpoints(outcomes, choices)
    rules = judged(treatments, outcomes, eligibility)
    return Admission(endpoints, rules, {**endpoints.left_out, **who_leaves(rules)})


def inclusion_flow(inclusion: Inclusion, admitted: Admission) -> tuple[FlowStep, ...]:
    """The boxes of the inclusion flow; events count patients with the endpoint by the horizon."""
    boxes = [(TOP, "", inclusion.cases)]
    if inclusion.missed:
        boxes.append(("missed by the automatic segmentation", TOP, inclusion.missed))
    if inclusion.elsewhere:
        boxes.append((ELSEWHERE, TOP, inclusion.elsewhere))
    for roi, cases in inclusion.rois:
        note = "" if roi in inclusion.used_rois else " (region not used: fewer than half have it)"
        boxes.append((f"with {roi.replace('_', ' ')} features{note}", TOP, cases))
    without = tuple(case for case in inclusion.cases if case not in set(inclusion.with_features))
    undocumented = tuple(case for case in inclusion.with_features if case not in admitted.endpoints.every)
    boxes += [
        ("without features in every region used", TOP, without),
        (WITH_FEATURES, TOP, inclusion.with_features),
        ("without an outcome", WITH_FEATURES, undocumented),
        *_departures(inclusion, admitted),
        (ANALYSED, WITH_FEATURES, inclusion.analysed),
        *_noted(inclusion, admitted),
    ]
    return tuple(
        FlowStep("inclusion", place, label, parent, len(cases), admitted.endpoints.events(cases))
        for place, (label, parent, cases) in enumerate(boxes)
    )


def _departures(inclusion: Inclusion, admitted: Admission) -> list[tuple[str, str, tuple[str, ...]]]:
    """A box for every rule that sends patients away, empty ones too, and for what the endpoint leaves out."""
    leaving = {case: admitted.left_out[case] for case in inclusion.with_features if case in admitted.left_out}
    ruled = {rule.label: f"{rule.label}: left out{_unknown(rule)}" for rule in admitted.rules if rule.leave}
    labels = [*ruled, *dict.fromkeys(label for label in leaving.values() if label not in ruled)]
    return [
        (ruled.get(label, label), WITH_FEATURES, tuple(case for case, why in leaving.items() if why == label))
        for label in labels
    ]


def _noted(inclusion: Inclusion, admitted: Admission) -> list[tuple[str, str, tuple[str, ...]]]:
    """A box beneath the analysed for every rule that is counted and sends nobody away."""
    analysed = set(inclusion.analysed)
    return [
        (
            f"of them {rule.label}: kept{_unknown(rule)}",
            ANALYSED,
            tuple(case for case in rule.cases if case in analysed),
        )
        for rule in admitted.rules
        if not rule.leave
    ]


def _unknown(rule: Rule) -> str:
    return f" (unknown in {rule.unknown}: kept)" if rule.unknown else ""


def outcome_flow(case_ids: tuple[str, ...], endpoints: Endpoints, horizon_days: int) -> tuple[FlowStep, ...]:
    """Analysed patients split into event, competing death, free of both and undetermined (never "no event")."""
    top = f"analysed at {horizon_days} days"
    ends = [endpoints.every[case] for case in case_ids]
    labels = [end.label for end in ends]
    first = sum(
        e.event == COMPETING and e.label is False and e.days is not None and e.days <= horizon_days for e in ends
    )
    events, free = labels.count(True), labels.count(False) - first
    boxes: list[tuple[str, int, int | None]] = [("event by the horizon", events, events)]
    if any(end.event == COMPETING for end in ends):
        boxes.append(("died first by the horizon (competing, without the event)", first, 0))
    boxes.append(("free of event at the horizon", free, 0))
    boxes.append(("undetermined (censored before the horizon)", labels.count(None), None))
    return (
        FlowStep("outcome", 0, top, "", len(labels), events),
        *(FlowStep("outcome", place, label, top, n, e) for place, (label, n, e) in enumerate(boxes, start=1)),
    )
