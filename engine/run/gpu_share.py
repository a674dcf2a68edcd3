"""How the local backend shares the GPUs of this machine among its workers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from engine.processes import Gpu, gpus

GPU_STAGES = ("segment", "embeddings", "anatomy", "training", "trained_overlap")
VISIBLE = "CUDA_VISIBLE_DEVICES"
# A sweep of nnU-Net's 3d_fullres with four tiles. Two thirds of a case are reading, resampling and export on the CPU.
GB_PER_TASK, MOST_PER_GPU = 8.0, 8
CPU_BUILD = "+cpu"


@dataclass(frozen=True, slots=True)
class GpuShare:
    """The GPUs that may be used, by the names CUDA gives them, and how many tasks each takes at once."""

    names: tuple[str, ...]
    tasks_each: int

    @property
    def tasks(self) -> int:
        """Tasks on all GPUs at once."""
        return len(self.names) * self.tasks_each

    def least_used(self, used: Sequence[str]) -> str:
        """The GPU that fewest of the workers see whose GPUs are given."""
        return min(self.names, key=used.count)


@contextmanager
def seeing(gpu: str) -> Iterator[None]:
    """A process that starts meanwhile sees this GPU alone; empty: whatever this process sees."""
    before = os.environ.get(VISIBLE)
    if gpu:
        os.environ[VISIBLE] = gpu
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VISIBLE, None)
        else:
            os.environ[VISIBLE] = before


def share_gpus() -> GpuShare | None:
    """The GPUs of this machine that torch may use; None where there is none, or its build is for the CPU alone."""
    return None if CPU_BUILD in version("torch") else share_of(gpus(), os.environ.get(VISIBLE))


def share_of(found: tuple[Gpu, ...], visible: str | None) -> GpuShare | None:
    """GPUs among those found that the user's CUDA_VISIBLE_DEVICES names (None: all); the smallest decides for each."""
    names = [str(i) for i in range(len(found))] if visible is None else [n.strip() for n in visible.split(",")]
    names = [name for name in names if name and name != "-1"]
    if not found or not names:
        return None
    smallest = min(gpu.size_gb for gpu in found)
    return GpuShare(tuple(names), max(1, min(MOST_PER_GPU, int(smallest // GB_PER_TASK))))
