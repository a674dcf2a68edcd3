"""What the ledger says of a run that goes on; every count is that of the tasks the test placed and ended itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.present.wording.live import (
    MOST_CASES,
    case_rows,
    case_state,
    cases_line,
    live_line,
    pace_line,
    seconds_left,
    to_come_line,
    unit_words,
    work_rows,
)
from store.layout import StudyFolder
from store.ledger import Ledger, StageProgress
from store.live import CaseProgress, Live, Pace, read_live
from tests.store.recorded import start_run

REFUSED = '{"code": "c", "file": "CT", "message": "Slices are missing.", "remedy": "Export them again."}'


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four cases: one done with both stages, one at work in the second, one that failed, one that waits."""
    start_run(tmp_path, "run-1")
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.place_tasks("run-1", "acquire", [(f"case-{n}", f"a{n}") for n in range(1, 5)])
        ledger.place_tasks("run-1", "clinical", [("", "c")])
        for number in (1, 2, 4):
            ledger.claim(f"a{number}")
            ledger.finish_task(f"a{number}", (), 2.0, 100.0)
        ledger.claim("a3")
        ledger.end_task("a3", "refused", REFUSED)
        ledger.place_tasks("run-1", "segment", [("case-1", "s1"), ("case-2", "s2"), ("case-4", "s4")])
        ledger.claim("s1")
        ledger.finish_task("s1", (), 3.5, 100.0)
        ledger.claim("s2")
        ledger.end_task("s2", "pending", "a first attempt that failed")
        ledger.claim("s2")
    return tmp_path


def by_name(live: Live) -> dict[str, CaseProgress]:
    return {case.case_id: case for case in live.cases}


def test_every_case_says_how_far_it_is(study):
    live = read_live(study, with_cases=True)
    assert by_name(live) == {
        "case-1": CaseProgress("case-1", 2, 0, 2, "", 5.5),
        "case-2": CaseProgress("case-2", 1, 0, 2, "segment", 2.0),
        "case-3": CaseProgress("case-3", 0, 1, 1, "", 0.0),
        "case-4": CaseProgress("case-4", 1, 0, 2, "", 2.0),
    }
    assert [case_state(case) for case in live.cases] == ["done so far", "computing", "failed", "waiting"]
    assert cases_line(live.cases) == "**4 cases**: 1 computing, 1 failed, 1 waiting, 1 done so far."
    assert [row["Case"] for row in case_rows(live.cases)] == ["case-2", "case-3", "case-4", "case-1"]


def test_a_task_at_work_says_since_when_and_at_which_attempt(study):
    (task,) = read_live(study, with_cases=False).at_work
    assert (task.stage, task.unit, task.attempt) == ("segment", "case-2", 2)
    assert 0 <= task.seconds < 60
    assert work_rows([task])[0]["Of"] == "case-2"


def test_what_was_refused_says_why_and_what_to_do_and_not_in_code(study):
    (failed,) = read_live(study, with_cases=False).failed
    assert (failed.stage, failed.unit) == ("acquire", "case-3")
    assert failed.reason == "Slices are missing. Export them again."


def test_the_pace_counts_what_this_run_computed_in_the_last_minute(study):
    found = read_live(study, with_cases=False).pace
    assert dict(found.ended) == {"acquire": 3, "segment": 1}
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        connection.execute("UPDATE task SET finished_at='2001-01-01T00:00:00.000+00:00' WHERE key IN ('a1','a2')")
    assert dict(read_live(study, with_cases=False).pace.ended) == {"acquire": 1, "segment": 1}
    start_run(study, "run-2")
    with Ledger(StudyFolder(study)) as ledger:
        ledger.place_tasks("run-2", "acquire", [("case-1", "a1")])
    assert read_live(study, with_cases=False).pace.ended == ()  # done before: another run's work


def test_a_study_without_a_run_does_nothing(tmp_path):
    assert read_live(tmp_path, with_cases=True) == Live((), (), Pace((), 0.0), (), False)


def test_time_left_is_told_by_the_pace_and_without_one_by_what_tasks_took():
    stage = StageProgress("features", 40, 0, 100, 80.0, 60.0)
    assert seconds_left(stage, Pace((("features", 30),), 60.0)) == 120.0  # 60 left at 30 a minute
    assert seconds_left(stage, Pace((("features", 4),), 60.0)) == 60.0  # too few to tell
    assert "the stages begun take 2 min more" in live_line([stage], Pace((("features", 30),), 60.0))
    unknown = StageProgress("segment", 0, 0, 5, 0.0, None)
    assert "take" not in live_line([stage, unknown], Pace((), 60.0))  # a sum with an unknown part is no sum


def test_the_line_on_pace_names_the_busiest_stages():
    four = (("a", 1), ("b_c", 7), ("d", 2), ("e", 3))
    assert pace_line(Pace(four, 60.0)) == "In the last minute 13 tasks ended (b c 7, e 3, d 2)."
    assert pace_line(Pace((), 12.0)) == "In the 12 s since the start 0 tasks ended."
    assert "nobody knows" in to_come_line(None)


def test_units_are_said_in_words():
    assert [unit_words(unit) for unit in ("", "#00042", "#train tumour-only 1 0", "CS-1")] == [
        "the cohort",
        "number 42",
        "train tumour-only 1 0",
        "CS-1",
    ]


def test_a_large_cohort_shows_its_first_cases_and_says_so():
    many = [CaseProgress(f"case-{n:04d}", 1, 0, 1, "segment" if n == 900 else "", 1.0) for n in range(1000)]
    rows = case_rows(many)
    assert len(rows) == MOST_CASES
    assert rows[0]["Case"] == "case-0900"  # what is at work comes first
    assert f"the first {MOST_CASES}" in cases_line(many)
