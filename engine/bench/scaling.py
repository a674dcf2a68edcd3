"""Bench: CPU time and memory of extraction against masks, cases, voxels and processes, each point a process of its own.

CPU seconds of one thread, compiled code loaded and imports done; peak memory of the whole process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.bench.extraction import ONE_THREAD

PARTS = ("masks", "cases", "voxels", "lungs", "processes")
MASKS = (10, 30, 100, 300, 1000)
CASES = (10, 100, 1000)
VOXELS = (1_000, 3_000, 10_000, 33_000, 100_000, 359_664)
PEER_VOXELS = (1_000, 10_000, 100_000, 359_664)
BOTH_LUNGS = 5_000_000
PROCESS_MASKS = 20
ROUNDS = 3
QUICK = {"masks": (10, 30), "cases": (10, 20), "voxels": (1_000, 10_000), "peer": (1_000,)}


@dataclass(frozen=True, slots=True)
class Point:
    """CPU seconds and peak memory (MB) for so many masks, cases or voxels; side is engine or pyradiomics."""

    what: str
    side: str
    count: int
    cpu_seconds: float
    cpu_seconds_each: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Processes:
    """Throughput of two processes against one, rounds of both alternated; load: runnable processes before each.

    by_clock needs two free cores: 2 x quickest alone / quickest pair. by_cpu, the same of CPU seconds, is what two free
    cores would give: waiting for a core does not enter it, sharing of cache and memory does.
    """

    by_clock: float
    by_cpu: float
    seconds_alone: tuple[float, ...]
    seconds_beside: tuple[float, ...]
    cpu_seconds_alone: tuple[float, ...]
    cpu_seconds_beside: tuple[float, ...]
    load: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ScalingBench:
    """All points, and two processes against one."""

    points: tuple[Point, ...]
    processes: Processes | None
    note: str


NOTE = (
    "masks: perturbed masks of one 33 ml tumour (IBSI CT at 1 mm) through the stage perturbed_features; cases: a 4 ml "
    "tumour of ever new noise through the stage features, one process; voxels: one mask of the IBSI CT's tumour or its "
    "core, from 5 million both lungs of LUNG1-001, filters included; PyRadiomics with its own crop"
)


def bench_scaling(shared: Path, parts: Sequence[str], quick: bool) -> ScalingBench:
    """The parts of masks, cases, voxels, lungs and processes that are named; FileNotFoundError without shared data.

    ValueError for another part.
    """
    if unknown := sorted(set(parts) - set(PARTS)):
        raise ValueError(f"--part must be one of {PARTS}, got {unknown}")
    masks, cases, voxels, peer = (QUICK[k] for k in QUICK) if quick else (MASKS, CASES, VOXELS, PEER_VOXELS)
    points: list[Point] = []
    if "masks" in parts:
        points += [_point(shared, "masks", "engine", count) for count in masks]
    if "cases" in parts:
        points += [_point(shared, "cases", "engine", count) for count in cases]
    if "voxels" in parts:
        points += [_point(shared, "voxels", "engine", count) for count in voxels]
        points += [_point(shared, "voxels", "pyradiomics", count) for count in peer]
    if "lungs" in parts:
        points.append(_point(shared, "voxels", "engine", BOTH_LUNGS))
    return ScalingBench(tuple(points), _processes(shared) if "processes" in parts else None, NOTE)


def scaling_lines(found: ScalingBench) -> list[str]:
    """The result as text."""
    lines = [
        f"{p.what:7s} {p.side:12s} {p.count:8d} {p.cpu_seconds:9.2f} CPU s {1000 * p.cpu_seconds_each:10.3f} ms each "
        f"{p.peak_mb:7.0f} MB"
        for p in found.points
    ]
    if found.processes:
        two = found.processes
        lines.append(f"two processes: {two.by_clock:.2f} times one by the clock, {two.by_cpu:.2f} by CPU seconds")
        lines.append(f"seconds alone {_rounded(two.seconds_alone)}, slower of two {_rounded(two.seconds_beside)}")
        lines.append(f"CPU alone {_rounded(two.cpu_seconds_alone)}, of two {_rounded(two.cpu_seconds_beside)}")
        lines.append(f"load before each round {two.load}")
    return lines


def _rounded(seconds: tuple[float, ...]) -> list[float]:
    return [round(one, 2) for one in seconds]


def _point(shared: Path, what: str, side: str, count: int) -> Point:
    found = _together(shared, (what, side, count), 1)[0]
    units = found.get("voxels", count)
    return Point(what, side, int(units), found["cpu_seconds"], found["cpu_seconds"] / units, found["peak_mb"])


def _processes(shared: Path) -> Processes:
    """Rounds of one process and of two; the quickest of each is the least disturbed by other people's programs."""
    load, alone, beside = [], [], []
    for _ in range(ROUNDS):
        load.append(round(os.getloadavg()[0], 2))
        alone += _together(shared, ("masks", "engine", PROCESS_MASKS), 1)
        both = _together(shared, ("masks", "engine", PROCESS_MASKS), 2)
        beside.append({name: max(one[name] for one in both) for name in both[0]})
    seconds, cpu = (
        [[one[name] for one in rounds] for rounds in (alone, beside)] for name in ("seconds", "cpu_seconds")
    )
    return Processes(
        by_clock=2 * min(seconds[0]) / min(seconds[1]),
        by_cpu=2 * min(cpu[0]) / min(cpu[1]),
        seconds_alone=tuple(seconds[0]),
        seconds_beside=tuple(seconds[1]),
        cpu_seconds_alone=tuple(cpu[0]),
        cpu_seconds_beside=tuple(cpu[1]),
        load=tuple(load),
    )


def _together(shared: Path, job: tuple[str, str, int], count: int) -> list[dict[str, float]]:
    """So many workers doing the same, let go at one moment once all are ready; what each measured of itself."""
    command = [sys.executable, "-m", "engine.bench.scaling_worker", str(shared), *map(str, job)]
    environment = {**os.environ, **ONE_THREAD}
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    for worker in workers:
        if worker.stdout is not None:
            worker.stdout.readline()
    for worker in workers:
        if worker.stdin is not None:
            worker.stdin.write("go\n")
            worker.stdin.flush()
    return [_found(worker) for worker in workers]


def _found(worker: subprocess.Popen[str]) -> dict[str, float]:
    text, _ = worker.communicate()
    if worker.returncode != 0:
        raise RuntimeError(f"a worker of the bench ended with {worker.returncode}; its own words are above")
    return {name: float(value) for name, value in json.loads(text.splitlines()[-1]).items()}
