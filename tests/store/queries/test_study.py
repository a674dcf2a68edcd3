"""What a run computed itself, and how it stands when one run is to be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.publisher import publish
from store.queries.study import StageCost, stage_costs, standing
from store.records import Flag
from store.snapshot import close_snapshots, open_snapshot
from tests.store.recorded import finish_run, record, start_run

FLAG = [Flag("acquire", "code", "text", "remedy")]


@pytest.fixture
def study(tmp_path: Path):
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "segment", "CASE-A", FLAG)
    record(tmp_path, "run-1", "acquire", "CASE-A", FLAG)
    finish_run(tmp_path, "run-1")
    start_run(tmp_path, "run-2")
    record(tmp_path, "run-2", "segment", "CASE-A", FLAG)
    record(tmp_path, "run-2", "acquire", "CASE-A", FLAG)
    record(tmp_path, "run-2", "acquire", "CASE-B", FLAG)
    finish_run(tmp_path, "run-2")
    publish(tmp_path)
    yield tmp_path
    close_snapshots()


def costs(study: Path, run_id: str) -> list[StageCost]:
    return list(stage_costs(open_snapshot(study), run_id))


def test_a_result_taken_over_counts_for_the_run_that_computed_it(study):
    assert [(cost.stage, cost.tasks, cost.computed) for cost in costs(study, "run-2")] == [
        ("segment", 1, 0),
        ("acquire", 2, 1),
    ]


def test_the_run_before_keeps_what_it_computed(study):
    assert [(cost.stage, cost.computed) for cost in costs(study, "run-1")] == [("segment", 1), ("acquire", 1)]


def test_a_run_to_the_end_stands_before_a_partial_one_and_both_before_an_unfinished_one():
    runs = [("running", ""), ("finished", "measure"), ("cancelled", "measure"), ("finished", "")]
    assert sorted(runs, key=lambda run: standing(*run))[:2] == [("finished", ""), ("finished", "measure")]
