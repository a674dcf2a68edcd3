"""Reproducibility of every feature under perturbation: ICC per ROI and family, classes on the lower 95 % bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.analyse.stack import (
    FAMILIES,
    FEWEST_PATIENTS,
    Stack,
    complete_patterns,
    declared_families,
    family_places,
    stacks_by_roi,
)
from engine.protocol import Reproducibility
from engine.statistics.icc import Coefficient, Icc, icc, icc_lower
from engine.statistics.repeatability import repeatability
from store.records import (
    ROIS,
    Cohort,
    FeatureName,
    FeatureVector,
    IccEstimate,
    PerturbationEffect,
    PerturbedFeatureVector,
    PerturbedMask,
)

Floats = NDArray[np.float64]
COLUMNS = ("icc11", "icc11_lo", "icc11_hi", "icc21", "icc21_lo", "icc21_hi", "icc31", "icc31_lo", "icc31_hi")


@dataclass(frozen=True, slots=True)
class Reproduced:
    """Output of the reproducibility stage: each feature in each family, and what each perturbation does by itself."""

    estimates: tuple[IccEstimate, ...]
    effects: tuple[PerturbationEffect, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FamilyIcc:
    """ICCs of p features in one family: numbers (p, 9) in the order of COLUMNS, NaN where there is none."""

    numbers: Floats
    rank: Floats
    trimmed: Floats
    within_cv: Floats
    repeatability: Floats
    patients: NDArray[np.intp]
    measurements: int

    def lower(self, family: str) -> Floats:
        """Lower bound that decides (p,): (1,1) for random perturbations, (2,1) where a setting is the same for all."""
        return self.numbers[:, 1 if family == "random" else 4]

    def estimate(self, family: str) -> Floats:
        """Point estimate (p,) of the form that decides."""
        return self.numbers[:, 0 if family == "random" else 3]


def reproduce(
    base: Cohort[FeatureVector],
    perturbed: Cohort[PerturbedFeatureVector],
    masks: Cohort[PerturbedMask],
    names: tuple[FeatureName, ...],
    rules: Reproducibility,
) -> Reproduced:
    """ICC of every feature, one row a feature, ROI and family of perturbations, and what each perturbation does.

    Random perturbations are read by ICC(1,1), fixed settings, resampling and readers by ICC(2,1); (3,1) is only shown.
    A feature survives when the lower 95 % bound reaches the threshold in every family that the protocol declares and
    that was tested; with none of those it does not. Features that are constant, or a single grey level in more patients
    than leave three, are `constant`; ROIs whose masks hardly changed are `not_tested`.
    """
    stacks = stacks_by_roi(base, perturbed, masks)
    seen = {mask.family for _, mask in masks}
    present = tuple(family for family in FAMILIES if family in seen) or ("random",)
    ordered = tuple(sorted(names, key=lambda name: name.place))
    rois = [roi for roi in ROIS if any(vector.roi == roi for _, vector in base)]
    rows: list[IccEstimate] = []
    effects: list[PerturbationEffect] = []
    for roi in rois:
        rows += roi_rows(roi, stacks.get(roi), ordered, present, rules)
        effects += perturbation_effects(stacks.get(roi), [m for _, m in masks if m.roi == roi], rules)
    return Reproduced(tuple(rows), tuple(effects))


def roi_rows(
    roi: str,
    stack: Stack | None,
    names: tuple[FeatureName, ...],
    present: tuple[str, ...],
    rules: Reproducibility,
) -> list[IccEstimate]:
    """Rows of one ROI: every feature in each family present in the study."""
    found = {family: _family(stack, family, len(names), rules) for family in present}
    degenerate = stack.degenerate if stack is not None else np.zeros(len(names), dtype=np.bool_)
    declared = declared_families(present, rules)
    passed = [found[family].lower(family) >= rules.threshold for family in declared]
    survives = np.all(passed, axis=0) if passed else np.zeros(len(names), dtype=np.bool_)
    rows = []
    for family in present:
        classes = _classes(found[family], family, degenerate, rules)
        flags = disagreement(found[family], family, rules)
        rows += [
            _row(roi, name, (family, family in declared), found[family], verdict)
            for name, verdict in zip(names, zip(classes, flags.tolist(), survives.tolist(), strict=True), strict=True)
        ]
    return rows


def _row(
    roi: str, name: FeatureName, family: tuple[str, bool], found: FamilyIcc, verdict: tuple[str, bool, bool]
) -> IccEstimate:
    """One feature in one (family, whether declared) with its verdict: class, disagreement, survival."""
    place = name.place
    numbers = {column: _or_none(found.numbers[place, i]) for i, column in enumerate(COLUMNS)}
    return IccEstimate(
        roi=roi,
        image_type=name.image_type,
        feature_class=name.feature_class,
        feature=name.feature,
        family=family[0],
        n=int(found.patients[place]),
        k=found.measurements,
        **numbers,
        icc_rank=_or_none(found.rank[place]),
        icc_trimmed=_or_none(found.trimmed[place]),
        disagreement=verdict[1],
        icc_class=verdict[0],
        survives=verdict[2],
        within_cv=_or_none(found.within_cv[place]),
        repeatability=_or_none(found.repeatability[place]),
        declared=family[1],
    )


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _family(stack: Stack | None, family: str, width: int, rules: Reproducibility) -> FamilyIcc:
    """ICCs of one family; all NaN without a tested perturbation of it."""
    if stack is None or family not in stack.families:
        blank = np.full(width, np.nan)
        return FamilyIcc(np.full((width, 9), np.nan), blank, blank, blank, blank, np.zeros(width, np.intp), 0)
    return family_icc(stack.values[:, family_places(stack.families, family)], family, rules.trimmed_share)


def family_icc(values: Floats, family: str, trimmed_share: float = Reproducibility().trimmed_share) -> FamilyIcc:
    """ICCs of values (patients, measurements, features) by complete patients; NaN with fewer than three of them."""
    width = values.shape[2]
    numbers = np.full((width, 9), np.nan)
    rank, trimmed, share, coefficient = (np.full(width, np.nan) for _ in range(4))
    patients = np.zeros(width, np.intp)
    for complete, columns in complete_patterns(values):
        patients[columns] = complete.sum()
        if complete.sum() < FEWEST_PATIENTS:
            continue
        part = values[complete][:, :, columns]
        numbers[columns] = _numbers(icc(part))
        rank[columns] = _deciding(icc(_ranked(part)), family).estimate
        within = repeatability(part)
        share[columns], coefficient[columns] = within.within_cv, within.coefficient
        kept = _without_extremes(part, trimmed_share)
        if kept.shape[0] >= FEWEST_PATIENTS:
            trimmed[columns] = _deciding(icc(kept), family).estimate
    return FamilyIcc(numbers, rank, trimmed, share, coefficient, patients, values.shape[1])


def perturbation_effects(
    stack: Stack | None, masks: list[PerturbedMask], rules: Reproducibility
) -> list[PerturbationEffect]:
    """What each perturbation of one ROI does by itself: its masks, and the ICC of base and perturbed values alone."""
    effects = []
    for name in dict.fromkeys(mask.perturbation for mask in masks):
        own = [mask for mask in masks if mask.perturbation == name]
        lower, estimate, patients = np.zeros(0), np.zeros(0), 0
        if stack is not None and name in stack.perturbations:
            pair = stack.values[:, [0, stack.perturbations.index(name)]]
            found = family_icc(pair, own[0].family)
            tested = np.isfinite(found.lower(own[0].family))
            lower, estimate = found.lower(own[0].family)[tested], found.estimate(own[0].family)[tested]
            patients = int(found.patients.max(initial=0))
        dsc = [mask.dsc for mask in own if mask.dsc is not None]
        change = [mask.volume_change_percent for mask in own if mask.volume_change_percent is not None]
        effects.append(
            PerturbationEffect(
                roi=own[0].roi,
                perturbation=name,
                family=own[0].family,
                method=own[0].method,
                n=patients,
                features=lower.size,
                below=int((lower < rules.threshold).sum()),
                median_icc=float(np.median(estimate)) if estimate.size else None,
                dsc_median=float(np.median(dsc)) if dsc else None,
                dsc_lowest=min(dsc) if dsc else None,
                volume_change_median_percent=float(np.median(change)) if change else None,
                implausible=sum(not mask.plausible for mask in own),
            )
        )
    return effects


def _numbers(result: Icc) -> Floats:
    forms = (result.one_way, result.agreement, result.consistency)
    return np.column_stack([part for form in forms for part in (form.estimate, form.lower, form.upper)])


def _deciding(result: Icc, family: str) -> Coefficient:
    return result.one_way if family == "random" else result.agreement


def lower_bounds(values: Floats, family: str) -> Floats:
    """Deciding lower 95 % bound (p,) of values (patients, measurements, features); NaN where there is none."""
    found = np.full(values.shape[2], np.nan)
    for complete, columns in complete_patterns(values):
        if complete.sum() >= FEWEST_PATIENTS:
            own = values[complete][:, :, columns]
            found[columns] = icc_lower(own, "one_way" if family == "random" else "agreement")
    return found


def _ranked(values: Floats) -> Floats:
    """Values replaced by their rank among all measurements of all patients, feature by feature."""
    n, k, p = values.shape
    return np.asarray(rankdata(values.reshape(n * k, p), axis=0), dtype=np.float64).reshape(n, k, p)


def _without_extremes(values: Floats, share: float) -> Floats:
    """Without this share (at least one) of patients whose mean lies farthest from the median, feature by feature."""
    n = values.shape[0]
    means = values.mean(axis=1)
    order = np.argsort(np.abs(means - np.median(means, axis=0)), axis=0, kind="stable")
    kept = order[: n - int(max(1.0, np.ceil(share * n)))]
    return np.take_along_axis(values, kept[:, None, :], axis=0)


def disagreement(found: FamilyIcc, family: str, rules: Reproducibility) -> NDArray[np.bool_]:
    """Whether rank or trimmed ICC lie farther from the ICC than the protocol allows, (p,)."""
    plain = found.estimate(family)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (np.abs(found.rank - plain) > rules.disagreement) | (np.abs(found.trimmed - plain) > rules.disagreement)
        )


def _classes(found: FamilyIcc, family: str, degenerate: NDArray[np.bool_], rules: Reproducibility) -> list[str]:
    """Class of every feature by its lower bound; constant where nothing varies, not_tested where nothing moved."""
    names = np.array(["poor", "moderate", "good", "excellent"])
    lower = found.lower(family)
    placed = names[np.digitize(np.nan_to_num(lower, nan=-1.0), (rules.poor, rules.good, rules.excellent))]
    empty = "not_tested" if found.measurements < 2 else "constant"
    unknown = np.where(degenerate | (found.patients >= FEWEST_PATIENTS), empty, "not_tested")
    return [str(name) for name in np.where(np.isfinite(lower), placed, unknown)]
