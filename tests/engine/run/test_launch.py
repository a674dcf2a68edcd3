"""Runs started and stopped from outside: who holds the lock, a second start, and what cancel leaves behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from engine.present.wording.runs import stage_reason
from engine.run.foresee import foresee
from engine.run.launch import cancel, launch, lock_holder, running_pid
from engine.run.runner import run_lock
from store.layout import StudyFolder
from store.ledger import read_progress
from tests.random_table import random_table_study

RESAMPLES = 5000
WAIT_SECONDS = 120


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return random_table_study(tmp_path, RESAMPLES)


def group_of(leader: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] not in ("Z", "X"):
            found.append(int(place.parent.name))
    return found


def test_a_start_holds_the_lock_when_it_returns_and_cancel_leaves_no_process_and_no_lock(study):
    folder = StudyFolder(study)
    launch(study)
    pid = lock_holder(folder.run_lock)
    assert pid is not None
    with pytest.raises(RuntimeError, match="going on"):
        launch(study)
    deadline = time.monotonic() + WAIT_SECONDS
    while running_pid(folder) != pid or len(group_of(pid)) < 3:  # runner, publisher and a worker at least
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert cancel(study)
    assert group_of(pid) == []
    assert lock_holder(folder.run_lock) is None
    assert not cancel(study)
    launch(study)  # at once: nothing of the first is left to refuse it
    again = lock_holder(folder.run_lock)
    assert again not in (None, pid)
    deadline = time.monotonic() + WAIT_SECONDS
    while running_pid(folder) != again:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert cancel(study)


def test_what_a_cancelled_run_left_is_foreseen_as_just_that(study):
    folder = StudyFolder(study)
    launch(study)
    deadline = time.monotonic() + WAIT_SECONDS
    while not folder.ledger.exists() or not [s for s in read_progress(study) if s.stage == "resample" and s.done]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    cancel(study)
    (resample,) = [stage for stage in foresee(study).stages if stage.stage == "resample"]
    assert resample.left == resample.tasks > 0
    assert stage_reason(resample) == f"{resample.left} left by a run that was stopped"


def test_a_run_that_ends_before_it_begins_is_said_and_not_called_started(study, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr("engine.run.launch.HOUSE", study)  # there is no engine to run
    with pytest.raises(RuntimeError, match="ended before it began"):
        launch(study)


def test_a_lock_is_told_without_being_touched(tmp_path):
    folder = StudyFolder(tmp_path)
    assert lock_holder(folder.run_lock) is None
    with run_lock(folder):
        assert lock_holder(folder.run_lock) == os.getpid()
    assert lock_holder(folder.run_lock) is None
