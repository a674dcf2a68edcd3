"""Questions about the study itself: its runs, what it says of itself, who is in it and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import Declined, Failure, FlowStep, Refusal
from store.snapshot import Snapshot

FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as every page speaks of it: when, from which choices, by which code."""

    run_id: str
    place: int
    started_at: str
    finished_at: str | None
    state: str
    until_stage: str
    protocol_sha256: str
    seed: int
    code_version: str
    packages_json: str
    study_name: str
    synthetic: bool
    notice: str
    endpoint: str
    horizon_days: int
    resamples: int
    trees: int
    mrmr_features: int
    schemes: str
    cluster_correlation: float
    icc_threshold: float
    ring_mm: float
    grid_mm: float
    tolerance_mm: float
    lobe: str
    perturbed_cases: int
    combat: bool
    batch_variable: str
    locked_at: str
    analysis: int  # which of the study's analyses this is: runs to the end with the same choices are one
    analyses: int


# Title, notice, the lock and what changes no result are no choice: null takes them out (RFC 7396). A run that was asked
# for everything is an analysis once it has read its tables, and so is one that stopped after the models were tried, as
# one on other masks does. Other tables or other patients are a choice too: the key of what was read names both.
RUNS = """
WITH whole AS (SELECT place, CAST(json_merge_patch(protocol_json, '{"plan": null, "self_test": null, "detection": null,
    "governance": null, "strategies": null, "external": null, "study": {"name": null, "notice": null}}') AS VARCHAR)
    || coalesce((SELECT string_agg(key, ' ' ORDER BY stage) FROM placement p
      WHERE p.run_id = run.run_id AND stage IN ('clinical', 'imported')), '') AS choices,
    (until_stage = '' AND run_id IN (SELECT run_id FROM placement WHERE stage IN ('clinical', 'imported')))
    OR run_id IN (SELECT run_id FROM placement WHERE stage = 'resample') AS is_whole FROM run),
begun AS (SELECT choices, min(place) AS begun FROM whole WHERE is_whole GROUP BY choices),
counted AS (SELECT choices, CAST(row_number() OVER (ORDER BY begun) AS INTEGER) AS analysis FROM begun)
SELECT run_id, place, started_at, finished_at, state, until_stage, protocol_sha256, seed, code_version, packages_json,
  json_extract_string(protocol_json, '$.study.name') AS study_name,
  coalesce(CAST(json_extract_string(protocol_json, '$.study.synthetic') AS BOOLEAN), false) AS synthetic,
  coalesce(json_extract_string(protocol_json, '$.study.notice'), '') AS notice,
  json_extract_string(protocol_json, '$.outcome.endpoint') AS endpoint,
  CAST(json_extract_string(protocol_json, '$.outcome.horizon_days') AS INTEGER) AS horizon_days,
  CAST(json_extract_string(protocol_json, '$.selection.resamples') AS INTEGER) AS resamples,
  CAST(json_extract_string(protocol_json, '$.selection.trees') AS INTEGER) AS trees,
  CAST(json_extract_string(protocol_json, '$.selection.mrmr_features') AS INTEGER) AS mrmr_features,
  coalesce(array_to_string(CAST(json_extract(protocol_json, '$.selection.schemes') AS VARCHAR[]), ' or '), 'FCQ')
    AS schemes,
  coalesce(CAST(json_extract_string(protocol_json, '$.stability.cluster_correlation') AS DOUBLE), 0.7)
    AS cluster_correlation,
  CAST(json_extract_string(protocol_json, '$.reproducibility.threshold') AS DOUBLE) AS icc_threshold,
  CAST(json_extract_string(protocol_json, '$.rois.ring_mm') AS DOUBLE) AS ring_mm,
  CAST(json_extract_string(protocol_json, '$.grid.spacing_mm') AS DOUBLE) AS grid_mm,
  CAST(json_extract_string(protocol_json, '$.agreement.tolerance_mm') AS DOUBLE) AS tolerance_mm,
  coalesce(json_extract_string(protocol_json, '$.agreement.lobe'), 'lobe') AS lobe,
  CAST(json_extract_string(protocol_json, '$.perturb.cases') AS INTEGER) AS perturbed_cases,
  coalesce(CAST(json_extract_string(protocol_json, '$.batch.combat') AS BOOLEAN), false) AS combat,
  coalesce(json_extract_string(protocol_json, '$.batch.variable'), '') AS batch_variable,
  coalesce(json_extract_string(protocol_json, '$.plan.locked_at'), '') AS locked_at,
  coalesce(analysis, 0) AS analysis, CAST((SELECT count(*) FROM counted) AS INTEGER) AS analyses
FROM run JOIN whole USING (place) LEFT JOIN counted USING (choices) ORDER BY place DESC
"""


