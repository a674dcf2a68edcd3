"""What a worker of a cluster does with a ticket; workers import it: nothing heavy comes before the threads are set.

A worker needs the same code and packages and sees the study folder (a shared file system); it never opens the ledger.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from engine.processes import write_for_owner_only
from engine.run.children import use_threads

if TYPE_CHECKING:
    from engine.run.gather import TellEpoch
    from engine.run.task import Answer
    from engine.run.ticket import Ticket
    from store.records import TrainingEpoch

EPOCH_TOPIC = "cohortscope-epoch"
use_threads(1)
write_for_owner_only()


class UnfitWorkerError(RuntimeError):
    """A worker that would give other numbers, or that cannot see the study."""


def answer_ticket(study: str, ticket: Ticket, code: str) -> Answer:
    """Compute one task and store its artifacts; UnfitWorkerError for a worker with other code or without the study."""
    from engine.run.provenance import code_version
    from engine.run.task import answered, compute
    from store.layout import StudyFolder

    folder = StudyFolder(Path(study))
    if code_version() != code:
        raise UnfitWorkerError(
            f"a worker on {socket.gethostname()} runs other code ({code_version()}) than the run ({code});"
            " start the workers again from the run's own checkout"
        )
    if not folder.private.is_dir():
        raise UnfitWorkerError(
            f"a worker on {socket.gethostname()} cannot see the study folder;"
            " put the study on a file system that all machines share, under the same path"
        )
    return answered(lambda: compute(folder, ticket, _teller(ticket.task.key)), ticket.task.attempts)


def _teller(key: str) -> TellEpoch:
    """Sends every epoch of a training to whoever watches."""
    from distributed import get_worker

    worker = get_worker()

    def tell(epoch: TrainingEpoch) -> None:
        worker.log_event(EPOCH_TOPIC, (key, epoch))

    return tell
