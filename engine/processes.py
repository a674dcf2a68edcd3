"""Processes that must not outlive their parent (workers, the publisher, the loaders of a training); the machine."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies; leave at once when it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.getppid() != parent:
        os._exit(1)


def memory_gb() -> tuple[float, float]:
    """Memory of this machine that is free for programs, and all of it, in GB."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kb = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kb["MemAvailable"] / 1e6, kb["MemTotal"] / 1e6
