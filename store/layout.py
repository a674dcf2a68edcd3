"""Where a study keeps its things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The folder of one study; every path below it is named here and nowhere else."""

    root: Path

    @property
    def ledger(self) -> Path:
        """SQLite file of the mutable truth."""
        return self.root / "ledger.sqlite"

    @property
    def artifacts(self) -> Path:
        """Immutable results, named by their key."""
        return self.root / "artifacts"

    @property
    def unfinished(self) -> Path:
        """Files being written; swept when a run starts."""
        return self.root / "artifacts" / "tmp"

    @property
    def snapshots(self) -> Path:
        """Published DuckDB generations and CURRENT."""
        return self.root / "snapshots"

    @property
    def work_database(self) -> Path:
        """The publisher's own DuckDB file; nobody else opens it."""
        return self.root / "snapshots" / "work.duckdb"

    @property
    def current(self) -> Path:
        """Text file naming the generation that pages read."""
        return self.root / "snapshots" / "CURRENT"

    @property
    def private(self) -> Path:
        """Key and links from pseudonym to patient: outside ledger, artifacts, snapshots, logs and backups."""
        return self.root / "private"

    @property
    def training(self) -> Path:
        """Checkpoints of unfinished trainings and prepared cases; may be deleted when nothing is trained."""
        return self.root / "training"

    @property
    def run_lock(self) -> Path:
        """Held by the one runner."""
        return self.root / "run.lock"

    @property
    def publisher_lock(self) -> Path:
        """Held by the one publisher."""
        return self.root / "publisher.lock"

    @property
    def log(self) -> Path:
        """Log of detached runs."""
        return self.root / "run.log"

    def artifact(self, kind: str, key: str, suffix: str) -> Path:
        """The file of one artifact."""
        return self.artifacts / kind / key[:2] / f"{key}{suffix}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that reached its final place: kind, what it holds, sha256 and size."""

    kind: str
    record_type: str
    suffix: str
    sha256: str
    bytes: int
