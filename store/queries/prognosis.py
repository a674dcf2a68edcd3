"""Questions about selection, discrimination, calibration and survival."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import (
    MODELS,
    BlockTest,
    CalibrationBin,
    CalibrationPoint,
    Comparison,
    CoxTerm,
    DecisionPoint,
    EndpointCount,
    IncidencePoint,
    ModelSummary,
    Performance,
    PermutedAuc,
    RocPoint,
    SampleSizeNeed,
    SelectionSize,
    Stability,
    Subgroup,
    SurvivalPoint,
)
from store.snapshot import Snapshot


def selection_size(snapshot: Snapshot, run_id: str) -> SelectionSize | None:
    """What the selection started from and how many features it may keep; None before it began."""
    found = ask_record(snapshot, SelectionSize, "selection_size", run_id, "patients")
    return found[0] if found else None


def stability(snapshot: Snapshot, run_id: str) -> tuple[Stability, ...]:
    """Stability of both steps with interval."""
    return ask_record(snapshot, Stability, "stability", run_id, "step")


@dataclass(frozen=True, slots=True)
class KeptShare:
    """How many of all kept selections fell on one ROI and image type."""

    roi: str
    image_type: str
    kept: int
    share: float


KEPT_SHARES = """
SELECT roi, image_type, CAST(sum(kept_count) AS INTEGER) AS kept,
  sum(kept_count) / greatest(sum(sum(kept_count)) OVER (), 1) AS share
FROM selection_frequency WHERE run_id = ? GROUP BY roi, image_type ORDER BY roi, image_type
"""


def kept_shares(snapshot: Snapshot, run_id: str) -> tuple[KeptShare, ...]:
    """Share of all kept selections by ROI and image type."""
    return ask(snapshot, KeptShare, KEPT_SHARES, (run_id,))


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """Mean AUC of one model over permutations of the outcomes, with the least and the greatest of them."""

    run_id: str
    model: str
    evaluation: str
    auc: float
    lowest: float
    highest: float
    repeats: int
    resamples: int


SELF_TEST = """
WITH latest AS (SELECT r.run_id FROM run r JOIN permuted_auc p USING (run_id) ORDER BY r.place DESC LIMIT 1)
SELECT run_id, model, evaluation, avg(auc) AS auc, min(auc) AS lowest, max(auc) AS highest,
  CAST(count(*) AS INTEGER) AS repeats, CAST(min(resamples) AS INTEGER) AS resamples
FROM permuted_auc JOIN latest USING (run_id) GROUP BY run_id, model, evaluation ORDER BY evaluation DESC, model
"""


def self_test(snapshot: Snapshot) -> tuple[SelfTestResult, ...]:
    """The latest self-test of the study, empty when there was none."""
    return ask(snapshot, SelfTestResult, SELF_TEST)


@dataclass(frozen=True, slots=True)
class DetectionRate:
    """How often a planted gain was called one, over the plantings of the latest run that planted any."""

    gain: float
    repeats: int
    claimed: float
    too_small: float
    difference: float
    covered: float
    base_auc: float


DETECTION = """
WITH latest AS (SELECT r.run_id FROM run r JOIN planted_claim p USING (run_id) WHERE r.run_id = $run OR EXISTS (
  SELECT 1 FROM placement a JOIN placement b USING (stage, key)
  WHERE stage = 'candidates' AND a.run_id = r.run_id AND b.run_id = $run) ORDER BY r.place DESC LIMIT 1)
SELECT gain, CAST(count(*) AS INTEGER) AS repeats, avg(CAST(adds AS INTEGER)) AS claimed,
  avg(CAST(sentence = 'too small to tell' AS INTEGER)) AS too_small, avg(difference) AS difference,
  avg(CAST(gain BETWEEN spread_lo AND spread_hi AS INTEGER)) AS covered, avg(base_auc) AS base_auc
FROM planted_claim JOIN latest USING (run_id) GROUP BY gain ORDER BY gain
"""


def detection_rates(snapshot: Snapshot, run_id: str) -> tuple[DetectionRate, ...]:
    """The latest gains planted in a run's own patients, outcomes and candidates; empty when there were none."""
    return tuple(DetectionRate(**row) for row in snapshot.table(DETECTION, {"run": run_id}).to_pylist())


def permuted_aucs(snapshot: Snapshot, run_id: str) -> tuple[PermutedAuc, ...]:
    """Every permutation of one self-test."""
    return ask_record(snapshot, PermutedAuc, "permuted_auc", run_id, "evaluation, model, repeat")


