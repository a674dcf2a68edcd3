"""Bench: our ICC against a loop over features with pingouin 0.7.0, alternated, one thread each, on the same values."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bench.peers import HOUSE, peers_python
from engine.statistics.icc import Icc, icc

FEATURES, PATIENTS, MEASUREMENTS = 5901, 153, 20
PEER_FEATURES = 60
ROUNDS = 3
SEED = 20250617
TOLERANCE = 1e-9
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
PEER = HOUSE / "engine" / "bench" / "icc_peer.py"


@dataclass(frozen=True, slots=True)
class IccBench:
    """CPU seconds of both sides for all features; the peer is timed on some of them and scaled."""

    ratio: float
    engine_cpu_seconds: tuple[float, ...]
    peer_cpu_seconds: tuple[float, ...]  # scaled to all features
    peer_features: int
    features: int
    patients: int
    measurements: int
    largest_difference: float  # of an estimate, on the features that the peer did
    note: str


def bench_icc(features: int = FEATURES, patients: int = PATIENTS, measurements: int = MEASUREMENTS) -> IccBench:
    """Both sides three times in turns; RuntimeError where pingouin cannot be had or an estimate differs by 1e-9."""
    values = np.random.default_rng(SEED).normal(size=(patients, measurements, features))
    values += np.random.default_rng(SEED + 1).normal(size=(patients, 1, features))
    some = min(PEER_FEATURES, features)
    python = peers_python()
    ours, theirs, apart = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "values.npy"
        np.save(stored, values[:, :, :some])
        icc(values[:, :, :2])
        for _ in range(ROUNDS):
            started = time.process_time()
            result = icc(values)
            ours.append(time.process_time() - started)
            seconds, estimates = _peer(python, stored)
            theirs.append(seconds / some * features)
            apart = max(apart, float(np.abs(estimates - _forms(result, some)).max()))
    if apart > TOLERANCE:
        raise RuntimeError(f"an ICC differs from pingouin's by {apart:.2g}")
    ratio = float(np.median(theirs) / np.median(ours))
    note = "medians of CPU seconds; all six forms with bounds on our side, pingouin rounds its bounds to two decimals"
    return IccBench(ratio, tuple(ours), tuple(theirs), some, features, patients, measurements, apart, note)


def _forms(result: Icc, some: int) -> NDArray[np.float64]:
    """Estimates (features, 6) in pingouin's order: three of one measurement, three of the mean."""
    single = (result.one_way, result.agreement, result.consistency)
    mean = (result.mean_one_way, result.mean_agreement, result.mean_consistency)
    return np.stack([form.estimate[:some] for form in (*single, *mean)], axis=1)


def _peer(python: Path, values: Path) -> tuple[float, NDArray[np.float64]]:
    done = subprocess.run(
        [str(python), str(PEER), str(values)],
        env=os.environ | ONE_THREAD,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pingouin failed: {done.stderr.strip()[-400:]}")
    found = json.loads(done.stdout)
    return float(found["cpu_seconds"]), np.array(found["estimates"])
