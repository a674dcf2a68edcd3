"""Withdrawal of one case: its rows, files and every result that holds it leave the store; a tombstone stays."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger, now
from store.meeting import forget_figures
from store.publisher import publisher_lock
from store.snapshot import close_snapshots
from store.tombstones import Tombstone, tombstones

SCHEMA = """CREATE TABLE IF NOT EXISTS withdrawal (
  case_id TEXT PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, artifacts INTEGER NOT NULL,
  runs TEXT NOT NULL) STRICT"""
KEPT_TABLES = ("audit", "withdrawal", "placement", "task", "artifact")
GATHERING = "(unit = '' OR (unit LIKE '#%' AND unit NOT LIKE '#train %'))"
TRAINED = "unit LIKE '#train %'"
READS_TABLES = "stage IN ('clinical', 'imported')"  # their keys stay: they tell how many analyses there were


def withdraw_case(study: Path, case_id: str, actor: str, reason: str) -> Tombstone:
    """Remove a case from ledger, artifacts and snapshots; the caller holds run.lock.

    Removed are the case's own results, every cohort result (outcomes, tables and predictions hold its rows), its
    verdicts and drawings, all snapshots, and unfinished trainings. A case that was never there gets its tombstone too:
    so it is when a restored backup is older than the withdrawal. Files go before the tombstone is there: one that
    stands says that they are gone. A case withdrawn before keeps its first tombstone, with what is found now added.
    ValueError for an empty id.
    """
    if not case_id:
        raise ValueError("name the case to withdraw")
    folder = StudyFolder(study.resolve())
    before = next((stone for stone in tombstones(folder.root) if stone.case_id == case_id), None)
    with publisher_lock(folder), Ledger(folder) as ledger:
        close_snapshots()
        with ledger.transaction() as connection:
            connection.execute(SCHEMA)
            keys, runs = _used(connection, case_id)
            keys |= _forget_rows(connection, case_id)
            files = _forget_results(connection, keys, case_id)
            forget_figures(connection, runs)
            stone = _together(before, Tombstone(case_id, now(), actor, reason, len(files), " ".join(runs)))
            connection.execute(
                "INSERT OR REPLACE INTO withdrawal VALUES (?,?,?,?,?,?)",
                (stone.case_id, stone.at, stone.actor, stone.reason, stone.artifacts, stone.runs),
            )
            ledger.append_audit(connection, actor, "withdraw", f"{case_id} {len(files)} files: {reason}")
            _delete_files(folder, files)
    _overwrite_deleted(folder)
    return stone


def keys_of_unit(study: Path, stage: str, unit: str) -> tuple[str, ...]:
    """The keys of a unit's finished tasks of one stage, in all runs."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        found = ledger.rows(
            "SELECT DISTINCT key FROM placement p JOIN task t USING (key) WHERE p.stage=? AND p.unit=? AND"
            " t.state='done'",
            (stage, unit),
        )
    return tuple(str(row[0]) for row in found)


def _delete_files(folder: StudyFolder, files: list[tuple[str, str, str]]) -> None:
    for kind, key, suffix in files:
        folder.artifact(kind, key, suffix).unlink(missing_ok=True)
    shutil.rmtree(folder.training, ignore_errors=True)
    for path in folder.snapshots.iterdir():
        if path.is_dir():  # rows that DuckDB had put on disk when its publisher was killed
            shutil.rmtree(path)
        else:
            path.unlink()


def _together(before: Tombstone | None, stone: Tombstone) -> Tombstone:
    if before is None:
        return stone
    runs = dict.fromkeys([*before.runs.split(), *stone.runs.split()])
    return replace(before, artifacts=before.artifacts + stone.artifacts, runs=" ".join(runs))


def _overwrite_deleted(folder: StudyFolder) -> None:
    """Rebuild the ledger's pages and empty its write-ahead log, so that deleted rows are not left in the file."""
    connection = sqlite3.connect(folder.ledger, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()


def _used(connection: sqlite3.Connection, case_id: str) -> tuple[set[str], list[str]]:
    """Keys of results to remove, and the runs that had placed the case; trained weights stay."""
    runs = [row[0] for row in connection.execute("SELECT DISTINCT run_id FROM placement WHERE unit=?", (case_id,))]
    own = {row[0] for row in connection.execute("SELECT key FROM placement WHERE unit=?", (case_id,))}
    others = connection.execute(
        f"SELECT DISTINCT key FROM placement WHERE unit<>? AND NOT {GATHERING} AND NOT {TRAINED}", (case_id,)
    )
    own -= {row[0] for row in others}
    gathered: set[str] = set()
    for run_id in runs:
        found = connection.execute(f"SELECT key FROM placement WHERE run_id=? AND {GATHERING}", (run_id,))
        gathered |= {row[0] for row in found}
    return own | gathered, runs


def _forget_rows(connection: sqlite3.Connection, case_id: str) -> set[str]:
    """Delete the case's rows of every table that has a case_id; returns the keys that they named and no row does now.

    A key that another case names too (equal drawings had one before their case stood in it) keeps its file.
    """
    keys: set[str] = set()
    kept: set[str] = set()
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        if "case_id" not in columns or table in KEPT_TABLES:
            continue
        for column in (c for c in columns if c.endswith("_key")):
            keys |= {row[0] for row in connection.execute(f"SELECT {column} FROM {table} WHERE case_id=?", (case_id,))}
        guards = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type='trigger' AND tbl_name=?", (table,)
        ).fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(f"DELETE FROM {table} WHERE case_id=?", (case_id,))
        for column in (c for c in columns if c.endswith("_key")):
            kept |= {row[0] for row in connection.execute(f"SELECT DISTINCT {column} FROM {table}")}
        for _, sql in guards:
            connection.execute(sql)
    return keys - kept - {""}


def _forget_results(connection: sqlite3.Connection, keys: set[str], case_id: str) -> list[tuple[str, str, str]]:
    files: list[tuple[str, str, str]] = []
    for key in sorted(keys):
        files += connection.execute("SELECT kind, key, suffix FROM artifact WHERE key=?", (key,)).fetchall()
        connection.execute("DELETE FROM artifact WHERE key=?", (key,))
        connection.execute("DELETE FROM incident WHERE key=?", (key,))
        connection.execute("DELETE FROM task WHERE key=?", (key,))
        connection.execute("DELETE FROM worked WHERE key=?", (key,))
        connection.execute(f"DELETE FROM placement WHERE key=? AND NOT {READS_TABLES}", (key,))
    connection.execute("DELETE FROM placement WHERE unit=?", (case_id,))
    connection.execute("DELETE FROM task WHERE unit=?", (case_id,))
    return files
