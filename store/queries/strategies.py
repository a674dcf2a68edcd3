"""Questions about training strategies: which run compared them, what each came to, how they learned."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import ComparedTraining, StrategyComparison, StrategySummary
from store.snapshot import Snapshot

COMPARED_RUNS = """
SELECT r.run_id FROM run r WHERE EXISTS (SELECT 1 FROM strategy_summary s WHERE s.run_id = r.run_id)
ORDER BY r.run_id <> ?, r.place DESC LIMIT 1
"""


def compared_run(snapshot: Snapshot, run_id: str) -> str:
    """The run whose comparison is shown: the given one if it compared strategies, else the latest that did, else ''."""
    found = snapshot.rows(COMPARED_RUNS, (run_id,)).rows
    return str(found[0][0]) if found else ""


def strategy_summaries(snapshot: Snapshot, run_id: str) -> tuple[StrategySummary, ...]:
    """Every strategy over all reported cases, the highest mean DSC first."""
    return ask_record(snapshot, StrategySummary, "strategy_summary", run_id, "dsc_mean DESC, strategy")


COMPARISON_ORDER = (
    "list_position(['friedman', 'mixed model', 'wilcoxon', 'mcnemar'], test), p NULLS LAST, first, second"
)


def strategy_comparisons(snapshot: Snapshot, run_id: str) -> tuple[StrategyComparison, ...]:
    """Every test between strategies: all together first, then pairs, the smallest p first."""
    return ask_record(snapshot, StrategyComparison, "strategy_comparison", run_id, COMPARISON_ORDER)


@dataclass(frozen=True, slots=True)
class CaseByStrategy:
    """One reported case under one strategy, averaged over its trainings."""

    case_id: str
    strategy: str
    dsc: float
    missed_share: float
    volume_ml: float


CASES = """
SELECT case_id, strategy, avg(dsc) AS dsc, avg(CAST(missed AS DOUBLE)) AS missed_share, max(volume_ml) AS volume_ml
FROM strategy_overlap o WHERE run_id = ? AND NOT EXISTS (
  SELECT 1 FROM compared_training c
  WHERE c.run_id = o.run_id AND c.strategy = o.strategy AND c.seed = o.seed AND NOT c.compared)
GROUP BY case_id, strategy ORDER BY case_id, strategy
"""


def cases_by_strategy(snapshot: Snapshot, run_id: str) -> tuple[CaseByStrategy, ...]:
    """DSC of every reported case under every strategy, over the trainings that are compared."""
    return ask(snapshot, CaseByStrategy, CASES, (run_id,))


def trainings_left_out(snapshot: Snapshot, run_id: str) -> tuple[ComparedTraining, ...]:
    """The trainings that are not compared, with the reason; those without a result first."""
    rows = ask_record(snapshot, ComparedTraining, "compared_training", run_id, "reason <> 'gave no result', seed")
    return tuple(row for row in rows if not row.compared)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One epoch of one training, counted over all of its phases."""

    strategy: str
    seed: int
    fold: int
    phase: str
    epoch: int
    loss: float
    tumour_pseudo_dice: float | None


CURVES = """
SELECT strategy, seed, fold, phase, loss, tumour_pseudo_dice,
  row_number() OVER (PARTITION BY strategy, seed, fold ORDER BY phase, epoch) AS epoch
FROM training_epoch WHERE run_id = ? ORDER BY strategy, seed, fold, phase, epoch
"""


def learning_curves(snapshot: Snapshot, run_id: str) -> tuple[CurvePoint, ...]:
    """Loss and pseudo-Dice of every training; pretraining comes before training."""
    return ask(snapshot, CurvePoint, CURVES, (run_id,))


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """How many images took which part; a case may be reported by one fold and trained on by another."""

    tumour_free: int
    trained_on: int
    reported: int
    folds: int
    planned_on: int


SPLIT = """
SELECT count(DISTINCT case_id) FILTER (role = 'tumour_free') AS tumour_free,
  count(DISTINCT case_id) FILTER (role IN ('training', 'monitored')) AS trained_on,
  count(DISTINCT case_id) FILTER (role = 'reported') AS reported, count(DISTINCT fold) AS folds,
  (SELECT max(len(string_split(planned_on, ','))) FROM training_plan WHERE run_id = ?) AS planned_on
FROM training_member WHERE run_id = ?
"""


def split_counts(snapshot: Snapshot, run_id: str) -> SplitCounts:
    """The split of a comparison's cases."""
    return ask(snapshot, SplitCounts, SPLIT, (run_id, run_id))[0]
