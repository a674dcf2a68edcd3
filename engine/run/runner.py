"""The runner: brings every stage of a study up to date, stage by stage, and loses nothing when it is killed."""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol as Interface

from engine.pipeline import (
    PLANTED,
    SELF_TEST,
    pipeline_of,
    planted_pipeline,
    self_test_pipeline,
    training_pipeline,
    until,
)
from engine.protocol import Protocol, protocol_sha256, read_protocol, without_paths
from engine.run.backends.inline import InlineBackend
from engine.run.backends.local import LocalBackend
from engine.run.bundle_manifest import is_bundle, is_carried, read_manifest
from engine.run.disk import RoomKeeper, check_disk, network_warning
from engine.run.gpu_share import GPU_STAGES, share_gpus
from engine.run.intake import gather_sources, model_sha256
from engine.run.other_masks import CHOOSING_STAGE, MASKS_END, MaskSource, with_mask_source, with_shared_masks
from engine.run.planning import MissingInputError, Plan, task_key, units_of
from engine.run.provenance import code_version, package_versions
from engine.run.publishing import PublisherProcess
from engine.run.selection_register import record_selection, refuse_known_list, refuse_known_model
from engine.run.stage import Stage, check_pipeline
from engine.run.unbundle import refuse_absent
from engine.run.workspaces import sweep_trainings, training_bytes
from engine.training_protocol import Strategies, Train
from store.artifacts import read_value
from store.bundled import place_done
from store.layout import StudyFolder
from store.ledger import Ledger, LeftOut, RunRow, is_alive, now, process_start
from store.matrices import DesignTable
from store.publisher import DamagedArtifactError, NoRoomError, publish
from store.records import Refusal, RefusedError

SCHEDULER_VARIABLE = "COHORTSCOPE_SCHEDULER"
LEASE_WAIT_SECONDS = 10.0
MOST_REPAIRS = 3
TRAINING_END = "strategies"
FIRST_USE_OF_OUTCOMES = "candidates"
SIGNALS = (signal.SIGTERM, signal.SIGINT)
log = logging.getLogger("cohortscope.run")


class CancelledRunError(BaseException):
    """The run was asked to stop; no task may take it for a failure of its own."""


class Backend(Interface):
    """Where tasks are computed: execute returns when every key is finished, close leaves no process behind.

    gpu_tasks: how many tasks that use a GPU fit at once; None where nothing limits them.
    """

    @property
    def gpu_tasks(self) -> int | None: ...  # noqa: D102
    def execute(self, keys: Sequence[str], beat: Callable[[], None], at_once: int | None = None) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


def open_backend(name: str, study: Path) -> Backend:
    """A backend by name: local, inline, or dask:SCHEDULER; empty: $COHORTSCOPE_SCHEDULER's, else local.

    ValueError for another name; RuntimeError when no scheduler answers.
    """
    kind, _, scheduler = (name or default_backend()).partition(":")
    if kind == "dask":
        from engine.run.backends.cluster import ClusterBackend  # half a second of imports that other runs save

        return ClusterBackend(study, scheduler)
    if kind == "local":
        return LocalBackend(study, gpus=share_gpus())
    if kind != "inline":
        raise ValueError(f"backend must be local, inline or dask, got {kind!r}")
    return InlineBackend(study)


def default_backend() -> str:
    """The cluster that the environment names, else this machine."""
    scheduler = os.environ.get(SCHEDULER_VARIABLE, "")
    return f"dask:{scheduler}" if scheduler else "local"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: its id, the number of failures and refusals, and what was declined with its reason."""

    run_id: str
    failures: int
    refusals: int
    declined: tuple[LeftOut, ...]


@contextmanager
def run_lock(folder: StudyFolder) -> Iterator[None]:
    """Hold the lock of the one runner; RuntimeError at once when another run of this study is alive."""
    folder.root.mkdir(parents=True, exist_ok=True)
    with folder.run_lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError("a run of this study is going on; wait for it or `cancel` it first") from error
        yield


def run(study: Path, until_stage: str = "", backend: str = "") -> RunResult:
    """Bring the stages of a study up to date; recomputes only what changed; ValueError for a wrong protocol."""
    study = study.resolve()
    folder = StudyFolder(study)
    protocol = read_protocol(study)
    stages = until(pipeline_of(protocol.study.kind), until_stage)
    return _bring_up(folder, protocol, stages, until_stage, backend)


def run_with_masks(study: Path, source: MaskSource, backend: str = "") -> RunResult:
    """The analysis up to prognosis on other masks than the study's own: a sensitivity, never the study's answer.

    A case whose mask is the same is shared with the study's own run, which must be up to date (RuntimeError). The run
    is exploratory, whatever plan is locked, and ends before the pipeline does, so that pages go on showing the study's
    own. ValueError as `with_mask_source`, and for an unpacked bundle.
    """
    folder = StudyFolder(study.resolve())
    own = read_protocol(folder.root)
    protocol = with_mask_source(own, source)
    if is_bundle(folder.root):
        raise ValueError("an unpacked bundle has no masks; repeat the analysis where the images are")
    stages = until(pipeline_of(protocol.study.kind), MASKS_END)
    return _bring_up(folder, protocol, stages, MASKS_END, backend, own)


def train(study: Path, chosen: Strategies, sizes: Train | None = None, backend: str = "") -> RunResult:
    """Train and compare strategies on a study: a run of the stages that this needs, with these choices and sizes.

    A training that was stopped goes on from its last finished epoch. ValueError for a wrong protocol or no strategy.
    """
    folder = StudyFolder(study.resolve())
    protocol = read_protocol(folder.root)
    if protocol.study.kind != "images" or not chosen.names:
        raise ValueError("training needs a study of images and at least one strategy")
    update: dict[str, object] = {"strategies": chosen, **({} if sizes is None else {"train": sizes})}
    return _bring_up(folder, protocol.model_copy(update=update), training_pipeline(), TRAINING_END, backend)


def self_test(study: Path, backend: str = "") -> RunResult:
    """Run the whole selection and comparison on permuted outcomes; resumes and is cancelled like any run."""
    folder = StudyFolder(study.resolve())
    protocol = read_protocol(folder.root)
    return _bring_up(folder, protocol, self_test_pipeline(protocol.study.kind), SELF_TEST.name, backend)


def detectable(study: Path, backend: str = "local") -> RunResult:
    """Plant gains in the study's own cohort and let the comparison speak; resumes and is cancelled like any run."""
    folder = StudyFolder(study.resolve())
    protocol = read_protocol(folder.root)
    return _bring_up(folder, protocol, planted_pipeline(protocol.study.kind), PLANTED.name, backend)


