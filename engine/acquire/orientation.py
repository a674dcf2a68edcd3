"""One order of axes for every image: turned so that x, y, z grow to the patient's left, back and head.

The same voxels stored with flipped or swapped axes would give other wavelet features: coif1 is not symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from engine.geometry import index_to_points_mm
from store.volumes import CtSeries, Grid, VolumeZyx

V = TypeVar("V", bound=np.generic)
LETTERS = ("RL", "AP", "IS")  # towards smaller and larger LPS coordinates


@dataclass(frozen=True, slots=True)
class Turn:
    """How stored axes become canonical: `axes[k]` is the stored axis (x, y, z) that becomes k, flipped where said."""

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @property
    def is_nothing(self) -> bool:
        """Whether the image already lies so."""
        return self.axes == (0, 1, 2) and not any(self.flipped)


def turn_of(grid: Grid) -> Turn:
    """The permutation and flips that bring a grid's axes nearest to left, back, head; no voxel is interpolated."""
    matrix = np.array(grid.direction).reshape(3, 3)
    best = max(permutations(range(3)), key=lambda axes: sum(abs(matrix[k, axes[k]]) for k in range(3)))
    x, y, z = best
    return Turn((x, y, z), (bool(matrix[0, x] < 0), bool(matrix[1, y] < 0), bool(matrix[2, z] < 0)))


def turned_grid(grid: Grid, turn: Turn) -> Grid:
    """The grid of the turned image: the same points in space."""
    if turn.is_nothing:
        return grid
    matrix = np.array(grid.direction).reshape(3, 3)
    first = np.zeros(3)
    for axis, flip in zip(turn.axes, turn.flipped, strict=True):
        first[axis] = grid.size_xyz[axis] - 1 if flip else 0
    columns = [matrix[:, axis] * (-1 if flip else 1) for axis, flip in zip(turn.axes, turn.flipped, strict=True)]
    origin = index_to_points_mm(first[None], grid)[0]
    x, y, z = turn.axes
    return Grid(
        (grid.size_xyz[x], grid.size_xyz[y], grid.size_xyz[z]),
        (grid.spacing_mm[x], grid.spacing_mm[y], grid.spacing_mm[z]),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) + 0.0 for v in np.stack(columns, axis=1).ravel()),
    )


def turned_array(array: NDArray[V], turn: Turn) -> NDArray[V]:
    """A stored array z, y, x in canonical order, contiguous; the array itself where nothing turns."""
    if turn.is_nothing:
        return array
    order = tuple(2 - axis for axis in reversed(turn.axes))
    moved = np.transpose(array, order)
    ends = tuple(slice(None, None, -1 if flip else 1) for flip in reversed(turn.flipped))
    return np.ascontiguousarray(moved[ends])


def stored_array(array: NDArray[V], turn: Turn) -> NDArray[V]:
    """A canonical array z, y, x in the order it was stored in: undoes `turned_array`."""
    if turn.is_nothing:
        return array
    ends = tuple(slice(None, None, -1 if flip else 1) for flip in reversed(turn.flipped))
    order = tuple(2 - axis for axis in reversed(turn.axes))
    return np.ascontiguousarray(np.transpose(array[ends], np.argsort(order)))


def axes_name(grid: Grid) -> str:
    """Where stored axes x, y, z grow to, as three letters: `LPS` (ITK, DICOM head first), `RAS`, `PIR`, ..."""
    turn = turn_of(grid)
    named = {
        axis: LETTERS[place][0 if flip else 1]
        for place, (axis, flip) in enumerate(zip(turn.axes, turn.flipped, strict=True))
    }
    return "".join(named[axis] for axis in range(3))


def canonical_ct(ct: CtSeries) -> CtSeries:
    """The same voxels with x, y, z growing to the patient's left, back and head."""
    turn = turn_of(ct.grid)
    turned = cast("VolumeZyx", turned_array(np.asarray(ct.intensity_hu), turn))
    return CtSeries(turned, turned_grid(ct.grid, turn))
