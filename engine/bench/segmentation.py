"""Bench: our inference against nnU-Net's own predictor, from image file to mask file, alternated, a process each.

Both sides have one network, its weights, the same plans (spacing, normalisation, order-3 resampling), tile step and no
mirrors. `exact` sweeps the same tiles; it is the timed configuration. The others show what each shortcut would buy and
how far it moves the masks.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.segmentation_worker import Order, Timed
from engine.geometry import grid_of
from engine.segment.model import describe_model, file_sha256, find_model, read_manifest, write_manifest
from engine.segment.nnunet import build_network, save_slim

FULL_SIZE, QUICK_SIZE = (512, 512, 300), (160, 160, 96)
AIR_HU = -1024.0
STEP_SHARE = 0.5
NOTE = (
    "tile step 0.5, no mirrors, one fold on both sides; image file to mask file, imports done, network in memory; "
    "peak memory is VmHWM of the whole process"
)
ROUNDS = 2
PEER = "stock"
TIMED = "exact"
NETWORKS = {
    "demo": None,
    "medium": ((16, 32, 64, 128, 160), (2.0, 2.0, 2.0), (96, 128, 128)),  # random weights: time and memory only
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of ours: how the CT comes to the model's grid, whether only the chest is swept, the precision."""

    name: str
    resampling: str
    crop: bool
    precision: str


VARIANTS = (
    Variant(TIMED, "nnunet", False, "float32"),
    Variant("chest", "nnunet", True, "float32"),
    Variant("block_linear", "block_linear", False, "float32"),
)


@dataclass(frozen=True, slots=True)
class Side:
    """One side over its rounds; agreement with the peer's mask, one DSC a label (None where neither holds it)."""

    name: str
    cpu_seconds: tuple[float, ...]
    wall_seconds: tuple[float, ...]
    peak_mb: float
    steps: dict[str, float]
    dsc: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class SegmentationBench:
    """Median CPU and wall time and peak memory of the peer over those of the timed configuration, and every side."""

    ratio: float
    wall_ratio: float
    memory_ratio: float
    lowest_dsc: float | None
    hardware: str
    device: str
    threads: int
    network: str
    size_xyz: tuple[int, int, int]
    spacing_mm: tuple[float, ...]
    sides: tuple[Side, ...]
    note: str


def bench_segmentation(shared: Path, quick: bool, device: str, network: str, threads: int) -> SegmentationBench:
    """A clinical series of 512 x 512 x 300 voxels, quick: 160 x 160 x 96; FileNotFoundError without shared data.

    ValueError for an unknown network.
    """
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {tuple(NETWORKS)}, got {network!r}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        image = write_series(shared, QUICK_SIZE if quick else FULL_SIZE, place)
        names = [PEER, *(variant.name for variant in VARIANTS)]
        runs: dict[str, list[Timed]] = {name: [] for name in names}
        for _ in range(1 if quick else ROUNDS):
            for name in names:
                runs[name].append(_run(name, image, manifest_of(name, network, place), device, threads))
        labels = read_manifest(manifest_of(PEER, network, place)).labels
        masks = {name: _mask(place / f"{name}.nii.gz") for name in names}
        sides = {name: _side(name, runs[name], label_dsc(masks[name], masks[PEER], labels)) for name in names}
        grid = grid_of(sitk.ReadImage(str(image)))
    peer, ours = sides[PEER], sides[TIMED]
    agreement = [value for value in ours.dsc.values() if value is not None]
    return SegmentationBench(
        ratio=_times(peer.cpu_seconds, ours.cpu_seconds),
        wall_ratio=_times(peer.wall_seconds, ours.wall_seconds),
        memory_ratio=peer.peak_mb / ours.peak_mb,
        lowest_dsc=min(agreement) if agreement else None,
        hardware=runs[PEER][0].hardware,
        device=device,
        threads=threads,
        network=network,
        size_xyz=grid.size_xyz,
        spacing_mm=grid.spacing_mm,
        sides=tuple(sides.values()),
        note=NOTE,
    )


