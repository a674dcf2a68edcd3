"""The design table of an image study: who is analysed, with which features, covariates and outcome, and who is not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.batches import batch_of
from engine.analyse.clinical_block import clinical_block
from engine.analyse.deep import with_embeddings
from engine.analyse.definitions import endpoint_counts
from engine.analyse.design import (
    FeatureBlock,
    Patients,
    Repeats,
    declared_plan,
    design_table,
    no_repeats,
)
from engine.analyse.endpoint import endpoint
from engine.analyse.flow import Admission, Inclusion, admission, inclusion_flow, outcome_flow
from engine.analyse.stack import FAMILIES, OK, Stack, stacks_by_roi
from engine.protocol import Batch, Covariates, Eligibility, Outcome, Plan
from store import records
from store.matrices import DesignTable
from store.records import (
    BASE_MASK,
    ROIS,
    STATUSES,
    Acquisition,
    AnalysisPlan,
    Cohort,
    Covariate,
    DeclinedError,
    Embedding,
    EmbeddingName,
    EndpointCount,
    FeatureMask,
    FeatureName,
    FeatureVector,
    FlowStep,
    Morphology,
    Overlap,
    PerturbedFeatureVector,
    PerturbedMask,
    Treatment,
)

SMALLEST_ROI_SHARE = 0.5  # an ROI that fewer of the measured cases have is left out, and the flow says so
TUMOUR_ROIS = ("intratumoural", "tumour")
Vectors = dict[tuple[str, str], FeatureVector]


@dataclass(frozen=True, slots=True)
class Tabulated:
    """Output of the table stage."""

    table: DesignTable
    flow: tuple[FlowStep, ...]
    definitions: tuple[EndpointCount, ...]
    plan: tuple[AnalysisPlan, ...]


def tabulate(  # noqa: PLR0913 - a stage's signature is its declaration: one parameter per artifact it reads
    vectors: Cohort[FeatureVector],
    perturbed: Cohort[PerturbedFeatureVector],
    masks: Cohort[PerturbedMask],
    names: tuple[FeatureName, ...],
    chosen: Cohort[FeatureMask],
    morphology: Cohort[Morphology],
    overlaps: Cohort[Overlap],
    covariates: tuple[Covariate, ...],
    outcomes: tuple[records.Outcome, ...],
    treatments: tuple[Treatment, ...],
    acquisitions: Cohort[Acquisition],
    embeddings: Cohort[Embedding],
    embedding_names: tuple[EmbeddingName, ...],
    choices: Covariates,
    outcome: Outcome,
    eligibility: Eligibility,
    batch: Batch,
    plan: Plan,
) -> Tabulated:
    """One row per eligible patient with features in every region used and an outcome; the flow of all the others.

    A region counts as used when at least half of the cases with any feature have it. Misses are cases whose automatic
    tumour mask has no component on the index lesion of an independent reference; a measured component that does not
    touch the reference is counted too. DeclinedError without an outcome or without features.
    """
    bases = {(case, v.roi): v for case, v in vectors if v.perturbation == BASE_MASK}
    admitted = admission(outcomes, treatments, outcome, eligibility)
    inclusion = _inclusion(bases, chosen, overlaps, admitted)
    rows = inclusion.analysed
    if not rows:
        raise DeclinedError(
            f"prognosis needs patients with features and an outcome: {len(inclusion.cases)} cases,"
            f" {len(inclusion.with_features)} with features, {len(admitted.endpoints.every)} with an outcome,"
            f" {len(admitted.left_out)} left out by the rules of eligibility and endpoint"
        )
    patients = Patients(
        rows,
        clinical_block(rows, covariates, choices),
        endpoint(rows, admitted.endpoints.every),
        outcome.horizon_days,
        tumour_volumes(rows, chosen, morphology),
        outcome.censored_by,
    )
    ordered = tuple(sorted(names, key=lambda name: name.place))
    block = _feature_block(rows, inclusion.used_rois, ordered, bases)
    stacks = stacks_by_roi(_only(vectors, rows), perturbed, masks)
    scanned = dict(acquisitions.rows)
    batches = tuple(batch_of(batch.variable, scanned[case], batch) for case in rows)
    table = replace(
        design_table(patients, block, _repeats(rows, inclusion.used_rois, stacks, len(ordered))), batches=batches
    )
    table = with_embeddings(table, inclusion.used_rois, embeddings, embedding_names)
    flow = inclusion_flow(inclusion, admitted) + outcome_flow(rows, admitted.endpoints, outcome.horizon_days)
    eligible = [case for case in inclusion.with_features if admitted.eligible(case)]
    return Tabulated(table, flow, endpoint_counts(eligible, outcomes, outcome), declared_plan(plan, outcome))


def _inclusion(
    bases: Vectors, chosen: Cohort[FeatureMask], overlaps: Cohort[Overlap], admitted: Admission
) -> Inclusion:
    cases = tuple(sorted({case for case, _ in bases} | {case for case, _ in chosen}))
    having = tuple((roi, tuple(case for case in cases if has_roi(bases, case, roi))) for roi in ROIS)
    most = len({case for _, own in having for case in own})
    used = tuple(roi for roi, own in having if own and len(own) >= SMALLEST_ROI_SHARE * most)
    with_features = tuple(case for case in cases if used and all(has_roi(bases, case, roi) for roi in used))
    missed = tuple(sorted({case for case, overlap in overlaps if is_miss(overlap)}))
    elsewhere = tuple(sorted({case for case, mask in chosen if is_elsewhere(mask)}))
    analysed = tuple(case for case in with_features if admitted.admits(case))
    return Inclusion(cases, missed, with_features, analysed, having, used, elsewhere)


def has_roi(bases: Vectors, case: str, roi: str) -> bool:
    """Whether a case has at least one usable feature in a region."""
    vector = bases.get((case, roi))
    return vector is not None and bool((vector.statuses == OK).any())


def is_miss(overlap: Overlap) -> bool:
    """Whether an overlap says that the automatic tumour mask missed the index lesion."""
    return overlap.structure == "tumour" and overlap.comparison == "agreement" and overlap.missed


def is_elsewhere(mask: FeatureMask) -> bool:
    """Whether the tumour mask that features are of does not touch the reference's index lesion."""
    return mask.structure == "tumour" and mask.overlaps_reference is False


