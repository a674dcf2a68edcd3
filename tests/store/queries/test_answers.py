"""Records read from a generation that an older version published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.publisher import publish
from store.queries.answers import ask_record
from store.records import SizeStability
from store.snapshot import close_snapshots, open_snapshot
from tests.store.recorded import finish_run, record, start_run


@dataclass(frozen=True, slots=True)
class Grown(SizeStability):
    """As a later version would have it."""

    since: float | None


def test_a_field_that_a_record_gained_since_is_none_until_the_next_publication(tmp_path: Path):
    start_run(tmp_path, "run-1")
    row = SizeStability("mrmr", 1, 0.1, 0.0, 0.2, 4)
    record(tmp_path, "run-1", "selection", "", [row])
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    found = ask_record(open_snapshot(tmp_path), Grown, "size_stability", "run-1", "size")
    close_snapshots()
    assert [(one.size, one.stability, one.since) for one in found] == [(1, 0.1, None)]
