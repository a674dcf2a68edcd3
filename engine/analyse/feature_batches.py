"""Stage `batch`: what scanners and settings do to features, with and without ComBat, and if outcome hangs on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.batches import VARIABLES, batch_of
from engine.analyse.reproducibility import lower_bounds
from engine.analyse.stack import Stack, family_places, stacks_by_roi, usable_values
from engine.protocol import Batch
from engine.statistics.association import cramers_v
from engine.statistics.combat import Combat, fit_combat
from store.records import (
    BASE_MASK,
    ROIS,
    Acquisition,
    BatchIcc,
    BatchLevel,
    BatchOutcome,
    BatchPoint,
    BatchVariance,
    Cohort,
    DeclinedError,
    FeatureName,
    FeatureVector,
    Outcome,
    PerturbedFeatureVector,
    PerturbedMask,
)

Floats = NDArray[np.float64]
FEWEST_PATIENTS = 4


@dataclass(frozen=True, slots=True)
class BatchEffects:
    """Output of the batch stage."""

    levels: tuple[BatchLevel, ...]
    outcomes: tuple[BatchOutcome, ...]
    variances: tuple[BatchVariance, ...]
    points: tuple[BatchPoint, ...]
    iccs: tuple[BatchIcc, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Roi:
    """One ROI's base features: cases n, the usable columns q of the names, values (n, q)."""

    roi: str
    cases: tuple[str, ...]
    columns: NDArray[np.intp]
    values: Floats


def compare_batches(
    vectors: Cohort[FeatureVector],
    perturbed: Cohort[PerturbedFeatureVector],
    masks: Cohort[PerturbedMask],
    names: tuple[FeatureName, ...],
    acquisitions: Cohort[Acquisition],
    outcomes: tuple[Outcome, ...] | None,
    choices: Batch,
) -> BatchEffects:
    """Variance explained by each batch variable before and after ComBat, patients in the plane of most variance, ICC.

    Here ComBat is fitted on all patients, with nothing protected: a description, from which nothing is predicted; in
    the selection it is fitted inside each bootstrap. DeclinedError under four patients with features.
    """
    ordered = tuple(sorted(names, key=lambda name: name.place))
    rois = [found for roi in ROIS if (found := _roi(roi, vectors)) is not None]
    if not rois:
        raise DeclinedError(f"batch effects need {FEWEST_PATIENTS} patients with features")
    scanned = dict(acquisitions.rows)
    label = {outcome.case_id: outcome.dfs_label for outcome in outcomes or ()}
    levels: list[BatchLevel] = []
    associations, variances, points, iccs = [], [], [], []
    stacks = stacks_by_roi(vectors, perturbed, masks)
    for variable in VARIABLES:
        of_case = {case: batch_of(variable, own, choices) for case, own in scanned.items()}
        levels += _levels(variable, of_case, label)
        reason = refusal(tuple(of_case.values()), choices.smallest)
        associations.append(_association(variable, of_case, label, reason, choices))
        for roi in rois:
            batches = tuple(of_case[case] for case in roi.cases)
            own_reason = reason or refusal(batches, choices.smallest)
            combat = None if own_reason else fit_combat(roi.values, batches)
            variances += _variances(variable, roi, ordered, batches, combat)
            points += _points(variable, roi, batches, combat)
            if variable == choices.variable and combat is not None and roi.roi in stacks:
                iccs += _iccs(variable, roi, stacks[roi.roi], ordered, of_case, combat)
    return BatchEffects(tuple(levels), tuple(associations), tuple(variances), tuple(points), tuple(iccs))


def refusal(batches: tuple[str, ...], smallest: int) -> str:
    """Why ComBat may not be fitted on these patients; empty where it may."""
    counts = Counter(batches)
    if len(counts) < 2:
        return "all patients are of one batch"
    small = sorted(level for level, n in counts.items() if n < smallest)
    return f"fewer than {smallest} patients in: {', '.join(small)}" if small else ""


def _roi(roi: str, vectors: Cohort[FeatureVector]) -> _Roi | None:
    """Base features of one ROI without those that a patient lacks or that do not vary; None with too few patients."""
    bases = {case: usable_values(v) for case, v in vectors if v.roi == roi and v.perturbation == BASE_MASK}
    cases = tuple(sorted(case for case, values in bases.items() if np.isfinite(values).any()))
    if len(cases) < FEWEST_PATIENTS:
        return None
    values = np.stack([bases[case] for case in cases])
    known = np.isfinite(values).all(axis=0)
    varying = np.zeros(known.size, dtype=np.bool_)
    varying[known] = np.ptp(values[:, known], axis=0) > 0
    columns = np.flatnonzero(varying)
    return _Roi(roi, cases, columns, values[:, columns]) if columns.size else None


