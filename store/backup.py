"""A second copy of a study that can be taken while a run goes on: the ledger at one moment, and what it names."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from store.artifacts import sha256_of_file, sync
from store.layout import StudyFolder

NOT_KEPT = ("private", "snapshots", "training", "artifacts", "run.log", "run.lock", "publisher.lock")
LEDGER_FILES = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite-new")
RESULTS = "SELECT kind, key, suffix, sha256, bytes FROM artifact"


class ForeignBackupError(ValueError):
    """A folder that holds something else than an earlier backup of the study."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup came to: artifacts it holds, files copied now and their bytes, files removed, artifacts that were
    damaged in the study (the backup keeps its earlier copy where it has one).
    """

    artifacts: int
    copied: int
    bytes: int
    removed: int
    damaged: tuple[str, ...]


def back_up(study: Path, to: Path) -> Backup:
    """Bring a backup folder up to date with a study; what it holds already is not copied again.

    The ledger is read first, so that every result it names is on disk already, and takes its place last: a backup that
    is interrupted still is the one before. A result is copied again where the backup's ledger names other bytes, and
    hashed on the way; `verify` of the backup hashes what it holds. What the study has no more, as after a withdrawal,
    leaves the backup too. Not copied: `private/`, which is kept apart,
    snapshots and checkpoints, which are made again. ForeignBackupError for a folder that holds anything else.
    """
    source, target = StudyFolder(study.resolve()), StudyFolder(to.resolve())
    if not source.ledger.exists():
        raise ForeignBackupError("the first folder holds no study that was ever run")
    refuse_foreign(source, target)
    target.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = set(_results(target.ledger)) if target.ledger.exists() else set()
    new_ledger = _copied_ledger(source, target)
    copied, size, removed = _mirror(source.root, target.root)
    rows = _results(new_ledger)
    named, damaged = set(), []
    for row in rows:
        kind, key, suffix, sha256, size_bytes = row
        path = target.artifact(kind, key, suffix)
        named.add(path)
        if row in before and path.exists() and path.stat().st_size == size_bytes:
            continue
        if not _copy_hashed(source.artifact(kind, key, suffix), path, sha256):
            damaged.append(f"{kind}/{key[:12]}")
            continue
        copied, size = copied + 1, size + size_bytes
    _put_ledger(new_ledger, target)
    for path in [path for path in _files(target.artifacts) if path not in named]:
        path.unlink()
        removed += 1
    return Backup(len(rows), copied, size, removed, tuple(damaged))


def refuse_foreign(source: StudyFolder, target: StudyFolder) -> None:
    """ForeignBackupError unless a folder is absent, empty, or an earlier backup of this very study, outside it."""
    if target.root.is_relative_to(source.root) or source.root.is_relative_to(target.root):
        raise ForeignBackupError("a backup lies outside its study: give a folder elsewhere, best on another disk")
    if not target.root.exists() or not any(target.root.iterdir()):
        return
    held = target.ledger if target.ledger.exists() else target.root / LEDGER_FILES[-1]  # of one that was interrupted
    if not held.exists() or not _runs(held) <= _runs(source.ledger):
        raise ForeignBackupError(
            "the second folder holds something else than an earlier backup of this study; give a new one"
        )


def _runs(ledger: Path) -> set[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        return {str(run_id) for (run_id,) in connection.execute("SELECT run_id FROM run")}


def _results(ledger: Path) -> list[tuple[str, str, str, str, int]]:
    """Kind, key, suffix, sha256 and bytes of every result that a ledger names."""
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(RESULTS).fetchall()


def _copied_ledger(source: StudyFolder, target: StudyFolder) -> Path:
    """The ledger as it is at one moment, whoever writes meanwhile, beside the backup's own."""
    made = target.root / LEDGER_FILES[-1]
    made.unlink(missing_ok=True)
    with closing(sqlite3.connect(source.ledger)) as here, closing(sqlite3.connect(made)) as there:
        here.backup(there)
    sync(made)
    return made


def _put_ledger(made: Path, target: StudyFolder) -> None:
    for name in LEDGER_FILES[1:3]:
        (target.root / name).unlink(missing_ok=True)
    made.replace(target.ledger)
    sync(target.root)


def _mirror(source: Path, target: Path) -> tuple[int, int, int]:
    """Files but results: copied where size or time differ, removed where the study has them no more."""
    here = {path.relative_to(source): path for path in _kept(source)}
    copied, size = 0, 0
    for name, path in here.items():
        known, there = path.stat(), target / name
        if there.exists() and (there.stat().st_size, there.stat().st_mtime_ns) == (known.st_size, known.st_mtime_ns):
            continue
        _copy(path, there)
        copied, size = copied + 1, size + known.st_size
    gone = [path for path in _kept(target) if path.relative_to(target) not in here]
    for path in gone:
        path.unlink()
    return copied, size, len(gone)


def _kept(root: Path) -> Iterator[Path]:
    for entry in root.iterdir():
        if entry.name not in (*NOT_KEPT, *LEDGER_FILES) and not entry.is_symlink():
            yield from _files(entry) if entry.is_dir() else (entry,)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    made = to.with_name(f"{uuid.uuid4().hex}.tmp")
    shutil.copy2(path, made)
    sync(made)
    os.replace(made, to)


def _copy_hashed(path: Path, to: Path, sha256: str) -> bool:
    """Copy a result; False, with nothing changed at `to`, where its bytes are not those that the ledger names."""
    if not path.exists():
        return False
    to.parent.mkdir(parents=True, exist_ok=True)
    made = to.with_name(f"{uuid.uuid4().hex}.tmp")
    shutil.copy2(path, made)
    if sha256_of_file(made) != sha256:
        made.unlink()
        return False
    sync(made)
    made.replace(to)
    return True
