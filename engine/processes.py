"""Processes that must not outlive their parent (workers, the publisher, the loaders of a training); the machine."""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
GPU_PROGRAM, GPU_SECONDS = "nvidia-smi", 5.0
GPU_FIELDS = "name,utilization.gpu,memory.used,memory.total"
MIB_PER_GB = 1e9 / 2**20
OWNER_ONLY = 0o077  # the bits that no file gets


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU of this machine as it stands now; busy_percent is None where its driver does not say."""

    name: str
    busy_percent: float | None
    used_gb: float
    size_gb: float


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies; leave at once when it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.getppid() != parent:
        os._exit(1)


def write_for_owner_only() -> None:
    """Let nobody but this process's account read what it and its children write from now on."""
    os.umask(OWNER_ONLY)


def name_process(name: str) -> None:
    """Call this process so in lists of processes; at most 15 letters."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NAME, name.encode("ascii"))


def memory_gb() -> tuple[float, float]:
    """Memory of this machine that is free for programs, and all of it, in GB."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kb = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kb["MemAvailable"] / 1e6, kb["MemTotal"] / 1e6


def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine as NVIDIA's own program reports them; none where it is absent or does not answer."""
    if shutil.which(GPU_PROGRAM) is None:
        return ()
    command = [GPU_PROGRAM, f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=GPU_SECONDS, check=True).stdout
        return tuple(_gpu(row) for row in csv.reader(told.splitlines(), skipinitialspace=True))
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def _gpu(row: list[str]) -> Gpu:
    """A row of the program's answer; a card that is split says [N/A] for how busy it is."""
    name, busy, used_mib, size_mib = row
    return Gpu(
        name, float(busy) if busy.isdigit() else None, float(used_mib) / MIB_PER_GB, float(size_mib) / MIB_PER_GB
    )