def _bring_up(
    folder: StudyFolder,
    protocol: Protocol,
    stages: tuple[Stage, ...],
    until_stage: str,
    backend: str,
    own: Protocol | None = None,
) -> RunResult:
    check_pipeline(stages)
    with run_lock(folder), _stop_on_signals():
        _tidy(folder)
        result = _run(folder, protocol, stages, until_stage, open_backend(backend, folder.root), own)
        sweep_trainings(folder)
        return result


def _run(
    folder: StudyFolder,
    protocol: Protocol,
    stages: tuple[Stage, ...],
    until_stage: str,
    worker_pool: Backend,
    own: Protocol | None,
) -> RunResult:
    run_id = f"run-{uuid.uuid4().hex[:12]}"
    with Ledger(folder) as ledger:
        ledger.start_run(_run_row(run_id, protocol, until_stage), code_version(), json.dumps(package_versions()))
        publisher = PublisherProcess(folder.root)
        state = "interrupted"
        try:
            plan = _plan(folder, ledger, run_id, protocol, stages)
            _bring_up_to_date(folder, plan, ledger, worker_pool, publisher, own)
            record_selection(folder.root, run_id)
            state = "finished"
        except RefusedError as error:
            state = "refused"
            _record_refused(ledger, run_id, error)
            raise
        except CancelledRunError:
            state = "cancelled"
            raise
        finally:
            _ignore_signals()
            worker_pool.close()
            ledger.finish_run(run_id, state)
            publisher.kill()
            _publish_the_end(folder.root)
        counts = ledger.run_counts(run_id)
        return RunResult(run_id, counts.failed, counts.refused, counts.declined)


def _bring_up_to_date(
    folder: StudyFolder,
    plan: Plan,
    ledger: Ledger,
    backend: Backend,
    publisher: PublisherProcess,
    own: Protocol | None,
) -> None:
    """Run the stages in order; results found damaged while publishing are computed again."""
    for _ in range(MOST_REPAIRS):
        for stage in plan.pipeline:
            if stage.name == FIRST_USE_OF_OUTCOMES:
                _refuse_derived(folder, plan, ledger)
            _run_stage(folder, plan, stage, ledger, backend, publisher)
            if own is not None and stage.name == CHOOSING_STAGE:
                plan = with_shared_masks(plan, own, ledger)
        damaged = publisher.publish_now()
        if not damaged:
            return
        log.warning("%d recorded result(s) were damaged on disk and are computed again", damaged)
    raise RuntimeError("results are damaged again and again; check the disk, then `verify`")


def _refuse_derived(folder: StudyFolder, plan: Plan, ledger: Ledger) -> None:
    """RefusedError when the study's features, or the model it names, stem from a selection of its own patients.

    An unpacked bundle whose choices are the sender's was asked at the sender's, who knows the selections.
    """
    if is_bundle(folder.root) and read_manifest(folder.root).protocol_sha256 == protocol_sha256(
        without_paths(plan.protocol)
    ):
        return
    for _, key, state in ledger.placed(plan.run_id, "table"):
        if state == "done":
            table = read_value(folder.artifact("table.table", key, ".npz"), DesignTable)
            if isinstance(table, DesignTable):
                refuse_known_list(folder.root, plan.protocol, table)
                refuse_known_model(folder.root, plan.protocol, table)


