"""Closed contours of one slice -> pixels: a hole, an island, a repeated and a crossing contour told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from engine.acquire.contour_lines import (
    LEAST_WALL_PIXELS,
    SAME_LINE_PIXELS,
    Polygon,
    bounded,
    drawn_again,
    length_of,
    one_line,
)

LEAST_SHARE_OUTSIDE = 0.1  # of the smaller of two contours: a hole may stick out by less and remains one
LEAST_WALL_SHARE = 0.25  # of the larger: a hole that leaves less is flagged, and one that also sticks out is no hole
LEAST_GAP_PIXELS = 0.5  # in the mean: what lies nearer to the line of a hole is no island but the hole again
THIN_WALL_PIXELS = 2.0  # in the mean: a hole with a thinner wall is flagged
INDEX_DECIMALS = 9
LEAST_SIDES_NEAR = 2  # of the four of two bounding boxes
MOST_OVERLAPS = 100_000  # pairs that share pixels
MOST_SHARED_PIXELS = 35_000_000  # by pairs, in all: 23 contours that fill half of 512 x 512 pixels
MOST_ROWS = 500_000  # of pixel centres, crossed by all edges
PRODUCT_BLOCK = 4  # loops at once


@dataclass(frozen=True, slots=True)
class FilledSlice:
    """What was noticed: contours that repeat another or are one again a little inside, and four questions answered."""

    repeats: int
    again: int
    crossing: bool
    thin_wall: bool
    empty: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Loop:
    polygon: Polygon
    pixels: NDArray[np.int32]  # flat indices of the slice
    perimeter: float
    crosses_itself: bool
    repeated: bool  # drawn again exactly


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
    inside another is a hole, said where its wall is thin; where most of both runs within LEAST_WALL_PIXELS of the other
    it is no hole but the outline again, and read once, as are those of the same line or the same pixels; so near the
    line of a hole it is an island, or the hole again where less than LEAST_GAP_PIXELS lies between in the mean or where
    an outline round it is drawn twice. Those that overlap in part are joined and said to cross (not where they share a
    mere strip), as is one that crosses itself. A hole that sticks out a little remains one, said to cross.
    TooManyContoursError where very many lie upon each other.
    """
    return _fill(pixels, polygons, _pairs)


def fill_declared_xor(pixels: NDArray[np.bool_], polygons: Sequence[Polygon]) -> FilledSlice:
    """The same for polygons that are declared to be combined by exclusive or: even-odd, and nothing is joined.

    Only those of the same line are read once.
    """
    return _fill(pixels, polygons, _pairs_apart)


def _fill(pixels: NDArray[np.bool_], polygons: Sequence[Polygon], pairing: Pairing) -> FilledSlice:
    loops, counts = _loops(polygons, pixels.shape)
    repeats, again, thin = len(polygons) - len({polygon.tobytes() for polygon in polygons}), 0, False
    crossing = any(loop.crosses_itself for loop in loops)
    if counts.max() > 1:
        pairs = pairing(loops, pixels.size)
        group = _groups(len(loops), pairs)
        counts = _counts(loops, set(pairs.second[pairs.same].tolist()), group, pixels.size)
        repeats += len(np.unique(pairs.second[pairs.same]))
        again = len(np.unique(pairs.second[pairs.again]))
        filled = (group[pairs.first] == group[pairs.second]) & ~pairs.joined & ~pairs.same
        crossing, thin = crossing or bool((pairs.across | filled).any()), bool((pairs.thin & ~filled).any())
    pixels[:] = (counts % 2 == 1).reshape(pixels.shape)
    return FilledSlice(repeats, again, crossing, thin, not pixels.any())


