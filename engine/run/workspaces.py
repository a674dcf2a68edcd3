"""What trainings leave on the disk of a study: how much it may come to, and what of it is no longer needed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from engine.protocol import Protocol
from engine.run.planning import training_units
from engine.segment.strategies.registry import strategy_of
from engine.segment.train import USES
from store.layout import StudyFolder
from store.ledger import Ledger
from store.source_list import Sources

KEPT_SECONDS = 30 * 86_400.0  # an unfinished training that nobody went on with for so long is given up
UNFINISHED = ("pending", "running", "failed")
PREPARED = "prepared"
OWN_FOLDERS = "[0-9a-f]" * 64  # each named by the key of its training
PREPARED_PER_IMAGE_BYTE = 4  # 32 bits a voxel, of images that are mostly compressed 16 bits
CHECKPOINT_BYTES_PER_WEIGHT = 12  # the weight and the two moments of its optimiser
CHECKPOINTS = 2  # the last epoch's, and the final one or the one being written
KERNEL_VOXELS, CONVOLUTIONS = 27, 4  # two a stage on the way down, two on the way up
NNUNET_FEATURES = (32, 64, 128, 256, 320, 320)


def training_bytes(folder: StudyFolder, protocol: Protocol, sources: Sources) -> int:
    """A generous estimate of what the trainings of a protocol still write: prepared cases and checkpoints."""
    phases = [phase for name in protocol.strategies.names for phase in strategy_of(name).phases(protocol.train)]
    images = sum(Path(file.path).stat().st_size for case in sources.cases for file in case.files)
    prepared = PREPARED_PER_IMAGE_BYTE * images * len({phase.labels for phase in phases})
    features = protocol.train.features or NNUNET_FEATURES
    weights = KERNEL_VOXELS * CONVOLUTIONS * sum(channels**2 for channels in features)
    checkpoint = CHECKPOINT_BYTES_PER_WEIGHT * weights
    checkpoints = CHECKPOINTS * checkpoint * len(training_units(protocol))
    return max(0, prepared + checkpoints - held_bytes(folder))


def held_bytes(folder: StudyFolder) -> int:
    """What trainings hold on the disk of a study at present."""
    return sum(path.stat().st_size for path in folder.training.rglob("*") if path.is_file())


def sweep_trainings(folder: StudyFolder, kept_seconds: float = KEPT_SECONDS) -> None:
    """Delete checkpoints that no training goes on from, and prepared cases that no unfinished training uses.

    Gone are those of finished and declined trainings, of tasks that the ledger does not know, and of trainings that
    nothing was written to for `kept_seconds`. Only for the holder of run.lock.
    """
    kept = []
    with Ledger(folder) as ledger:
        for path in sorted(folder.training.glob(OWN_FOLDERS)):
            if ledger.state_of(path.name) in UNFINISHED and time.time() - _touched(path) <= kept_seconds:
                kept.append(path)
            else:
                shutil.rmtree(path)
    used = {(path / USES).read_text(encoding="utf-8") for path in kept if (path / USES).exists()}
    for path in (folder.training / PREPARED).glob("*"):
        if path.name not in used:
            shutil.rmtree(path)
    if not kept:
        shutil.rmtree(folder.training, ignore_errors=True)


def _touched(folder: Path) -> float:
    """When anything in a folder was last written."""
    return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