def _record_refused(ledger: Ledger, run_id: str, error: RefusedError) -> None:
    """Say on every page why nothing was selected or compared."""
    ledger.record_refusals(run_id, (Refusal("", error.code, error.file, error.message, error.remedy),))
    for stage in ("selection", "prognosis"):
        ledger.record_skipped(run_id, stage, f"{error.message} {error.remedy}")


def _publish_the_end(study: Path) -> None:
    """Publish how the run ended; damage found only now is left to `verify` and the next run, as is a full disk."""
    try:
        publish(study)
    except DamagedArtifactError as error:
        log.warning("%s; `verify --repair`, then `run`", error)
    except NoRoomError:
        log.warning("how the run ended could not be published for want of room; the next run does it")


def _plan(folder: StudyFolder, ledger: Ledger, run_id: str, protocol: Protocol, stages: tuple[Stage, ...]) -> Plan:
    sources, refusals = gather_sources(folder.root, protocol)
    ledger.record_refusals(run_id, refusals)
    log.info("%d case(s) found, %d refused at the gate", len(sources.cases), len(refusals))
    if not sources.cases and sources.table is None:
        raise ValueError("no case can be read below images.root; `check` says what was found and why it was refused")
    trains = (
        bool(protocol.strategies.names)
        and not is_bundle(folder.root)
        and any(stage.unit == "training" for stage in stages)
    )
    if warning := network_warning(folder.root):
        log.warning("%s", warning)
    check_disk(folder.root, sources, training_bytes(folder, protocol, sources) if trains else 0)
    return Plan(run_id, stages, protocol, sources, model_sha256(folder.root, protocol))


def _run_stage(
    folder: StudyFolder, plan: Plan, stage: Stage, ledger: Ledger, backend: Backend, publisher: PublisherProcess
) -> None:
    units, why = [], ""
    for unit in units_of(plan, stage, ledger):
        try:
            units.append((unit, task_key(plan, stage, unit, ledger)))
        except MissingInputError as error:
            why = why or str(error)
            if stage.unit not in ("case", "training"):
                break
    if why and stage.unit != "case" and not units:
        ledger.record_skipped(plan.run_id, stage.name, why)
        log.info("%s: declined, %s", stage.name, why)
        return
    if is_bundle(folder.root) and is_carried(stage):
        absent = place_done(ledger, plan.run_id, stage.name, units)
        refuse_absent(folder.root, stage, absent, len(units))
        log.info("%s: %d task(s) of the bundle", stage.name, len(units))
        return
    keys = ledger.place_tasks(plan.run_id, stage.name, units)
    log.info("%s: %d task(s), %d to compute", stage.name, len(units), len(keys))
    started, room = time.monotonic(), RoomKeeper(folder.root)

    def beat() -> None:
        room.wait()
        publisher.beat()

    beat()
    backend.execute(keys, beat, most_at_once(plan, stage, backend))
    states = [state for _, _, state in ledger.placed(plan.run_id, stage.name)]
    if any(state in ("pending", "running") for state in states):
        raise RuntimeError(f"{stage.name}: a task was left unfinished; start the run again")
    if keys:
        summary = ", ".join(f"{states.count(s)} {s}" for s in sorted(set(states)))
        log.info("%s: %s in %.1f s", stage.name, summary, time.monotonic() - started)


def most_at_once(plan: Plan, stage: Stage, backend: Backend) -> int | None:
    """How many tasks of a stage may be computed at once; None: as many as there are workers."""
    if stage.unit == "training":
        return plan.protocol.strategies.parallel
    return backend.gpu_tasks if stage.name in GPU_STAGES and plan.protocol.segment.device != "cpu" else None


def _run_row(run_id: str, protocol: Protocol, until_stage: str) -> RunRow:
    pid = os.getpid()
    text = without_paths(protocol).model_dump_json()
    return RunRow(
        run_id=run_id,
        started_at=now(),
        finished_at=None,
        state="running",
        protocol_sha256=protocol_sha256(without_paths(protocol)),
        protocol_json=text,
        until_stage=until_stage,
        seed=protocol.study.seed,
        pid=pid,
        pid_start=process_start(pid),
        host=socket.gethostname(),
    )


def _tidy(folder: StudyFolder) -> None:
    """Return every lease of an earlier run, whatever its host, and sweep what it left half written.

    Whoever holds run.lock knows that no other runner is alive; workers die with theirs.
    """
    host = socket.gethostname()
    deadline = time.monotonic() + LEASE_WAIT_SECONDS
    with Ledger(folder) as ledger:
        while alive := [pid for _, where, pid, start in ledger.leases() if where == host and is_alive(pid, start)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(alive)} worker(s) of an earlier run are still alive; end them first")
            time.sleep(0.1)
        ledger.return_all_leases()
    sweep_trainings(folder, kept_seconds=math.inf)  # what this run is about to go on with is still there
    shutil.rmtree(folder.unfinished, ignore_errors=True)


def _ignore_signals() -> None:
    """From here on the run is tidying up, which a second signal must not break."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into CancelledRunError while a run is on."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise CancelledRunError("the run was cancelled; what is recorded stays, `run` goes on from there")

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
