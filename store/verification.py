"""Verify a study: every recorded artifact is there and hashes to what the ledger says, nothing else lies around."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.artifacts import sha256_of_file
from store.layout import StudyFolder
from store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Verification:
    """What verify found; clean when all three lists are empty and the audit chain holds."""

    artifacts: int
    missing: tuple[str, ...]  # kind/first digits of the key
    damaged: tuple[str, ...]
    orphans: tuple[str, ...]
    audit_whole: bool

    @property
    def clean(self) -> bool:
        """Whether nothing is missing, damaged, orphaned, and the audit chain holds."""
        return not (self.missing or self.damaged or self.orphans) and self.audit_whole


def verify(study: Path) -> Verification:
    """Re-hash every artifact and compare ledger and disk; files of dead writers (tmp) are swept by the next run."""
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        rows = ledger.artifacts_after(0)
        whole = ledger.audit_is_whole()
    missing, damaged, known = [], [], set()
    for row in rows:
        path = folder.artifact(row.kind, row.key, row.suffix)
        known.add(path)
        if not path.exists():
            missing.append(f"{row.kind}/{row.key[:12]}")
        elif sha256_of_file(path) != row.sha256:
            damaged.append(f"{row.kind}/{row.key[:12]}")
    on_disk = (p for p in folder.artifacts.glob("*/??/*") if p.is_file())
    orphans = tuple(f"{p.parent.parent.name}/{p.name[:12]}" for p in on_disk if p not in known)
    return Verification(len(rows), tuple(missing), tuple(damaged), orphans, whole)


def forget_damaged(study: Path) -> int:
    """Drop the records of missing and damaged artifacts so that the next run computes them; returns how many keys."""
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        rows = ledger.artifacts_after(0)
        files = ((row.key, folder.artifact(row.kind, row.key, row.suffix), row.sha256) for row in rows)
        keys = sorted({key for key, path, sha256 in files if not path.exists() or sha256_of_file(path) != sha256})
        ledger.forget_artifacts(keys)
    return len(keys)
