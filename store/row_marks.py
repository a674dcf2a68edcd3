"""What an audit line says of the row that it tells of."""

from __future__ import annotations

import dataclasses
import hashlib
import json


def row_mark(row: object) -> str:
    """What an audit line ends with so that the row it tells of cannot be rewritten: sha256 of all its fields."""
    cells = dataclasses.astuple(row)  # type: ignore[call-overload]
    plain = [float(cell) if isinstance(cell, int | float) else cell for cell in cells]  # as they come back from SQLite
    return f" row {hashlib.sha256(json.dumps(plain).encode()).hexdigest()}"
