"""Bench: the engine against PyRadiomics 3.0.1 on the same image and masks, alternated, one thread each.

PyRadiomics is looped as its users do: a whole extraction for every mask. It is timed with its own crop around each
mask, which is quicker than the whole image; values are compared on the whole image, where both mean the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bench.phantom_rois import FULL_ROIS, QUICK_ROIS, phantom_image, randomised, roi_mask
from engine.measure.feature_image import FeatureImage
from engine.metrics.recipe import PAPER_1967, feature_names, full_name
from store.volumes import BoolZyx

PEER_MASKS = 2
TOLERANCE, TOLERANCE_MCC, SMALLEST_VALUE = 1e-6, 1e-4, 1e-12
MOST_LISTED = 40
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Values compared with PyRadiomics' on the whole image, and names of those outside the tolerance."""

    compared: int
    within: int
    share: float
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExtractionBench:
    """CPU seconds (one thread), peak memory in MB, their ratios (PyRadiomics / engine) and the agreement of values."""

    rois: tuple[str, ...]
    voxels: tuple[int, ...]
    masks: int
    ratio: float
    memory_ratio: float
    engine_cpu_seconds: tuple[float, ...]
    peer_cpu_seconds: float
    peer_cpu_seconds_per_mask: dict[str, tuple[float, ...]]
    engine_peak_mb: float
    peer_peak_mb: float
    agreement: Agreement
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    cpu_seconds: float
    peak_mb: float
    values: NDArray[np.float64]


def bench_extraction(shared: Path, quick: bool) -> ExtractionBench:
    """Three ROIs and 20 masks each; quick: a ROI of 33 ml and 5 masks. FileNotFoundError without the shared data."""
    names, count = (QUICK_ROIS, 5) if quick else (FULL_ROIS, 20)
    image, tumour = phantom_image(shared)
    spacing = image.grid.spacing_zyx_mm
    masks = {name: list(randomised(roi_mask(name, image, tumour), spacing, count)) for name in names}
    every = [mask for name in names for mask in masks[name]]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        runs, peers = [_worker("engine", image, every, place)], {}
        for name in names:
            peers[name] = [_worker("peer-crop", image, [mask], place) for mask in masks[name][:PEER_MASKS]]
        runs.append(_worker("engine", image, every, place))
        whole = [_worker("peer-whole", image, masks[name][:1], place).values[0] for name in names]
    ours = [runs[0].values[i * count] for i in range(len(names))]
    per_mask = {name: tuple(run.cpu_seconds for run in peers[name]) for name in names}
    engine, peer = float(np.mean([r.cpu_seconds for r in runs])), sum(np.mean(s) * count for s in per_mask.values())
    engine_mb, peer_mb = max(r.peak_mb for r in runs), max(r.peak_mb for found in peers.values() for r in found)
    return ExtractionBench(
        rois=names,
        voxels=tuple(int(masks[name][0].sum()) for name in names),
        masks=count,
        ratio=float(peer / engine),
        memory_ratio=peer_mb / engine_mb,
        engine_cpu_seconds=tuple(r.cpu_seconds for r in runs),
        peer_cpu_seconds=float(peer),
        peer_cpu_seconds_per_mask=per_mask,
        engine_peak_mb=engine_mb,
        peer_peak_mb=peer_mb,
        agreement=_agreement(ours, whole, names),
        note=f"PyRadiomics timed on {PEER_MASKS} of {count} masks a ROI, cropped to each mask + 5 voxels, and scaled; "
        "values compared on its run over the whole image, first mask of each ROI",
    )


def _worker(side: str, image: FeatureImage, masks: list[BoolZyx], folder: Path) -> _Run:
    source, target = folder / "in.npz", folder / "out.npz"
    bits = np.stack([np.packbits(mask) for mask in masks])
    np.savez(source, intensity_hu=image.intensity_hu, masks=bits, spacing_mm=np.array(image.grid.spacing_mm))
    command = [sys.executable, "-m", "engine.bench.extraction_worker", side, str(source), str(target)]
    subprocess.run(command, check=True, env={**os.environ, **ONE_THREAD})
    with np.load(target) as found:
        return _Run(float(found["cpu_seconds"]), float(found["peak_mb"]), found["values"])


def _agreement(ours: list[NDArray[np.float64]], theirs: list[NDArray[np.float64]], rois: tuple[str, ...]) -> Agreement:
    names = [full_name(name) for name in feature_names(PAPER_1967)]
    allowed = np.array([TOLERANCE_MCC if name.endswith("_MCC") else TOLERANCE for name in names])
    outside, compared = [], 0
    for roi, mine, other in zip(rois, ours, theirs, strict=True):
        comparable = np.isfinite(mine) & np.isfinite(other)
        off = np.abs(mine - other) > allowed * np.maximum(np.abs(other), SMALLEST_VALUE)
        compared += int(comparable.sum())
        outside += [f"{roi} {names[i]} {mine[i]:.9g} {other[i]:.9g}" for i in np.flatnonzero(off & comparable)]
    within = compared - len(outside)
    return Agreement(compared, within, within / compared, tuple(outside[:MOST_LISTED]))
