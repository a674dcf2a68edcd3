"""Is there room on the disk for what a run will write, and is it a disk of this machine?"""

from __future__ import annotations

import logging
import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from store.source_list import Sources

BYTES_PER_CASE = 3_000_000  # masks, ROI masks, features and perturbed features of a case
BYTES_ALWAYS = 200_000_000  # snapshots and the ledger
BYTES_PER_TABLE = 20_000_000
LEAST_ROOM_BYTES = 100_000_000  # for the ledger, a snapshot and what the workers are writing
LOOK_SECONDS = 2.0
NETWORK = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "sshfs")
)
MOUNTS = Path("/proc/self/mountinfo")
log = logging.getLogger("cohortscope.run")


def needed_bytes(sources: Sources) -> int:
    """A generous estimate of what one run writes: every image that is here once more, masks and features, snapshots."""
    images = sum(Path(file.path).stat().st_size for case in sources.cases for file in case.every_file if file.path)
    tables = BYTES_PER_TABLE if sources.table is not None else 0
    return images + len(sources.cases) * BYTES_PER_CASE + tables + BYTES_ALWAYS


def check_disk(study: Path, sources: Sources, further_bytes: int = 0) -> None:
    """Raise RuntimeError when the disk of a study has less room than a run, and what it trains, may need."""
    needed, free = needed_bytes(sources) + further_bytes, shutil.disk_usage(study).free
    if free < needed:
        text = f"the run may need {needed / 1e9:.1f} GB"
        text += f" ({further_bytes / 1e9:.1f} of them for trainings)" if further_bytes else ""
        text += f" and the study's disk has {free / 1e9:.1f} GB free"
        raise RuntimeError(f"{text}; free some or move the study")


@dataclass(slots=True)
class RoomKeeper:
    """Looks at a study's disk while a run goes on, and holds the run up while there is next to no room.

    Tasks in work end meanwhile; none is handed out until there is room again, so that nothing fails for want of it.
    """

    study: Path
    looked_at: float = -math.inf

    def wait(self) -> None:
        """Return when there is room; looks at the disk every few seconds at most."""
        if time.monotonic() - self.looked_at < LOOK_SECONDS:
            return
        held = False
        while (free := shutil.disk_usage(self.study).free) < LEAST_ROOM_BYTES:
            if not held:
                log.warning(
                    "paused: the study's disk has %.0f MB left; free some and the run goes on by itself, or cancel it",
                    free / 1e6,
                )
            held = True
            time.sleep(LOOK_SECONDS)
        if held:
            log.warning("there is room on the disk again (%.0f MB): the run goes on", free / 1e6)
        self.looked_at = time.monotonic()


def network_warning(study: Path) -> str:
    """What to say of a study on a network file system, where SQLite's locks need not hold; empty on a local disk."""
    kind = file_system_of(study.resolve(), MOUNTS.read_text(encoding="utf-8", errors="replace"))
    if kind.removeprefix("fuse.") not in NETWORK:
        return ""
    return (
        f"the study lies on a network file system ({kind}): run it and serve it from one machine only, for locks need"
        " not hold between machines and two writers would lose results without an error"
    )


def file_system_of(path: Path, mounts: str) -> str:
    """Kind of file system that an absolute path lies on, by the lines of a mountinfo file; empty where none fits."""
    best, kind = "", ""
    for line in mounts.splitlines():
        front, _, back = line.partition(" - ")
        if len(front.split()) < 5 or not back:
            continue
        place = front.split()[4].replace("\\040", " ")
        if path.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, back.split()[0]
    return kind
