"""Tables of a study as CSV or Parquet, from the published snapshot."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from store.queries.study import runs, standing
from store.records import STATUSES
from store.schema import BLOCK, BLOCKED
from store.snapshot import Snapshot, open_snapshot

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
PLAIN_NUMBERS = re.compile(r"[+-][-+0-9.,%() to\u2013]*")  # -0.2 to +0.4

CASES = """
WITH mine AS (SELECT case_id FROM acquisition WHERE run_id = $run
  UNION SELECT case_id FROM outcome
  WHERE run_id = $run AND NOT EXISTS (SELECT 1 FROM acquisition WHERE run_id = $run))
SELECT mine.case_id, a.* EXCLUDE (run_id, case_id), m.mask_source, o.time_zero, o.dfs_days, o.dfs_event, o.dfs_label,
  o.label_reason, $run AS run_id
FROM mine
LEFT JOIN acquisition a ON a.run_id = $run AND a.case_id = mine.case_id
LEFT JOIN feature_mask m ON m.run_id = $run AND m.case_id = mine.case_id AND m.structure = 'tumour'
LEFT JOIN outcome o ON o.run_id = $run AND o.case_id = mine.case_id
ORDER BY mine.case_id
"""

FEATURES = f"""
WITH status AS (SELECT unnest($statuses) AS name, unnest(range(len($statuses))) AS code)
SELECT v.case_id, v.roi, v.perturbation, n.image_type, n.feature_class, n.feature,
  v.values[n.place % {BLOCK} + 1] AS "value", s.name AS status, v.run_id
FROM feature_block v
JOIN feature_name n ON n.feature_set = v.feature_set AND n.run_id = v.run_id AND n.place // {BLOCK} = v.block
JOIN status s ON s.code = v.statuses[n.place % {BLOCK} + 1]
WHERE v.run_id = $run
ORDER BY v.case_id, v.roi, v.perturbation, n.place
"""

BASE_FEATURES = FEATURES.replace("WHERE v.run_id = $run", "WHERE v.run_id = $run AND v.perturbation = 'none'")

EMBEDDINGS = """
SELECT v.case_id, v.roi, n.feature, v.values[n.place + 1] AS "value", v.status, n.model_sha256, v.feature_set, v.run_id
FROM embedding v LEFT JOIN embedding_name n ON n.feature_set = v.feature_set AND n.run_id = v.run_id
WHERE v.run_id = $run
ORDER BY v.case_id, v.roi, n.place
"""

ICC = """
SELECT * EXCLUDE (run_id, case_id, icc_class), icc_class AS "class", run_id FROM icc_estimate WHERE run_id = $run
ORDER BY ALL
"""

OVERLAP = """
SELECT case_id, structure, from_source, to_source, dsc, surface_dsc, tolerance_mm, hd95_mm, missed,
  * EXCLUDE (run_id, case_id, structure, from_source, to_source, dsc, surface_dsc, tolerance_mm, hd95_mm, missed),
  run_id
