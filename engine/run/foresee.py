"""What a run would compute now, told from keys alone: nothing is placed, enqueued or read from images."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from engine.pipeline import pipeline_of
from engine.protocol import read_protocol
from engine.run.intake import model_sha256
from engine.run.planning import MissingInputError, Plan, task_key, units_of
from engine.run.sources import SOURCES_FILE, read_sources
from engine.run.stage import Stage
from store.foresight import mean_seconds, states_of
from store.layout import StudyFolder
from store.ledger import Ledger

UNFINISHED = ("", "pending", "running")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The tasks a run would compute: (stage, unit) in order, and the seconds they took before, over the cores.

    seconds is None where a stage was never run, so that nobody knows.
    """

    tasks: tuple[tuple[str, str], ...]
    seconds: float | None

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


class _Foreseeing(Ledger):
    """A ledger that answers for stages not run yet as if they had ended as foreseen."""

    def __init__(self, folder: StudyFolder) -> None:
        super().__init__(folder)
        self.foreseen: dict[str, tuple[tuple[str, str, str], ...]] = {}
        self._by_unit: dict[str, dict[str, tuple[str, str]]] = {}

    def placed(self, run_id: str, stage: str) -> tuple[tuple[str, str, str], ...]:
        """As foreseen, else as recorded."""
        return self.foreseen[stage] if stage in self.foreseen else super().placed(run_id, stage)

    def placed_unit(self, run_id: str, stage: str, unit: str) -> tuple[str, str]:
        """As foreseen, else as recorded."""
        if stage not in self.foreseen:
            return super().placed_unit(run_id, stage, unit)
        return self._by_unit[stage].get(unit, ("", ""))

    def foresee(self, stage: str, tasks: list[tuple[str, str, str]]) -> None:
        """Take (unit, key, state) of every task of a stage as how it will have ended."""
        self.foreseen[stage] = tuple(sorted(tasks))
        self._by_unit[stage] = {unit: (key, state) for unit, key, state in tasks}


def foresee(study: Path) -> Foreseen:
    """What `run` would compute if it were started now; nothing before the first run. ValueError: wrong protocol."""
    folder = StudyFolder(study.resolve())
    if not (folder.private / SOURCES_FILE).exists():
        return Foreseen((), 0.0)
    protocol = read_protocol(folder.root)
    with closing(_Foreseeing(folder)) as ledger:
        latest = ledger.latest_run()
        if latest is None:
            return Foreseen((), 0.0)
        model = model_sha256(folder.root, protocol)
        plan = Plan(latest.run_id, pipeline_of(protocol.study.kind), protocol, read_sources(folder.root), model)
        tasks: list[tuple[str, str]] = []
        for stage in plan.pipeline:
            tasks += _foresee_stage(plan, stage, ledger)
        return Foreseen(tuple(tasks), _seconds(tasks, mean_seconds(ledger)))


def _foresee_stage(plan: Plan, stage: Stage, ledger: _Foreseeing) -> list[tuple[str, str]]:
    keyed = []
    for unit in units_of(plan, stage, ledger):
        try:
            keyed.append((unit, task_key(plan, stage, unit, ledger)))
        except MissingInputError:
            continue
    states = states_of(ledger, [key for _, key in keyed])
    ended = [(unit, key, "done" if states.get(key, "") in UNFINISHED else states[key]) for unit, key in keyed]
    ledger.foresee(stage.name, ended)
    return [(stage.name, unit) for unit, key in keyed if states.get(key, "") in UNFINISHED]


def _seconds(tasks: list[tuple[str, str]], mean: dict[str, float]) -> float | None:
    """Stages follow one another; within one, tasks share the cores. None where a stage has never been timed."""
    if any(stage not in mean for stage, _ in tasks):
        return None
    cores = len(os.sched_getaffinity(0))
    counts: dict[str, int] = {}
    for stage, _ in tasks:
        counts[stage] = counts.get(stage, 0) + 1
    return sum(mean[stage] * count / min(cores, count) for stage, count in counts.items())
