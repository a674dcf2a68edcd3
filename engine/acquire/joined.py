"""Clinical tables joined on the patient id of each; cells stay text until a column is declared a number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.acquire.csv_table import Table, number_in, patient_rows, read_table
from engine.protocol import Clinical
from store.records import RefusedError
from store.sources import ClinicalSource


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Several tables with the row of each patient in each."""

    tables: tuple[Table, ...]
    rows: tuple[dict[str, int], ...]
    ids: tuple[str, ...]

    def knows(self, patient: str) -> bool:
        """Whether any table has a row of the patient."""
        return any(patient in rows for rows in self.rows)

    def cell(self, patient: str, column: str) -> str:
        """The text of a cell; empty where the patient has no row in the column's table."""
        place = self._table(column)
        row = self.rows[place].get(patient)
        return "" if row is None else self.tables[place].rows[row][self.tables[place].place(column)]

    def number(self, patient: str, column: str) -> float | None:
        """A cell as a number, None where missing; RefusedError for a decimal comma or text."""
        place = self._table(column)
        row = self.rows[place].get(patient)
        return None if row is None else number_in(self.cell(patient, column), self.tables[place], row, column)

    def line(self, patient: str, column: str) -> int:
        """The line of the file that holds a patient's cell, 0 where there is none."""
        place = self._table(column)
        row = self.rows[place].get(patient)
        return 0 if row is None else self.tables[place].lines[row]

    def role(self, column: str) -> str:
        """The role of the file that holds a column."""
        return self.tables[self._table(column)].role

    def _table(self, column: str) -> int:
        found = [place for place, table in enumerate(self.tables) if column in table.columns]
        if not found:
            self.tables[0].place(column)  # names what is near
        if len(found) > 1:
            roles = " and ".join(self.tables[place].role for place in found)
            text = f"column {column!r} stands in {roles}."
            raise RefusedError("ambiguous_column", roles, text, "Rename it in one of them.")
        return found[0]


def join_tables(source: ClinicalSource, clinical: Clinical) -> Joined:
    """Read a study's clinical files and find each patient's row; ValueError when an id column is not declared."""
    if len(clinical.id) != len(source.files):
        raise ValueError(f"clinical.id needs one column a file, got {len(clinical.id)} for {len(source.files)} files")
    tables = tuple(read_table(Path(file.path), file.role) for file in source.files)
    rows = tuple(patient_rows(table, column.strip()) for table, column in zip(tables, clinical.id, strict=True))
    return Joined(tables, rows, tuple(column.strip() for column in clinical.id))
