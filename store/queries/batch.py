"""Questions about scanners and settings: what they explain, without and with ComBat, and how outcome goes with them."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import BatchLevel, BatchOutcome, BatchPoint, BatchVariance
from store.snapshot import Snapshot


def batch_outcomes(snapshot: Snapshot, run_id: str) -> tuple[BatchOutcome, ...]:
    """Each batch variable with its association with the outcome."""
    return ask_record(snapshot, BatchOutcome, "batch_outcome", run_id, "variable <> 'kernel', variable")


def batch_levels(snapshot: Snapshot, run_id: str, variable: str) -> tuple[BatchLevel, ...]:
    """The levels of one variable, the commonest first."""
    fields = "variable, level, n, events, free"
    sql = f"SELECT {fields} FROM batch_level WHERE run_id = ? AND variable = ? ORDER BY n DESC, level"
    return ask(snapshot, BatchLevel, sql, (run_id, variable))


def batch_variances(snapshot: Snapshot, run_id: str, variable: str) -> tuple[BatchVariance, ...]:
    """What one variable explains of every feature, the most explained first."""
    fields = "variable, roi, image_type, feature_class, feature, n, levels, before, after"
    sql = f"""SELECT {fields} FROM batch_variance WHERE run_id = ? AND variable = ?
    ORDER BY before DESC, roi, image_type, feature_class, feature"""
    return ask(snapshot, BatchVariance, sql, (run_id, variable))


def batch_points(snapshot: Snapshot, run_id: str, variable: str, roi: str) -> tuple[BatchPoint, ...]:
    """The patients of one ROI in the plane of most variance, before and after."""
    fields = "case_id, variable, level, roi, harmonised, first, second, first_share, second_share"
    sql = f"""SELECT {fields} FROM batch_point WHERE run_id = ? AND variable = ? AND roi = ?
    ORDER BY harmonised, level, case_id"""
    return ask(snapshot, BatchPoint, sql, (run_id, variable, roi))


@dataclass(frozen=True, slots=True)
class IccBesideCombat:
    """Features of one ROI and family that reach the threshold before and after ComBat."""

    variable: str
    roi: str
    family: str
    n: int
    features: int
    before: int
    after: int


ICC_COUNTS = """
SELECT variable, roi, family, max(n) AS n, count(*) AS features, count(*) FILTER (before >= ?) AS before,
  count(*) FILTER (after >= ?) AS after
FROM batch_icc WHERE run_id = ? GROUP BY ALL ORDER BY roi, family
"""


def icc_beside_combat(snapshot: Snapshot, run_id: str, threshold: float) -> tuple[IccBesideCombat, ...]:
    """How many features are reproducible without and with ComBat on the protocol's batch variable."""
    return ask(snapshot, IccBesideCombat, ICC_COUNTS, (threshold, threshold, run_id))
