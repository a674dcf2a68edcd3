"""The Dask backend: any scheduler's workers compute, this process alone writes the ledger.

Truth is the ledger, never a future: a task is claimed here, travels as a ticket, its artifacts come through the shared
file system, and only its answer comes back.
"""

from __future__ import annotations

import logging
import os
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from distributed import Client, Future, KilledWorker

from engine.run.gpu_share import GPU_STAGES
from engine.run.provenance import code_version
from engine.run.remote import EPOCH_TOPIC, UnfitWorkerError, answer_ticket
from engine.run.task import Answer, answered, record
from engine.run.ticket import ticket_of
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import TrainingEpoch
from store.training_progress import record_epoch

BEAT_SECONDS = 0.5
CONNECT_SECONDS, LOST_SECONDS, COUNT_SECONDS = 20.0, 30.0, 5.0
TASKS_A_THREAD = 2  # handed out beyond what runs, so that no worker waits
NO_WORKER = "the scheduler has no worker"
log = logging.getLogger("cohortscope.run")


class ClusterBackend:
    """Tasks on the workers of one scheduler, by its address (tcp://host:8786) or its scheduler file."""

    def __init__(self, study: Path, scheduler: str) -> None:
        self._study, self._folder = study, StudyFolder(study)
        self._client = _connect(scheduler)
        self._client.subscribe_topic(EPOCH_TOPIC, self._epoch)
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._running: dict[Future, str] = {}
        self._capacity, self._gpu, self._counted_at, self._lost_at = 0, False, 0.0, 0.0
        self.gpu_tasks: int | None = None  # the scheduler's to decide

    def execute(self, keys: Sequence[str], beat: Callable[[], None], at_once: int | None = None) -> None:
        """Compute every key, so many at once; calls `beat` at least twice a second; returns when all are finished.

        RuntimeError when the scheduler is gone, or a worker has other code or does not see the study.
        """
        waiting = deque(keys)
        with Ledger(self._folder) as ledger:
            while waiting or self._running:
                self._look_around(bool(waiting))
                self._hand_out(waiting, ledger, at_once)
                with suppress(queue.Empty):
                    self._collect(self._ended.get(timeout=BEAT_SECONDS), waiting, ledger)
                beat()

    def close(self) -> None:
        """Drop what still runs, free its workers, and return its leases."""
        left = set(self._running)
        self._running = {}
        if left and self._client.status == "running":
            self._stop_workers(left)
        with Ledger(self._folder) as ledger:
            ledger.return_leases_of(os.getpid())
        self._client.close(timeout=CONNECT_SECONDS)

    def _hand_out(self, waiting: deque[str], ledger: Ledger, at_once: int | None) -> None:
        most = min(at_once or self._capacity, self._capacity)
        while waiting and len(self._running) < most:
            key = waiting.popleft()
            if ledger.claim(key):
                self._submit(key, ledger, waiting)

    def _submit(self, key: str, ledger: Ledger, waiting: deque[str]) -> None:
        task = ledger.task(key)
        try:
            ticket = ticket_of(ledger, task)
        except Exception as error:  # noqa: BLE001  told in the ledger's words, as if the task had met it
            self._record(key, answered(_raiser(error), task.attempts), waiting, ledger)
            return
        needs = {"GPU": 1} if self._gpu and task.stage in GPU_STAGES else None
        name = f"cohortscope-{key[:16]}-{task.attempts}-{time.monotonic_ns()}"
        future = self._client.submit(
            answer_ticket, str(self._study), ticket, code_version(), key=name, pure=False, resources=needs
        )
        self._running[future] = key
        future.add_done_callback(self._ended.put)

    def _collect(self, future: Future, waiting: deque[str], ledger: Ledger) -> None:
        key = self._running.pop(future, "")
        if not key:
            return
        if future.status == "finished":
            self._record(key, future.result(), waiting, ledger)
            return
        if future.status != "error":
            raise RuntimeError("the scheduler dropped a task; what is recorded stays, `run` goes on from there")
        error = future.exception()
        if isinstance(error, UnfitWorkerError):
            raise RuntimeError(str(error))
        if isinstance(error, KilledWorker):
            log.warning("workers died in %s", ledger.task(key).stage)
            self._record(key, Answer("failed", "the worker process died again and again on this task"), waiting, ledger)
        else:
            self._record(key, answered(_raiser(error), ledger.task(key).attempts), waiting, ledger)

    def _record(self, key: str, answer: Answer, waiting: deque[str], ledger: Ledger) -> None:
        if record(ledger, key, answer) == "pending":
            waiting.append(key)

    def _look_around(self, wanted: bool) -> None:
        """Count the cluster's threads now and then; RuntimeError when scheduler or workers stay away."""
        if time.monotonic() - self._counted_at < COUNT_SECONDS:
            return
        self._counted_at = time.monotonic()
        threads = 0
        if self._client.status == "running":
            workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
            threads = sum(worker["nthreads"] for worker in workers)
            self._gpu = any(worker["resources"].get("GPU") for worker in workers)
        self._capacity = TASKS_A_THREAD * threads
        if threads or not (wanted or self._running):
            self._lost_at = 0.0
            return
        self._lost_at = self._lost_at or time.monotonic()
        if time.monotonic() - self._lost_at > LOST_SECONDS:
            what = NO_WORKER if self._client.status == "running" else "the scheduler is gone"
            raise RuntimeError(f"{what}; what is recorded stays, `run` goes on from there")

    def _stop_workers(self, left: set[Future]) -> None:
        """Cancel futures; restart workers that compute nothing but ours, for Dask itself lets running code run on."""
        ours = {future.key for future in left}
        busy = [worker for worker, keys in self._client.processing().items() if keys and ours.issuperset(keys)]
        self._client.cancel(list(left), force=True)
        if busy:
            self._client.restart_workers(busy, timeout=CONNECT_SECONDS, raise_for_error=False)

    def _epoch(self, event: tuple[float, tuple[str, TrainingEpoch]]) -> None:
        """An epoch that a worker told of; another run's are left to it."""
        _, (key, epoch) = event
        if key in self._running.values():
            with Ledger(self._folder) as ledger:
                record_epoch(ledger, key, epoch)


def _connect(scheduler: str) -> Client:
    if not scheduler:
        raise ValueError("the dask backend needs a scheduler: its address, such as tcp://host:8786, or its file")
    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        return Client(**where, timeout=CONNECT_SECONDS, name="cohortscope", set_as_default=False)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"no scheduler answers at {scheduler}") from error


def _raiser(error: BaseException) -> Callable[[], tuple[()]]:
    def work() -> tuple[()]:
        raise error

    return work