def tumour_volumes(
    rows: tuple[str, ...], chosen: Cohort[FeatureMask], morphology: Cohort[Morphology]
) -> NDArray[np.float64]:
    """Volume in ml of the mask the features stand on, (n,), NaN where there is none."""
    source = {case: mask.mask_source for case, mask in chosen if mask.structure == "tumour"}
    volumes = {
        case: m.volume_ml for case, m in morphology if m.roi in TUMOUR_ROIS and m.mask_source == source.get(case)
    }
    return np.array([volumes.get(case, np.nan) for case in rows], dtype=np.float64)


def _only(vectors: Cohort[FeatureVector], rows: tuple[str, ...]) -> Cohort[FeatureVector]:
    chosen = set(rows)
    return Cohort(tuple((case, vector) for case, vector in vectors if case in chosen))


def _feature_block(
    rows: tuple[str, ...], rois: tuple[str, ...], names: tuple[FeatureName, ...], bases: Vectors
) -> FeatureBlock:
    """Columns of every used region side by side; NaN where the status says there is no value."""
    empty = (STATUSES.index("ok"), STATUSES.index("degenerate"))
    values = np.stack([np.concatenate([bases[case, roi].values for roi in rois]) for case in rows])
    statuses = np.stack([np.concatenate([bases[case, roi].statuses for roi in rois]) for case in rows])
    return FeatureBlock(
        rois=tuple(roi for roi in rois for _ in names),
        image_types=tuple(name.image_type for _ in rois for name in names),
        feature_classes=tuple(name.feature_class for _ in rois for name in names),
        features=tuple(name.feature for _ in rois for name in names),
        values=np.where(np.isin(statuses, empty), values, np.nan),
        statuses=statuses,
    )


def _repeats(rows: tuple[str, ...], rois: tuple[str, ...], stacks: dict[str, Stack], width: int) -> Repeats:
    """Stacks of the used regions on common patients and measurements; NaN where a region lacks one."""
    used = {roi: stacks[roi] for roi in rois if roi in stacks}
    if not used:
        return no_repeats(width * len(rois))
    cases = [case for case in rows if any(case in stack.case_ids for stack in used.values())]
    families = {n: f for s in used.values() for n, f in zip(s.perturbations, s.families, strict=True)}
    names = sorted(families, key=lambda name: (name != BASE_MASK, (*FAMILIES, "base").index(families[name]), name))
    values = np.full((len(cases), len(names), width * len(rois)), np.nan)
    for roi, stack in used.items():
        start = rois.index(roi) * width
        there = [cases.index(case) for case in stack.case_ids]
        place = [names.index(name) for name in stack.perturbations]
        values[np.ix_(there, place, range(start, start + width))] = stack.values
    numbers = np.array([rows.index(case) for case in cases], dtype=np.int32)
    return Repeats(numbers, tuple(families[name] for name in names), values)
