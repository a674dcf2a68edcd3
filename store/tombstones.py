"""Who withdrew: the ledger's tombstones and the list in the private folder, which backups do not reach."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger

WITHDRAWN_FILE = "withdrawn.json"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is kept of a withdrawn case: that it was withdrawn, when, by whom, why, and which runs had used it."""

    case_id: str
    at: str
    actor: str
    reason: str
    artifacts: int
    runs: str  # run ids, separated by blanks; their results were removed


def tombstones(study: Path) -> tuple[Tombstone, ...]:
    """The withdrawals that the ledger knows, in order of time."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name='withdrawal'"):
            return ()
        found = ledger.rows("SELECT case_id, at, actor, reason, artifacts, runs FROM withdrawal ORDER BY at")
    return tuple(Tombstone(*row) for row in found)  # type: ignore[arg-type]


def listed_withdrawals(study: Path) -> dict[str, str]:
    """Withdrawn case ids and reasons as the private folder lists them."""
    path = StudyFolder(study).private / WITHDRAWN_FILE
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def withdrawn_cases(study: Path) -> dict[str, str]:
    """Withdrawn case ids and the reasons given, by ledger or private folder: either may have been restored."""
    return {stone.case_id: stone.reason for stone in tombstones(study)} | listed_withdrawals(study)
