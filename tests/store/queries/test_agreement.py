"""The lobe beside a case's agreement is the clinical column that the protocol names."""

from __future__ import annotations

from engine.protocol import Agreement, Protocol
from store.publisher import publish
from store.queries.agreement import case_agreements, mask_pairs
from store.queries.study import runs
from store.records import Covariate, Overlap
from store.snapshot import close_snapshots, open_snapshot
from tests.store.recorded import finish_run, record, start_run

FOUND = Overlap(
    *("tumour", "reader", "model", "agreement", 0.8, 0.9, 2.0, 0.7, 0.95, 3.0, 1.0, 0.5, 1.0, False, "found", 0),
)


def test_lobe_comes_from_the_column_of_the_protocol(tmp_path):
    protocol = Protocol(agreement=Agreement.model_validate({"lobe": "tumour_lobe"}))
    start_run(tmp_path, "run-1", protocol=protocol)
    columns = {"lobe": "of another finding", "tumour_lobe": "left lower"}
    given = [Covariate("CASE-A", name, "category", "", "preoperative", None, v) for name, v in columns.items()]
    record(tmp_path, "run-1", "clinical", "", given)
    record(tmp_path, "run-1", "agreement", "CASE-A", [FOUND])
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    snapshot = open_snapshot(tmp_path)
    (run,) = runs(snapshot)
    (pair,) = mask_pairs(snapshot, run.run_id)
    (row,) = case_agreements(snapshot, run.run_id, pair, run.lobe)
    close_snapshots()
    assert run.lobe == "tumour_lobe"
    assert row.lobe == "left lower"
