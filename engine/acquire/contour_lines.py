"""Two closed lines of a slice compared: one line, or the same outline again beside it; at a cost that is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

Polygon = NDArray[np.float64]  # (n, 2) pixel indices x, y
SAME_LINE_PIXELS = 0.1  # two lines nearer than this are one: of a repeated contour, of two contours that touch
LEAST_WALL_PIXELS = 0.9  # where most of both lines runs nearer than this, that is no hole but the outline again
MOST_OF_LINE = 0.75
SAMPLE_PIXELS = 0.02
WALL_SAMPLE_PIXELS = 0.1
WALL_PROBES = 256
FIRST_PROBES = 16  # two lines of which not half of these lie near are compared no further
MOST_SAMPLES = 50_000
MOST_SAMPLES_OF_ALL = 4_000_000  # on a slice
MOST_TREES = 32
MOST_PAIRS = 2_000  # compared on a slice
MOST_POINTS_OF_PAIR = 500  # of both lines: a pair with more counts as several


class TooManyContoursError(ValueError):
    """What the contours of a slice would cost to be told apart exceeds a limit; says which."""


def one_line(
    lines: Sequence[Polygon], first: NDArray[np.int64], second: NDArray[np.int64], dropped: set[int]
) -> list[bool]:
    """Whether two lines run along each other all the way; a second one that is dropped already is not asked again."""
    trees = _trees(lines, SAMPLE_PIXELS)
    same, compared = [], 0
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        asked = other not in dropped
        compared += asked * _cost(lines[one], lines[other])
        bounded(compared, MOST_PAIRS, "pairs of contours to be compared")
        ways = ((one, other), (other, one))
        same.append(
            asked
            and all(_near(_few(lines[points]), lines[line], SAME_LINE_PIXELS).all() for points, line in ways)
            and all(_runs_along(lines[points], lines[line], trees(line)) for points, line in ways)
        )
        if same[-1]:
            dropped.add(other)
    return same


def _runs_along(points: Polygon, polygon: Polygon, tree: KDTree) -> bool:
    """Whether no point lies further than SAME_LINE_PIXELS from the edges of a polygon, to half a step of its samples.

    Distances are those to samples of the edges, so that the work grows with the length of a line and not with points
    times edges.
    """
    step = length_of(polygon) / tree.n
    away = tree.query(points, distance_upper_bound=SAME_LINE_PIXELS + step / 2)[0]
    return bool(np.isfinite(away).all())


def drawn_again(lines: Sequence[Polygon], first: NDArray[np.int64], second: NDArray[np.int64]) -> list[bool]:
    """Whether most of each of two lines runs within LEAST_WALL_PIXELS of the other, or both of others in between.

    Two that others link are not compared: files may hold very many lines.
    """
    group = np.arange(len(lines))
    trees = _trees(lines, WALL_SAMPLE_PIXELS)
    few = lru_cache(None)(lambda number: _samples(lines[number], WALL_SAMPLE_PIXELS, FIRST_PROBES))
    again, compared = [], 0
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        linked = bool(group[one] == group[other])
        compared += (not linked) * _cost(lines[one], lines[other])
        bounded(compared, MOST_PAIRS, "pairs of contours to be compared")
        ways = ((one, other), (other, one))
        again.append(
            linked
            or (
                all(_near(few(points), lines[line], LEAST_WALL_PIXELS).mean() >= 0.5 for points, line in ways)
                and all(_mostly_beside(trees(points), trees(line)) for points, line in ways)
            )
        )
        if again[-1]:
            group[group == group[other]] = group[one]
    return again


def _mostly_beside(points: KDTree, line: KDTree) -> bool:
    """Whether most of WALL_PROBES places of a line lie within LEAST_WALL_PIXELS of another."""
    probes = points.data[:: -(-points.n // WALL_PROBES)]
    away = line.query(probes, distance_upper_bound=LEAST_WALL_PIXELS)[0]
    return bool(np.isfinite(away).mean() > MOST_OF_LINE)


def _cost(one: Polygon, other: Polygon) -> int:
    return 1 + (len(one) + len(other)) // MOST_POINTS_OF_PAIR


def bounded(count: int, most: int, what: str) -> None:
    """TooManyContoursError where a count exceeds its limit."""
    if count > most:
        raise TooManyContoursError(f"more than {most:,} {what}")


def _few(line: Polygon) -> Polygon:
    return line[:: -(-len(line) // FIRST_PROBES)]


def _near(points: Polygon, polygon: Polygon, pixels: float) -> NDArray[np.bool_]:
    """Whether each of a few points lies within a distance of the edges of a polygon."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    lengths = np.maximum((edges**2).sum(axis=1), np.finfo(float).tiny)
    x, y = (points[:, None, axis] - polygon[:, axis] for axis in (0, 1))
    foot = np.clip((x * edges[:, 0] + y * edges[:, 1]) / lengths, 0, 1)
    squared = (x - foot * edges[:, 0]) ** 2 + (y - foot * edges[:, 1]) ** 2
    near: NDArray[np.bool_] = squared.min(axis=1) <= pixels**2
    return near


def _trees(lines: Sequence[Polygon], step: float) -> Callable[[int], KDTree]:
    """Looks up the samples of a line by its number; those used last are kept."""
    sampled = 0

    def tree(number: int) -> KDTree:
        nonlocal sampled
        samples = _samples(lines[number], step)
        sampled += len(samples)
        bounded(sampled, MOST_SAMPLES_OF_ALL, "places along contours to be compared")
        return KDTree(samples, balanced_tree=False, compact_nodes=False)  # quicker to build

    return lru_cache(MOST_TREES)(tree)


def length_of(polygon: Polygon) -> float:
    """The perimeter, pixels."""
    return float(np.linalg.norm(np.roll(polygon, -1, axis=0) - polygon, axis=1).sum())


def _samples(polygon: Polygon, step: float, most: int = MOST_SAMPLES) -> Polygon:
    """Points along the edges of a polygon, evenly: at most a step apart unless these are too many."""
    closed = np.vstack([polygon, polygon[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    count = int(np.clip(np.ceil(along[-1] / step), 1, most))
    places = np.arange(count) * along[-1] / count
    return np.column_stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)])
