"""A bundle on another computer: unpacked safely, checked file by file, taken into a ledger, compared after a run."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.acquire.archive import ArchiveLimits, unpack
from engine.run.bundle_manifest import (
    MANIFEST,
    ROLE,
    BundledFile,
    BundledTask,
    Manifest,
    is_bundle,
    placed,
    read_manifest,
    result_name,
)
from engine.run.provenance import code_version
from engine.run.stage import Stage
from store.artifacts import sha256_of_file
from store.bundled import (
    PlacedTask,
    differing_columns,
    known_tasks,
    newest_finished_run,
    placed_tasks,
    run_state,
    take_tasks,
)
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import RefusedError, Verdict
from store.source_list import Sources, sources_of, write_sources
from store.tombstones import withdrawn_cases

LIMITS = ArchiveLimits(entries=1_000_000)
MEMBER = re.compile(r"[A-Za-z0-9_-]+(\.[a-z_]+)*(/[A-Za-z0-9_-]+(\.[a-z_]+)*)*")
AGAIN = "Unpack the bundle again, or ask for a new one."
SENDER = "bundle"


def unbundle(archive: Path, target: Path) -> Manifest:
    """Unpack a bundle into a new study folder and take its tasks in; RefusedError for anything unsound, and no folder.

    Laws of every archive (`engine/acquire/archive.py`); every file is listed in the manifest with its sha256, every
    listed file is there, nothing else is.
    """
    unpack(archive, target, ROLE, LIMITS)
    try:
        manifest = checked_manifest(target)
        listed = {*manifest.members, MANIFEST}
        extra = [
            path for path in target.rglob("*") if path.is_file() and path.relative_to(target).as_posix() not in listed
        ]
        if extra:
            raise _damaged(f"{len(extra)} file(s) are not listed in {MANIFEST}.")
        _take_in(StudyFolder(target.resolve()), manifest)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return manifest


def checked_manifest(study: Path) -> Manifest:
    """The manifest of an unpacked bundle whose files are all what it says; RefusedError otherwise."""
    manifest, folder = read_manifest(study), StudyFolder(study)
    wrong = [name for name in manifest.members if not MEMBER.fullmatch(name)]
    if wrong:
        raise _damaged(f"{len(wrong)} name(s) in {MANIFEST} are no names of a bundle's files.")
    for task in manifest.carried:
        for file in task.files:
            name = folder.artifact(file.kind, task.key, file.suffix).relative_to(study).as_posix()
            _check_listed(manifest, name, file)
    for task in manifest.results:
        for file in task.files:
            _check_listed(manifest, result_name(task, file), file)
    _check_files(study, manifest, tuple(manifest.members))
    return manifest


def _check_files(study: Path, manifest: Manifest, names: Sequence[str]) -> None:
    for name in names:
        path = study / name
        if not path.is_file() or path.is_symlink() or sha256_of_file(path) != manifest.members.get(name):
            raise _damaged(f"{_role_of(name)} is not the file that was bundled.")


def _check_listed(manifest: Manifest, name: str, file: BundledFile) -> None:
    if manifest.members.get(name) != file.sha256:
        raise _damaged(f"a result of {file.kind} is not listed with its hash.")


def _role_of(name: str) -> str:
    return name if name.count("/") < 2 else name.split("/")[0] + " " + name.split("/")[1]


def _damaged(text: str) -> RefusedError:
    return RefusedError("bundle_damaged", ROLE, text, AGAIN)


def _take_in(folder: StudyFolder, manifest: Manifest) -> None:
    with Ledger(folder) as ledger:
        if known_tasks(ledger):
            return
        try:
            verdicts = [Verdict(**row) for row in manifest.verdicts]  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise _damaged("its verdicts cannot be read.") from None
        for verdict in verdicts:
            ledger.record_verdict(verdict, SENDER)
        take_tasks(ledger, [placed(task) for task in manifest.carried])


def bundled_sources(study: Path) -> Sources:
    """The inputs of an unpacked bundle, by hash alone; one unpacked by other means is checked and taken in first.

    Cases withdrawn here are left out, so that what used them is refused and not shown.
    """
    folder = StudyFolder(study.resolve())
    with Ledger(folder) as ledger:
        known = known_tasks(ledger)
    manifest = read_manifest(study)
    if not known:
        _take_in(folder, checked_manifest(folder.root))
    try:
        sources = sources_of(manifest.sources)
    except (KeyError, TypeError, ValueError):
        raise _damaged("its inputs cannot be read.") from None
    gone = withdrawn_cases(study)
    if gone:
        raise RefusedError(
            "withdrawn",
            ROLE,
            f"{len(gone)} patient(s) of the bundle withdrew: what was computed over all patients used them.",
            "Ask for a bundle without them.",
        )
    write_sources(study, sources)
    return sources


def refuse_absent(study: Path, stage: Stage, absent: Sequence[str], units: int) -> None:
    """RefusedError where a carried stage has results that the bundle does not hold under this code's keys."""
    if not absent:
        return
    manifest = read_manifest(study)
    then, here = manifest.stages.get(stage.name, 0), stage.version
    text = (
        f"stage {stage.name} needs images or tables that are not here, and {len(absent)} of its {units} result(s) are"
        f" not in the bundle under this key. It was made by code {manifest.code_version} (stage version {then}); this"
        f" is code {code_version()} (stage version {here})."
    )
    remedy = "Undo the change of study.toml that reaches this stage." if then == here else (
        f"Run it with code {manifest.code_version}, or ask for a bundle made by this code."
    )  # fmt: skip
    raise RefusedError("not_in_bundle", ROLE, text, remedy)


