"""The ledger keeps each task once, gives a lease to one process, and never loses a verdict."""

import sqlite3

import pytest

from store.layout import StoredFile, StudyFolder
from store.ledger import Ledger, LeftOut, RunRow, is_alive, process_start
from store.records import Verdict

FILE = StoredFile("step.rows", "Flag", ".parquet", "a" * 64, 10)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(StudyFolder(tmp_path)) as opened:
        yield opened


def start(ledger, run_id="run-1"):
    row = RunRow(run_id, "2026-01-01T00:00:00", None, "running", "p", "{}", "", 1, 1, "", "host")
    ledger.start_run(row, "code", "{}")


def test_a_key_is_enqueued_once_however_many_runs_place_it(ledger):
    start(ledger)
    assert ledger.place_tasks("run-1", "step", [("A", "k1"), ("B", "k2")]) == ("k1", "k2")
    assert ledger.claim("k1")
    ledger.finish_task("k1", (FILE,), 1.0, 10.0)
    start(ledger, "run-2")
    assert ledger.place_tasks("run-2", "step", [("A", "k1"), ("B", "k2")]) == ("k2",)
    assert ledger.placed("run-2", "step") == (("A", "k1", "done"), ("B", "k2", "pending"))


def test_two_cases_with_the_same_content_share_one_task(ledger):
    start(ledger)
    assert ledger.place_tasks("run-1", "step", [("A", "k"), ("B", "k")]) == ("k",)


def test_what_took_longest_before_comes_first(ledger):
    start(ledger)
    ledger.place_tasks("run-1", "acquire", [("A", "a"), ("B", "b"), ("C", "c")])
    for key, seconds in (("a", 1.0), ("b", 9.0), ("c", 3.0)):
        ledger.claim(key)
        ledger.finish_task(key, (FILE,), seconds, 10.0)
    placed = ledger.place_tasks("run-1", "features", [("A", "a2"), ("B", "b2"), ("C", "c2"), ("D", "d2")])
    assert placed == ("b2", "c2", "a2", "d2")


def test_only_one_process_gets_the_lease(ledger):
    start(ledger)
    ledger.place_tasks("run-1", "step", [("A", "k")])
    assert ledger.claim("k")
    assert not ledger.claim("k")


def test_a_failed_task_is_tried_again_by_the_next_run_only(ledger):
    start(ledger)
    ledger.place_tasks("run-1", "step", [("A", "k")])
    ledger.claim("k")
    ledger.end_task("k", "failed", "ValueError: no")
    assert not ledger.claim("k")
    start(ledger, "run-2")
    assert ledger.place_tasks("run-2", "step", [("A", "k")]) == ("k",)


def test_a_second_differing_result_is_an_incident(ledger):
    start(ledger)
    ledger.place_tasks("run-1", "step", [("A", "k")])
    ledger.finish_task("k", (FILE,), 1.0, 10.0)
    ledger.finish_task("k", (StoredFile("step.rows", "Flag", ".parquet", "b" * 64, 10),), 1.0, 10.0)
    assert len(ledger.rows("SELECT * FROM incident")) == 1
    assert len(ledger.artifacts_after(0)) == 1


def test_verdicts_stay_and_the_audit_is_chained(ledger):
    verdict = Verdict("A", "tumour", "reader A", "minor", "vessel", "", 31.5, "2026-01-01T00:00:00", "")
    ledger.record_verdict(verdict, "reader A")
    ledger.record_verdict(verdict, "reader A")
    assert ledger.verdicts("A") == (verdict, verdict)
    assert ledger.audit_is_whole()
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        ledger.rows("DELETE FROM audit")


def test_a_forged_audit_line_breaks_the_chain(ledger):
    ledger.audit("admin", "start", "one")
    ledger.audit("admin", "start", "two")
    ledger.rows("DROP TRIGGER audit_stays")
    ledger.rows("UPDATE audit SET detail='three' WHERE seq=1")
    assert not ledger.audit_is_whole()


def test_process_identity_is_pid_and_start_time():
    import os

    assert is_alive(os.getpid(), process_start(os.getpid()))
    assert not is_alive(os.getpid(), "1")
    assert not is_alive(2**22 + 1, "")


def test_a_run_of_a_dead_runner_becomes_interrupted(ledger):
    start(ledger)
    start(ledger, "run-2")
    assert ledger.rows("SELECT state FROM run ORDER BY place") == [("interrupted",), ("running",)]


def test_what_was_declined_is_counted_with_its_reason(ledger):
    start(ledger)
    ledger.place_tasks("run-1", "anatomy", [("A", "k1"), ("B", "k2"), ("C", "k3")])
    for key in ("k1", "k2"):
        ledger.end_task(key, "declined", "not installed")
    ledger.end_task("k3", "failed", "ValueError")
    ledger.record_skipped("run-1", "training_plan", "not installed")
    counts = ledger.run_counts("run-1")
    assert (counts.failed, counts.refused) == (1, 0)
    assert counts.declined == (LeftOut("anatomy", "not installed", 2), LeftOut("training_plan", "not installed", 1))
