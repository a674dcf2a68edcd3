"""Bench: our selection in bootstraps against mrmr_selection and scikit-learn, on one synthetic table.

Ours runs all bootstraps on every core; one bootstrap at a time is alternated with the peer's, on one core, for the
ratio of CPU seconds. The peer is timed on a few bootstraps and scaled, which the result says.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bench.peers import peers_python
from engine.run.spread import spread
from engine.statistics.mrmr import mrmr_fcq
from engine.statistics.rank_forest import fit_forest, rfe

Floats = NDArray[np.float64]
SEED = 20250617
PATIENTS, EVENTS, ROIS, FEATURES, FACTORS = 153, 52, 3, 1967, 40
MRMR, KEPT, MANY_TREES = 50, 10, 4000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class PeerBootstrap:
    """One bootstrap on both sides: CPU seconds, whether all of mRMR's order is the same, features kept by both."""

    ours_mrmr_seconds: float
    ours_rfe_seconds: float
    peer_mrmr_seconds: float
    peer_rfe_seconds: float
    same_order: bool
    kept_by_both: int


@dataclass(frozen=True, slots=True)
class SelectionBench:
    """Ratios of CPU seconds (peer / ours); ratio is of the whole job, whose wall and CPU seconds are ours as run."""

    ratio: float
    mrmr_ratio: float
    rfe_ratio: float
    bootstraps: int
    trees: int
    wall_seconds: float
    cpu_seconds: float
    peer_cpu_seconds: float
    processes: int
    same_order: bool
    compared: tuple[PeerBootstrap, ...]
    importance_deviation: float  # largest, ours against the mean of two scikit-learn forests
    importance_noise: float  # largest between these two
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """Order of mRMR, features kept, CPU seconds of both steps."""

    order: NDArray[np.intp]
    kept: NDArray[np.intp]
    mrmr_seconds: float
    rfe_seconds: float


def bench_selection(bootstraps: int = 500, trees: int = 100, peers: int = 3) -> SelectionBench:
    """Time the whole job of ours, and a few bootstraps of both sides in turn."""
    python = peers_python()
    compared = tuple(_in_turn(python, number, trees) for number in range(peers))
    deviation, noise = _importances(python)
    started = time.monotonic()
    seconds = list(spread(functools.partial(_seconds_of, trees), range(bootstraps)))
    wall = time.monotonic() - started
    mrmr = sum(one.peer_mrmr_seconds for one in compared) / peers
    forests = sum(one.peer_rfe_seconds for one in compared) / peers
    peer = bootstraps * (mrmr + forests)
    return SelectionBench(
        ratio=peer / sum(seconds),
        mrmr_ratio=mrmr * peers / sum(one.ours_mrmr_seconds for one in compared),
        rfe_ratio=forests * peers / sum(one.ours_rfe_seconds for one in compared),
        bootstraps=bootstraps,
        trees=trees,
        wall_seconds=wall,
        cpu_seconds=sum(seconds),
        peer_cpu_seconds=peer,
        processes=len(os.sched_getaffinity(0)),
        same_order=all(one.same_order for one in compared),
        compared=compared,
        importance_deviation=deviation,
        importance_noise=noise,
        note=f"{PATIENTS} x {ROIS * FEATURES} synthetic values, {EVENTS} events, mRMR {MRMR}, elimination to {KEPT};"
        f" the peer was timed on {peers} of {bootstraps} bootstraps and scaled",
    )


def selection_lines(found: SelectionBench) -> list[str]:
    """The bench as lines for a terminal."""
    orders = "identical" if found.same_order else "NOT identical"
    both = ", ".join(f"{one.kept_by_both} of {KEPT}" for one in found.compared)
    return [
        f"{found.ratio:.0f} times less CPU time; mRMR {found.mrmr_ratio:.0f}, elimination {found.rfe_ratio:.0f} times",
        f"{found.bootstraps} bootstraps of {found.trees} trees: {found.wall_seconds:.0f} s on {found.processes} "
        f"processes, {found.cpu_seconds:.0f} CPU s; the peer {found.peer_cpu_seconds:.0f} CPU s",
        f"order of all {MRMR} {orders} in {len(found.compared)} bootstraps; kept by both {both}",
        f"importances of {MANY_TREES} trees: {found.importance_deviation:.4f} off at most, scikit-learn between two "
        f"seeds {found.importance_noise:.4f}",
        found.note,
    ]