@dataclass(frozen=True, slots=True)
class TableComparison:
    """One kind of result, computed anew and as bundled."""

    kind: str
    files: int
    equal: int  # bit for bit
    columns: tuple[str, ...]  # that differ, in any file
    largest_relative: float  # of any number; nan where text, counts of rows or presence differ
    note: str = ""


def compare_bundle(study: Path) -> tuple[TableComparison, ...]:
    """Every result of the newest finished run against the bundled one, in order of the pipeline.

    Compared are bytes first, then cells. ValueError before a run went to the end, RefusedError where a bundled result
    was changed since.
    """
    folder = StudyFolder(study.resolve())
    if not is_bundle(folder.root):
        raise ValueError("this folder is no unpacked bundle; `unbundle` one first")
    manifest = read_manifest(folder.root)
    _check_files(folder.root, manifest, [result_name(task, file) for task in manifest.results for file in task.files])
    with Ledger(folder) as ledger:
        run_id = newest_finished_run(ledger)
        if not run_id:
            raise ValueError("nothing was computed from this bundle yet; `run` it, then compare")
        ours = {(task.stage, task.unit): task for task in placed_tasks(ledger, run_id)}
    found: dict[str, list[TableComparison]] = {}
    for task in manifest.results:
        for one in _compare_task(folder, task, ours.get((task.stage, task.unit))):
            found.setdefault(one.kind, []).append(one)
    return tuple(_together(kind, parts) for kind, parts in found.items())


def computing_codes(study: Path) -> tuple[str, str]:
    """The code that made a bundle, and the one that computed its newest finished run here; ValueError without one."""
    with Ledger(StudyFolder(study.resolve())) as ledger:
        run_id = newest_finished_run(ledger)
        if not run_id:
            raise ValueError("nothing was computed from this bundle yet; `run` it, then compare")
        return read_manifest(study).code_version, run_state(ledger, run_id)[2]


def _compare_task(folder: StudyFolder, theirs: BundledTask, ours: PlacedTask | None) -> list[TableComparison]:
    state = "not placed" if ours is None else ours.state
    if ours is None or state != theirs.state:
        note = f"{theirs.state} in the bundle, {state} here"
        return [TableComparison(f"{theirs.stage}", 1, 0, (), np.nan, note)]
    mine = {file.kind: file for file in ours.files}
    rows = []
    for file in theirs.files:
        other = mine.get(file.kind)
        if other is None:
            rows.append(TableComparison(file.kind, 1, 0, (), np.nan, "absent here"))
        elif other.sha256 == file.sha256:
            rows.append(TableComparison(file.kind, 1, 1, (), 0.0))
        else:
            pair = (folder.root / result_name(theirs, file), folder.artifact(file.kind, ours.key, file.suffix))
            columns, largest = differing_columns(*pair)
            rows.append(TableComparison(file.kind, 1, int(not columns), columns, largest))
    return rows


def _together(kind: str, parts: list[TableComparison]) -> TableComparison:
    columns = Counter(column for part in parts for column in part.columns)
    largest = [part.largest_relative for part in parts]
    notes = sorted({part.note for part in parts} - {""})
    return TableComparison(
        kind, len(parts), sum(p.equal for p in parts), tuple(sorted(columns)), float(np.max(largest)), "; ".join(notes)
    )
