"""run_task: the one way by which every backend computes a result; a pure function of its key."""

from __future__ import annotations

import errno
import json
import re
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.run.gather import Gather, TellEpoch
from engine.run.stage import inputs_of, outputs_of
from engine.run.ticket import Ticket, ticket_of
from store.artifacts import store_value
from store.layout import StoredFile, StudyFolder
from store.ledger import Ledger
from store.records import DeclinedError, RefusedError, TrainingEpoch
from store.sources import ONE_BY_ONE, Sharing
from store.training_progress import record_epoch

MOST_ATTEMPTS = 3
MOST_ATTEMPTS_WITHOUT_ROOM = 30
KIB_PER_MIB = 1024.0
NO_MEMORY = re.compile(r"bad_?alloc|[Uu]nable to allocate|(can't|[Cc]annot) allocate|not enough memory")
QUOTED_PATHS = re.compile(r"""(['"])[^'"]*[/\\][^'"]*\1""")
PATHS = re.compile(r"""(?<![\w.])/[^:'"\n]*""")


@dataclass(frozen=True, slots=True)
class Answer:
    """How one task ended: done with its files, or why not; seconds and peak memory (MiB) of the process."""

    state: str  # done | pending (to be tried again) | failed | declined | refused
    reason: str = ""
    files: tuple[StoredFile, ...] = ()
    seconds: float = 0.0
    peak_mb: float = 0.0


def run_task(study: Path, key: str, sharing: Sharing = ONE_BY_ONE) -> str:
    """Compute and record the result of one task; returns the state it ended in. A finished task is left alone.

    sharing: what is offered to a task whose parts do not depend on one another.
    """
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        if not ledger.claim(key):
            return ledger.task(key).state
        task = ledger.task(key)

        def tell(epoch: TrainingEpoch) -> None:
            record_epoch(ledger, key, epoch)

        answer = answered(lambda: compute(folder, ticket_of(ledger, task), tell, sharing), task.attempts)
        return record(ledger, key, answer)


def record(ledger: Ledger, key: str, answer: Answer) -> str:
    """Write an answer into the ledger; returns its state."""
    if answer.state == "done":
        ledger.finish_task(key, answer.files, answer.seconds, answer.peak_mb)
    else:
        ledger.end_task(key, answer.state, answer.reason)
    return answer.state


def answered(work: Callable[[], tuple[StoredFile, ...]], attempts: int) -> Answer:
    """What a piece of work came to at its n-th attempt, whatever happens in it.

    A refused input or a declined analysis is told as such; a broken law (ValueError, TypeError) fails at once; anything
    else is tried three times, then fails with its reason. A full disk is no fault of the case: it is tried more often,
    and the runner waits for room in between.
    """
    started = time.monotonic()
    try:
        files = work()
    except DeclinedError as error:
        return Answer("declined", str(error))
    except RefusedError as error:
        words = {"code": error.code, "file": error.file, "message": error.message, "remedy": error.remedy}
        return Answer("refused", json.dumps(words))
    except (ValueError, TypeError, KeyError) as error:
        return Answer("failed", reason_of(error))
    except Exception as error:  # noqa: BLE001  the one place where any failure of a case becomes a record
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        most = MOST_ATTEMPTS_WITHOUT_ROOM if full else MOST_ATTEMPTS
        return Answer("failed" if attempts >= most else "pending", reason_of(error))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB
    return Answer("done", files=files, seconds=time.monotonic() - started, peak_mb=peak_mb)


def compute(
    folder: StudyFolder, ticket: Ticket, tell: TellEpoch, sharing: Sharing = ONE_BY_ONE
) -> tuple[StoredFile, ...]:
    """Read a task's inputs, call its stage's function and store what it returns; the ledger is not touched."""
    stage, gather = ticket.stage, Gather(folder, ticket, tell, sharing)
    result = stage.function(**{wanted.parameter: gather.value(wanted) for wanted in inputs_of(stage)})
    return tuple(
        store_value(folder, output.kind, ticket.task.key, output.record_type, getattr(result, output.field))
        for output in outputs_of(stage)
    )


def reason_of(error: Exception) -> str:
    """An error in words that hold no path and no name: both may be a patient's.

    Sentences of ValueError and TypeError stay without paths; of anything else only its type, the system's own words
    and the place in our code are said.
    """
    name = type(error).__name__
    if isinstance(error, ValueError | TypeError) and not isinstance(error, UnicodeError):
        return f"{name}: {PATHS.sub('<path>', QUOTED_PATHS.sub('<path>', str(error)))}"
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return f"out of memory (in {_place_of(error)}); give the run more memory, or fewer cores (taskset -c 0)"
    words = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"{name}{words} (in {_place_of(error)})"


def _place_of(error: Exception) -> str:
    """Module and line of the last frame of our own code that an error passed."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "/engine/" in f.filename or "/store/" in f.filename]
    return f"{Path(ours[-1].filename).stem} line {ours[-1].lineno}" if ours else "a library"