@functools.cache
def synthetic_table() -> tuple[Floats, NDArray[np.int64]]:
    """Values (153, 5901) of three regions with 40 latent factors each and a shared one of size, and outcomes.

    Heavy-tailed monotone maps and scales from 1e-3 to 1e4, as radiomic features have them.
    """
    rng = np.random.default_rng(SEED)
    size = rng.normal(size=(PATIENTS, 1))
    regions = []
    for _ in range(ROIS):
        latent = np.column_stack([rng.normal(size=(PATIENTS, FACTORS)), size])
        mixed = latent @ (rng.normal(size=(FACTORS + 1, FEATURES)) * (rng.random((FACTORS + 1, FEATURES)) < 0.15))
        mixed = mixed + 0.5 * rng.normal(size=mixed.shape)
        heavy = np.where(rng.random(FEATURES) < 0.5, np.exp(mixed / mixed.std(axis=0)), mixed)
        regions.append(heavy * 10.0 ** rng.uniform(-3, 4, FEATURES))
    risk = size[:, 0] + 1.5 * rng.normal(size=PATIENTS)
    label = np.zeros(PATIENTS, dtype=np.int64)
    label[np.argsort(-risk)[:EVENTS]] = 1
    return np.concatenate(regions, axis=1), label


def bootstrap_rows(number: int) -> NDArray[np.intp]:
    """Rows of one bootstrap, drawn within each outcome."""
    rng = np.random.default_rng([SEED, number])
    label = synthetic_table()[1]
    strata = [np.flatnonzero(label == value) for value in (0, 1)]
    return np.sort(np.concatenate([rng.choice(rows, rows.size) for rows in strata]))


def one_bootstrap(trees: int, number: int) -> Taken:
    """Ours on one bootstrap: distinct rows with the number of times each was drawn."""
    x, y = synthetic_table()
    rows, draws = np.unique(bootstrap_rows(number), return_counts=True)
    values, label, weights = x[rows], y[rows], draws.astype(np.float64)
    started = time.process_time()
    order = mrmr_fcq(values, label, MRMR, weights)
    between = time.process_time()
    kept = order[rfe(values[:, order], label, weights, KEPT, trees, number).kept]
    return Taken(order, kept, between - started, time.process_time() - between)


def _seconds_of(trees: int, number: int) -> float:
    found = one_bootstrap(trees, number)
    return found.mrmr_seconds + found.rfe_seconds


def _in_turn(python: Path, number: int, trees: int) -> PeerBootstrap:
    one_bootstrap(trees, number)  # kernels are loaded and pages touched before anything is timed
    ours = one_bootstrap(trees, number)
    theirs = _ask_peer(python, number, trees, [])
    if not isinstance(theirs, dict):
        raise TypeError("the peer answered another question")
    return PeerBootstrap(
        ours_mrmr_seconds=ours.mrmr_seconds,
        ours_rfe_seconds=ours.rfe_seconds,
        peer_mrmr_seconds=theirs["mrmr_seconds"],
        peer_rfe_seconds=theirs["rfe_seconds"],
        same_order=theirs["order"] == ours.order.tolist(),
        kept_by_both=len(set(theirs["kept"]) & set(ours.kept.tolist())),
    )


def _importances(python: Path) -> tuple[float, float]:
    """Largest deviation of our importances from the mean of two scikit-learn forests, and between these two."""
    x, y = synthetic_table()
    rows = bootstrap_rows(0)
    columns = one_bootstrap(10, 0).order
    ours = fit_forest(x[rows][:, columns], y[rows], None, MANY_TREES, SEED).importances
    first, second = np.array(_ask_peer(python, 0, MANY_TREES, columns.tolist()))
    return float(np.abs(ours - (first + second) / 2).max()), float(np.abs(first - second).max())


def _ask_peer(python: Path, number: int, trees: int, columns: list[int]) -> object:
    """One answer of the peer, in a process of its own with one thread."""
    x, y = synthetic_table()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.json"
        order = np.array(columns, dtype=np.int64)
        rows = bootstrap_rows(number)
        np.savez(source, x=x, y=y, rows=rows, columns=order, k=MRMR, keep=KEPT, trees=trees, seed=number)
        script = Path(__file__).with_name("selection_peer.py")
        command = [str(python), str(script), str(source), str(target)]
        subprocess.run(command, check=True, env={**os.environ, **ONE_THREAD}, capture_output=True)
        return json.loads(target.read_text(encoding="ascii"))
