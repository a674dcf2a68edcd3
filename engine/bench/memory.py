"""The largest memory that a process of a bench ever held."""

from __future__ import annotations

from pathlib import Path

KIB_PER_MIB = 1024.0


def peak_mb() -> float:
    """Largest resident memory of this process; getrusage would count the parent's, from before the program began."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) / KIB_PER_MIB
    raise RuntimeError("peak memory is read from VmHWM in /proc/self/status, which this system lacks")
