"""The local backend: a pool of processes on this machine that outlives stages and loses one task when one dies."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from engine.run.children import SPAWN, use_threads, work
from engine.run.gpu_share import GpuShare, seeing
from engine.run.task import MOST_ATTEMPTS
from store.layout import StudyFolder
from store.ledger import Ledger

BEAT_SECONDS = 0.5
DIED = (
    f"the worker process died {MOST_ATTEMPTS} times on this task, as one does that the system stops for want of memory"
)
log = logging.getLogger("cohortscope.run")


@dataclass(slots=True)
class Worker:
    """One process of the pool, its pipe, the GPU it sees (where there is one), the key it works on (empty: idle)."""

    process: BaseProcess
    pipe: Connection
    gpu: str = ""
    key: str = ""


class LocalBackend:
    """A pool of as many workers as this process may use cores."""

    def __init__(self, study: Path, workers: int | None = None, gpus: GpuShare | None = None) -> None:
        self._study = study
        self._count = workers or len(os.sched_getaffinity(0))
        use_threads(max(1, len(os.sched_getaffinity(0)) // self._count))
        self._workers: list[Worker] = []
        self._deaths: Counter[str] = Counter()
        self._idle = SPAWN.Value("i", 0, lock=False)
        self._gpus = gpus

    @property
    def gpu_tasks(self) -> int | None:
        """How many tasks the GPUs of this machine take at once; they go to the first workers, which stay warm."""
        return None if self._gpus is None else self._gpus.tasks

    def execute(self, keys: Sequence[str], beat: Callable[[], None], at_once: int | None = None) -> None:
        """Compute every key, so many at once; calls `beat` at least twice a second; returns when all are finished."""
        waiting = deque(keys)
        while waiting or any(w.key for w in self._workers):
            self._hand_out(waiting, min(at_once or self._count, self._count))
            ready = wait([w.pipe for w in self._workers] + [w.process.sentinel for w in self._workers], BEAT_SECONDS)
            for worker in tuple(self._workers):
                if worker.pipe in ready or worker.process.sentinel in ready:
                    self._collect(worker, waiting)
            beat()

    def close(self) -> None:
        """Kill every worker and return its lease."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        with Ledger(StudyFolder(self._study)) as ledger:
            for worker in self._workers:
                ledger.return_leases_of(worker.process.pid or 0)
        self._workers = []

    def _hand_out(self, waiting: deque[str], at_once: int) -> None:
        while len(self._workers) < min(at_once, len(waiting)):
            self._workers.append(self._start())
        for worker in self._workers:
            if waiting and not worker.key and sum(bool(w.key) for w in self._workers) < at_once:
                worker.key = waiting.popleft()
                worker.pipe.send(worker.key)
        self._idle.value = 0 if waiting else max(0, self._count - sum(bool(w.key) for w in self._workers))

    def _start(self) -> Worker:
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=work, args=(str(self._study), os.getpid(), theirs, self._idle))
        gpu = "" if self._gpus is None else self._gpus.least_used([worker.gpu for worker in self._workers])
        with seeing(gpu):
            process.start()
        theirs.close()
        return Worker(process, ours, gpu)

    def _collect(self, worker: Worker, waiting: deque[str]) -> None:
        try:
            finished = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._bury(worker, waiting)
            return
        worker.key = ""
        with Ledger(StudyFolder(self._study)) as ledger:
            if ledger.task(finished).state == "pending":
                waiting.append(finished)

    def _bury(self, worker: Worker, waiting: deque[str]) -> None:
        worker.process.join()
        self._workers.remove(worker)
        with Ledger(StudyFolder(self._study)) as ledger:
            ledger.return_leases_of(worker.process.pid or 0)
            if not worker.key:
                return
            task = ledger.task(worker.key)
            self._deaths[task.key] += 1
            log.warning("worker died in %s (%d times)", task.stage, self._deaths[task.key])
            if task.state != "pending":
                return
            if self._deaths[task.key] >= MOST_ATTEMPTS:
                ledger.end_task(task.key, "failed", DIED)
            else:
                waiting.append(task.key)
