"""Withdrawals applied once more: something older of the study was restored, or one was interrupted."""

from __future__ import annotations

from pathlib import Path

from engine.acquire.withdrawn import unfinished_withdrawals
from engine.run.removal import remove_patients


def reapply_withdrawals(study: Path) -> tuple[str, ...]:
    """Withdraw again whom only the private folder or only the ledger remembers, or to whom there is a way back still.

    Images and rows of tables that a backup brought back into the study's folder go too. The caller holds run.lock.
    Returns the cases.
    """
    again = unfinished_withdrawals(study)
    if again:
        remove_patients(study.resolve(), again, "restore")
    return tuple(sorted(again))
