"""The endpoint of each patient by the study's definition, and as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.protocol import Outcome as OutcomeChoices
from store.matrices import UNDETERMINED
from store.records import DeclinedError, Outcome

CENSORED, OWN, COMPETING = 0, 1, 2
LEFT_AS_IN_PAPER = "died without recurrence: left out as in the paper"
LEFT_UNDETERMINED = "censored before the horizon: left out (sensitivity)"


@dataclass(frozen=True, slots=True)
class CaseEndpoint:
    """Days to the event of the definition or to censoring, what happened then, and the label at the horizon.

    event: 0 censored, 1 the endpoint, 2 a competing death. label True: the endpoint happened by the horizon; False: it
    is known that it did not, a competing death by then included; None: undetermined, never "no event".
    """

    days: int | None
    event: int | None
    label: bool | None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoint of every case that has one, and of those whom the definition leaves out, why."""

    every: dict[str, CaseEndpoint]
    left_out: dict[str, str]

    @property
    def known(self) -> dict[str, CaseEndpoint]:
        """The endpoint of those who stay."""
        return {case: found for case, found in self.every.items() if case not in self.left_out}

    def events(self, case_ids: Iterable[str]) -> int:
        """How many of these cases had the endpoint by the horizon, those left out included."""
        return sum(case in self.every and self.every[case].label is True for case in case_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """days NaN and event -1 where unknown; label 1 event by the horizon, 0 free of it, -1 undetermined; all (n,)."""

    days: NDArray[np.float64]
    event: NDArray[np.int8]
    label: NDArray[np.int8]


def define_endpoints(outcomes: tuple[Outcome, ...], choices: OutcomeChoices) -> Endpoints:
    """The study's endpoint of all who have one; DeclinedError where recurrence cannot be told from death."""
    if choices.definition != "any-cause" and any(o.composite_only for o in outcomes):
        raise DeclinedError(
            f"the endpoint {choices.endpoint!r} needs recurrence and death apart, and this study has a composite only"
        )
    every: dict[str, CaseEndpoint] = {}
    left_out: dict[str, str] = {}
    for outcome in outcomes:
        if outcome.dfs_label is None and outcome.dfs_days is None:
            continue
        found = every[outcome.case_id] = case_endpoint(outcome, choices)
        if found.event == COMPETING and choices.definition == "paper-excluded":
            left_out[outcome.case_id] = LEFT_AS_IN_PAPER
        elif found.label is None and choices.undetermined == "exclude":
            left_out[outcome.case_id] = LEFT_UNDETERMINED
    return Endpoints(every, left_out)


def case_endpoint(outcome: Outcome, choices: OutcomeChoices) -> CaseEndpoint:
    """The endpoint of one patient. Recurrence and death on one day count as recurrence."""
    if choices.definition == "any-cause":
        event = None if outcome.dfs_event is None else int(outcome.dfs_event)
        return CaseEndpoint(outcome.dfs_days, event, outcome.dfs_label)
    days, event = _first(outcome)
    if event == COMPETING and choices.definition == "paper-censored":
        event = CENSORED
    return CaseEndpoint(days, event, _label(days, event, choices.horizon_days))


def _first(outcome: Outcome) -> tuple[int | None, int | None]:
    """Day and kind of what came first: recurrence, death without it, or censoring."""
    recurrence, death = outcome.recurrence_days, outcome.death_days
    if recurrence is not None and (death is None or recurrence <= death):
        return recurrence, OWN
    if death is not None:
        return death, COMPETING
    return outcome.dfs_days, None if outcome.dfs_days is None else CENSORED


def _label(days: int | None, event: int | None, horizon_days: int) -> bool | None:
    if days is None or event is None:
        return None
    if event == OWN and days <= horizon_days:
        return True
    return False if event == COMPETING or days >= horizon_days else None


def endpoint(case_ids: tuple[str, ...], known: dict[str, CaseEndpoint]) -> Endpoint:
    """The endpoint of these cases; each must be in `known`."""
    rows = [known[case] for case in case_ids]
    days = np.array([np.nan if o.days is None else float(o.days) for o in rows], dtype=np.float64)
    event = np.array([UNDETERMINED if o.event is None else o.event for o in rows], dtype=np.int8)
    label = np.array([UNDETERMINED if o.label is None else int(o.label) for o in rows], dtype=np.int8)
    return Endpoint(days, event, label)
