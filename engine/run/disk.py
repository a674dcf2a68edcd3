"""Is there room on the disk for what a run will write?"""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.run.sources import Sources

BYTES_PER_CASE = 3_000_000  # masks, ROI masks, features and perturbed features of a case
BYTES_ALWAYS = 200_000_000  # snapshots and the ledger
BYTES_PER_TABLE = 20_000_000


def needed_bytes(sources: Sources) -> int:
    """A generous estimate of what one run writes: every image once more, masks and features, snapshots."""
    images = sum(Path(file.path).stat().st_size for case in sources.cases for file in case.files)
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
