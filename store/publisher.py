"""The publisher: takes recorded artifacts into work.duckdb and publishes read-only generations for the pages.

One process at a time (flock); it alone opens work.duckdb, and never while the file is read by anything else.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from store.artifacts import sha256_of_file, sync
from store.layout import StudyFolder
from store.ledger import ArtifactRow, Ledger, now
from store.schema import BLOCKED, create_statements, record_types, schema_fingerprint, table_of
from store.vector_blocks import attach_sealed, compact, holds_any, in_blocks, seal, trim_sealed, view_sealed

KEPT_GENERATIONS = 3
INGEST_BATCH, INGEST_BYTES = 2000, 64_000_000  # of artifacts at once
PUBLISHER = {"threads": 2, "memory_limit": "1GB"}

LEDGER_QUERIES: dict[str, tuple[str, tuple[tuple[str, pa.DataType], ...]]] = {
    "run": (
        "SELECT run_id, place, started_at, finished_at, state, protocol_sha256, protocol_json, until_stage, seed,"
        " code_version, packages_json, host FROM run",
        (
            *((n, pa.string()) for n in ("run_id",)),
            ("place", pa.int64()),
            *((n, pa.string()) for n in ("started_at", "finished_at", "state", "protocol_sha256", "protocol_json")),
            ("until_stage", pa.string()),
            ("seed", pa.int64()),
            *((n, pa.string()) for n in ("code_version", "packages_json", "host")),
        ),
    ),
    "placement": (
        "SELECT run_id, stage, unit, key, unit<>'' AND unit NOT LIKE '#%' FROM placement",
        (*((n, pa.string()) for n in ("run_id", "stage", "unit", "key")), ("by_case", pa.bool_())),
    ),
    "task": (
        "SELECT p.run_id, p.stage, p.unit, CASE WHEN p.unit LIKE '#%' THEN '' ELSE p.unit END, t.state, t.seconds,"
        " t.peak_mb, t.attempts, t.computed, t.reason, t.state='done' AND w.key IS NOT NULL"
        " FROM placement p JOIN task t USING (key) LEFT JOIN worked w ON w.run_id = p.run_id AND w.key = p.key"
        " ORDER BY p.rowid",
        (
            *((n, pa.string()) for n in ("run_id", "stage", "unit", "case_id", "state")),
            ("seconds", pa.float64()),
            ("peak_mb", pa.float64()),
            ("attempts", pa.int64()),
            ("computed", pa.int64()),
            ("reason", pa.string()),
            ("computed_in_run", pa.bool_()),
        ),
    ),
    "failure": (
        "SELECT p.run_id, p.stage, CASE WHEN p.unit LIKE '#%' THEN '' ELSE p.unit END, t.reason, t.attempts"
        " FROM placement p JOIN task t USING (key) WHERE t.state='failed'",
        (*((n, pa.string()) for n in ("run_id", "stage", "case_id", "reason")), ("attempts", pa.int64())),
    ),
    "declined": (
        "SELECT DISTINCT p.run_id, p.stage, t.reason FROM placement p JOIN task t USING (key)"
        " WHERE t.state='declined' UNION SELECT run_id, stage, reason FROM skipped",
        tuple((n, pa.string()) for n in ("run_id", "analysis", "reason")),
    ),
    "refusal": (
        "SELECT run_id, case_id, code, file, message, remedy FROM refusal UNION SELECT p.run_id, p.unit,"
        " json_extract(t.reason,'$.code'), json_extract(t.reason,'$.file'), json_extract(t.reason,'$.message'),"
        " json_extract(t.reason,'$.remedy') FROM placement p JOIN task t USING (key) WHERE t.state='refused'",
        tuple((n, pa.string()) for n in ("run_id", "case_id", "code", "file", "message", "remedy")),
    ),
    "verdict": (
        "SELECT case_id, structure, reader, judgement, reason, comment, active_seconds, signed_at, mask_key, role,"
        " mode, reading, amends, drawn_key, identity FROM verdict ORDER BY seq",
        (
            *((n, pa.string()) for n in ("case_id", "structure", "reader", "judgement", "reason", "comment")),
            ("active_seconds", pa.float64()),
            *((n, pa.string()) for n in ("signed_at", "mask_key", "role", "mode")),
            ("reading", pa.int64()),
            *((n, pa.string()) for n in ("amends", "drawn_key", "identity")),
        ),
    ),
    "drawn_mask": (
        "SELECT case_id, structure, version, reader, origin, drawn_key, parent_key, via, voxels, changed_voxels,"
        " volume_ml, edit_dsc, volume_change_percent, saved_at, identity FROM drawn_mask ORDER BY seq",
        (
            *((n, pa.string()) for n in ("case_id", "structure")),
            ("version", pa.int64()),
            *((n, pa.string()) for n in ("reader", "origin", "drawn_key", "parent_key", "via")),
            *((n, pa.int64()) for n in ("voxels", "changed_voxels")),
            *((n, pa.float64()) for n in ("volume_ml", "edit_dsc", "volume_change_percent")),
            *((n, pa.string()) for n in ("saved_at", "identity")),
        ),
    ),
}


class DamagedArtifactError(Exception):
    """An artifact on disk is not what the ledger recorded; carries the keys so that they can be computed again."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(f"{len(keys)} artifact(s) do not match their recorded sha256 or are missing")
        self.keys = keys


