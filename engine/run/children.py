"""Processes that die with their parent: the pool's workers and the publisher.

Heavy modules are imported inside the bodies, after the kernel was asked to kill the process with its parent: while a
child still imports, a parent killed by -9 would leave it behind for seconds.
"""

from __future__ import annotations

import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from engine.processes import die_with_parent, name_process

SPAWN = get_context("spawn")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
STOP = ""
PUBLISHER_NAME = "cohort-publish"


class Idle(Protocol):
    """A number that the runner writes and every worker reads."""

    value: int


def use_threads(threads: int) -> None:
    """Tell every numeric library of children started from now on how many threads it may use."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)


def work(study: str, parent: int, pipe: Connection, idle: Idle) -> None:
    """Body of a worker: compute tasks by key until told to stop; idle: how many workers have nothing to do."""
    die_with_parent(parent)
    from engine.run.idle_cores import IdleCores
    from engine.run.task import run_task

    sharing = IdleCores(lambda: idle.value)
    while (key := pipe.recv()) != STOP:
        run_task(Path(study), key, sharing)
        pipe.send(key)


def publish_on_demand(study: str, parent: int, pipe: Connection) -> None:
    """Body of the publisher: publish when asked; damaged artifacts are forgotten so that they are computed again."""
    die_with_parent(parent)
    name_process(PUBLISHER_NAME)
    from store.layout import StudyFolder
    from store.ledger import Ledger
    from store.publisher import DamagedArtifactError, NoRoomError, publish

    while pipe.recv() != STOP:
        started, damaged, full = time.monotonic(), 0, False
        try:
            publish(Path(study))
        except DamagedArtifactError as error:
            damaged = len(error.keys)
            with Ledger(StudyFolder(Path(study))) as ledger:
                ledger.forget_artifacts(error.keys)
        except NoRoomError:
            full = True
        pipe.send((time.monotonic() - started, damaged, full))
