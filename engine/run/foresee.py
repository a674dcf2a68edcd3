"""What a run would compute now, told from keys alone: nothing is placed, enqueued or read from images."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from engine.pipeline import pipeline_of
from engine.protocol import Protocol, read_protocol, without_paths
from engine.run.intake import model_sha256
from engine.run.planning import MissingInputError, Plan, section_name, task_key, units_of
from engine.run.stage import Stage, inputs_of, producer_of
from store.foresight import Foreseen, ForeseenStage, StageMean, stage_means, states_of
from store.layout import StudyFolder
from store.ledger import Ledger
from store.source_list import has_sources, read_sources

LEFT = ("pending", "running")
UNFINISHED = ("", *LEFT)
FAILED = ("failed", "refused")
SEED = "study.seed"


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
    if not has_sources(folder.root):
        return Foreseen((), 0.0)
    protocol = read_protocol(folder.root)
    with closing(_Foreseeing(folder)) as ledger:
        latest = ledger.latest_run()
        if latest is None:
            return Foreseen((), 0.0)
        model = model_sha256(folder.root, protocol)
        plan = Plan(latest.run_id, pipeline_of(protocol.study.kind), protocol, read_sources(folder.root), model)
        costs = stage_means(ledger)
        changed = changed_choices(latest.protocol_json, protocol)
        tasks: list[tuple[str, str]] = []
        stages: dict[str, ForeseenStage] = {}
        for stage in plan.pipeline:
            before = {unit for unit, _, _ in ledger.placed(latest.run_id, stage.name)}
            found, left, retried = _foresee_stage(plan, stage, ledger)
            tasks += found
            if found or retried:
                units = [unit for _, unit in found]
                of_stage = _why(plan, stage, units, before, (changed, tuple(stages)))
                seconds, megabytes = _costs(units, costs.get(stage.name))
                stages[stage.name] = replace(of_stage, left=left, retried=retried, seconds=seconds, megabytes=megabytes)
        return Foreseen(tuple(tasks), _total([s.seconds for s in stages.values() if s.tasks]), tuple(stages.values()))


def changed_choices(last_json: str, protocol: Protocol) -> tuple[str, ...]:
    """Fields (section.field) of a protocol that differ from those a run was started with, without its paths."""
    last = json.loads(last_json)
    now = without_paths(protocol).model_dump(mode="json")
    return tuple(
        f"{section}.{name}"
        for section, fields in now.items()
        for name, value in fields.items()
        if last.get(section, {}).get(name) != value
    )


def _why(
    plan: Plan, stage: Stage, units: list[str], before: set[str], earlier: tuple[tuple[str, ...], tuple[str, ...]]
) -> ForeseenStage:
    """The causes of a stage's tasks; earlier: the choices that changed, the stages that would be computed before it."""
    changed, recomputed = earlier
    wanted = inputs_of(stage)
    sections = {section_name(plan.protocol, w.record_type) for w in wanted if w.form == "section"}
    if any(w.form == "generator" for w in wanted):
        sections.add("study")
    makers = [producer_of(plan.pipeline, stage, w.record_type) for w in wanted if w.form not in ("section", "source")]
    follows = dict.fromkeys(m.stage.name for m in makers if m is not None and m.stage.name in recomputed)
    return ForeseenStage(
        stage=stage.name,
        tasks=len(units),
        cases=sum(bool(unit) and not unit.startswith("#") for unit in units),
        changed=tuple(c for c in changed if c.split(".")[0] in sections and (c == SEED or not c.startswith("study."))),
        new=sum(unit not in before for unit in units) if before else len(units),
        left=0,
        retried=0,
        follows=tuple(follows),
        seconds=None,
        megabytes=None,
    )


def _costs(units: list[str], mean: StageMean | None) -> tuple[float | None, float | None]:
    """Seconds over the cores and megabytes of so many tasks."""
    if mean is None:
        return None, None
    at_once = max(1, min(len(os.sched_getaffinity(0)), len(units)))
    return mean.seconds * len(units) / at_once, mean.bytes * len(units) / 1e6


def _total(seconds: list[float | None]) -> float | None:
    """Stages follow one another. None where one of them has never been timed."""
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def _foresee_stage(plan: Plan, stage: Stage, ledger: _Foreseeing) -> tuple[list[tuple[str, str]], int, int]:
    """The tasks of a stage that would be computed; how many of them a run left; how many that failed before."""
    keyed = []
    for unit in units_of(plan, stage, ledger):
        try:
            keyed.append((unit, task_key(plan, stage, unit, ledger)))
        except MissingInputError:
            continue
    states = states_of(ledger, [key for _, key in keyed])
    ended = [(unit, key, "done" if states.get(key, "") in UNFINISHED else states[key]) for unit, key in keyed]
    ledger.foresee(stage.name, ended)
    fresh = [(stage.name, unit) for unit, key in keyed if states.get(key, "") in UNFINISHED]
    before = [states.get(key, "") for _, key in keyed]
    return fresh, sum(s in LEFT for s in before), sum(s in FAILED for s in before)
