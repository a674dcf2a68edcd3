"""Withdrawals applied once more: something older of the study was restored, or one was interrupted."""

from __future__ import annotations

from pathlib import Path

from engine.acquire.withdrawn import remember_withdrawal, unfinished_withdrawals, unlisted_withdrawals
from engine.run.removal import remove_patients


def reapply_withdrawals(study: Path) -> tuple[str, ...]:
    """Withdraw again whom only the private folder remembers, or to whom there is a way back still.

    Images and rows of tables that a backup brought back into the study's folder go too; whom only the ledger remembers
    is listed again. The caller holds run.lock. Returns the cases.
    """
    for case_id, reason in unlisted_withdrawals(study).items():
        remember_withdrawal(study, case_id, reason)
    again = unfinished_withdrawals(study)
    if again:
        remove_patients(study.resolve(), again, "restore")
    return tuple(sorted(again))
