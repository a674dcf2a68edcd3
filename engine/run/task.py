"""run_task: the one entry through which every backend computes a result; a pure function of its key."""

from __future__ import annotations

import json
import re
import resource
import time
import traceback
from pathlib import Path

import numpy as np

from engine.pipeline import every_stage
from engine.protocol import Protocol, digest
from engine.run.planning import COHORT_UNIT, RESAMPLE_MARK, section_name
from engine.run.sources import read_sources
from engine.run.stage import Input, Stage, inputs_of, outputs_of, producer_of
from engine.segment.model import find_model
from store.artifacts import read_value, store_value, suffix_of
from store.layout import StoredFile, StudyFolder
from store.ledger import Ledger, TaskRow
from store.records import Cohort, DeclinedError, RefusedError, Resamples, TrainingEpoch
from store.reviews import verdicts_with_masks
from store.sources import (
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    Lookup,
    ModelFile,
    PlantingNumber,
    ReferenceFiles,
    ResampleNumber,
    Trainings,
    TrainingUnit,
    Verdicts,
    Workspace,
)
from store.training_progress import record_epoch

MOST_ATTEMPTS = 3
KIB_PER_MIB = 1024.0
QUOTED_PATHS = re.compile(r"""(['"])[^'"]*[/\\][^'"]*\1""")
PATHS = re.compile(r"""(?<![\w.])/[^:'"\n]*""")


def run_task(study: Path, key: str) -> str:
    """Compute and record the result of one task; returns the state it ended in.

    A finished task is left alone. A refused input or a declined analysis is recorded as such; a broken law
    (ValueError, TypeError) fails at once; anything else is tried three times, then fails with its reason.
    """
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        if not ledger.claim(key):
            return ledger.task(key).state
        task = ledger.task(key)
        started = time.monotonic()
        try:
            files = _compute(folder, ledger, task)
        except DeclinedError as error:
            return _end(ledger, key, "declined", str(error))
        except RefusedError as error:
            words = {"code": error.code, "file": error.file, "message": error.message, "remedy": error.remedy}
            return _end(ledger, key, "refused", json.dumps(words))
        except (ValueError, TypeError, KeyError) as error:
            return _end(ledger, key, "failed", reason_of(error))
        except Exception as error:  # noqa: BLE001  the one place where any failure of a case becomes a record
            state = "failed" if task.attempts >= MOST_ATTEMPTS else "pending"
            return _end(ledger, key, state, reason_of(error))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB
        ledger.finish_task(key, files, time.monotonic() - started, peak_mb)
    return "done"


def _end(ledger: Ledger, key: str, state: str, reason: str) -> str:
    ledger.end_task(key, state, reason)
    return state


def reason_of(error: Exception) -> str:
    """An error in words that hold no path and no name: both may be a patient's.

    Sentences of ValueError and TypeError stay without paths; of anything else only its type, the system's own words
    and the place in our code are said.
    """
    name = type(error).__name__
    if isinstance(error, ValueError | TypeError) and not isinstance(error, UnicodeError):
        return f"{name}: {PATHS.sub('<path>', QUOTED_PATHS.sub('<path>', str(error)))}"
    words = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"{name}{words} (in {_place_of(error)})"


def _place_of(error: Exception) -> str:
    """Module and line of the last frame of our own code that an error passed."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "/engine/" in f.filename or "/store/" in f.filename]
    return f"{Path(ours[-1].filename).stem} line {ours[-1].lineno}" if ours else "a library"


def _compute(folder: StudyFolder, ledger: Ledger, task: TaskRow) -> tuple[StoredFile, ...]:
    protocol = run_protocol(ledger, task.run_id)
    pipeline = every_stage(protocol.study.kind)
    stage = next(s for s in pipeline if s.name == task.stage)
    gather = Gather(folder, ledger, protocol, pipeline, stage, task)
    result = stage.function(**{wanted.parameter: gather.value(wanted) for wanted in inputs_of(stage)})
    return tuple(
        store_value(folder, output.kind, task.key, output.record_type, getattr(result, output.field))
        for output in outputs_of(stage)
    )


def run_protocol(ledger: Ledger, run_id: str) -> Protocol:
    """The protocol a run was started with."""
    return Protocol.model_validate_json(ledger.protocol_json(run_id))


class Gather:
    """Reads the inputs of one task from the store, by the declaration of its stage."""

    def __init__(
        self,
        folder: StudyFolder,
        ledger: Ledger,
        protocol: Protocol,
        pipeline: tuple[Stage, ...],
        stage: Stage,
        task: TaskRow,
    ) -> None:
        self._folder, self._ledger, self._protocol = folder, ledger, protocol
        self._pipeline, self._stage, self._task = pipeline, stage, task

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
            return verdicts_with_masks(self._folder, self._ledger, unit)
        sources = read_sources(self._folder.root)
        if wanted.record_type is CaseSource:
            return sources.case(unit)
        if wanted.record_type is AnatomyProgram:
            return sources.program
        if wanted.record_type is ReferenceFiles:
            return sources.references
        if wanted.record_type is ModelFile:
            return None if sources.model is None else ModelFile(sources.model)
        return sources.clinical if wanted.record_type is ClinicalSource else sources.table

    def _workspace(self) -> Workspace:
        key = self._task.key

        def tell(epoch: TrainingEpoch) -> None:
            record_epoch(self._ledger, key, epoch)

        return Workspace(self._folder.training / "prepared", self._folder.training / key, tell)

    def _stored(self, wanted: Input) -> object:
        producer = producer_of(self._pipeline, self._stage, wanted.record_type)
        if producer is None:
            return None
        placed = self._ledger.placed(self._task.run_id, producer.stage.name)
        done = {unit: key for unit, key, state in placed if state == "done"}
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
        unit = self._task.unit if producer.stage.unit in ("case", "training") else COHORT_UNIT
        return self._read(kind, done[unit], wanted) if unit in done else None

    def _read_many(self, kind: str, key: str, wanted: Input) -> tuple[object, ...]:
        value = self._read(kind, key, wanted)
        return value if isinstance(value, tuple) else (value,)

    def _read(self, kind: str, key: str, wanted: Input) -> object:
        path = self._folder.artifact(kind, key, suffix_of(wanted.record_type))
        return read_value(path, wanted.record_type)
