"""Withdrawals applied once more after an older backup of the study was restored."""

from __future__ import annotations

from pathlib import Path

from engine.acquire.discover import discover
from engine.acquire.patient_tables import forget_rows
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.withdrawn import forget_way_back, withdrawn_cases
from engine.protocol import PROTOCOL_FILE, read_protocol
from store.withdrawal import tombstones, withdraw_case


def reapply_withdrawals(study: Path) -> tuple[str, ...]:
    """Withdraw again what the private folder remembers and the ledger does not: a backup was restored.

    Images and rows of tables that the backup brought back into the study's folder go too. The caller holds run.lock.
    Returns the cases.
    """
    known = {stone.case_id for stone in tombstones(study)}
    again = {case: reason for case, reason in withdrawn_cases(study).items() if case not in known}
    for case_id, reason in again.items():
        withdraw_case(study, case_id, "restore", reason)
        forget_way_back(study, case_id)
    if again:
        _forget_files(study, set(again))
    return tuple(sorted(again))


def _forget_files(study: Path, cases: set[str]) -> None:
    if not (study / PROTOCOL_FILE).exists():
        return
    protocol = read_protocol(study)
    pseudonyms = Pseudonyms(study, public_ids=protocol.study.public_ids)
    forget_rows(study, protocol, pseudonyms, cases)
    if not protocol.images.root or not (study / protocol.images.root).is_dir():
        return
    found = discover(study, protocol, Pseudonyms(study, public_ids=protocol.study.public_ids)).withdrawn
    for path in (Path(file.path) for source in found if source.case_id in cases for file in source.every_file):
        if path.resolve().is_relative_to(study.resolve()):
            path.unlink(missing_ok=True)