def _loops(polygons: Sequence[Polygon], shape: tuple[int, ...]) -> tuple[list[_Loop], NDArray[np.int32]]:
    """The rings of all polygons but exact copies, and in how many of them each pixel lies."""
    times = Counter(polygon.tobytes() for polygon in polygons)
    unique = {polygon.tobytes(): polygon for polygon in polygons}
    loops, counts, rows, shared = [], np.zeros(shape[0] * shape[1], np.int32), 0, 0
    for drawn, polygon in unique.items():
        rows += int(np.abs(polygon[:, 1] - np.roll(polygon[:, 1], 1)).sum())
        bounded(rows, MOST_ROWS, "rows crossed by contours")
        for ring in (ring for ring in _rings(polygon) if len(ring) > 2):
            loops.append(_loop(ring, shape, times[drawn] > 1))
            shared += int(counts[loops[-1].pixels].sum())
            bounded(shared, MOST_SHARED_PIXELS, "pixels shared by pairs of contours")
            counts[loops[-1].pixels] += 1
    return loops, counts


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


def _loop(polygon: Polygon, shape: tuple[int, ...], repeated: bool) -> _Loop:
    row, column, turn = _crossings(polygon, shape)
    perimeter = length_of(polygon)
    if not len(row):
        return _Loop(polygon, np.empty(0, np.int32), perimeter, False, repeated)
    top, left = int(row.min()), int(column.min())
    winding = np.zeros((int(row.max()) - top + 1, int(column.max()) - left + 1), dtype=np.int64)
    np.add.at(winding, (row - top, column - left), turn)
    np.cumsum(winding, axis=1, out=winding)
    y, x = np.nonzero(winding % 2)
    both_ways = min(np.count_nonzero(winding > 0), np.count_nonzero(winding < 0))
    twice = both_ways + np.count_nonzero(np.abs(winding) > 1)
    crosses_itself = bool(twice > SAME_LINE_PIXELS * perimeter)
    pixels = ((y + top) * shape[1] + x + left).astype(np.int32)
    return _Loop(polygon, pixels, perimeter, crosses_itself, repeated)


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
    found = _overlaps([loop.pixels for loop in loops], size)
    first, second, shared = found.row.astype(np.int64), found.col.astype(np.int64), found.data.astype(np.int64)
    perimeters = np.array([loop.perimeter for loop in loops])
    middle = (perimeters[first] + perimeters[second]) / 2
    slack = SAME_LINE_PIXELS * np.minimum(perimeters[first], perimeters[second])
    smaller, larger = np.minimum(areas[first], areas[second]), np.maximum(areas[first], areas[second])
    left_over, wall = smaller - shared, larger - shared
    near = left_over + wall <= 2 * np.maximum(perimeters[first], perimeters[second])
    polygons = [loop.polygon for loop in loops]
    sides = np.array([np.hstack([line.min(axis=0), line.max(axis=0)]) for line in polygons])
    apart_sides = np.abs(sides[first] - sides[second])
    same = left_over + wall == 0
    tried = np.flatnonzero(near & ~same & (apart_sides.max(axis=1) <= SAME_LINE_PIXELS))
    same[tried] = one_line(polygons, first[tried], second[tried], set(second[same].tolist()))
    apart = ~np.isin(first, second[same]) & ~np.isin(second, second[same])
    beside = (apart_sides <= LEAST_WALL_PIXELS).sum(axis=1) >= LEAST_SIDES_NEAR
    tried = np.flatnonzero(apart & near & beside)
    tried = tried[np.argsort((left_over + wall)[tried], kind="stable")]
    again = np.zeros_like(same)
    again[tried] = drawn_again(polygons, first[tried], second[tried])
    across = (shared > slack) & (left_over > slack)
    strip = (shared <= slack) & (left_over > shared)
    hole = (left_over <= LEAST_SHARE_OUTSIDE * smaller) & (wall >= LEAST_WALL_SHARE * larger)
    if again.any():
        inside = apart & ~strip & (hole | ~across)
        repeated = np.array([loop.repeated for loop in loops])
        repeated[first[same]] = True
        gap = left_over + wall >= LEAST_GAP_PIXELS * middle
        again = _of_filled(again, again & gap, inside, first, second, areas, repeated)
    apart &= ~again
    across, strip = apart & across, apart & strip
    joined = again | strip | (across & ~hole)
    thin = apart & ~joined & (wall < np.maximum(LEAST_WALL_SHARE * larger, THIN_WALL_PIXELS * middle))
    return _Pairs(first, second, same, again, across, joined, thin)


