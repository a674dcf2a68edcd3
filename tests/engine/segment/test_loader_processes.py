"""A training that is killed leaves no process behind: its loaders would hold memory and wait for ever."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[3]
LOADERS = 2
START_SECONDS, END_SECONDS = 240.0, 10.0
TRAINING = """
import sys
from pathlib import Path
from engine.segment.train import train_model
from store.sources import Lookup, TrainingUnit, Workspace
from tests.engine.segment.trainings import FREE, TINY, WITH_TUMOUR, ct_of, labelled, planned

every = (*FREE, *WITH_TUMOUR)
sizes = TINY.model_copy(update={"loader_processes": %d, "epochs": 10000})
plan = planned(every, sizes)
folder = Path(sys.argv[1])
place = Workspace(folder / "shared", folder / "own", lambda epoch: print(epoch.epoch, file=sys.stderr, flush=True))
outlines = Lookup(every, lambda name: labelled(name).masks)
train_model(TrainingUnit("tumour-only", 1, 0), plan.plan, plan.members, Lookup(every, ct_of), outlines, sizes, place)
"""


def children_of(parent: int) -> list[int]:
    """Living processes that a process started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_of(int(entry.name))) and int(fields[1]) == parent:
            found.append(int(entry.name))
    return found


def stat_of(pid: int) -> list[str]:
    """State, parent and so on of a living process, empty for a dead one."""
    try:
        fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in ("Z", "X") else fields


def test_the_loaders_of_a_killed_training_die_with_it(tmp_path):
    command = [sys.executable, "-c", TRAINING % LOADERS, str(tmp_path)]
    training = subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    loaders: list[int] = []
    try:
        deadline = time.monotonic() + START_SECONDS
        while training.stderr.readline().strip() != b"1":  # an epoch is over: the loaders have worked
            assert training.poll() is None
            assert time.monotonic() < deadline
        loaders = children_of(training.pid)
        assert len(loaders) == 2 * LOADERS  # of training and of monitoring
        os.kill(training.pid, signal.SIGKILL)
        training.wait(timeout=END_SECONDS)
        deadline = time.monotonic() + END_SECONDS
        while (left := [pid for pid in loaders if stat_of(pid)]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []
    finally:
        for pid in (training.pid, *loaders):
            if stat_of(pid):
                os.kill(pid, signal.SIGKILL)
        training.wait()
        training.stderr.close()
