"""Bench: surface Dice against MONAI's `use_subvoxels` on the same masks, alternated, one thread each.

A tumour of 30 mm in a series of 512 x 512 x 300, and spheres of 40 mm shifted by 4 mm whose surface Dice at 2 mm is
exactly 1/2 (the share of directions whose cosine to the shift is at most tolerance / shift), at five spacings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bench.extraction import ONE_THREAD
from engine.bench.peers import peers_python
from engine.metrics.smooth_surface import smooth_distances
from store.volumes import BoolZyx, Triple

TOLERANCE_MM, SHIFT_MM, EXACT = 2.0, 4.0, 0.5
SERIES_ZYX, SERIES_SPACING = (300, 512, 512), (1.0, 0.7, 0.7)
QUICK_ZYX = (120, 256, 256)
TUMOUR_RADIUS_MM, SPHERE_RADIUS_MM, ROUNDS = 15.0, 20.0, 3
SPACINGS: tuple[Triple, ...] = ((1.0, 1.0, 1.0), (0.7, 0.7, 0.7), (2.5, 0.8, 0.8), (3.0, 0.75, 0.75), (5.0, 0.7, 0.7))
PEER_SCRIPT = Path(__file__).with_name("overlap_peer.py")


@dataclass(frozen=True, slots=True)
class SphereRow:
    """Surface Dice of two shifted spheres at one spacing z, y, x (mm): exact, ours, MONAI's, and on smooth surfaces."""

    spacing_zyx_mm: Triple
    exact: float
    ours: float
    monai: float
    smooth: float


@dataclass(frozen=True, slots=True)
class OverlapBench:
    """CPU seconds (medians of rounds) of one comparison in a series, their ratio, and how far values differ."""

    shape_zyx: tuple[int, int, int]
    ratio: float
    our_seconds: tuple[float, ...]
    monai_seconds: tuple[float, ...]
    largest_difference: float
    spheres: tuple[SphereRow, ...]
    monai_version: str


@dataclass(frozen=True, slots=True, eq=False)
class MaskPair:
    """Two masks z, y, x on one grid."""

    one: BoolZyx
    other: BoolZyx
    spacing_zyx_mm: Triple


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    values: NDArray[np.float64]
    seconds: NDArray[np.float64]
    version: str


def bench_overlap(quick: bool) -> OverlapBench:
    """Measure both sides in turns; RuntimeError when .venv-peers cannot be made."""
    shape = QUICK_ZYX if quick else SERIES_ZYX
    centre = tuple(n * s / 2 for n, s in zip(shape, SERIES_SPACING, strict=True))
    pairs = [_shifted(shape, SERIES_SPACING, centre, TUMOUR_RADIUS_MM), *map(shifted_spheres, SPACINGS)]
    with tempfile.TemporaryDirectory() as folder:
        given = _written(pairs, Path(folder))
        ours_command = [sys.executable, "-m", "engine.bench.overlap_worker"]
        peer_command = [str(peers_python()), str(PEER_SCRIPT)]
        rounds = [(_run(ours_command, given), _run(peer_command, given)) for _ in range(ROUNDS)]
    ours, peer = rounds[0]
    our_seconds, peer_seconds = (tuple(float(r[side].seconds[0]) for r in rounds) for side in (0, 1))
    smooth = [smooth_distances(p.one, p.other, p.spacing_zyx_mm) for p in pairs[1:]]
    rows = [
        SphereRow(spacing, EXACT, float(ours.values[i]), float(peer.values[i]), found.share_within(TOLERANCE_MM))
        for i, (spacing, found) in enumerate(zip(SPACINGS, smooth, strict=True), start=1)
        if found is not None
    ]
    return OverlapBench(
        shape_zyx=shape,
        ratio=float(np.median(peer_seconds) / np.median(our_seconds)),
        our_seconds=our_seconds,
        monai_seconds=peer_seconds,
        largest_difference=float(np.abs(ours.values - peer.values).max()),
        spheres=tuple(rows),
        monai_version=peer.version,
    )


def overlap_lines(found: OverlapBench) -> list[str]:
    """The bench in words, a table of the spheres below."""
    series = " x ".join(str(n) for n in found.shape_zyx[::-1])
    lines = [
        f"{found.ratio:.1f} times less CPU time than MONAI {found.monai_version} on {series}; "
        f"largest difference {found.largest_difference:.1e}",
        "spacing (z, y, x)     exact   ours  MONAI smooth",
    ]
    for row in found.spheres:
        spacing = ", ".join(f"{s:g}" for s in row.spacing_zyx_mm)
        lines.append(f"{spacing:20s} {row.exact:6.3f} {row.ours:6.3f} {row.monai:6.3f} {row.smooth:6.3f}")
    return lines


def shifted_spheres(spacing: Triple) -> MaskPair:
    """Two spheres of SPHERE_RADIUS_MM shifted by SHIFT_MM along x, on a grid of this spacing z, y, x."""
    reach = 2 * SPHERE_RADIUS_MM + SHIFT_MM + 12.0
    shape = tuple(int(reach / s) + 2 for s in spacing)
    return _shifted((shape[0], shape[1], shape[2]), spacing, (reach / 2,) * 3, SPHERE_RADIUS_MM)


def _shifted(shape: tuple[int, int, int], spacing: Triple, centre: Sequence[float], radius: float) -> MaskPair:
    """Two balls whose centres lie SHIFT_MM apart along x, about a centre z, y, x in mm."""
    z, y, x = (np.arange(n, dtype=np.float32) * s for n, s in zip(shape, spacing, strict=True))
    plane = (z[:, None, None] - centre[0]) ** 2 + (y[None, :, None] - centre[1]) ** 2
    one, other = (
        plane + (x[None, None, :] - centre[2] - sign * SHIFT_MM / 2) ** 2 <= radius**2 for sign in (-1.0, 1.0)
    )
    return MaskPair(one, other, spacing)


def _written(pairs: Sequence[MaskPair], folder: Path) -> Path:
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, pair in enumerate(pairs):
        arrays |= {f"one{place}": np.packbits(pair.one), f"other{place}": np.packbits(pair.other)}
        arrays |= {f"shape{place}": np.array(pair.one.shape), f"spacing{place}": np.array(pair.spacing_zyx_mm)}
    path = folder / "pairs.npz"
    arrays |= {"count": np.array(len(pairs)), "tolerance_mm": np.array(TOLERANCE_MM)}
    np.savez(path, allow_pickle=False, **arrays)
    return path


def _run(command: Sequence[str], given: Path) -> _Side:
    target = given.with_name("found.npz")
    subprocess.run([*command, str(given), str(target)], check=True, env={**os.environ, **ONE_THREAD})
    with np.load(target) as found:
        version = str(found["version"]) if "version" in found else ""
        return _Side(found["values"], found["seconds"], version)
