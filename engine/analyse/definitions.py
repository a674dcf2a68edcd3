"""What each definition of the endpoint makes of the same patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.analyse.endpoint import CENSORED, COMPETING, CaseEndpoint, define_endpoints
from engine.protocol import ENDPOINTS
from engine.protocol import Outcome as OutcomeChoices
from engine.statistics.cumulative_incidence import cumulative_incidence, incidence_at
from store.records import EndpointCount, Outcome


def endpoint_counts(
    case_ids: Sequence[str], outcomes: tuple[Outcome, ...], choices: OutcomeChoices
) -> tuple[EndpointCount, ...]:
    """Counts at the horizon and Aalen-Johansen risk of every definition, over these cases.

    Only the study's own one where recurrence and death are not told apart.
    """
    own = [outcome for outcome in outcomes if outcome.case_id in set(case_ids)]
    apart = choices.kind == "columns" and not any(outcome.composite_only for outcome in own)
    names = tuple(ENDPOINTS) if apart else (choices.definition,)
    return tuple(_count(name, tuple(own), choices) for name in names)


def _count(name: str, outcomes: tuple[Outcome, ...], choices: OutcomeChoices) -> EndpointCount:
    chosen = name == choices.definition
    endpoint = choices.endpoint if chosen else ENDPOINTS[name]
    found = define_endpoints(outcomes, choices.model_copy(update={"definition": name}))
    ends = list(found.known.values())
    labels = [end.label for end in ends]
    first = sum(_died_first(end, choices.horizon_days) for end in ends)
    risk, lo, hi = _risk(ends, choices.horizon_days)
    return EndpointCount(
        definition=name,
        endpoint=endpoint,
        chosen=chosen,
        n=len(ends),
        events=labels.count(True),
        competing=first,
        free=labels.count(False) - first,
        undetermined=labels.count(None),
        left_out=len(found.left_out),
        risk=risk,
        lo=lo,
        hi=hi,
    )


def _died_first(end: CaseEndpoint, horizon_days: int) -> bool:
    return end.event == COMPETING and end.days is not None and end.days <= horizon_days


def _risk(ends: list[CaseEndpoint], horizon_days: int) -> tuple[float | None, float | None, float | None]:
    timed = [(end.days, end.event) for end in ends if end.days is not None and end.event is not None]
    if not timed or all(event == CENSORED for _, event in timed):
        return None, None, None
    days, causes = (np.array(column) for column in zip(*timed, strict=True))
    curve = cumulative_incidence(days, causes, 1)
    place = int(np.searchsorted(curve.times, horizon_days, side="right")) - 1
    if place < 0:
        return 0.0, 0.0, 0.0
    return float(incidence_at(curve, [horizon_days])[0]), float(curve.lower[place]), float(curve.upper[place])