class _SealedError(Exception):
    """A result was recorded anew whose rows are sealed: everything is taken in again."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ROOM_TEXT = re.compile(r"[Nn]o space left|File too large|[Qq]uota exceeded|disk full")
LEAST_ROOM_BYTES = 50_000_000  # beside the copy of work.duckdb: what one publication takes in
UNREADABLE = (duckdb.FatalException, duckdb.IOException, duckdb.SerializationException, duckdb.CatalogException)


@dataclass(frozen=True, slots=True)
class Published:
    """One publication: the generation's file name and how many artifacts it took in."""

    generation: str
    ingested: int


@contextmanager
def publisher_lock(folder: StudyFolder) -> Iterator[None]:
    """Hold the publisher's lock; waits for another publisher of the same study to end."""
    folder.snapshots.mkdir(parents=True, exist_ok=True)
    with folder.publisher_lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class NoRoomError(OSError):
    """The disk has no room for another generation; the one that is current stands, and nothing was lost."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "there is no room on the study's disk to publish")


def publish(study: Path) -> Published:
    """Ingest what is new and publish a new generation; DamagedArtifactError names what must be recomputed.

    NoRoomError where the disk is too full for it: what was published before stands.
    """
    folder = StudyFolder(study)
    with publisher_lock(folder), Ledger(folder) as ledger:
        _sweep_spilled(folder)
        _check_room(folder)
        ingested = _ingest_or_rebuild(folder, ledger)
        generation = _next_generation(folder)
        temporary = folder.snapshots / f"{generation}.tmp"
        try:
            shutil.copyfile(folder.work_database, temporary)
            sync(temporary)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in FULL:
                raise NoRoomError from error
            raise
        temporary.replace(folder.snapshots / generation)
        _write_current(folder, generation)
        _trim(folder)
    return Published(generation, ingested)


def rebuild(study: Path) -> Published:
    """Make work.duckdb anew from ledger and artifacts, then publish; DamagedArtifactError as in publish."""
    folder = StudyFolder(study)
    with publisher_lock(folder):
        _remove_work(folder)
    return publish(study)


def _sweep_spilled(folder: StudyFolder) -> None:
    """Remove rows that DuckDB had put on disk when an earlier publisher was killed: DuckDB itself leaves them."""
    shutil.rmtree(folder.work_database.with_suffix(".duckdb.tmp"), ignore_errors=True)


def _check_room(folder: StudyFolder) -> None:
    """A generation is a copy of work.duckdb, which grows by what is taken in."""
    size = folder.work_database.stat().st_size if folder.work_database.exists() else 0
    if shutil.disk_usage(folder.snapshots).free < size + LEAST_ROOM_BYTES:
        raise NoRoomError


def _ingest_or_rebuild(folder: StudyFolder, ledger: Ledger) -> int:
    if _schema_of(folder) not in ("", schema_fingerprint()):
        _remove_work(folder)
    try:
        return _ingest(folder, ledger)
    except (duckdb.Error, OSError, _SealedError) as error:
        if NO_ROOM_TEXT.search(str(error)):
            raise NoRoomError from error
        if not isinstance(error, (*UNREADABLE, _SealedError)):
            raise
        _remove_work(folder)
        return _ingest(folder, ledger)


def _schema_of(folder: StudyFolder) -> str:
    if not folder.work_database.exists():
        return ""
    try:
        connection = duckdb.connect(str(folder.work_database))
        try:
            found = connection.execute("SELECT v FROM meta WHERE k='schema'").fetchall()
        finally:
            connection.close()
    except duckdb.Error:
        return "unreadable"
    return str(found[0][0]) if found else ""


def _remove_work(folder: StudyFolder) -> None:
    for path in (folder.work_database, folder.work_database.with_suffix(".duckdb.wal")):
        path.unlink(missing_ok=True)


def _ingest(folder: StudyFolder, ledger: Ledger) -> int:
    connection = duckdb.connect(str(folder.work_database), config=dict(PUBLISHER))
    try:
        _replace_ledger_tables(connection, ledger)
        _create(connection, folder)
        last = connection.execute("SELECT coalesce(max(seq), 0) FROM ingested").fetchall()[0][0]
        rows = ledger.artifacts_after(int(last))
        has_sealed = False
        for batch in _batches(rows):
            _ingest_batch(connection, folder, batch)
            has_sealed |= seal(connection, folder)
        _write_meta(connection, ledger)
        connection.execute("CHECKPOINT").fetchall()
    finally:
        connection.close()
    if has_sealed:
        compact(folder)
    return len(rows)


def _batches(rows: Sequence[ArtifactRow]) -> Iterator[list[ArtifactRow]]:
    """Artifacts in order, so many at once that they fit the memory."""
    batch: list[ArtifactRow] = []
    held = 0
    for row in rows:
        if batch and (len(batch) == INGEST_BATCH or held + row.bytes > INGEST_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(row)
        held += row.bytes
    if batch:
        yield batch


def _create(connection: duckdb.DuckDBPyConnection, folder: StudyFolder) -> None:
    for statement in create_statements():
        connection.execute(statement).fetchall()
    attach_sealed(connection, folder.snapshots)
    view_sealed(connection)


def _ingest_batch(connection: duckdb.DuckDBPyConnection, folder: StudyFolder, rows: Sequence[ArtifactRow]) -> None:
    by_table: dict[str, list[pa.Table]] = {}
    damaged = []
    known = record_types()
    for row in rows:
        path = folder.artifact(row.kind, row.key, row.suffix)
        if row.suffix != ".parquet" or row.record_type not in known:  # an image, or one that an older version wrote
            if not path.exists() or sha256_of_file(path) != row.sha256:
                damaged.append(row.key)
            continue
        raw = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(raw).hexdigest() != row.sha256:
            damaged.append(row.key)
            continue
        table = pq.ParquetFile(pa.BufferReader(raw)).read(use_threads=False)  # the very bytes that were hashed
        keyed = table.add_column(0, "key", pa.array([row.key] * table.num_rows, pa.string()))
        by_table.setdefault(table_of(row.record_type), []).append(keyed)
    if damaged:
        raise DamagedArtifactError(tuple(damaged))
    marks = pa.table({n: [getattr(r, n) for r in rows] for n in ("seq", "kind", "key", "sha256")})
    connection.execute("BEGIN").fetchall()
    _forget_replaced(connection, marks, by_table)
    for name, tables in by_table.items():
        rows_of_table = pa.concat_tables(tables, promote_options="default")
        _insert(connection, f"r_{name}", in_blocks(rows_of_table) if name == BLOCKED else rows_of_table)
    _insert(connection, "ingested", marks)
    connection.execute("COMMIT").fetchall()


def _forget_replaced(
    connection: duckdb.DuckDBPyConnection, marks: pa.Table, by_table: dict[str, list[pa.Table]]
) -> None:
    """Drop the rows of results that were taken in before and recorded anew, so that no row stands twice."""
    connection.register("incoming", marks)
    sql = "SELECT count(*) FROM ingested JOIN incoming USING (kind, key)"
    if connection.execute(sql).fetchall()[0][0]:
        if BLOCKED in by_table and holds_any(connection, "incoming"):
            raise _SealedError
        for name in by_table:
            connection.execute(f"DELETE FROM r_{name} WHERE key IN (SELECT key FROM incoming)").fetchall()
    connection.unregister("incoming")


def _insert(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Insert by column name; columns that a record has lost since a result was stored are left out."""
    described = connection.execute(f"SELECT * FROM {name} LIMIT 0").description or ()
    known = [str(column[0]) for column in described]
    connection.register("incoming", table.select([column for column in table.column_names if column in known]))
    connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming").fetchall()
    connection.unregister("incoming")


