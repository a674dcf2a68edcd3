"""Closed contours of one slice -> pixels: a hole, an island, a repeated and a crossing contour told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

Polygon = NDArray[np.float64]  # (n, 2) pixel indices x, y
SAME_LINE_PIXELS = 0.1  # two lines nearer than this are one: of a repeated contour, of two contours that touch
LEAST_SHARE_OUTSIDE = 0.1  # of the smaller of two contours: a hole may stick out by less and remains one
LEAST_WALL_SHARE = 0.25  # of the larger: a hole that leaves less is flagged, and one that also sticks out is no hole
LEAST_WALL_PIXELS = 1.0  # where most of both lines runs nearer than this, that is no hole but the outline again
MOST_OF_LINE = 0.75
THIN_WALL_PIXELS = 2.0  # in the mean: a hole with a thinner wall is flagged
INDEX_DECIMALS = 9
SAMPLE_PIXELS = 0.02
WALL_SAMPLE_PIXELS = 0.1
WALL_PROBES = 256
MOST_SAMPLES = 200_000


@dataclass(frozen=True, slots=True)
class FilledSlice:
    """What was noticed: contours that repeat another, whether any cross or leave a thin wall, whether it is empty."""

    repeats: int
    crossing: bool
    thin_wall: bool
    empty: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    polygon: Polygon
    pixels: NDArray[np.int64]  # flat indices of the slice
    perimeter: float
    crosses_itself: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Loops that share pixels: which two, whether they are the same line, the outline again a little inside, or cross.

    Joined are those drawn again, those that share a mere strip, and those that cross, unless one is a hole in the other
    that sticks out a little. Of the rest, thin are holes with a thin wall.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    again: NDArray[np.bool_]
    across: NDArray[np.bool_]
    joined: NDArray[np.bool_]
    thin: NDArray[np.bool_]


Pairing = Callable[[Sequence[_Loop], int], _Pairs]


def fill_polygons(pixels: NDArray[np.bool_], polygons: Sequence[Polygon]) -> FilledSlice:
    """Set the pixels (rows, columns) of a slice whose centre lies inside its polygons (half-open edges, even-odd).

    A polygon is cut where it comes back to a point, so that the inner ring of a keyhole is a contour of its own. One
    inside another is a hole, said where its wall is thin; where most of both runs within a pixel
    of the other it is no hole but the outline again, and read once, as are those of the same line or the same pixels.
    Those that overlap in part are joined and said to cross (not where they share a mere strip), as is one that crosses
    itself. A hole that sticks out a little remains one, said to cross.
    """
    return _fill(pixels, polygons, _pairs)


def fill_declared_xor(pixels: NDArray[np.bool_], polygons: Sequence[Polygon]) -> FilledSlice:
    """The same for polygons that are declared to be combined by exclusive or: even-odd, and nothing is joined.

    Only those of the same line are read once.
    """
    return _fill(pixels, polygons, _pairs_apart)


def _fill(pixels: NDArray[np.bool_], polygons: Sequence[Polygon], pairing: Pairing) -> FilledSlice:
    unique = list({polygon.tobytes(): polygon for polygon in polygons}.values())
    loops = [_loop(ring, pixels.shape) for polygon in unique for ring in _rings(polygon) if len(ring) > 2]
    drawn = np.concatenate([np.empty(0, np.int64), *(loop.pixels for loop in loops)])
    counts = np.bincount(drawn, minlength=pixels.size)
    repeats, crossing, thin = len(polygons) - len(unique), any(loop.crosses_itself for loop in loops), False
    if counts.max() > 1:
        pairs = pairing(loops, pixels.size)
        group = _groups(len(loops), pairs)
        counts = _counts(loops, set(pairs.second[pairs.same].tolist()), group, pixels.size)
        repeats += len(np.unique(pairs.second[pairs.same | pairs.again]))
        filled = (group[pairs.first] == group[pairs.second]) & ~pairs.joined & ~pairs.same
        crossing, thin = crossing or bool((pairs.across | filled).any()), bool((pairs.thin & ~filled).any())
    pixels[:] = (counts % 2 == 1).reshape(pixels.shape)
    return FilledSlice(repeats, crossing, thin, not pixels.any())


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
    middle = (perimeters[first] + perimeters[second]) / 2
    slack = SAME_LINE_PIXELS * np.minimum(perimeters[first], perimeters[second])
    smaller, larger = np.minimum(areas[first], areas[second]), np.maximum(areas[first], areas[second])
    left_over, wall = smaller - shared, larger - shared
    near = left_over + wall <= 2 * np.maximum(perimeters[first], perimeters[second])
    same = left_over + wall == 0
    dropped = set(second[same].tolist())
    for place in np.flatnonzero(near & ~same):
        if second[place] not in dropped and _one_line(loops[first[place]].polygon, loops[second[place]].polygon):
            same[place] = True
            dropped.add(int(second[place]))
    tried = np.flatnonzero(near & ~same)
    tried = tried[np.argsort((left_over + wall)[tried], kind="stable")]
    again = np.zeros_like(same)
    again[tried] = _drawn_again([loop.polygon for loop in loops], first[tried], second[tried])
    apart = ~same & ~again
    across = apart & (shared > slack) & (left_over > slack)
    strip = apart & (shared <= slack) & (left_over > shared)
    hole = (left_over <= LEAST_SHARE_OUTSIDE * smaller) & (wall >= LEAST_WALL_SHARE * larger)
    joined = again | strip | (across & ~hole)
    thin = apart & ~joined & (wall < np.maximum(LEAST_WALL_SHARE * larger, THIN_WALL_PIXELS * middle))
    return _Pairs(first, second, same, again, across, joined, thin)


def _pairs_apart(loops: Sequence[_Loop], size: int) -> _Pairs:
    """As `_pairs`, but none joined: what is drawn again a little inside leaves a thin wall."""
    pairs = _pairs(loops, size)
    none = np.zeros_like(pairs.same)
    return replace(pairs, again=none, joined=none, thin=pairs.thin | pairs.again)


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
    samples, step = _samples(polygon, SAMPLE_PIXELS)
    away = KDTree(samples).query(points, distance_upper_bound=SAME_LINE_PIXELS + step / 2)[0]
    return bool(np.isfinite(away).all())


def _drawn_again(lines: Sequence[Polygon], first: NDArray[np.int64], second: NDArray[np.int64]) -> list[bool]:
    """Whether most of each of two lines runs within LEAST_WALL_PIXELS of the other, or both of others in between.

    Each line is probed at WALL_PROBES places, and two that others link are not probed: files may hold very many lines.
    """
    group = np.arange(len(lines))
    samples = {number: _samples(lines[number], WALL_SAMPLE_PIXELS)[0] for number in {*first.tolist(), *second.tolist()}}
    trees = {number: KDTree(points) for number, points in samples.items()}
    probes = {number: points[:: -(-len(points) // WALL_PROBES)] for number, points in samples.items()}
    again = []
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        ways = ((one, other), (other, one)) if group[one] != group[other] else ()
        away = [trees[line].query(probes[points], distance_upper_bound=LEAST_WALL_PIXELS)[0] for points, line in ways]
        again.append(all(np.isfinite(distance).mean() > MOST_OF_LINE for distance in away))
        if again[-1]:
            group[group == group[other]] = group[one]
    return again


def _samples(polygon: Polygon, step: float) -> tuple[Polygon, float]:
    """Points along the edges of a polygon, evenly and at most a step apart unless it is very long, and the step."""
    closed = np.vstack([polygon, polygon[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    count = int(np.clip(np.ceil(along[-1] / step), 1, MOST_SAMPLES))
    places = np.arange(count) * along[-1] / count
    return np.column_stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)]), along[-1] / count


def _groups(size: int, pairs: _Pairs) -> NDArray[np.int32]:
    """The group of each loop: those that are joined, directly or by another, have one."""
    links = (pairs.first[pairs.joined], pairs.second[pairs.joined])
    graph = sparse.coo_matrix((np.ones(len(links[0])), links), shape=(size, size))
    group: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return group


def _counts(loops: Sequence[_Loop], repeated: set[int], group: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """In how many loops each pixel lies, repeated ones left out and those of one group taken as one."""
    kept = [number for number in range(len(loops)) if number not in repeated]
    keys = np.unique(np.concatenate([group[number] * np.int64(size) + loops[number].pixels for number in kept]))
    return np.bincount(keys % size, minlength=size)
