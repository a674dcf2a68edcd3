"""The rows of withdrawn patients in a study's tables: taken out where the table lies in the study, else told."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Set
from pathlib import Path

from engine.acquire.csv_table import BLANKS, delimited_text
from engine.acquire.discover import IMAGE_TABLE
from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms, write_private_bytes
from engine.acquire.uploads import TABLES
from engine.protocol import Protocol
from store.records import RefusedError

ROLE = "table"


def forget_rows(directory: Path, protocol: Protocol, pseudonyms: Pseudonyms, cases: Set[str]) -> tuple[Path, ...]:
    """Take the rows of some cases out of every table in the study's folder, and remove tables that were replaced.

    Returns the tables that still hold such a row: they lie elsewhere, or cannot be read as tables.
    """
    left = []
    named = _tables(directory, protocol)
    for path, id_column in named:
        try:
            kept, found = _without(path, id_column, pseudonyms, cases)
        except RefusedError:
            left.append(path)
            continue
        if found and path.resolve().is_relative_to(directory.resolve()) and path.suffix != ".gz":
            mode = path.stat().st_mode
            write_private_bytes(path, kept)
            os.chmod(path, mode)
        elif found:
            left.append(path)
    in_use = {path.resolve() for path, _ in named}
    for path in (directory / PRIVATE_FOLDER / TABLES).glob("*.csv"):
        if path.resolve() not in in_use:
            path.unlink(missing_ok=True)
    return tuple(sorted(left))


def _tables(directory: Path, protocol: Protocol) -> list[tuple[Path, str]]:
    """Every table that the protocol names and that exists, with its column of patient ids."""
    named = list(zip(protocol.clinical.files, protocol.clinical.id, strict=False))
    if protocol.features_table.file:
        named.append((protocol.features_table.file, protocol.features_table.id))
    if protocol.images.root:
        named.append((str(Path(protocol.images.root) / IMAGE_TABLE), "case_id"))
    found = [(directory / Path(name), id_column.strip()) for name, id_column in named]
    return [(path, id_column) for path, id_column in found if path.is_file()]


def _without(path: Path, id_column: str, pseudonyms: Pseudonyms, cases: Set[str]) -> tuple[bytes, int]:
    """A table as UTF-8 without the rows of some cases, and how many there were; RefusedError as `read_table`."""
    text, delimiter = delimited_text(path, ROLE)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = next((row for row in rows if any(cell.strip() for cell in row)), [])
    columns = [cell.strip(BLANKS) for cell in header]
    if id_column not in columns:
        return b"", 0
    place = columns.index(id_column)
    kept = [row for row in rows if len(row) <= place or pseudonyms.case_id(row[place].strip(BLANKS)) not in cases]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(kept)
    return written.getvalue().encode("utf-8"), len(rows) - len(kept)