def _replace_ledger_tables(connection: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    for name, (sql, columns) in LEDGER_QUERIES.items():
        rows = ledger.rows(sql)
        cells = list(zip(*rows, strict=True)) or [()] * len(columns)
        arrays = [pa.array(_typed(c, kind), kind) for c, (_, kind) in zip(cells, columns, strict=True)]
        table = pa.Table.from_arrays(arrays, names=[n for n, _ in columns])
        connection.register("incoming", table)
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming").fetchall()
        connection.unregister("incoming")


def _typed(cells: Sequence[object], kind: pa.DataType) -> list[object]:
    return [bool(c) for c in cells] if kind == pa.bool_() else list(cells)


def _write_meta(connection: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    run = ledger.latest_run()
    facts = {"schema": schema_fingerprint(), "published_at": now()}
    if run is not None:
        protocol = json.loads(run.protocol_json)
        study = protocol["study"]
        facts |= {"study_name": study["name"], "synthetic": str(study["synthetic"]).lower(), "notice": study["notice"]}
        facts |= {"seed": str(run.seed), "run_id": run.run_id, "protocol_sha256": run.protocol_sha256}
    connection.execute("DELETE FROM meta").fetchall()
    _insert(connection, "meta", pa.table({"k": list(facts), "v": list(facts.values())}))


def _next_generation(folder: StudyFolder) -> str:
    numbers = [int(path.stem.partition("-")[2]) for path in folder.snapshots.glob("gen-*.duckdb")]
    return f"gen-{max(numbers, default=0) + 1:08d}.duckdb"


def _write_current(folder: StudyFolder, generation: str) -> None:
    temporary = folder.current.with_suffix(".tmp")
    temporary.write_text(generation, encoding="ascii")
    sync(temporary)
    temporary.replace(folder.current)


def _trim(folder: StudyFolder) -> None:
    generations = sorted(folder.snapshots.glob("gen-*.duckdb"))
    for path in generations[:-KEPT_GENERATIONS]:
        path.unlink(missing_ok=True)
    trim_sealed(folder, generations[-KEPT_GENERATIONS:])
    for path in folder.snapshots.glob("gen-*.tmp"):
        path.unlink(missing_ok=True)
