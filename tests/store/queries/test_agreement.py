"""The lobe beside a case's agreement is the clinical column that the protocol names."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

from engine.protocol import Agreement, Protocol
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish
from store.queries.agreement import case_agreements, mask_pairs, review_cases, signed_readers
from store.queries.cohort import cases
from store.queries.study import runs
from store.records import Covariate, Flag, Overlap, ReaderOverlap, Segmentation, Verdict
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


def fit(maker, to, dsc, comparison="agreement", missed=False):
    return replace(FOUND, from_source=maker, to_source=to, dsc=dsc, comparison=comparison, missed=missed)


def test_what_readers_of_the_review_drew_is_neither_the_models_dsc_nor_a_miss_nor_the_first_pair(tmp_path):
    """One reader signs "missed" and outlines another place: nobody else may read that as what the model did."""
    model = "f" * 12
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "acquire", "CASE-A", [Flag("acquire", "code", "text", "remedy")])
    record(tmp_path, "run-1", "segment", "CASE-A", [Segmentation("f" * 64, "cpu", *[1.0] * 4, True, None, "model")])
    record(tmp_path, "run-1", "agreement", "CASE-A", [fit("reference", model, 0.9), fit("reference", "region", 0.5)])
    theirs = [
        fit("Ada", model, 0.0, "edit_distance", True),
        fit("reference", "Ada", 0.1, "readers", True),
        fit("Ben, blank canvas", model, 0.2),
    ]
    record(tmp_path, "run-1", "readers", "CASE-A", [ReaderOverlap(**dataclasses.asdict(row)) for row in theirs])
    words = ("CASE-A", "tumour", "Ada", "missed", "vessel", "", 1.0, "2026-01-01T00:00:00", "seen")
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.record_verdict(Verdict(*words), "Ada")
        ledger.record_verdict(replace(Verdict(*words), reader="Ben"), "Ben")
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    snapshot = open_snapshot(tmp_path)
    (listed,), (row,) = review_cases(snapshot, "run-1"), cases(snapshot, "run-1")
    pairs = [(pair.from_source, pair.to_source) for pair in mask_pairs(snapshot, "run-1")]
    names = signed_readers(snapshot)
    close_snapshots()
    assert (listed.dsc, listed.missed) == (0.9, False)
    assert (row.dsc, row.missed) == (0.9, False)
    assert pairs[:3] == [("reference", model), ("reference", "region"), ("Ben, blank canvas", model)]
    assert {"Ada", "Ben, blank canvas"} <= names
