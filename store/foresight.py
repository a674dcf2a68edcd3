"""What a run would do, and the questions to the ledger behind it: which keys have a result, what a task costs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger, running

BATCH = 500
ENDED = ("finished", "refused")


@dataclass(frozen=True, slots=True)
class StageMean:
    """What a task of a stage took: seconds of one process, bytes of its results."""

    seconds: float
    bytes: float


@dataclass(frozen=True, slots=True)
class ForeseenStage:
    """What a run would compute of one stage, and why.

    `changed`: choices it reads that differ from the last run's; `new`: tasks whose unit that run did not have; `left`:
    tasks that a run left which did not come to its end; `retried`: tasks that failed before; `follows`: earlier stages
    whose new results it reads. None of them: the stage's own method has changed since, or its result was lost. seconds
    (over the cores) and megabytes as they were before; None where the stage was never run.
    """

    stage: str
    tasks: int
    cases: int
    changed: tuple[str, ...]
    new: int
    left: int
    retried: int
    follows: tuple[str, ...]
    seconds: float | None
    megabytes: float | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The tasks a run would compute: (stage, unit) in order, and the seconds they took before, over the cores.

    seconds is None where a stage was never run, so that nobody knows. Tasks that failed are not among them: a run tries
    them again, and `stages` counts them.
    """

    tasks: tuple[tuple[str, str], ...]
    seconds: float | None
    stages: tuple[ForeseenStage, ...] = ()

    @property
    def cases(self) -> tuple[str, ...]:
        """The cases of which something would be computed, by name."""
        return tuple(sorted({unit for _, unit in self.tasks if unit and not unit.startswith("#")}))

    @property
    def of_cases(self) -> int:
        """How many tasks belong to one case."""
        return sum(bool(unit) and not unit.startswith("#") for _, unit in self.tasks)

    @property
    def of_cohort(self) -> int:
        """How many tasks belong to the whole cohort, bootstraps included."""
        return len(self.tasks) - self.of_cases


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that did not come to its end: its state, tasks done and placed."""

    state: str
    done: int
    total: int


def states_of(ledger: Ledger, keys: Sequence[str]) -> dict[str, str]:
    """State of every key that was ever enqueued; a key that is absent was never computed."""
    found: dict[str, str] = {}
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        marks = ",".join("?" * len(part))
        rows = ledger.rows(f"SELECT key, state FROM task WHERE key IN ({marks})", tuple(part))
        found |= {str(key): str(state) for key, state in rows}
    return found


def stage_means(ledger: Ledger) -> dict[str, StageMean]:
    """Mean cost of a finished task by stage; a stage that never finished one is absent."""
    rows = ledger.rows(
        "SELECT stage, avg(seconds), coalesce(sum(size), 0) / count(*) FROM task LEFT JOIN (SELECT key,"
        " sum(bytes) AS size FROM artifact GROUP BY key) USING (key) WHERE state='done' GROUP BY stage"
    )
    return {str(stage): StageMean(float(str(seconds or 0.0)), float(str(size))) for stage, seconds, size in rows}


def left_unfinished(study: Path) -> Unfinished | None:
    """How the last run was left, when it neither came to its end nor goes on; None otherwise.

    A run that was refused ended on purpose: going on would be refused again.
    """
    folder = StudyFolder(study)
    if not folder.ledger.exists() or running(study):
        return None
    with closing(Ledger(folder)) as ledger:
        run = ledger.latest_run()
        if run is None or run.state in ENDED:
            return None
        stages = ledger.progress(run.run_id)
    return Unfinished(run.state, sum(stage.done for stage in stages), sum(stage.total for stage in stages))


def run_standing(study: Path) -> tuple[str, ...]:
    """The last run, its state, and how many verdicts are signed: what besides choices decides on a run's work."""
    with closing(Ledger(StudyFolder(study))) as ledger:
        run = ledger.latest_run()
        return (*((run.run_id, run.state) if run else ()), str(len(ledger.verdicts())))


def reviewed_until(study: Path) -> str:
    """When the newest run began that chose a mask for every case it placed in *review*; empty where none did."""
    with closing(Ledger(StudyFolder(study))) as ledger:
        found = ledger.rows(
            "SELECT max(r.started_at) FROM (SELECT p.run_id FROM placement p JOIN task t USING (key)"
            " WHERE p.stage='review' GROUP BY p.run_id HAVING min(t.state='done')) JOIN run r USING (run_id)"
        )
    return str(found[0][0] or "")


def failed_stages(study: Path, reason: str) -> tuple[str, ...]:
    """The stages of all tasks that failed for exactly this reason, one for each."""
    with Ledger(StudyFolder(study)) as ledger:
        found = ledger.rows("SELECT stage FROM task WHERE state='failed' AND reason=? ORDER BY stage", (reason,))
    return tuple(str(row[0]) for row in found)
