"""Everything of a study but its images, in one file: what another computer needs to compute the analysis again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.pipeline import pipeline_of
from engine.protocol import Protocol, canonical_json, protocol_sha256, protocol_text, without_paths
from engine.run.bundle_manifest import (
    ENVIRONMENT_FILE,
    MANIFEST,
    NOTE_FILE,
    TABLES_FOLDER,
    BundledTask,
    Manifest,
    bundled,
    is_carried,
    result_name,
    travelling_kinds,
)
from engine.run.intake import model_sha256
from engine.run.planning import MissingInputError, Plan, task_key, units_of
from engine.run.provenance import code_version, package_versions
from engine.run.sources import without_places
from store.bundled import PlacedTask, newest_finished_run, placed_tasks, run_state
from store.export import ANALYSES, export_table
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import Verdict
from store.source_list import read_sources

PROTOCOL_NAME = "study.toml"
TABLES = (
    *("cases", "base_features", "icc", "overlap", "morphology", "location", "association", "batch", "flow", "plan"),
    *("columns", "failures", "refusals", "sample_size", *ANALYSES),
)
NOTE = """A study of Cohortscope without its images: protocol and locked plan (study.toml), features and everything else
that the analysis reads (artifacts), the results (results, and as tables in tables), versions (environment.json).

Compute the analysis again and compare:

    python -m engine unbundle THIS.zip FOLDER
    python -m engine run FOLDER
    python -m engine compare-bundle FOLDER

It holds rows of single patients under pseudonyms: pseudonymised, not anonymous. Hand it only to people who may see the
study's pseudonymised data, under the same approval; a patient who withdraws later must be withdrawn here too.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle that was written: its run, how many cases and files, bytes, and the sha256 to publish beside it."""

    run_id: str
    cases: int
    files: int
    bytes: int
    sha256: str


def write_bundle(study: Path, to: Path, run_id: str = "") -> Written:
    """Write a finished run (default: the newest that went to the end) without images; the same run, the same bytes.

    No path, patient id, date of a patient, comment of a reader or file of private/ goes in; case ids do, and names of
    readers as they signed. ValueError for a run that did not end, for results that this code, protocol and inputs would
    not give under the same keys, and for a file that is no .zip; RuntimeError for a damaged artifact.
    """
    if to.suffix != ".zip":
        raise ValueError(f"a bundle goes to .zip, got {to.suffix!r}")
    folder = StudyFolder(study.resolve())
    if not folder.ledger.exists():
        raise ValueError("this study has no run yet; start one with `python -m engine run DIR`")
    with Ledger(folder) as ledger:
        run_id = run_id or newest_finished_run(ledger)
        plan = _plan_of(folder, ledger, run_id)
        _check_up_to_date(plan, ledger)
        tasks = placed_tasks(ledger, run_id)
        cases = {case.case_id for case in plan.sources.cases} or _table_cases(plan)
        verdicts = tuple(_plain_verdict(v) for v in ledger.verdicts() if v.case_id in cases)
    with tempfile.TemporaryDirectory(dir=to.resolve().parent, prefix=".bundling-") as place:
        packed = Path(place) / "bundle.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            files = _write_members(archive, folder, plan, tasks, verdicts)
        sha256, size = _hash(packed), packed.stat().st_size
        packed.replace(to)
    return Written(run_id, len(cases), files, size, sha256)


def _plan_of(folder: StudyFolder, ledger: Ledger, run_id: str) -> Plan:
    if not run_id:
        raise ValueError("no run of this study went to the end yet; `run` it without --until")
    try:
        state, until_stage, _ = run_state(ledger, run_id)
    except KeyError:
        raise ValueError(f"this study has no run {run_id!r}") from None
    if state != "finished" or until_stage:
        raise ValueError(f"run {run_id} must have gone to the end to be bundled, it is {state} {until_stage}".rstrip())
    protocol = Protocol.model_validate_json(ledger.protocol_json(run_id))
    pipeline = pipeline_of(protocol.study.kind)
    return Plan(run_id, pipeline, protocol, read_sources(folder.root), model_sha256(folder.root, protocol))


