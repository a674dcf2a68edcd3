"""The chained audit, read and checked; its last known head lies in the private folder, so that a cut end is seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger

HEAD_FILE = "audit_head.json"


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line of the audit."""

    seq: int
    at: str
    actor: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What `audit verify` found; problem is empty when the chain holds."""

    lines: int
    head: str
    problem: str

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, taken out or cut off."""
        return not self.problem


def audit_lines(study: Path, last: int = 50) -> tuple[AuditLine, ...]:
    """The newest lines of the audit, oldest first."""
    with Ledger(StudyFolder(study)) as ledger:
        found = ledger.rows("SELECT seq, at, actor, action, detail FROM audit ORDER BY seq DESC LIMIT ?", (last,))
    return tuple(AuditLine(*row) for row in reversed(found))  # type: ignore[arg-type]


def verify_audit(study: Path) -> AuditCheck:
    """Check the chain, and that it still holds the head that was seen last; then remember the new head.

    A chain alone cannot show that its end was cut off: the remembered head does. It is kept in the private folder,
    which a restored backup does not bring along; note it elsewhere too.
    """
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        whole = ledger.audit_is_whole()
        rows = [(int(str(seq)), str(hash_)) for seq, hash_ in ledger.rows("SELECT seq, hash FROM audit ORDER BY seq")]
    head = rows[-1][1] if rows else ""
    kept = folder.private / HEAD_FILE
    known = json.loads(kept.read_text("utf-8")) if kept.exists() else {"lines": 0, "head": ""}
    problem = "" if whole else "a line was changed or taken out"
    if whole and known["head"] and known["head"] not in {hash_ for _, hash_ in rows}:
        problem = f"the end was cut off: {known['lines']} lines were seen before"
    if not problem and folder.private.exists():
        kept.write_text(json.dumps({"lines": len(rows), "head": head}), "utf-8")
        kept.chmod(0o600)
    return AuditCheck(len(rows), head, problem)