def _overlaps(drawn: Sequence[NDArray[np.int32]], size: int) -> sparse.coo_matrix:
    """How many pixels two loops share, the first by row, the second by column; block by block, for they may be many."""
    by_pixel = _loops_by_pixel(drawn, size)
    blocks, count = [], 0
    for start in range(0, len(drawn), PRODUCT_BLOCK):
        some = drawn[start : start + PRODUCT_BLOCK]
        where, ends = np.concatenate(some), np.cumsum([0, *map(len, some)])
        product = sparse.csr_matrix((np.ones(len(where), np.int32), where, ends), shape=(len(some), size)) @ by_pixel
        blocks.append(sparse.triu(product, k=start + 1, format="csr"))
        count += blocks[-1].nnz
        bounded(count, MOST_OVERLAPS, "pairs of contours that overlap")
    return sparse.vstack(blocks).tocoo()


def _loops_by_pixel(drawn: Sequence[NDArray[np.int32]], size: int) -> sparse.csr_matrix:
    """1 at pixel, loop; set up in place: the ways of scipy take twice the memory."""
    ends = np.zeros(size + 1, np.int32)
    for pixels in drawn:
        ends[pixels + 1] += 1
    np.cumsum(ends, out=ends)
    which, next_of = np.empty(ends[-1], np.int32), ends[:-1].copy()
    for number, pixels in enumerate(drawn):
        which[next_of[pixels]] = number
        next_of[pixels] += 1
    return sparse.csr_matrix((np.ones(len(which), np.int32), which, ends), shape=(size, len(drawn)))


def _pairs_apart(loops: Sequence[_Loop], size: int) -> _Pairs:
    """As `_pairs`, but none joined: what is drawn again a little inside leaves a thin wall."""
    pairs = _pairs(loops, size)
    none = np.zeros_like(pairs.same)
    return replace(pairs, again=none, joined=none, thin=pairs.thin | pairs.again)


def _of_filled(
    again: NDArray[np.bool_],
    gap: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    areas: NDArray[np.int64],
    repeated: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Those pairs drawn again whose larger loop is filled: so near the line of a hole, behind a gap, lies an island.

    Unless an outline round the hole is repeated or drawn again as well: then the hole is, too.
    """
    turned = areas[first] < areas[second]
    outer, inner = np.where(turned, second, first), np.where(turned, first, second)
    group, kept = np.arange(len(areas)), again.copy()
    hole, twice = np.zeros(len(areas), np.bool_), repeated.copy()
    around: list[list[int]] = [[] for _ in areas]
    for place in np.flatnonzero(inside | again).tolist():
        around[inner[place]].append(place)
    for number in np.argsort(-areas, kind="stable").tolist():
        places = np.array(around[number], np.int64)
        kept[places] &= ~(gap[places] & hole[outer[places]])
        for place in places[kept[places]][:1]:
            group[number] = group[outer[place]]
            twice[group[number]] = True
        others = np.setdiff1d(group[outer[places]], group[number])
        hole[number] = len(others) % 2 == 1 and not twice[others].any()
    return kept


def _groups(size: int, pairs: _Pairs) -> NDArray[np.int32]:
    """The group of each loop: those that are joined, directly or by another, have one."""
    links = (pairs.first[pairs.joined], pairs.second[pairs.joined])
    graph = sparse.coo_matrix((np.ones(len(links[0])), links), shape=(size, size))
    group: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return group


def _counts(loops: Sequence[_Loop], repeated: set[int], group: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """In how many loops each pixel lies, repeated ones left out and those of one group taken as one."""
    drawn: dict[int, list[NDArray[np.int32]]] = {}
    for number, loop in enumerate(loops):
        if number not in repeated:
            drawn.setdefault(int(group[number]), []).append(loop.pixels)
    counts = np.zeros(size, np.int32)
    for together in drawn.values():
        counts[together[0] if len(together) == 1 else _union(together, size)] += 1
    return counts


def _union(drawn: Sequence[NDArray[np.int32]], size: int) -> NDArray[np.bool_]:
    inside = np.zeros(size, np.bool_)
    for pixels in drawn:
        inside[pixels] = True
    return inside
