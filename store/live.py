"""What a run is doing at this moment, as its ledger tells: tasks at work, how many end, how far every case is."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger, RunRow

# CROSS JOIN keeps SQLite's order: the few open or recent tasks first, then their places in the run.
PACE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class TaskAtWork:
    """A task that is being computed: for how many seconds, and at which attempt."""

    stage: str
    unit: str
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task of a run that failed or was refused, its reason and how often it was tried."""

    stage: str
    unit: str
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class CaseProgress:
    """How far one case is in a run: of the stages begun, those done and failed; the one at work; what it took."""

    case_id: str
    done: int
    failed: int
    begun: int
    at_work: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Tasks of a run that were computed in the last `seconds`, by stage in no order."""

    ended: tuple[tuple[str, int], ...]
    seconds: float

    @property
    def tasks(self) -> int:
        """Tasks of every stage."""
        return sum(count for _, count in self.ended)


@dataclass(frozen=True, slots=True)
class Live:
    """A run at one moment; whole: it goes through every stage, and is no training or part."""

    at_work: tuple[TaskAtWork, ...]
    failed: tuple[FailedTask, ...]
    pace: Pace
    cases: tuple[CaseProgress, ...]
    whole: bool


NOTHING = Live((), (), Pace((), 0.0), (), False)


def tasks_at_work(ledger: Ledger, run_id: str) -> tuple[TaskAtWork, ...]:
    """The tasks that a run computes now, the longest first; on a cluster with those that wait at a worker."""
    found = ledger.rows(
        "SELECT t.stage, t.unit, t.lease_at, t.attempts FROM task t CROSS JOIN placement p USING (key)"
        " WHERE t.state='running' AND p.run_id=? ORDER BY t.lease_at",
        (run_id,),
    )
    at = time.time()
    return tuple(
        TaskAtWork(str(stage), str(unit), max(0.0, at - float(str(since))), int(str(attempt)))
        for stage, unit, since, attempt in found
    )


def failed_tasks(ledger: Ledger, run_id: str) -> tuple[FailedTask, ...]:
    """The tasks of a run that failed or were refused, in the order of its stages."""
    found = ledger.rows(
        "SELECT t.stage, t.unit, CASE WHEN t.state='refused' THEN json_extract(t.reason,'$.message') || ' ' ||"
        " json_extract(t.reason,'$.remedy') ELSE t.reason END, t.attempts"
        " FROM task t CROSS JOIN placement p USING (key) WHERE t.state IN ('failed','refused')"
        " AND p.run_id=? ORDER BY p.rowid",
        (run_id,),
    )
    return tuple(FailedTask(str(s), str(u), str(reason), int(str(attempts))) for s, u, reason, attempts in found)


def case_progress(ledger: Ledger, run_id: str) -> tuple[CaseProgress, ...]:
    """How far every case of a run is, by name."""
    found = ledger.rows(
        "SELECT p.unit, sum(t.state IN ('done','declined')), sum(t.state IN ('failed','refused')), count(*),"
        " coalesce(max(CASE WHEN t.state='running' THEN p.stage END), ''), coalesce(sum(t.seconds), 0)"
        " FROM placement p JOIN task t USING (key) WHERE p.run_id=? AND p.unit<>'' AND p.unit NOT LIKE '#%'"
        " GROUP BY p.unit ORDER BY p.unit",
        (run_id,),
    )
    return tuple(
        CaseProgress(str(case), int(str(done)), int(str(failed)), int(str(begun)), str(stage), float(str(seconds)))
        for case, done, failed, begun, stage, seconds in found
    )


def pace_of(ledger: Ledger, run: RunRow) -> Pace:
    """How many tasks of a run ended in the last minute, or since its start when that is later."""
    at = datetime.now(UTC)
    seconds = min(PACE_SECONDS, max(1.0, (at - datetime.fromisoformat(run.started_at)).total_seconds()))
    since = (at - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
    found = ledger.rows(
        "SELECT t.stage, count(*) FROM task t CROSS JOIN worked w USING (key) WHERE t.finished_at>=? AND w.run_id=?"
        " GROUP BY t.stage",
        (since, run.run_id),
    )
    return Pace(tuple((str(stage), int(str(count))) for stage, count in found), seconds)


def read_live(study: Path, with_cases: bool) -> Live:
    """What the latest run of a study does now; every case's progress only when asked for. Nothing before any run."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return NOTHING
    with closing(Ledger(folder)) as ledger:
        run = ledger.latest_run()
        if run is None:
            return NOTHING
        return Live(
            tasks_at_work(ledger, run.run_id),
            failed_tasks(ledger, run.run_id),
            pace_of(ledger, run),
            case_progress(ledger, run.run_id) if with_cases else (),
            not run.until_stage,
        )
