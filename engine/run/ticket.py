"""A ticket: all that one task needs of the ledger, so that it can be computed where no ledger can be opened."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.pipeline import every_stage
from engine.protocol import Protocol
from engine.run.planning import COHORT_UNIT
from engine.run.stage import GATHERED, Input, Stage, inputs_of, producer_of
from store.ledger import Ledger, TaskRow
from store.records import Verdict
from store.sources import Verdicts


@dataclass(frozen=True, slots=True)
class Ticket:
    """One task, the protocol of its run, and the keys of finished tasks that it reads: stage -> unit -> key."""

    task: TaskRow
    protocol: Protocol
    done: dict[str, dict[str, str]] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()

    @property
    def pipeline(self) -> tuple[Stage, ...]:
        """Every stage there is for the kind of study."""
        return every_stage(self.protocol.study.kind)

    @property
    def stage(self) -> Stage:
        """The stage of the task."""
        return next(stage for stage in self.pipeline if stage.name == self.task.stage)


def run_protocol(ledger: Ledger, run_id: str) -> Protocol:
    """The protocol a run was started with."""
    return Protocol.model_validate_json(ledger.protocol_json(run_id))


def ticket_of(ledger: Ledger, task: TaskRow) -> Ticket:
    """Everything that a task's inputs need of the ledger; the cost does not grow with the cohort unless it reads it."""
    bare = Ticket(task, run_protocol(ledger, task.run_id))
    done: dict[str, dict[str, str]] = {}
    verdicts: tuple[Verdict, ...] = ()
    for wanted in inputs_of(bare.stage):
        if wanted.record_type is Verdicts:
            verdicts = ledger.verdicts(task.unit)
        producer = producer_of(bare.pipeline, bare.stage, wanted.record_type)
        if producer is not None:
            found = done.setdefault(producer.stage.name, {})
            found |= _keys(ledger, task, producer.stage, wanted)
    return Ticket(task, bare.protocol, done, verdicts)


def unit_read(task_unit: str, producer: Stage) -> str:
    """The unit of an earlier stage whose result one task reads."""
    return task_unit if producer.unit in ("case", "training") else COHORT_UNIT


def _keys(ledger: Ledger, task: TaskRow, producer: Stage, wanted: Input) -> dict[str, str]:
    if wanted.form in GATHERED:
        return {unit: key for unit, key, state in ledger.placed(task.run_id, producer.name) if state == "done"}
    unit = unit_read(task.unit, producer)
    key, state = ledger.placed_unit(task.run_id, producer.name, unit)
    return {unit: key} if state == "done" else {}