def _levels(variable: str, of_case: dict[str, str], label: dict[str, bool | None]) -> list[BatchLevel]:
    found = []
    for level in sorted(set(of_case.values())):
        own = [label.get(case) for case, batch in of_case.items() if batch == level]
        events = sum(value is True for value in own) if label else None
        found.append(BatchLevel(variable, level, len(own), events, sum(v is False for v in own) if label else None))
    return found


def _association(
    variable: str, of_case: dict[str, str], label: dict[str, bool | None], reason: str, choices: Batch
) -> BatchOutcome:
    pairs = [(batch, label[case]) for case, batch in of_case.items() if label.get(case) is not None]
    v = cramers_v([batch for batch, _ in pairs], [bool(value) for _, value in pairs]) if pairs else None
    confounded = v is not None and v > choices.confounded_v
    return BatchOutcome(variable, len(set(of_case.values())), len(pairs), v, confounded, not reason, reason)


def explained(values: Floats, batches: tuple[str, ...]) -> Floats:
    """Adjusted R2 (p,) of values (n, p) by batch; 0 for one batch or as many batches as patients."""
    levels = sorted(set(batches))
    n, b = len(batches), len(levels)
    if b < 2 or b >= n:
        return np.zeros(values.shape[1])
    place = np.array([levels.index(batch) for batch in batches])
    means = np.stack([values[place == level].mean(axis=0) for level in range(b)])
    within = ((values - means[place]) ** 2).sum(axis=0)
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 1.0 - (within / (n - b)) / (total / (n - 1)), 0.0)


def _variances(
    variable: str, roi: _Roi, names: tuple[FeatureName, ...], batches: tuple[str, ...], combat: Combat | None
) -> list[BatchVariance]:
    before = explained(roi.values, batches)
    after = None if combat is None else explained(combat.apply(roi.values, batches), batches)
    levels = len(set(batches))
    return [
        BatchVariance(
            variable,
            roi.roi,
            names[column].image_type,
            names[column].feature_class,
            names[column].feature,
            len(batches),
            levels,
            float(before[place]),
            None if after is None else float(after[place]),
        )
        for place, column in enumerate(roi.columns.tolist())
    ]


def _points(variable: str, roi: _Roi, batches: tuple[str, ...], combat: Combat | None) -> list[BatchPoint]:
    tables = [(False, roi.values)]
    if combat is not None:
        tables.append((True, combat.apply(roi.values, batches)))
    points = []
    for harmonised, values in tables:
        places, shares = principal_plane(values)
        points += [
            BatchPoint(
                case, variable, level, roi.roi, harmonised, float(places[row, 0]), float(places[row, 1]), *shares
            )
            for row, (case, level) in enumerate(zip(roi.cases, batches, strict=True))
        ]
    return points


def principal_plane(values: Floats) -> tuple[Floats, tuple[float, float]]:
    """Places (n, 2) of patients on the first two principal components of standardised features, and their shares.

    The sign of a component is such that its largest loading is positive.
    """
    spread = values.std(axis=0)
    standard = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    left, size, right = np.linalg.svd(standard, full_matrices=False)
    strongest = right[np.arange(2), np.abs(right[:2]).argmax(axis=1)]
    share = size[:2] ** 2 / (size**2).sum()
    return left[:, :2] * size[:2] * np.sign(strongest), (float(share[0]), float(share[1]))


def _iccs(
    variable: str,
    roi: _Roi,
    stack: Stack,
    names: tuple[FeatureName, ...],
    of_case: dict[str, str],
    combat: Combat,
) -> list[BatchIcc]:
    """Deciding lower bounds of the perturbed patients before and after; features without either are left out."""
    known = [row for row, case in enumerate(stack.case_ids) if case in roi.cases]
    own = [of_case[stack.case_ids[row]] for row in known]
    raw = stack.values[known][:, :, roi.columns]
    moved = combat.apply(raw, own)
    rows = []
    for family in dict.fromkeys(f for f in stack.families if f != "base"):
        places = family_places(stack.families, family)
        before, after = lower_bounds(raw[:, places], family), lower_bounds(moved[:, places], family)
        rows += [
            BatchIcc(
                variable,
                roi.roi,
                names[column].image_type,
                names[column].feature_class,
                names[column].feature,
                family,
                len(known),
                float(before[place]),
                float(after[place]),
            )
            for place, column in enumerate(roi.columns.tolist())
            if np.isfinite(before[place]) and np.isfinite(after[place])
        ]
    return rows
