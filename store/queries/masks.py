"""Questions about the same analysis on other masks."""

from __future__ import annotations

from dataclasses import dataclass

from store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class MaskRun:
    """The headline of one run, on which masks it stands, and how many of its patients the shown run has too."""

    run_id: str
    place: int
    first_source: str  # of masks.feature_mask_order
    mix: str  # which masks its analysed patients have: "28 automatic, 2 reference"
    code_version: str
    base: str
    extended: str
    base_auc: float
    extended_auc: float
    difference: float
    spread_lo: float
    spread_hi: float
    sentence: str
    resamples: int
    n: int
    events: int
    patients: int  # with a prediction of the extended model
    shared: int  # of these, predicted in the shown run too


# Alike: every choice but masks, plan, names and what changes no number; the same images, outcomes, automatic masks.
CHOICES = """CAST(json_merge_patch(protocol_json, '{"masks": null, "plan": null, "self_test": null, "detection": null,
  "governance": null, "strategies": null, "external": null, "study": {"name": null, "notice": null}}') AS VARCHAR)"""

MASK_RUNS = f"""
WITH inputs AS (SELECT run_id, md5(string_agg(stage || unit || key, ' ' ORDER BY stage, unit)) AS inputs
  FROM placement WHERE stage IN ('acquire', 'clinical', 'segment') GROUP BY run_id),
choice AS (SELECT run_id, place, state, code_version, inputs, {CHOICES} AS choices,
  json_extract_string(protocol_json, '$.masks.feature_mask_order[0]') AS first_source,
  CAST(json_extract(protocol_json, '$.masks') AS VARCHAR) AS masks FROM run JOIN inputs USING (run_id)),
alike AS (SELECT c.* FROM choice c JOIN choice o USING (choices, inputs)
  WHERE o.run_id = $run AND (c.run_id = $run OR (c.state = 'finished' AND c.masks <> o.masks))),
newest AS (SELECT * FROM alike JOIN comparison USING (run_id) WHERE extended = 'combined' AND base = $base
  QUALIFY row_number() OVER (PARTITION BY masks ORDER BY place DESC) = 1),
patient AS (SELECT DISTINCT run_id, case_id FROM prediction WHERE model = 'combined'),
counted AS (SELECT run_id, CAST(count(*) AS INTEGER) AS patients, CAST(count(*) FILTER (
    case_id IN (SELECT case_id FROM patient WHERE run_id = $run)) AS INTEGER) AS shared FROM patient GROUP BY run_id),
sources AS (SELECT run_id, mask_source, count(*) AS cases FROM feature_mask JOIN patient USING (run_id, case_id)
  WHERE structure = 'tumour' GROUP BY run_id, mask_source),
mixed AS (SELECT run_id, string_agg(cases || ' ' || mask_source, ', ' ORDER BY cases DESC, mask_source) AS mix
  FROM sources GROUP BY run_id)
SELECT n.run_id, place, first_source, mix, code_version, base, extended, b.auc AS base_auc, e.auc AS extended_auc,
  difference, spread_lo, spread_hi, sentence, resamples, n.n, n.events, patients, shared
FROM newest n JOIN counted USING (run_id) JOIN mixed USING (run_id)
JOIN model_summary b ON b.run_id = n.run_id AND b.model = base
JOIN model_summary e ON e.run_id = n.run_id AND e.model = extended
ORDER BY n.run_id <> $run, place DESC
"""


def mask_runs(snapshot: Snapshot, run_id: str, base: str) -> tuple[MaskRun, ...]:
    """The shown run, then the newest run of each other choice of masks that is alike in all else; empty without one.

    base is the arm that the combined model is compared with.
    """
    found = snapshot.table(MASK_RUNS, {"run": run_id, "base": base}).to_pylist()
    return tuple(MaskRun(**row) for row in found)