def runs(snapshot: Snapshot) -> tuple[RunFacts, ...]:
    """Every run of the study, newest first."""
    return ask(snapshot, RunFacts, RUNS)


def standing(state: str, until_stage: str) -> int:
    """How far a run stands back when one is chosen: 0 finished to the end, 1 finished up to a stage, 2 any other."""
    if state != FINISHED:
        return 2
    return 1 if until_stage else 0


def published_at(snapshot: Snapshot) -> str:
    """When this generation was published: UTC, ISO 8601; empty when it does not say."""
    found = snapshot.rows("SELECT v FROM meta WHERE k = 'published_at'").rows
    return str(found[0][0]) if found else ""


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage of a run came to in tasks and seconds."""

    stage: str
    tasks: int
    done: int
    failed: int
    computed: int
    seconds: float
    longest_seconds: float
    peak_mb: float | None


STAGE_COSTS = """
SELECT stage, count(*) AS tasks, count(*) FILTER (state IN ('done', 'declined')) AS done,
  count(*) FILTER (state IN ('failed', 'refused')) AS failed, count(*) FILTER (computed_in_run) AS computed,
  coalesce(sum(seconds), 0) AS seconds, coalesce(max(seconds), 0) AS longest_seconds, max(peak_mb) AS peak_mb
FROM task WHERE run_id = ? GROUP BY stage ORDER BY min(rowid)
"""


def stage_costs(snapshot: Snapshot, run_id: str) -> tuple[StageCost, ...]:
    """Tasks, seconds and peak memory of every stage of a run, in order of the pipeline."""
    return ask(snapshot, StageCost, STAGE_COSTS, (run_id,))


def failures(snapshot: Snapshot, run_id: str) -> tuple[Failure, ...]:
    """Stages that gave up, with the reason."""
    return ask_record(snapshot, Failure, "failure", run_id, "stage, case_id")


def declined(snapshot: Snapshot, run_id: str) -> tuple[Declined, ...]:
    """Analyses that were not done, with the reason."""
    return ask_record(snapshot, Declined, "declined", run_id, "analysis")


def refusals(snapshot: Snapshot, run_id: str) -> tuple[Refusal, ...]:
    """Cases the gate did not let in."""
    return ask_record(snapshot, Refusal, "refusal", run_id, "case_id, code")


def flow_steps(snapshot: Snapshot, run_id: str) -> tuple[FlowStep, ...]:
    """The boxes of the inclusion and outcome flow."""
    return ask_record(snapshot, FlowStep, "flow_step", run_id, "flow, place")


@dataclass(frozen=True, slots=True)
class StandingMasks:
    """How many cases of a run are measured on which tumour mask."""

    mask_source: str
    origin: str
    cases: int


STANDING = """
SELECT mask_source, origin, count(*) AS cases FROM feature_mask WHERE run_id = ? AND structure = 'tumour'
GROUP BY mask_source, origin ORDER BY cases DESC, mask_source, origin
"""


def standing_masks(snapshot: Snapshot, run_id: str) -> tuple[StandingMasks, ...]:
    """Which masks a run's figures stand on, the commonest first; none in a study of a table."""
    return ask(snapshot, StandingMasks, STANDING, (run_id,))
