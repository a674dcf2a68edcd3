"""Who leaves before the analysis for treatment, early death or an old scan, and who stays although he might not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.protocol import Eligibility
from store.records import Outcome, Treatment

Judge = Callable[[Treatment, Outcome], bool | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule applied: its label, the cases it holds for, in how many it is unknown, whether they leave."""

    label: str
    cases: tuple[str, ...]
    unknown: int
    leave: bool


def judged(treatments: tuple[Treatment, ...], outcomes: tuple[Outcome, ...], choices: Eligibility) -> tuple[Rule, ...]:
    """Every rule on every patient with a clinical row, in the order in which they are applied.

    Rules whose column the study does not declare are not returned: nothing can be said of them.
    """
    of_case = {outcome.case_id: outcome for outcome in outcomes}
    pairs = [(t, of_case[t.case_id]) for t in treatments if t.case_id in of_case]
    return tuple(_applied(label, pairs, judge, rule) for label, judge, rule in _rules(choices))


def _rules(choices: Eligibility) -> list[tuple[str, Judge, str]]:
    longest, strict, early = choices.longest_scan_days, choices.strict_scan_days, choices.early_death_days
    found: list[tuple[str, Judge, str]] = []
    if choices.neoadjuvant:
        found.append(("neoadjuvant treatment", lambda t, _: t.neoadjuvant, choices.neoadjuvant_rule))
    if choices.margins:
        found.append(("involved margins", lambda t, _: t.margins_involved, choices.margins_rule))
    if choices.scan_days:
        found.append(("scanned after time zero", lambda t, _: _before(t, lambda d: d < 0), choices.scan_rule))
        label = f"scanned more than {longest} days before time zero"
        found.append((label, lambda t, _: _before(t, lambda d: d > longest), choices.scan_rule))
        label = f"scanned {strict + 1} to {longest} days before time zero"
        found.append((label, lambda t, _: _before(t, lambda d: strict < d <= longest), "keep"))
    found.append((f"died within {early} days", lambda _, o: _died_early(o, early), choices.early_death_rule))
    if choices.adjuvant:
        found.append(("adjuvant treatment", lambda t, _: t.adjuvant, choices.adjuvant_rule))
    return found


def _before(treatment: Treatment, law: Callable[[int], bool]) -> bool | None:
    return None if treatment.scan_days_before is None else law(treatment.scan_days_before)


def _died_early(outcome: Outcome, days: int) -> bool | None:
    """None where the study knows a composite only: nobody can tell then who died."""
    if outcome.composite_only:
        return None
    return outcome.death_days is not None and outcome.death_days <= days


def _applied(label: str, pairs: list[tuple[Treatment, Outcome]], judge: Judge, rule: str) -> Rule:
    said = [(treatment.case_id, judge(treatment, outcome)) for treatment, outcome in pairs]
    held = tuple(case for case, holds in said if holds)
    return Rule(label, held, sum(holds is None for _, holds in said), rule == "exclude")


def who_leaves(rules: tuple[Rule, ...]) -> dict[str, str]:
    """The first rule for which each patient leaves, by case."""
    found: dict[str, str] = {}
    for rule in rules:
        if rule.leave:
            for case in rule.cases:
                found.setdefault(case, rule.label)
    return found