FROM overlap WHERE run_id = $run ORDER BY ALL
"""

OF_CASES = "SELECT case_id, * EXCLUDE (run_id, case_id), run_id FROM {view} WHERE run_id = $run ORDER BY ALL"
OF_COHORT = "SELECT * EXCLUDE (run_id, case_id), run_id FROM {view} WHERE run_id = $run ORDER BY ALL"

EXPORTS = {
    "cases": CASES,
    "overlap": OVERLAP,
    "morphology": OF_CASES.format(view="morphology"),
    "location": OF_CASES.format(view="location"),
    "regions": OF_CASES.format(view="roi_mask"),
    "features": FEATURES,
    "base_features": BASE_FEATURES,
    "embeddings": EMBEDDINGS,
    "conformity": OF_COHORT.format(view="conformity"),
    "icc": ICC,
    "perturbed": OF_CASES.format(view="perturbed_mask"),
    "perturbed_images": OF_CASES.format(view="perturbed_image"),
    "perturbation_effects": OF_COHORT.format(view="perturbation_effect"),
    "batch_variance": OF_COHORT.format(view="batch_variance"),
    "batch_outcome": OF_COHORT.format(view="batch_outcome"),
    "batch_icc": OF_COHORT.format(view="batch_icc"),
    "association": OF_COHORT.format(view="association"),
    "batch": OF_COHORT.format(view="batch_difference"),
    "acquisition_pairs": OF_COHORT.format(view="acquisition_pair"),
    "contact": OF_CASES.format(view="contact_area"),
    "surface_dsc_curve": OF_CASES.format(view="surface_dsc_point"),
    "doubt": OF_CASES.format(view="doubt_estimate"),
    "strategies": OF_COHORT.format(view="strategy_comparison"),
    "strategy_overlap": OF_CASES.format(view="strategy_overlap"),
    "seen": OF_COHORT.format(view="seen_case"),
    "selection": OF_COHORT.format(view="selection_frequency"),
    "columns": OF_COHORT.format(view="column_state"),
    "groups": OF_COHORT.format(view="feature_group"),
    "resamples": OF_COHORT.format(view="selection"),
    "self_test": OF_COHORT.format(view="permuted_auc"),
    "stability": OF_COHORT.format(view="stability"),
    "prediction": OF_CASES.format(view="prediction"),
    "comparison": OF_COHORT.format(view="comparison"),
    "model_summary": OF_COHORT.format(view="model_summary"),
    "definitions": OF_COHORT.format(view="endpoint_count"),
    "subgroups": OF_COHORT.format(view="subgroup"),
    "cox": OF_COHORT.format(view="cox_term"),
    "incidence": OF_COHORT.format(view="incidence_point"),
    "survival": OF_COHORT.format(view="survival_point"),
    "decision_curve": OF_COHORT.format(view="decision_point"),
    "sample_size": OF_COHORT.format(view="sample_size_need"),
    "external_prediction": OF_CASES.format(view="external_prediction"),
    "external_summary": OF_COHORT.format(view="external_summary"),
    "external_comparison": OF_COHORT.format(view="external_comparison"),
    "roc": OF_COHORT.format(view="roc_point"),
    "calibration": OF_COHORT.format(view="calibration_bin"),
    "plan": OF_COHORT.format(view="analysis_plan"),
    "verdicts": "SELECT * FROM verdict ORDER BY ALL",
    "drawn_masks": "SELECT * FROM drawn_mask ORDER BY ALL",
    "failures": OF_CASES.format(view="failure"),
    "refusals": OF_CASES.format(view="refusal"),
    "flow": OF_COHORT.format(view="flow_step"),
}


# what uses outcomes or features chosen by them carries its standing into every file
ANALYSES = (
    *("selection", "groups", "resamples", "stability", "prediction", "comparison", "batch_outcome"),
    *("model_summary", "roc", "calibration", "definitions", "subgroups", "cox", "incidence", "survival"),
    *("decision_curve", "external_prediction", "external_summary", "external_comparison"),
)


def export_table(study: Path, table: str, run_id: str = "") -> pa.Table:
    """One table of a run (`latest_run_id` when empty) as Arrow; ValueError names the tables there are.

    The columns that design section 3 names come first, in its order; run_id is last, and before it, in what uses
    outcomes, whether the plan was locked or the analysis is exploratory, and which of how many it is. Verdicts and
    drawings belong to no run. ValueError for a run that does not exist, or vectors that an older version published.
    """
    if table not in EXPORTS:
        raise ValueError(f"table must be one of {sorted(EXPORTS)}, got {table!r}")
    snapshot = open_snapshot(study)
    sql = EXPORTS[table]
    if BLOCKED in sql and not snapshot.holds(BLOCKED):
        raise ValueError("an older version published this study: `python -m engine rebuild STUDY` publishes it anew")
    given: dict[str, object] = {"statuses": list(STATUSES)}
    if "$run" in sql:
        given["run"] = run_id or latest_run_id(snapshot)
        if given["run"] not in {run.run_id for run in runs(snapshot)}:
            raise ValueError(f"this study has no run {run_id!r}")
    found = snapshot.table(sql, {name: value for name, value in given.items() if f"${name}" in sql})
    return _with_standing(found, snapshot, str(given["run"])) if table in ANALYSES else found


def _with_standing(found: pa.Table, snapshot: Snapshot, run_id: str) -> pa.Table:
    """A table with the column `standing` before its last: a file keeps the badge that the page has."""
    run = next(run for run in runs(snapshot) if run.run_id == run_id)
    which = f", analysis {run.analysis} of {run.analyses}" if run.analysis else ""
    text = f"plan locked {run.locked_at}" if run.locked_at else f"exploratory{which}"
    return found.add_column(found.num_columns - 1, "standing", pa.array([text] * found.num_rows, pa.string()))


def latest_run_id(snapshot: Snapshot) -> str:
    """The newest run that finished to the end, else the newest finished, else the newest; ValueError without a run."""
    found = runs(snapshot)
    if not found:
        raise ValueError("this study has no run yet; start one with `python -m engine run DIR`")
    return min(found, key=lambda run: standing(run.state, run.until_stage)).run_id


def write_export(table: pa.Table, path: Path) -> None:
    """Write an exported table as .csv or .parquet; text that a spreadsheet would run as a formula gets a leading '."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(_safe_for_spreadsheets(table), path)
    else:
        raise ValueError(f"export goes to .csv or .parquet, got {path.suffix!r}")


def safe_cell(text: str) -> str:
    """Text with a leading apostrophe where a spreadsheet would run it as a formula; signed numbers stay."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) and not PLAIN_NUMBERS.fullmatch(text) else text


def _safe_for_spreadsheets(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            cells = [None if cell is None else safe_cell(cell) for cell in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(cells, pa.string()))
    return table