def model_summaries(snapshot: Snapshot, run_id: str) -> tuple[ModelSummary, ...]:
    """Every arm of the comparison, in the order of MODELS."""
    found = ask_record(snapshot, ModelSummary, "model_summary", run_id, "model")
    return tuple(sorted(found, key=lambda row: MODELS.index(row.model) if row.model in MODELS else len(MODELS)))


def comparisons(snapshot: Snapshot, run_id: str) -> tuple[Comparison, ...]:
    """Every pair of arms that was compared, against clinical + volume first."""
    order = "base <> 'clinical_volume', base <> 'clinical', base, extended"
    return ask_record(snapshot, Comparison, "comparison", run_id, order)


def roc_points(snapshot: Snapshot, run_id: str) -> tuple[RocPoint, ...]:
    """The ROC curve of every arm, from strict to lax."""
    return ask_record(snapshot, RocPoint, "roc_point", run_id, "model, false_positive_share, true_positive_share")


def performances(snapshot: Snapshot, run_id: str) -> tuple[Performance, ...]:
    """Out-of-bag AUC of every arm in every resample."""
    return ask_record(snapshot, Performance, "performance", run_id, "model, resample")


def calibration_bins(snapshot: Snapshot, run_id: str) -> tuple[CalibrationBin, ...]:
    """Predicted against observed risk."""
    return ask_record(snapshot, CalibrationBin, "calibration_bin", run_id, "model, predicted")


def calibration_points(snapshot: Snapshot, run_id: str) -> tuple[CalibrationPoint, ...]:
    """Smooth calibration curve of every arm."""
    return ask_record(snapshot, CalibrationPoint, "calibration_point", run_id, "model, predicted")


def decision_points(snapshot: Snapshot, run_id: str) -> tuple[DecisionPoint, ...]:
    """Net benefit of every arm by threshold."""
    return ask_record(snapshot, DecisionPoint, "decision_point", run_id, "model, threshold")


def subgroups(snapshot: Snapshot, run_id: str) -> tuple[Subgroup, ...]:
    """The headline arms in groups of patients."""
    return ask_record(snapshot, Subgroup, "subgroup", run_id, '"grouping", level')


def sample_needs(snapshot: Snapshot, run_id: str) -> tuple[SampleSizeNeed, ...]:
    """How many patients Riley's criteria ask for."""
    return ask_record(snapshot, SampleSizeNeed, "sample_size_need", run_id, "parameters")


def block_tests(snapshot: Snapshot, run_id: str) -> tuple[BlockTest, ...]:
    """The test of a radiomic block fixed beforehand, if the study has one."""
    return ask_record(snapshot, BlockTest, "block_test", run_id, "kind")


def endpoint_counts(snapshot: Snapshot, run_id: str) -> tuple[EndpointCount, ...]:
    """What each definition of the endpoint makes of the same patients, the study's own first."""
    return ask_record(snapshot, EndpointCount, "endpoint_count", run_id, "NOT chosen, definition")


def incidence_points(snapshot: Snapshot, run_id: str, grouping: str) -> tuple[IncidencePoint, ...]:
    """Cumulative incidence of one grouping where deaths compete."""
    sql = """SELECT "grouping", level, cause, days, incidence, lo, hi, at_risk FROM incidence_point
    WHERE run_id = ? AND "grouping" = ? ORDER BY level, cause DESC, days"""
    return ask(snapshot, IncidencePoint, sql, (run_id, grouping))


def groupings(snapshot: Snapshot, run_id: str) -> tuple[str, ...]:
    """The groupings that survival was estimated for, all patients first."""
    sql = """SELECT "grouping" FROM (SELECT run_id, "grouping" FROM survival_point UNION ALL
    SELECT run_id, "grouping" FROM incidence_point) WHERE run_id = ? GROUP BY "grouping"
    ORDER BY "grouping" <> 'all', "grouping\""""
    return tuple(str(row[0]) for row in snapshot.rows(sql, (run_id,)).rows)


def survival_points(snapshot: Snapshot, run_id: str, grouping: str) -> tuple[SurvivalPoint, ...]:
    """Kaplan-Meier estimates of one grouping."""
    sql = """SELECT "grouping", level, days, survival, lo, hi, at_risk, events, censored FROM survival_point
    WHERE run_id = ? AND "grouping" = ? ORDER BY level, days"""
    return ask(snapshot, SurvivalPoint, sql, (run_id, grouping))


def cox_terms(snapshot: Snapshot, run_id: str) -> tuple[CoxTerm, ...]:
    """The clinical Cox model."""
    return ask_record(snapshot, CoxTerm, "cox_term", run_id, "effect, term")
