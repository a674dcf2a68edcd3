"""Withdrawals applied once more after an older backup of the study was restored."""

from __future__ import annotations

from pathlib import Path

from engine.acquire.withdrawn import forget_way_back, withdrawn_cases
from engine.run.withdrawn_files import discard_uploads, find_files, forget_in_tables, remove_files
from store.withdrawal import tombstones, withdraw_case


def reapply_withdrawals(study: Path) -> tuple[str, ...]:
    """Withdraw again what the private folder remembers and the ledger does not: a backup was restored.

    Images and rows of tables that the backup brought back into the study's folder go too. The caller holds run.lock.
    Returns the cases.
    """
    known = {stone.case_id for stone in tombstones(study)}
    again = {case: reason for case, reason in withdrawn_cases(study).items() if case not in known}
    if again:
        root, cases = study.resolve(), set(again)
        remove_files(root, find_files(root, cases))
        forget_in_tables(root, cases)
        discard_uploads(root, cases)
    for case_id, reason in again.items():
        withdraw_case(study, case_id, "restore", reason)
        forget_way_back(study, case_id)
    return tuple(sorted(again))
