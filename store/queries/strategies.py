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
    """How many images one training used for what (the most of any), and how many are reported by all folds together."""

    trained_on: int
    monitored: int
    pretrained_on: int  # 0 where no strategy pretrains
    pretraining_monitored: int
    reported: int
    folds: int
    planned_on: int


SPLIT = """
WITH chosen AS (SELECT CAST(? AS VARCHAR) AS run_id),
member AS (SELECT fold, case_id, content_sha256, role FROM training_member JOIN chosen USING (run_id)),
planned AS (SELECT len(string_split(planned_on, ',')) AS images FROM training_plan JOIN chosen USING (run_id)),
used AS (SELECT strategy, seed, s.fold, purpose, role, content_sha256
  FROM seen_case s JOIN chosen USING (run_id) JOIN member USING (fold, content_sha256)),
counted AS (
  SELECT count(DISTINCT content_sha256) FILTER (purpose = 'training') AS trained_on,
    count(DISTINCT content_sha256) FILTER (purpose = 'monitoring' AND role = 'monitored') AS monitored,
    count(DISTINCT content_sha256) FILTER (purpose = 'pretraining') AS pretrained_on,
    count(DISTINCT content_sha256) FILTER (purpose = 'monitoring' AND role = 'tumour_free') AS pretraining_monitored
  FROM used GROUP BY strategy, seed, fold)
SELECT coalesce(max(trained_on), 0) AS trained_on, coalesce(max(monitored), 0) AS monitored,
  coalesce(max(pretrained_on), 0) AS pretrained_on, coalesce(max(pretraining_monitored), 0) AS pretraining_monitored,
  (SELECT count(DISTINCT case_id) FROM member WHERE role = 'reported') AS reported,
  (SELECT count(DISTINCT fold) FROM member) AS folds, (SELECT max(images) FROM planned) AS planned_on
FROM counted
"""


def split_counts(snapshot: Snapshot, run_id: str) -> SplitCounts:
    """What the images of a comparison were used for, counted by what each model saw."""
    return ask(snapshot, SplitCounts, SPLIT, (run_id,))[0]
