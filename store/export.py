"""Tables of a study as CSV or Parquet, from the published snapshot."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from store.records import STATUSES
from store.snapshot import Snapshot, open_snapshot

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

LONG_FEATURES = """
SELECT v.run_id, v.case_id, v.roi, v.perturbation, n.image_type, n.feature_class, n.feature,
       v.values[n.place + 1] AS "value", s.name AS status
FROM feature_vector v
JOIN feature_name n ON n.feature_set = v.feature_set AND n.run_id = v.run_id
JOIN (SELECT unnest(?) AS name, unnest(range(len(?))) AS code) s ON s.code = v.statuses[n.place + 1]
WHERE v.run_id = ?
ORDER BY v.case_id, v.roi, v.perturbation, n.place
"""

EXPORTS = {
    "cases": "acquisition",
    "overlap": "overlap",
    "morphology": "morphology",
    "location": "location",
    "regions": "roi_mask",
    "features": "feature_vector",
    "icc": "icc_estimate",
    "association": "association",
    "selection": "selection_frequency",
    "prediction": "prediction",
    "comparison": "comparison",
    "verdicts": "verdict",
    "failures": "failure",
    "refusals": "refusal",
    "flow": "flow_step",
}


def export_table(study: Path, table: str, run_id: str = "") -> pa.Table:
    """One table of a run (the latest when empty) as Arrow; ValueError names the tables there are."""
    if table not in EXPORTS:
        raise ValueError(f"table must be one of {sorted(EXPORTS)}, got {table!r}")
    snapshot = open_snapshot(study)
    run = run_id or latest_run_id(snapshot)
    if table == "features":
        return _features(snapshot, run)
    view = EXPORTS[table]
    where = "" if table == "verdicts" else " WHERE run_id = ?"
    return snapshot.table(f"SELECT * FROM {view}{where} ORDER BY ALL", [] if table == "verdicts" else [run])


def latest_run_id(snapshot: Snapshot) -> str:
    """The newest finished run, else the newest; ValueError when the study never ran."""
    found = snapshot.rows("SELECT run_id FROM run ORDER BY state = 'finished' DESC, place DESC LIMIT 1").rows
    if not found:
        raise ValueError("this study has no run yet; start one with `python -m engine run DIR`")
    return str(found[0][0])


def _features(snapshot: Snapshot, run_id: str) -> pa.Table:
    return snapshot.table(LONG_FEATURES, [list(STATUSES), list(STATUSES), run_id])


def write_export(table: pa.Table, path: Path) -> None:
    """Write an exported table as .csv or .parquet; text that a spreadsheet would run as a formula gets a leading '."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(_safe_for_spreadsheets(table), path)
    else:
        raise ValueError(f"export goes to .csv or .parquet, got {path.suffix!r}")


def _safe_for_spreadsheets(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            cells = [f"'{c}" if c and c.startswith(FORMULA_SIGNS) else c for c in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(cells, pa.string()))
    return table
