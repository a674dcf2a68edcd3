"""The clock of the computer jumps while a run goes on: nothing is lost, done twice or counted wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from store.layout import StudyFolder
from store.ledger import Ledger
from store.queries.study import stage_costs
from store.snapshot import close_snapshots, open_snapshot
from store.verification import verify
from tests.test_table_study import HOUSE, engine, make_table_study

# The wall clock of every process that loads it is off by the seconds that a file says at that moment.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, at);
  const char *path = getenv("CLOCK_OFFSET_FILE");
  if (id == CLOCK_REALTIME && path) {
    char text[32] = {0};
    int file = open(path, O_RDONLY);
    if (file >= 0) { if (read(file, text, 31) > 0) at->tv_sec += atol(text); close(file); }
  }
  return result;
}
"""
DAY = 86_400
WAIT_SECONDS = 300


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clock")
    (folder / "clock.c").write_text(SHIM)
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "clock.so", folder / "clock.c", "-ldl"]
    subprocess.run([str(part) for part in command], check=True)
    return folder / "clock.so"


def states(study: Path) -> list[tuple[object, ...]]:
    with Ledger(StudyFolder(study)) as ledger:
        return ledger.rows("SELECT key, state, computed FROM task ORDER BY key")


def done(study: Path) -> int:
    return sum(state == "done" for _, state, _ in states(study)) if StudyFolder(study).ledger.exists() else 0


def artifacts(study: Path) -> list[tuple[object, ...]]:
    with Ledger(StudyFolder(study)) as ledger:
        return ledger.rows("SELECT kind, key, sha256 FROM artifact ORDER BY kind, key")


def run(study: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "engine", "run", str(study)]
    return subprocess.Popen(
        command, cwd=HOUSE, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(study: Path, tasks: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while done(study) < tasks and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)


def test_a_clock_that_goes_back_a_day_and_then_ahead_changes_nothing(shared, tmp_path, shim):
    study = make_table_study(shared, tmp_path / "study", resamples=24, trees=60)
    engine("check", study)  # makes the key of the pseudonyms, which order patients
    twin = Path(shutil.copytree(study, tmp_path / "twin"))
    offset = tmp_path / "offset"
    offset.write_text("0")
    process = run(study, LD_PRELOAD=str(shim), CLOCK_OFFSET_FILE=str(offset))
    wait_for(study, 8, process)
    offset.write_text(str(-DAY))
    wait_for(study, 16, process)
    assert process.poll() is None
    offset.write_text(str(2 * DAY))
    assert process.wait(timeout=WAIT_SECONDS) == 0
    assert run(twin).wait(timeout=WAIT_SECONDS) == 0
    assert states(study) == states(twin)
    assert {(state, computed) for _, state, computed in states(study)} <= {("done", 1), ("declined", 0)}
    assert artifacts(study) == artifacts(twin)
    assert verify(study).clean
    with Ledger(StudyFolder(study)) as ledger:
        stamps = [str(at) for (at,) in ledger.rows("SELECT finished_at FROM task WHERE state='done'")]
    assert len({stamp[:10] for stamp in stamps}) == 3  # three days in one run: the jumps did happen
    costs = stage_costs(open_snapshot(study), newest(study))
    assert [(cost.stage, cost.computed) for cost in costs] == [
        (cost.stage, cost.computed) for cost in stage_costs(open_snapshot(twin), newest(twin))
    ]
    assert sum(cost.computed for cost in costs) == len(stamps)
    close_snapshots()


def newest(study: Path) -> str:
    with Ledger(StudyFolder(study)) as ledger:
        found = ledger.latest_run()
    assert found is not None
    return found.run_id