def write_series(shared: Path, size_xyz: tuple[int, int, int], folder: Path) -> Path:
    """LUNG1-001 resampled (linear) to a size over the same extent, as NIfTI, int16; FileNotFoundError without it."""
    archive = shared / "data" / "lung1_001" / "lung1_001_dicom.tar.xz"
    if not archive.is_file():
        raise FileNotFoundError("the bench needs data/lung1_001 in $COHORTSCOPE_SHARED or ../shared")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / "image")))
    native = reader.Execute()
    spacing = [s * n / m for s, n, m in zip(native.GetSpacing(), native.GetSize(), size_xyz, strict=True)]
    origin = [o + (s - old) / 2 for o, s, old in zip(native.GetOrigin(), spacing, native.GetSpacing(), strict=True)]
    made = sitk.Resample(
        native,
        size_xyz,
        sitk.Transform(),
        sitk.sitkLinear,
        origin,
        spacing,
        native.GetDirection(),
        AIR_HU,
        sitk.sitkInt16,
        True,
    )
    target = folder / "series_0000.nii.gz"
    sitk.WriteImage(made, str(target), True)
    return target


def manifest_of(side: str, network: str, folder: Path) -> Path:
    """The manifest of a side's model; the weights are the shipped demo model's, or random ones of a larger network."""
    resampling = next((v.resampling for v in VARIANTS if v.name == side), "nnunet")
    path = folder / f"{network}-{resampling}.json"
    if path.is_file():
        return path
    shipped = find_model("demo")
    manifest = read_manifest(Path(shipped.manifest_path))
    weights = folder / f"{network}.pt"
    larger = NETWORKS[network]
    if larger is None:
        shutil.copyfile(shipped.weights_path, path.with_suffix(".pt"))
    else:
        features, spacing, patch = larger
        stages = {"features_per_stage": features, "n_conv_per_stage": (2,) * 5, "n_conv_per_stage_decoder": (2,) * 4}
        architecture = manifest.architecture.model_copy(update=stages)
        made = {"architecture": architecture, "spacing_mm": spacing, "patch_zyx": patch, "folds": ()}
        manifest = manifest.model_copy(update=made)
        if not weights.is_file():
            save_slim(build_network(architecture, len(manifest.labels)).state_dict(), weights)
        shutil.copyfile(weights, path.with_suffix(".pt"))
    sha256 = file_sha256(path.with_suffix(".pt"))
    write_manifest(path, manifest.model_copy(update={"resampling": resampling, "weights_sha256": sha256}))
    describe_model(path)
    return path


def _run(side: str, image: Path, manifest: Path, device: str, threads: int) -> Timed:
    """One side once, in a process of its own."""
    variant = next((v for v in VARIANTS if v.name == side), None)
    order = Order(
        side=side,
        image=str(image),
        target=str(image.parent / f"{side}.nii.gz"),
        result=str(image.parent / f"{side}.json"),
        manifest=str(manifest),
        device=device,
        threads=threads,
        step_share=STEP_SHARE,
        crop=variant is not None and variant.crop,
        precision="float32" if device == "cpu" else "",
    )
    order_file = image.parent / "order.json"
    order_file.write_text(json.dumps(dataclasses.asdict(order)), encoding="utf-8")
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-m", "engine.bench.segmentation_worker", str(order_file)]
    subprocess.run(command, check=True, env={**os.environ, **limits})
    return Timed(**json.loads(Path(order.result).read_text(encoding="utf-8")))


def _mask(path: Path) -> NDArray[np.uint8]:
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkUInt8)), dtype=np.uint8)


def label_dsc(one: NDArray[np.uint8], other: NDArray[np.uint8], labels: tuple[str, ...]) -> dict[str, float | None]:
    """DSC of every label but the background in two label maps; None where neither holds it."""
    found: dict[str, float | None] = {}
    for value, name in enumerate(labels[1:], start=1):
        mine, theirs = one == value, other == value
        voxels = int(mine.sum()) + int(theirs.sum())
        found[name] = 2 * int((mine & theirs).sum()) / voxels if voxels else None
    return found


def _side(name: str, runs: list[Timed], dsc: dict[str, float | None]) -> Side:
    return Side(
        name=name,
        cpu_seconds=tuple(run.cpu_seconds for run in runs),
        wall_seconds=tuple(run.wall_seconds for run in runs),
        peak_mb=max(run.peak_mb for run in runs),
        steps=runs[-1].steps,
        dsc=dsc,
    )


def _times(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    return float(np.median(numerator) / np.median(denominator))
