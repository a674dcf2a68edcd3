"""What decides whether a signature is in the numbers yet: the newest run that chose the masks of all its cases."""

from __future__ import annotations

from store.foresight import reviewed_until
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import Flag
from tests.store.recorded import finish_run, record, start_run

ANYTHING = [Flag("review", "code", "text", "remedy")]


def began(study, run_id):
    """When a run began, as the ledger keeps it."""
    with Ledger(StudyFolder(study)) as ledger:
        return str(ledger.rows("SELECT started_at FROM run WHERE run_id=?", (run_id,))[0][0])


def test_a_run_that_never_came_to_review_or_left_a_case_of_it_takes_no_signature_in(tmp_path):
    start_run(tmp_path, "run-1")
    assert reviewed_until(tmp_path) == ""
    record(tmp_path, "run-1", "review", "A", ANYTHING)
    finish_run(tmp_path, "run-1")
    assert reviewed_until(tmp_path) == began(tmp_path, "run-1")
    start_run(tmp_path, "run-2", until="acquire")
    record(tmp_path, "run-2", "acquire", "A", ANYTHING)
    finish_run(tmp_path, "run-2")
    start_run(tmp_path, "run-3")
    record(tmp_path, "run-3", "review", "A", ANYTHING)
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.place_tasks("run-3", "review", [("B", "b" * 64)])
    finish_run(tmp_path, "run-3", "cancelled")
    assert reviewed_until(tmp_path) == began(tmp_path, "run-1")
    start_run(tmp_path, "run-4")
    record(tmp_path, "run-4", "review", "A", ANYTHING)
    assert reviewed_until(tmp_path) == began(tmp_path, "run-4") > began(tmp_path, "run-1")
