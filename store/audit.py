"""The chained audit, read and checked; its last known head lies in the private folder, so that a cut end is seen."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger
from store.reviews import drawn_masks
from store.row_marks import row_mark
from store.tombstones import tombstones

HEAD_FILE = "audit_head.json"
MARK = re.compile(r" row [0-9a-f]{64}$")


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
    """Check the chain, the signed rows that its lines mark, and the head that was seen last; remember the new head.

    A chain alone cannot show that its end was cut off: the remembered head does. It is kept in the private folder,
    which a restored backup does not bring along; note it elsewhere too.
    """
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        whole = ledger.audit_is_whole()
        rewritten = _rewritten(ledger, {stone.case_id for stone in tombstones(study)}) if whole else ""
        rows = [(int(str(seq)), str(hash_)) for seq, hash_ in ledger.rows("SELECT seq, hash FROM audit ORDER BY seq")]
    head = rows[-1][1] if rows else ""
    kept = folder.private / HEAD_FILE
    known = json.loads(kept.read_text("utf-8")) if kept.exists() else {"lines": 0, "head": ""}
    problem = rewritten if whole else "a line was changed or taken out"
    if not problem and known["head"] and known["head"] not in {hash_ for _, hash_ in rows}:
        problem = f"the end was cut off: {known['lines']} lines were seen before"
    if not problem and folder.private.exists():
        kept.write_text(json.dumps({"lines": len(rows), "head": head}), "utf-8")
        kept.chmod(0o600)
    return AuditCheck(len(rows), head, problem)


def _rewritten(ledger: Ledger, withdrawn: set[str]) -> str:
    """What verdicts and drawn masks say against the lines that tell of them; empty where they agree.

    Rows from before lines marked them are not covered; those of withdrawn cases are gone, and only theirs may be.
    """
    lines = ledger.rows("SELECT at, detail FROM audit WHERE action IN ('verdict', 'mask') ORDER BY seq")
    found = [(str(at), str(detail), MARK.search(str(detail))) for at, detail in lines]
    marks = {mark[0]: detail.split(" ", 1)[0] for _, detail, mark in found if mark}
    unmarked_until = max((at for at, detail, mark in found if not mark), default="")
    try:
        rows = {row_mark(row): row.signed_at for row in ledger.verdicts()}
        rows |= {row_mark(row): row.saved_at for row in drawn_masks(ledger)}
    except ValueError:  # no record says such a thing
        return "verdicts or drawn masks are not as they were stored"
    changed = sum(mark not in marks and at > unmarked_until for mark, at in rows.items())
    gone = {case for mark, case in marks.items() if mark not in rows} - withdrawn
    if changed or gone:
        return f"{changed or len(gone)} verdicts or drawn masks are not as they were stored"
    return ""
