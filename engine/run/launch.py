"""Start and stop runs from outside: a detached run survives browser and app, cancel leaves no process behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from engine.protocol import read_protocol
from engine.run.provenance import HOUSE
from store.layout import StudyFolder
from store.ledger import Ledger, is_alive, process_start

CANCEL_SECONDS = 20.0
BEGIN_SECONDS, GROUP_SECONDS = 30.0, 2.0
LOCKS = Path("/proc/locks")


def launch_training(study: Path, strategy: str) -> None:
    """Start `train` of one strategy or of all, detached, with the sizes of study.toml; otherwise as `launch`."""
    _launch(study, "train", "--strategy", strategy)


def launch_self_test(study: Path) -> None:
    """Start `self-test` detached; otherwise as `launch`."""
    _launch(study, "self-test")


def launch(study: Path) -> None:
    """Start `run` detached; its log goes to run.log of the study.

    RuntimeError when a run is alive already; ValueError for a wrong protocol, such as one changed after locking.
    """
    _launch(study, "run")


def _launch(study: Path, command: str, *options: str) -> None:
    folder = StudyFolder(study.resolve())
    read_protocol(folder.root)
    if running_pid(folder) is not None or lock_holder(folder.run_lock) is not None:
        raise RuntimeError("a run of this study is going on; wait for it or cancel it first")
    with folder.log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "engine", command, str(folder.root), *options],
            cwd=HOUSE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + BEGIN_SECONDS
    while child.pid not in (lock_holder(folder.run_lock), running_pid(folder)) and time.monotonic() < deadline:
        if child.poll():
            raise RuntimeError("the run ended before it began; the log says why")
        if child.returncode == 0:
            return
        time.sleep(0.05)


def lock_holder(path: Path) -> int | None:
    """The process of this machine that holds a file's lock (flock), told without touching the lock; None: nobody."""
    if not path.exists() or not LOCKS.exists():
        return None
    inode = str(path.stat().st_ino)
    for line in LOCKS.read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
            return int(fields[4])
    return None


def running_pid(folder: StudyFolder) -> int | None:
    """The process of the run that is alive on this host, or None."""
    if not folder.ledger.exists():
        return None
    with Ledger(folder) as ledger:
        latest = ledger.latest_run()
    if latest is None or latest.state != "running" or not is_alive(latest.pid, latest.pid_start):
        return None
    return latest.pid


def cancel(study: Path) -> bool:
    """Stop the run of a study and wait until its processes are gone; False when none was alive."""
    folder = StudyFolder(study.resolve())
    pid = running_pid(folder)
    if pid is None:
        return False
    start, leads = process_start(pid), os.getpgid(pid) == pid
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + CANCEL_SECONDS
    while is_alive(pid, start):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = math.inf
        time.sleep(0.05)
    if leads:
        _end_group(pid)
    return True


def _end_group(leader: int) -> None:
    """End what is left of a process group whose leader is gone: helpers of multiprocessing."""
    deadline = time.monotonic() + GROUP_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(leader, signal.SIGKILL)
            time.sleep(0.02)
