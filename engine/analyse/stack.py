"""Base and perturbed features side by side: patients x measurements x features of one ROI, aligned by perturbation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.protocol import Reproducibility
from store.records import BASE_MASK, STATUSES, Cohort, FeatureVector, PerturbedFeatureVector, PerturbedMask

Floats = NDArray[np.float64]
OK = STATUSES.index("ok")
DEGENERATE = STATUSES.index("degenerate")
FAMILIES = ("random", "fixed", "resampling", "readers")
FEWEST_PATIENTS = 3
COMMON_SHARE = 0.5  # a perturbation counts when it was tested in at least half of the perturbed patients


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """One ROI: values (patients m, 1 + perturbations, features p), the base mask first, NaN where not usable.

    degenerate (p,) marks features that are a single grey level in any base mask of these patients. families[i] belongs
    to measurement i and is `base` for the first.
    """

    roi: str
    case_ids: tuple[str, ...]
    perturbations: tuple[str, ...]
    families: tuple[str, ...]
    values: Floats
    degenerate: NDArray[np.bool_]


def usable_values(vector: FeatureVector) -> Floats:
    """Values (p,) of a vector with NaN wherever the status is not ok: a degenerate value never enters an ICC."""
    return np.where(vector.statuses == OK, vector.values, np.nan)


def stacks_by_roi(
    base: Cohort[FeatureVector], perturbed: Cohort[PerturbedFeatureVector], masks: Cohort[PerturbedMask]
) -> dict[str, Stack]:
    """One stack per ROI that has a tested perturbation in a patient with a base vector."""
    families = {(case, m.roi, m.perturbation): m.family for case, m in masks if m.tested}
    found: dict[str, dict[str, dict[str, FeatureVector]]] = defaultdict(lambda: defaultdict(dict))
    for case, vector in perturbed:
        if (case, vector.roi, vector.perturbation) in families:
            found[vector.roi][case][vector.perturbation] = vector
    bases = {(case, v.roi): v for case, v in base if v.perturbation == BASE_MASK}
    stacks = {}
    for roi, cases in found.items():
        known = {case: own for case, own in cases.items() if (case, roi) in bases}
        if known:
            of_name = {name: family for (_, own, name), family in families.items() if own == roi}
            stacks[roi] = _stack(roi, {c: bases[c, roi] for c in known}, known, of_name)
    return stacks


def _stack(
    roi: str, bases: dict[str, FeatureVector], found: dict[str, dict[str, FeatureVector]], family_of: dict[str, str]
) -> Stack:
    cases = tuple(sorted(found))
    counts = {name: sum(name in own for own in found.values()) for name in sorted(family_of)}
    names = tuple(name for name, count in counts.items() if count >= COMMON_SHARE * len(cases))
    width = len(bases[cases[0]].values)
    values = np.full((len(cases), 1 + len(names), width), np.nan)
    for row, case in enumerate(cases):
        values[row, 0] = usable_values(bases[case])
        for place, name in enumerate(names):
            if name in found[case]:
                values[row, 1 + place] = usable_values(found[case][name])
    degenerate = np.any([bases[case].statuses == DEGENERATE for case in cases], axis=0)
    return Stack(roi, cases, (BASE_MASK, *names), ("base", *(family_of[n] for n in names)), values, degenerate)


def family_places(families: tuple[str, ...], family: str) -> list[int]:
    """Places of the base measurement and of one family along the second axis of a stack."""
    return [place for place, own in enumerate(families) if own in ("base", family)]


def declared_families(families: tuple[str, ...], rules: Reproducibility) -> tuple[str, ...]:
    """The families present that a feature must pass by the protocol, in the order of FAMILIES."""
    return tuple(family for family in FAMILIES if family in families and family in rules.families)


def complete_patterns(values: Floats) -> list[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
    """Features grouped by which patients are complete: pairs of (patients m,) and the feature columns that share it."""
    complete = np.isfinite(values).all(axis=1)
    patterns, member = np.unique(complete, axis=1, return_inverse=True)
    member = member.reshape(-1)
    return [(patterns[:, i], np.flatnonzero(member == i)) for i in range(patterns.shape[1])]
