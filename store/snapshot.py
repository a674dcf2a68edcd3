"""The published snapshot that every page reads: one locked-down, read-only DuckDB connection per generation.

Open it with `open_snapshot` only, and ask it through the named questions of `store/queries`. Cursors are made per
query, because two threads that share a DuckDB connection can be handed each other's rows.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa

from store.layout import StudyFolder
from store.vector_blocks import attach_sealed

SETTINGS = (
    "SET enable_external_access=false",
    "SET python_enable_replacements=false",
    "SET memory_limit='2GB'",
    "SET threads=2",
    "SET max_execution_time=30000",
    "SET lock_configuration=true",
)
OPEN_GENERATIONS = 2
ROWS_REMEMBERED = 300_000  # a generation; some hundred bytes each
T = TypeVar("T")


class NoSnapshotError(Exception):
    """The study has published nothing yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The answer to one query: column names and rows, in order."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


class Answers:
    """Answers of one generation, which never change: the latest asked for, up to so many rows."""

    def __init__(self, rows: int = ROWS_REMEMBERED) -> None:
        self._lock, self._room = threading.Lock(), rows
        self._known: OrderedDict[Hashable, Sequence[object]] = OrderedDict()

    def remembered(self, question: Hashable, ask: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
        """What was answered before, else what `ask` answers now; two who ask at once may both have to wait."""
        with self._lock:
            if question in self._known:
                self._known.move_to_end(question)
                return self._known[question]  # type: ignore[return-value]
        found = ask()
        with self._lock:
            self._forget(question)
            self._known[question] = found
            self._room -= len(found)
            while self._room < 0:
                self._forget(next(iter(self._known)))
        return found

    def _forget(self, question: Hashable) -> None:
        self._room += len(self._known.pop(question, ()))


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One generation of a study, opened read-only; safe to share between threads."""

    study: Path
    generation: str
    connection: duckdb.DuckDBPyConnection
    answers: Answers = field(default_factory=Answers)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of its own, for one query in one thread."""
        return self.connection.cursor()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """All rows of one query, with its column names."""
        cursor = self.cursor()
        try:
            done = cursor.execute(sql, list(parameters))
            names = tuple(str(column[0]) for column in done.description or ())
            return Rows(names, tuple(tuple(row) for row in done.fetchall()))
        finally:
            cursor.close()

    def holds(self, view: str) -> bool:
        """Whether this generation has a view; one that an older version published lacks what is newer."""
        sql = "SELECT 1 FROM duckdb_views() WHERE view_name = ? AND database_name = current_database()"
        return bool(self.rows(sql, (view,)).rows)

    def table(self, sql: str, parameters: Mapping[str, object]) -> pa.Table:
        """All rows of one query with named parameters ($name) as an Arrow table."""
        cursor = self.cursor()
        try:
            return cursor.sql(sql, params=dict(parameters)).to_arrow_table()
        finally:
            cursor.close()


_lock = threading.Lock()
_open: dict[Path, Snapshot] = {}


def open_snapshot(study: Path) -> Snapshot:
    """The current generation of a study, opened once per process; NoSnapshotError when nothing is published."""
    for attempt in range(3):
        path = _current_file(study)
        try:
            return _opened(study, path)
        except duckdb.IOException:
            if attempt == 2 or path == _current_file(study):
                raise
    raise AssertionError("unreachable")


def _current_file(study: Path) -> Path:
    folder = StudyFolder(study.resolve())
    try:
        generation = folder.current.read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise NoSnapshotError("nothing is published for this study yet") from error
    return folder.snapshots / generation


def _opened(study: Path, path: Path) -> Snapshot:
    with _lock:
        if path not in _open:
            _open[path] = Snapshot(study, path.name, _connect(path))
            _forget_old(path.parent)
        return _open[path]


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path), read_only=True)
    attach_sealed(connection, path.parent)
    for setting in SETTINGS:
        connection.execute(setting).fetchall()
    return connection


def _forget_old(snapshots: Path) -> None:
    """Drop all but the newest generations; a cursor still in use keeps its own alive until it is done."""
    ours = sorted(path for path in _open if path.parent == snapshots)
    for path in ours[:-OPEN_GENERATIONS]:
        del _open[path]


def close_snapshots() -> None:
    """Close every open generation; for the end of the process."""
    with _lock:
        for snapshot in _open.values():
            snapshot.connection.close()
        _open.clear()
