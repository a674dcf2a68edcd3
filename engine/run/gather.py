"""Reads the inputs of one task from the store, by the declaration of its stage."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.protocol import digest
from engine.run.planning import RESAMPLE_MARK, section_name
from engine.run.stage import Input, producer_of
from engine.run.ticket import Ticket, unit_read
from engine.segment.model import find_model
from store.artifacts import read_value, suffix_of
from store.layout import StudyFolder
from store.records import Cohort, Resamples, TrainingEpoch
from store.reviews import with_masks
from store.source_list import read_case_source, read_common_sources
from store.sources import (
    ONE_BY_ONE,
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    Lookup,
    ModelFile,
    PlantingNumber,
    PriorSource,
    ReferenceFiles,
    ResampleNumber,
    Sharing,
    Trainings,
    TrainingUnit,
    Verdicts,
    Workspace,
)
from store.volumes import ArrayRecord

TellEpoch = Callable[[TrainingEpoch], None]
REPEATED = ("resample", "permutation", "planting")
INPUTS_KEPT = 4


class Gather:
    """The inputs of one task; tell is called after every epoch of a training."""

    def __init__(self, folder: StudyFolder, ticket: Ticket, tell: TellEpoch, sharing: Sharing = ONE_BY_ONE) -> None:
        self._folder, self._ticket, self._tell, self._sharing = folder, ticket, tell, sharing
        self._task, self._protocol = ticket.task, ticket.protocol

    def value(self, wanted: Input) -> object:
        """The value of one parameter."""
        if wanted.form == "section":
            return getattr(self._protocol, section_name(self._protocol, wanted.record_type))
        if wanted.form == "generator":
            return np.random.default_rng([self._protocol.study.seed, int(digest([self._task.key])[:16], 16)])
        if wanted.form == "source":
            return self._source(wanted)
        if wanted.form == "workspace":
            return self._workspace()
        if wanted.form == "sharing":
            return self._sharing
        if wanted.form == "model":
            name = self._protocol.segment.model
            return find_model(name) if name else None
        return self._stored(wanted)

    def _source(self, wanted: Input) -> object:
        unit = self._task.unit
        if wanted.record_type in (ResampleNumber, PlantingNumber):
            return wanted.record_type(int(unit.removeprefix(RESAMPLE_MARK)))
        if wanted.record_type is TrainingUnit:
            return TrainingUnit.parse(unit)
        if wanted.record_type is Verdicts:
            return with_masks(self._folder, self._ticket.verdicts)
        if wanted.record_type is CaseSource:
            return read_case_source(self._folder.root, unit)
        if wanted.record_type is PriorSource:
            return read_case_source(self._folder.root, unit).prior
        sources = read_common_sources(self._folder.root)
        if wanted.record_type is AnatomyProgram:
            return sources.program
        if wanted.record_type is ReferenceFiles:
            return sources.references
        if wanted.record_type is ModelFile:
            return None if sources.model is None else ModelFile(sources.model)
        return sources.clinical if wanted.record_type is ClinicalSource else sources.table

    def _workspace(self) -> Workspace:
        return Workspace(self._folder.training / "prepared", self._folder.training / self._task.key, self._tell)

    def _stored(self, wanted: Input) -> object:
        producer = producer_of(self._ticket.pipeline, self._ticket.stage, wanted.record_type)
        if producer is None:
            return None
        done = self._ticket.done[producer.stage.name]
        kind = producer.output.kind
        if wanted.form == "cohort":
            return Cohort(tuple((u, r) for u, k in done.items() for r in self._read_many(kind, k, wanted)))
        if wanted.form == "resamples":
            numbered = ((int(u.removeprefix(RESAMPLE_MARK)), k) for u, k in done.items())
            return Resamples(tuple((u, r) for u, k in numbered for r in self._read_many(kind, k, wanted)))
        if wanted.form == "trainings":
            return Trainings(tuple((u, r) for u, k in done.items() for r in self._read_many(kind, k, wanted)))
        if wanted.form == "lookup":
            return Lookup(tuple(done), lambda case: self._read(kind, done[case], wanted))
        unit = unit_read(self._task.unit, producer.stage)
        return self._read(kind, done[unit], wanted) if unit in done else None

    def _read_many(self, kind: str, key: str, wanted: Input) -> tuple[object, ...]:
        value = self._read(kind, key, wanted)
        return value if isinstance(value, tuple) else (value,)

    def _read(self, kind: str, key: str, wanted: Input) -> object:
        path = self._folder.artifact(kind, key, suffix_of(wanted.record_type))
        if self._ticket.stage.unit in REPEATED:
            return _kept(path, wanted.record_type)
        return read_value(path, wanted.record_type)


@functools.lru_cache(INPUTS_KEPT)
def _kept(path: Path, record_type: type) -> object:
    """What hundreds of tasks read, kept by the worker; arrays are read-only."""
    value = read_value(path, record_type)
    if isinstance(value, ArrayRecord):
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            array = getattr(value, field.name)
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
    return value
