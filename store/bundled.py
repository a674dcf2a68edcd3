"""The ledger's side of a bundle: what a run placed, and tasks that were done on another computer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from store.layout import StoredFile
from store.ledger import FINISHED, Ledger

ELSEWHERE = "done elsewhere"


@dataclass(frozen=True, slots=True)
class PlacedTask:
    """One task of a run as it ended, with the files it left."""

    stage: str
    unit: str
    key: str
    state: str
    reason: str
    files: tuple[StoredFile, ...]


def placed_tasks(ledger: Ledger, run_id: str) -> tuple[PlacedTask, ...]:
    """Every task of a run in order of placing, with its files."""
    files: dict[str, list[StoredFile]] = {}
    found = ledger.rows(
        "SELECT DISTINCT a.seq, a.key, a.kind, a.record_type, a.suffix, a.sha256, a.bytes FROM artifact a"
        " JOIN placement p USING (key) WHERE p.run_id=? ORDER BY a.seq",
        (run_id,),
    )
    for _, key, *stored in found:
        files.setdefault(str(key), []).append(StoredFile(*stored))  # type: ignore[arg-type]
    tasks = ledger.rows(
        "SELECT p.stage, p.unit, p.key, t.state, t.reason FROM placement p JOIN task t USING (key) WHERE p.run_id=?"
        " ORDER BY p.rowid",
        (run_id,),
    )
    words = ((str(stage), str(unit), str(key), str(state), str(reason)) for stage, unit, key, state, reason in tasks)
    return tuple(PlacedTask(*row, tuple(files.get(row[2], ()))) for row in words)


def newest_finished_run(ledger: Ledger) -> str:
    """The newest run that went to the end of its pipeline; empty when there is none."""
    found = ledger.rows("SELECT run_id FROM run WHERE state='finished' AND until_stage='' ORDER BY place DESC LIMIT 1")
    return str(found[0][0]) if found else ""


def run_state(ledger: Ledger, run_id: str) -> tuple[str, str, str]:
    """State, last stage (empty: all) and code version of a run; KeyError for an unknown one."""
    found = ledger.rows("SELECT state, until_stage, code_version FROM run WHERE run_id=?", (run_id,))
    if not found:
        raise KeyError(f"no run {run_id}")
    state, until_stage, code = found[0]
    return str(state), str(until_stage), str(code)


def take_tasks(ledger: Ledger, tasks: Sequence[PlacedTask]) -> None:
    """Record finished tasks of another computer with their files, all or none; what is known already stays."""
    with ledger.transaction() as connection:
        for task in tasks:
            connection.execute(
                "INSERT OR IGNORE INTO task (key, stage, unit, run_id, state, reason) VALUES (?,?,?,?,?,?)",
                (task.key, task.stage, task.unit, ELSEWHERE, task.state, task.reason),
            )
            for file in task.files:
                ledger.record_artifact(connection, task.key, file)


def place_done(ledger: Ledger, run_id: str, stage: str, units: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Place (unit, key) pairs whose tasks have ended; returns the units without one, and then places nothing."""
    with ledger.transaction() as connection:
        states = dict(connection.execute("SELECT key, state FROM task WHERE stage=?", (stage,)).fetchall())
        absent = tuple(unit for unit, key in units if states.get(key) not in FINISHED)
        if not absent:
            connection.executemany(
                "INSERT OR REPLACE INTO placement VALUES (?,?,?,?)", [(run_id, stage, u, k) for u, k in units]
            )
    return absent


def known_tasks(ledger: Ledger) -> bool:
    """Whether a ledger holds any task."""
    return bool(ledger.rows("SELECT 1 FROM task LIMIT 1"))


def differing_columns(theirs: Path, ours: Path) -> tuple[tuple[str, ...], float]:
    """The columns (of Parquet) or arrays (of npz) in which two files differ, and the largest relative difference.

    NaN and NULL equal themselves. The difference is nan where something else than a number differs, or the shape.
    """
    one, other = _columns(theirs), _columns(ours)
    differing, largest = [], 0.0
    for name in sorted({*one, *other}):
        a, b = one.get(name), other.get(name)
        if a is None or b is None or a.shape != b.shape:
            differing.append(name)
            largest = float("nan")
        elif not _equal(a, b):
            differing.append(name)
            largest = float(np.fmax(largest, _relative(a, b))) if a.dtype.kind == "f" == b.dtype.kind else float("nan")
    return tuple(differing), largest


def _columns(path: Path) -> dict[str, NDArray[np.generic]]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored}
    table = pq.read_table(path)
    return {name: _flat(table.column(name).combine_chunks()) for name in table.column_names}


def _flat(column: pa.Array) -> NDArray[np.generic]:
    if pa.types.is_list(column.type):
        column = column.flatten()
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    return np.array([str(cell) for cell in column.to_pylist()], dtype=np.str_)


def _equal(a: NDArray[np.generic], b: NDArray[np.generic]) -> bool:
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f"))


def _relative(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    scale = np.maximum(np.maximum(np.abs(one), np.abs(other)), np.finfo(float).tiny)
    return float(np.max(np.where(np.isnan(one) & np.isnan(other), 0.0, np.abs(one - other) / scale), initial=0.0))