def _check_up_to_date(plan: Plan, ledger: Ledger) -> None:
    """Raise ValueError naming the first stage whose results this code and these inputs would not find."""
    for stage in plan.pipeline:
        placed = {unit: key for unit, key, _ in ledger.placed(plan.run_id, stage.name)}
        for unit in units_of(plan, stage, ledger):
            try:
                key = task_key(plan, stage, unit, ledger)
            except MissingInputError:
                continue
            if placed.get(unit) != key:
                raise ValueError(
                    f"the run's results of stage {stage.name} are not those of the present code, verdicts and inputs;"
                    " `run` the study, then bundle it"
                )


def _table_cases(plan: Plan) -> set[str]:
    return set() if plan.sources.table is None else {case for _, case in plan.sources.table.cases}


def _plain_verdict(verdict: Verdict) -> dict[str, object]:
    """What of a verdict a key needs; neither words nor times nor how the reader was known."""
    return dataclasses.asdict(dataclasses.replace(verdict, comment="", signed_at="", amends="", identity=""))


def _write_members(
    archive: zipfile.ZipFile, folder: StudyFolder, plan: Plan, tasks: tuple[PlacedTask, ...],
    verdicts: tuple[dict[str, object], ...],
) -> int:  # fmt: skip
    kinds, carried_stages = travelling_kinds(plan.pipeline), {s.name for s in plan.pipeline if is_carried(s)}
    carried = tuple(bundled(task, kinds) for task in tasks if task.stage in carried_stages)
    results = tuple(bundled(task) for task in tasks if task.stage not in carried_stages)
    protocol = without_paths(plan.protocol)
    members = {
        PROTOCOL_NAME: _write_text(archive, PROTOCOL_NAME, protocol_text(protocol)),
        ENVIRONMENT_FILE: _write_text(archive, ENVIRONMENT_FILE, _environment()),
        NOTE_FILE: _write_text(archive, NOTE_FILE, NOTE),
    }
    members |= _write_artifacts(archive, folder, carried, results)
    for table in TABLES:
        name = f"{TABLES_FOLDER}/{table}.parquet"
        members[name] = _write_bytes(archive, name, _parquet(export_table(folder.root, table, plan.run_id)))
    placed = {task.stage for task in tasks}
    manifest = Manifest(
        format=1,
        run_id=plan.run_id,
        protocol_sha256=protocol_sha256(protocol),
        code_version=code_version(),
        stages={stage.name: stage.version for stage in plan.pipeline if stage.name in placed},
        model_sha256=plan.model_sha256,
        sources=dataclasses.asdict(without_places(plan.sources)),
        verdicts=verdicts,
        carried=carried,
        results=results,
        members=members,
    )
    _write_text(archive, MANIFEST, canonical_json(manifest.model_dump(mode="json")))
    return len(members) + 1


def _write_artifacts(
    archive: zipfile.ZipFile, folder: StudyFolder, carried: tuple[BundledTask, ...], results: tuple[BundledTask, ...]
) -> dict[str, str]:
    """Copy the files of both; RuntimeError where one is not what the ledger says."""
    names = {}
    for task in carried:
        for file in task.files:
            path = folder.artifact(file.kind, task.key, file.suffix)
            names[path.relative_to(folder.root).as_posix()] = (path, file.sha256)
    for task in results:
        for file in task.files:
            names[result_name(task, file)] = (folder.artifact(file.kind, task.key, file.suffix), file.sha256)
    for name, (path, sha256) in names.items():
        if not path.exists() or _write_bytes(archive, name, path.read_bytes()) != sha256:
            raise RuntimeError("a stored result is damaged or gone; `verify --repair` and `run` the study first")
    return {name: sha256 for name, (_, sha256) in names.items()}


def _write_text(archive: zipfile.ZipFile, name: str, text: str) -> str:
    return _write_bytes(archive, name, text.encode())


def _write_bytes(archive: zipfile.ZipFile, name: str, raw: bytes) -> str:
    """Add one member, without time or owner; returns its sha256."""
    info = zipfile.ZipInfo(name)  # 1980-01-01: when a bundle was made is not in it
    packed = name.endswith((".npz", ".parquet"))
    info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    archive.writestr(info, raw)
    return hashlib.sha256(raw).hexdigest()


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _environment() -> str:
    machine = {"system": platform.system(), "machine": platform.machine(), "python": platform.python_version()}
    found = {"code_version": code_version(), "cores": os.cpu_count(), "packages": package_versions(), **machine}
    return json.dumps(found, indent=1, sort_keys=True)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
