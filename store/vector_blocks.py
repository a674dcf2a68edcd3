"""Feature vectors in the snapshot: in blocks of neighbouring features, and for large cohorts in sealed files.

An artifact holds one row a mask with all its features. A page asks for one feature of all masks, which would read every
vector: so the snapshot holds rows of BLOCK features, and rows of one block lie together. Once there are many, the
publisher seals them in a file that all later generations attach: a new generation then copies what is new, not
everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from store.artifacts import sync
from store.layout import StudyFolder
from store.schema import BLOCK, BLOCKED, view_statement

SEALED_ROWS = 400_000  # 0.2 GB of values: what every generation copies at most
SEALED_GLOB = "vectors-*.duckdb"
SEALED_TABLE = f"r_{BLOCKED}"


def in_blocks(vectors: pa.Table) -> pa.Table:
    """One row a mask and block, block by block, from one row a mask; vectors of one feature set are equally long."""
    parts = [
        _block(rows, start)
        for name in pc.unique(vectors["feature_set"])
        for rows in [vectors.filter(pc.equal(vectors["feature_set"], name))]
        for start in range(0, len(rows["values"][0]), BLOCK)
    ]
    return pa.concat_tables(parts) if parts else _block(vectors, 0)


def _block(rows: pa.Table, start: int) -> pa.Table:
    length = len(rows["values"][0]) if rows.num_rows else 0
    places = np.arange(start, min(start + BLOCK, length))
    wanted = pa.array((np.arange(rows.num_rows)[:, None] * length + places).ravel())
    offsets = pa.array(np.arange(rows.num_rows + 1) * len(places), pa.int32())
    cut = rows.select([name for name in rows.column_names if name not in ("values", "statuses")])
    cut = cut.append_column("block", pa.array(np.full(rows.num_rows, start // BLOCK), pa.int64()))
    for name in ("values", "statuses"):
        flat = rows[name].combine_chunks().flatten().take(wanted)
        cut = cut.append_column(name, pa.ListArray.from_arrays(offsets, flat))
    return cut


def sealed_files(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """The sealed files that a generation or the work database stands on; older ones know none."""
    try:
        found = connection.execute("SELECT name FROM sealed ORDER BY name").fetchall()
    except duckdb.CatalogException:
        return ()
    return tuple(str(name) for (name,) in found)


def attach_sealed(connection: duckdb.DuckDBPyConnection, snapshots: Path) -> None:
    """Attach every sealed file read-only; IOException where one is gone or damaged."""
    for name in sealed_files(connection):
        _attach(connection, snapshots / name)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    connection.execute(f"ATTACH {_quoted(path)} AS {_catalog(path.name)} (READ_ONLY)").fetchall()


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"


def _catalog(name: str) -> str:
    return Path(name).stem.replace("-", "_")


def view_sealed(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the view of the blocks read the sealed files too."""
    sources = [SEALED_TABLE, *(f"{_catalog(name)}.{SEALED_TABLE}" for name in sealed_files(connection))]
    connection.execute(view_statement(BLOCKED, sources)).fetchall()


def holds_any(connection: duckdb.DuckDBPyConnection, keys: str) -> bool:
    """Whether a sealed file holds rows of a key in the relation `keys`."""
    return any(
        connection.execute(
            f"SELECT 1 FROM {_catalog(name)}.{SEALED_TABLE} WHERE key IN (SELECT key FROM {keys}) LIMIT 1"
        ).fetchall()
        for name in sealed_files(connection)
    )


def seal(connection: duckdb.DuckDBPyConnection, folder: StudyFolder, at_least: int = SEALED_ROWS) -> bool:
    """Move the open rows into a sealed file once there are enough; killed half-way, they are still open.

    The file gets its name when it is whole; the rows leave the work database, and the name enters it, in one
    transaction.
    """
    if connection.execute(f"SELECT count(*) FROM {SEALED_TABLE}").fetchall()[0][0] < at_least:
        return False
    path = _next_file(folder)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    connection.execute(f"ATTACH {_quoted(temporary)} AS sealing").fetchall()
    connection.execute(
        f"CREATE TABLE sealing.{SEALED_TABLE} AS SELECT * FROM {SEALED_TABLE} ORDER BY roi, block, feature_set, key"
    ).fetchall()
    connection.execute("CHECKPOINT sealing").fetchall()
    connection.execute("DETACH sealing").fetchall()
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)
    _attach(connection, path)
    connection.execute("BEGIN").fetchall()
    connection.execute(f"DELETE FROM {SEALED_TABLE}").fetchall()
    connection.execute("INSERT INTO sealed VALUES (?)", [path.name]).fetchall()
    connection.execute("COMMIT").fetchall()
    view_sealed(connection)
    return True


def compact(folder: StudyFolder) -> None:
    """Write the work database anew without the room that sealed rows left in it: every generation is a copy of it."""
    temporary = folder.work_database.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    connection = duckdb.connect()
    try:
        for path, name in ((folder.work_database, "old"), (temporary, "new")):
            connection.execute(f"ATTACH {_quoted(path)} AS {name}").fetchall()
        connection.execute(f"DROP VIEW old.{BLOCKED}").fetchall()  # it reads files that are not attached here
        connection.execute("COPY FROM DATABASE old TO new").fetchall()
        connection.execute("CHECKPOINT new").fetchall()
    finally:
        connection.close()
    made = duckdb.connect(str(temporary))
    try:
        attach_sealed(made, folder.snapshots)
        view_sealed(made)
        made.execute("CHECKPOINT").fetchall()
    finally:
        made.close()
    sync(temporary)
    temporary.replace(folder.work_database)


def _next_file(folder: StudyFolder) -> Path:
    """A name that no generation has seen: rows are sealed anew after a rebuild while older ones are still read."""
    numbers = [int(path.stem.partition("-")[2]) for path in folder.snapshots.glob(SEALED_GLOB)]
    return folder.snapshots / f"vectors-{max(numbers, default=0) + 1:08d}.duckdb"


def trim_sealed(folder: StudyFolder, generations: Sequence[Path]) -> None:
    """Remove sealed files on which none of these generations stands, and unfinished ones."""
    wanted: set[str] = set()
    for path in generations:
        connection = duckdb.connect(str(path), read_only=True)
        try:
            wanted.update(sealed_files(connection))
        finally:
            connection.close()
    for path in (*folder.snapshots.glob("vectors-*"), *folder.snapshots.glob("work.tmp*")):
        if path.name not in wanted:
            path.unlink(missing_ok=True)
