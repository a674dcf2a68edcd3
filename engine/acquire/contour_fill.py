"""Closed contours of one slice -> pixels: a hole, an island, a repeated and a crossing contour told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

Polygon = NDArray[np.float64]  # (n, 2) pixel indices x, y
SAME_LINE_PIXELS = 0.1  # two lines nearer than this are one: of a repeated contour, of two contours that touch
LEAST_SHARE_OUTSIDE = 0.1  # of the smaller of two contours: a hole may stick out by less and remains one
LEAST_WALL_SHARE = 0.25  # of the larger: where less lies outside the smaller, that is no hole but the outline again
INDEX_DECIMALS = 9
SAMPLE_PIXELS = 0.02
MOST_SAMPLES = 200_000


@dataclass(frozen=True, slots=True)
class FilledSlice:
    """What was noticed: contours that repeat another, whether any cross, and whether no pixel is inside."""

    repeats: int
    crossing: bool
    empty: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    polygon: Polygon
    pixels: NDArray[np.int64]  # flat indices of the slice
    perimeter: float
    crosses_itself: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Loops that share pixels: which two, whether they are the same line, whether they cross, whether they are joined.

    Those that cross are joined unless one is a hole in the other that sticks out a little.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    across: NDArray[np.bool_]
    joined: NDArray[np.bool_]


def fill_polygons(pixels: NDArray[np.bool_], polygons: Sequence[Polygon]) -> FilledSlice:
    """Set the pixels (rows, columns) of a slice whose centre lies inside its polygons (half-open edges, even-odd).

    A polygon is cut where it comes back to a point, so that the inner ring of a keyhole is a contour of its own. One
    inside another is a hole, one of the same line or the same pixels is read once, and those that overlap in part are
    joined and said to cross, as is one that crosses itself. A hole that sticks out a little remains one, said to cross.
    """
    unique = list({polygon.tobytes(): polygon for polygon in polygons}.values())
    loops = [_loop(ring, pixels.shape) for polygon in unique for ring in _rings(polygon) if len(ring) > 2]
    drawn = np.concatenate([np.empty(0, np.int64), *(loop.pixels for loop in loops)])
    counts = np.bincount(drawn, minlength=pixels.size)
    repeats, crossing = len(polygons) - len(unique), any(loop.crosses_itself for loop in loops)
    if counts.max() > 1:
        pairs = _pairs(loops, pixels.size)
        repeated = np.unique(pairs.second[pairs.same])
        counts = _counts(loops, set(repeated.tolist()), pairs, pixels.size)
        repeats, crossing = repeats + len(repeated), crossing or bool(pairs.across.any())
    pixels[:] = (counts % 2 == 1).reshape(pixels.shape)
    return FilledSlice(repeats, crossing, not pixels.any())


def _rings(polygon: Polygon) -> list[Polygon]:
    """The polygon cut at every point to which it comes back; all its edges are kept."""
    points = [(x, y) for x, y in polygon.tolist()]
    if len(set(points)) == len(points):
        return [polygon]
    rings: list[Polygon] = []
    path: list[int] = []
    places: dict[tuple[float, float], int] = {}
    for number, point in enumerate(points):
        if point in places:
            ring, path = path[places[point] :], path[: places[point]]
            rings.append(polygon[ring])
            for passed in ring:
                del places[points[passed]]
        places[point] = len(path)
        path.append(number)
    return [*rings, polygon[path]]


def _loop(polygon: Polygon, shape: tuple[int, ...]) -> _Loop:
    row, column, turn = _crossings(polygon, shape)
    perimeter = float(np.linalg.norm(np.roll(polygon, -1, axis=0) - polygon, axis=1).sum())
    if not len(row):
        return _Loop(polygon, np.empty(0, np.int64), perimeter, False)
    top, left = int(row.min()), int(column.min())
    winding = np.zeros((int(row.max()) - top + 1, int(column.max()) - left + 1), dtype=np.int64)
    np.add.at(winding, (row - top, column - left), turn)
    np.cumsum(winding, axis=1, out=winding)
    y, x = np.nonzero(winding % 2)
    both_ways = min(np.count_nonzero(winding > 0), np.count_nonzero(winding < 0))
    twice = both_ways + np.count_nonzero(np.abs(winding) > 1)
    return _Loop(polygon, (y + top) * shape[1] + x + left, perimeter, bool(twice > SAME_LINE_PIXELS * perimeter))


def _crossings(
    polygon: Polygon, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where edges cross rows of pixel centres: row, the first column behind the crossing, 1 downwards or -1 upwards."""
    rows, columns = shape
    start, end = polygon, np.roll(polygon, -1, axis=0)
    low = np.clip(np.ceil(np.minimum(start[:, 1], end[:, 1])), 0, rows).astype(int)
    high = np.clip(np.ceil(np.maximum(start[:, 1], end[:, 1])), 0, rows).astype(int)
    count = high - low
    edge = np.repeat(np.arange(len(polygon)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + low[edge]
    a, b = start[edge], end[edge]
    crossing = a[:, 0] + (row - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    column = np.clip(np.ceil(np.round(crossing, INDEX_DECIMALS)), 0, columns).astype(int)
    return row, column, np.where(b[:, 1] > a[:, 1], 1, -1)


def _pairs(loops: Sequence[_Loop], size: int) -> _Pairs:
    areas = np.array([len(loop.pixels) for loop in loops])
    which, where = np.repeat(np.arange(len(loops)), areas), np.concatenate([loop.pixels for loop in loops])
    drawn = sparse.csr_matrix((np.ones(len(where), np.int64), (which, where)), shape=(len(loops), size))
    found = sparse.triu(drawn @ drawn.T, k=1).tocoo()
    first, second, shared = found.row.astype(np.int64), found.col.astype(np.int64), found.data
    perimeters = np.array([loop.perimeter for loop in loops])
    slack = SAME_LINE_PIXELS * np.minimum(perimeters[first], perimeters[second])
    smaller, larger = np.minimum(areas[first], areas[second]), np.maximum(areas[first], areas[second])
    left_over, wall = smaller - shared, larger - shared
    near = left_over + wall <= 2 * np.maximum(perimeters[first], perimeters[second])
    same = left_over + wall == 0
    for place in np.flatnonzero(near & ~same):
        same[place] = _one_line(loops[first[place]].polygon, loops[second[place]].polygon)
    across = ~same & (shared > slack) & (left_over > slack)
    hole = (left_over <= LEAST_SHARE_OUTSIDE * smaller) & (wall >= LEAST_WALL_SHARE * larger)
    return _Pairs(first, second, same, across, across & ~hole)


def _one_line(one: Polygon, other: Polygon) -> bool:
    """Whether two polygons run along each other all the way."""
    ends = np.abs([one.min(axis=0) - other.min(axis=0), one.max(axis=0) - other.max(axis=0)])
    if ends.max() > SAME_LINE_PIXELS:
        return False
    return _runs_along(one, other) and _runs_along(other, one)


def _runs_along(points: Polygon, polygon: Polygon) -> bool:
    """Whether no point lies further than SAME_LINE_PIXELS from the edges of a polygon, to half a step of its samples.

    Distances are those to samples of the edges, so that the work grows with the length of a line and not with points
    times edges.
    """
    along = np.roll(polygon, -1, axis=0) - polygon
    length = np.linalg.norm(along, axis=1)
    step = max(SAMPLE_PIXELS, float(length.sum()) / MOST_SAMPLES)
    count = np.maximum(np.ceil(length / step), 1).astype(int)
    edge = np.repeat(np.arange(len(polygon)), count)
    share = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)) / count[edge]
    tree = KDTree(polygon[edge] + share[:, None] * along[edge])
    away = tree.query(points, distance_upper_bound=np.hypot(SAME_LINE_PIXELS, step / 2))[0]
    return bool(np.isfinite(away).all())


def _counts(loops: Sequence[_Loop], repeated: set[int], pairs: _Pairs, size: int) -> NDArray[np.int64]:
    """In how many loops each pixel lies, repeated ones left out and those that are joined taken as one."""
    ones = np.ones(int(pairs.joined.sum()))
    links = (pairs.first[pairs.joined], pairs.second[pairs.joined])
    graph = sparse.coo_matrix((ones, links), shape=(len(loops), len(loops)))
    group = connected_components(graph, directed=False)[1]
    kept = [number for number in range(len(loops)) if number not in repeated]
    keys = np.unique(np.concatenate([group[number] * np.int64(size) + loops[number].pixels for number in kept]))
    return np.bincount(keys % size, minlength=size)
