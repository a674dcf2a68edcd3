"""Branching trees (vessels, airways) that fill a lung, and their painting as tubes with partial occupancy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.phantom.case import PHANTOM_GRID, SHAPE_ZYX, SPACING_MM
from engine.phantom.space import Field

Points = NDArray[np.float64]
STEP_MM = 2.0
MURRAY_EXPONENT = 2.7
RADIUS_CLASSES_MM = (0.0, 3.0, 7.0, 30.0)
STEPS_PER_RADIUS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """Spheres along a line: centres x, y, z in mm, shape (n, 3), and radii in mm, shape (n,)."""

    centres_mm: Points
    radii_mm: NDArray[np.float64]


def joined(tubes: list[Tube]) -> Tube:
    """All spheres of several tubes."""
    return Tube(np.concatenate([t.centres_mm for t in tubes]), np.concatenate([t.radii_mm for t in tubes]))


def polyline(corners_mm: list[tuple[float, float, float]], radius_mm: float) -> Tube:
    """A tube of constant radius along straight pieces."""
    pieces = [_between(np.array(a), np.array(b), radius_mm) for a, b in pairwise(corners_mm)]
    centres = np.concatenate(pieces)
    return Tube(centres, np.full(len(centres), radius_mm))


def tree(root_mm: Points, leaves_mm: Points, leaf_radius_mm: float) -> Tube:
    """A tree from root to leaves, shape (n, 3): targets are halved along their longest axis, radii follow Murray."""
    pieces: list[Tube] = []
    open_branches = [(root_mm, leaves_mm)]
    while open_branches:
        start, leaves = open_branches.pop()
        reach = 1.0 if len(leaves) == 1 else 0.45
        end = start + reach * (leaves.mean(axis=0) - start)
        radius = leaf_radius_mm * len(leaves) ** (1 / MURRAY_EXPONENT)
        centres = _between(start, end, radius)
        pieces.append(Tube(centres, np.full(len(centres), radius)))
        if len(leaves) > 1:
            open_branches.extend((end, half) for half in _halves(leaves))
    return joined(pieces)


def occupancy(tube: Tube) -> Field:
    """Occupancy 0..1 of the spheres on the phantom grid, array z, y, x; the largest wins where they overlap."""
    filled = np.zeros(SHAPE_ZYX, dtype=np.float32)
    for over, upto in pairwise(RADIUS_CLASSES_MM):
        chosen = (tube.radii_mm > over) & (tube.radii_mm <= upto)
        if chosen.any():
            _splat(filled.reshape(-1), tube.centres_mm[chosen], tube.radii_mm[chosen])
    return filled


def _splat(flat: Field, centres: Points, radii: NDArray[np.float64]) -> None:
    """Write the highest occupancy of each sphere around its centre into a flattened grid."""
    position = (centres - np.array(PHANTOM_GRID.origin_mm)) / SPACING_MM
    share = np.minimum(1.0, np.pi * radii**2 / SPACING_MM**2)  # of its cross-section that a tube under a voxel has
    reach = int(np.ceil(radii.max() / SPACING_MM + 0.5))
    _paint(flat.reshape(SHAPE_ZYX), position, radii, share, reach, SPACING_MM)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _paint(
    filled: Field, position: Points, radii: NDArray[np.float64], share: NDArray[np.float64], reach: int, spacing: float
) -> None:
    depth, height, width = filled.shape
    for sphere in range(len(radii)):
        x0, y0, z0 = np.rint(position[sphere, 0]), np.rint(position[sphere, 1]), np.rint(position[sphere, 2])
        for z in range(max(0, int(z0) - reach), min(depth, int(z0) + reach + 1)):
            dz = (z - position[sphere, 2]) ** 2
            for y in range(max(0, int(y0) - reach), min(height, int(y0) + reach + 1)):
                dy = (y - position[sphere, 1]) ** 2
                for x in range(max(0, int(x0) - reach), min(width, int(x0) + reach + 1)):
                    distance = spacing * np.sqrt((x - position[sphere, 0]) ** 2 + dy + dz)
                    value = min(1.0, max(0.0, 0.5 + (radii[sphere] - distance) / spacing)) * share[sphere]
                    filled[z, y, x] = max(filled[z, y, x], np.float32(value))


def _between(start: Points, end: Points, radius_mm: float) -> Points:
    steps = max(2, int(np.linalg.norm(end - start) / max(STEP_MM, radius_mm / STEPS_PER_RADIUS)) + 1)
    return np.asarray(start + np.linspace(0, 1, steps)[:, None] * (end - start))


def _halves(leaves: Points) -> tuple[Points, Points]:
    spread = leaves.max(axis=0) - leaves.min(axis=0)
    order = np.argsort(leaves[:, int(spread.argmax())], kind="stable")
    middle = len(leaves) // 2
    return leaves[order[:middle]], leaves[order[middle:]]
