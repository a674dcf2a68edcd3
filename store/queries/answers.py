"""How a query's rows become records: by column name, nothing missing, nothing left over."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from store.snapshot import Snapshot

T = TypeVar("T")


def ask(snapshot: Snapshot, record_type: type[T], sql: str, parameters: Sequence[object] = ()) -> tuple[T, ...]:
    """The rows of a query as records of one frozen dataclass, whose fields are the query's columns.

    TypeError when a column has no field or a field no column. Asked again, a generation answers from memory.
    """
    return snapshot.answers.remembered(
        (record_type, sql, tuple(parameters)), partial(_ask, snapshot, record_type, sql, parameters)
    )


def _ask(snapshot: Snapshot, record_type: type[T], sql: str, parameters: Sequence[object]) -> tuple[T, ...]:
    found = snapshot.rows(sql, parameters)
    names = tuple(field.name for field in dataclasses.fields(record_type))  # type: ignore[arg-type]
    if found.columns == names:  # by place: a third of the time for ten thousand rows
        return tuple(record_type(*row) for row in found.rows)
    return tuple(record_type(**dict(zip(found.columns, row, strict=True))) for row in found.rows)


def ask_record(snapshot: Snapshot, record_type: type[T], view: str, run_id: str, order: str) -> tuple[T, ...]:
    """All records of one type in one run; `view` and `order` are names written in this package, never user input.

    A field that the type has gained since this generation was published is None: the next run publishes it.
    """
    known = set(snapshot.rows(f"SELECT * FROM {view} LIMIT 0").columns)
    names = [field.name for field in dataclasses.fields(record_type)]  # type: ignore[arg-type]
    fields = ", ".join(f'"{name}"' if name in known else f'NULL AS "{name}"' for name in names)
    return ask(snapshot, record_type, f"SELECT {fields} FROM {view} WHERE run_id = ? ORDER BY {order}", (run_id,))
