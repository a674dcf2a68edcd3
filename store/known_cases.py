"""Which cases a ledger has ever heard of."""

from __future__ import annotations

from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger

BY_CASE = "SELECT m.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type='table' AND c.name='case_id'"


def has_cases(study: Path) -> bool:
    """Whether a run of a study ever placed or refused something, or somebody judged or drew one of its cases."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return False
    with Ledger(folder) as ledger:
        tables = ["placement", *(str(row[0]) for row in ledger.rows(BY_CASE))]
        return any(ledger.rows(f"SELECT 1 FROM {table} LIMIT 1") for table in tables)


def knows_case(study: Path, case_id: str) -> bool:
    """Whether a run placed a case, or refused, verdicts, drawings or tombstones name it."""
    folder = StudyFolder(study)
    if not case_id or case_id.startswith("#") or not folder.ledger.exists():  # units of stages begin with it
        return False
    with Ledger(folder) as ledger:
        if ledger.rows("SELECT 1 FROM placement WHERE unit=? LIMIT 1", (case_id,)):
            return True
        tables = [str(row[0]) for row in ledger.rows(BY_CASE)]
        return any(ledger.rows(f"SELECT 1 FROM {table} WHERE case_id=? LIMIT 1", (case_id,)) for table in tables)
