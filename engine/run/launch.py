"""Start and stop runs from outside: a detached run survives browser and app, cancel leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.protocol import read_protocol
from engine.run.provenance import HOUSE
from store.layout import StudyFolder
from store.ledger import Ledger, is_alive

CANCEL_SECONDS = 20.0


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
    if running_pid(folder) is not None:
        raise RuntimeError("a run of this study is going on; wait for it or cancel it first")
    with folder.log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "engine", command, str(folder.root), *options],
            cwd=HOUSE,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


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
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + CANCEL_SECONDS
    while running_pid(folder) == pid:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    return True
