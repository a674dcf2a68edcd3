"""What a bundle says of itself: the run it was made of, which stages it carries done, and every file with its hash."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.run.stage import Stage, inputs_of, outputs_of
from store.artifacts import suffix_of
from store.bundled import PlacedTask
from store.layout import StoredFile
from store.records import RefusedError
from store.sources import PlantingNumber, ResampleNumber
from store.volumes import CtSeries, MaskSet

MANIFEST = "bundle.json"
ROLE = "bundle"
FORMAT = 1
RESULTS_FOLDER, TABLES_FOLDER, ENVIRONMENT_FILE, NOTE_FILE = "results", "tables", "environment.json", "README.txt"
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Kind = Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class BundledFile(_Strict):
    """One result of a task."""

    kind: Kind
    record_type: str = Field(pattern=r"^[A-Za-z]+$")
    suffix: Literal[".parquet", ".npz"]
    sha256: Hash
    bytes: int = Field(ge=0)


class BundledTask(_Strict):
    """One task as it ended at the sender's."""

    stage: str = Field(pattern=r"^[a-z_]+$")
    unit: str
    key: Hash
    state: Literal["done", "failed", "declined", "refused"]
    reason: str
    files: tuple[BundledFile, ...]


class Manifest(_Strict):
    """The whole of bundle.json."""

    format: Literal[1]
    run_id: str = Field(pattern=r"^[a-z0-9-]+$")
    protocol_sha256: Hash
    code_version: str
    stages: dict[str, int]  # version of every stage that the run placed
    model_sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
    sources: dict[str, object]  # identities of the inputs: roles and hashes, no path
    verdicts: tuple[dict[str, object], ...]
    carried: tuple[BundledTask, ...]  # done at the sender's; a rerun takes them as they are
    results: tuple[BundledTask, ...]  # what a rerun computes anew and is compared with
    members: dict[str, Hash]  # sha256 of every other file of the bundle, by its name in it


def is_carried(stage: Stage) -> bool:
    """Whether a rerun without the study's inputs must take a stage as done: it reads images or files from outside."""
    own = (ResampleNumber, PlantingNumber)
    outside = ("model", "workspace", "lookup")
    reads = inputs_of(stage)
    return (
        stage.unit in ("case", "training")
        or any(wanted.form in outside for wanted in reads)
        or any(wanted.form == "source" and wanted.record_type not in own for wanted in reads)
        or any(issubclass(wanted.record_type, CtSeries | MaskSet) for wanted in reads)
    )


def travelling_kinds(pipeline: tuple[Stage, ...]) -> frozenset[str]:
    """The kinds of results of carried stages that go into a bundle: all records, and arrays that a rerun reads."""
    read = {wanted.record_type for stage in pipeline if not is_carried(stage) for wanted in inputs_of(stage)}
    kinds = set()
    for stage in (stage for stage in pipeline if is_carried(stage)):
        for output in outputs_of(stage):
            volume = issubclass(output.record_type, CtSeries | MaskSet)
            if not volume and (output.record_type in read or is_record(output.record_type)):
                kinds.add(output.kind)
    return frozenset(kinds)


def is_record(record_type: type) -> bool:
    """Whether a type is stored as rows."""
    return suffix_of(record_type) == ".parquet"


def bundled(task: PlacedTask, kinds: frozenset[str] | None = None) -> BundledTask:
    """A task of the ledger for the manifest, with the files of some kinds (all where None)."""
    files = tuple(
        BundledFile(kind=f.kind, record_type=f.record_type, suffix=f.suffix, sha256=f.sha256, bytes=f.bytes)
        for f in task.files
        if kinds is None or f.kind in kinds
    )
    return BundledTask(
        stage=task.stage,
        unit=task.unit,
        key=task.key,
        state=task.state,
        reason=task.reason,
        files=files,
    )


def placed(task: BundledTask) -> PlacedTask:
    """A task of the manifest for the ledger."""
    files = tuple(StoredFile(f.kind, f.record_type, f.suffix, f.sha256, f.bytes) for f in task.files)
    return PlacedTask(task.stage, task.unit, task.key, task.state, task.reason, files)


def result_name(task: BundledTask, file: BundledFile) -> str:
    """Where a result to compare with lies in the bundle."""
    return f"{RESULTS_FOLDER}/{file.kind}/{task.key}{file.suffix}"


def is_bundle(study: Path) -> bool:
    """Whether a study folder is an unpacked bundle."""
    return (study / MANIFEST).is_file()


def read_manifest(study: Path) -> Manifest:
    """The manifest of an unpacked bundle; RefusedError where it is not one or of another format."""
    try:
        return Manifest.model_validate_json((study / MANIFEST).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its JSON"
        text = f"{MANIFEST} cannot be read: {place} is damaged or of another format than {FORMAT}."
        raise RefusedError("bundle_damaged", ROLE, text, "Unpack the bundle again, or ask for a new one.") from None
