"""A disk that is full while publishing: a file-size limit, as the kernel enforces it, stands for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.run.provenance import HOUSE
from engine.run.publishing import PublisherProcess
from store import publisher
from store.publisher import NoRoomError, publish
from store.snapshot import close_snapshots, open_snapshot
from tests.store.recorded import finish_run, icc_row, record, start_run

# each try writes into a file that may not grow so far: into work.duckdb, or into the copy of it
LIMITED = """
import resource, sys
from pathlib import Path
from store.publisher import NoRoomError, publish
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    publish(Path(sys.argv[1]))
except NoRoomError:
    sys.exit(28)
"""


@pytest.fixture
def study(tmp_path: Path):
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "reproducibility", "", [icc_row("intratumoural", "a", f"F{n}") for n in range(5000)])
    finish_run(tmp_path, "run-1")
    yield tmp_path
    close_snapshots()


@pytest.mark.parametrize("megabytes", [0.1, 0.3, 1, 2])
def test_a_publication_that_the_disk_stops_is_said_and_made_up_for(study, megabytes):
    publish(study)
    before = (study / "snapshots" / "CURRENT").read_text()
    record(study, "run-1", "reproducibility", "b", [icc_row("whole_lung", "b", f"F{n}") for n in range(60_000)])
    command = [sys.executable, "-c", LIMITED, str(study), str(int(megabytes * 1e6))]
    stopped = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=120)
    assert stopped.returncode == 28, stopped.stderr
    assert (study / "snapshots" / "CURRENT").read_text() == before
    publish(study)
    found = open_snapshot(study).rows("SELECT roi, count(*) FROM icc_estimate GROUP BY roi ORDER BY roi", ()).rows
    assert [tuple(row) for row in found] == [("intratumoural", 5000), ("whole_lung", 60_000)]


def test_nothing_is_begun_where_a_generation_would_not_fit(study, monkeypatch):
    publish(study)
    size = (study / "work.duckdb").stat().st_size if (study / "work.duckdb").exists() else 0
    monkeypatch.setattr(publisher, "LEAST_ROOM_BYTES", 10**18 - size)
    with pytest.raises(NoRoomError):
        publish(study)


def test_a_publisher_that_is_killed_is_begun_again_and_given_up_after_three_times(study):
    process = PublisherProcess(study)
    process.kill()
    assert process.publish_now() == 0
    assert open_snapshot(study).generation
    process.kill()
    process.beat()
    assert process.publish_now() == 0
    for _ in range(2):
        process.kill()
        process._ask()
    process.kill()
    with pytest.raises(RuntimeError, match="died 3 times"):
        process.publish_now()
    process.kill()
