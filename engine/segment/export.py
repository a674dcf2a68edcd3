"""From logits on a model's grid to a label map on the CT's own grid, slice by slice as the logits become final.

A convex mix of logits that one label leads is led by that label: outside the box of the foreground, grown by one voxel,
nothing needs to be interpolated, and what is left out is background exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Box
from engine.segment.resampling import Labels, Passage, Volume


class LabelMap:
    """The label of highest interpolated logit at every native voxel; slabs come in order, lowest slices first."""

    def __init__(self, way: Passage, box: Box) -> None:
        self.labels: Labels = np.zeros(way.native.shape_zyx, dtype=np.uint8)
        (self._z, self._weights_z), (self._y, self._weights_y), (self._x, self._weights_x) = (
            way.weights_back(axis, box[axis]) for axis in range(3)
        )
        self._needed = self._weights_z.shape[1] - 1 - (self._weights_z[:, ::-1] > 0).argmax(axis=1)
        self._kept: Volume | None = None  # the last slices of the slab before
        self._start = 0  # model slice of the first kept one
        self._done = 0  # native slices written

    def add(self, logits: Volume) -> None:
        """Take the next final slices (label, z, y, x) and write every native slice that they complete."""
        held = logits if self._kept is None else np.concatenate([self._kept, logits], axis=1)
        stop = self._start + held.shape[1]
        leading = _foreground(held)
        while self._done < len(self._needed) and self._needed[self._done] < stop:
            self._write(held, leading)
            self._done += 1
        keep = min(1, held.shape[1])
        self._kept, self._start = held[:, held.shape[1] - keep :].copy(), stop - keep

    def _write(self, held: Volume, leading: NDArray[np.bool_]) -> None:
        """One native slice from the one or two model slices about it."""
        weights = self._weights_z[self._done]
        slices = np.flatnonzero(weights)
        places = slices - self._start
        found: NDArray[np.bool_] = np.asarray(leading[places].any(axis=0))
        if not found.any():
            return
        y, x = _grown(np.asarray(found.any(axis=1))), _grown(np.asarray(found.any(axis=0)))
        plane = held[:, places[0], y, x] * weights[slices[0]]
        for place, weight in zip(places[1:], weights[slices[1:]], strict=True):
            plane += held[:, place, y, x] * weight
        rows, columns = _reached(self._weights_y, y), _reached(self._weights_x, x)
        down = np.ascontiguousarray(self._weights_y[rows, y])
        across = np.ascontiguousarray(self._weights_x[columns, x].T)
        into = self.labels[self._z.start + self._done, self._y, self._x]
        into[rows, columns] = _leader([(down @ np.ascontiguousarray(logits)) @ across for logits in plane])


def _foreground(logits: Volume) -> NDArray[np.bool_]:
    """Where any label leads the background, z, y, x."""
    return np.asarray(logits[1:].max(axis=0) > logits[0])


def _leader(logits: list[Volume]) -> Labels:
    """The first label of highest logit, from one plane a label."""
    best = logits[0]
    labels = np.zeros(best.shape, dtype=np.uint8)
    for label in range(1, len(logits)):
        np.copyto(labels, np.uint8(label), where=logits[label] > best)
        np.maximum(best, logits[label], out=best)
    return labels


def _grown(line: NDArray[np.bool_]) -> slice:
    used = np.flatnonzero(line)
    return slice(max(0, int(used[0]) - 1), min(len(line), int(used[-1]) + 2))


def _reached(weights: Volume, columns: slice) -> slice:
    """The rows of a matrix that depend on some columns alone."""
    inside = weights[:, columns].sum(axis=1) > 0.999
    used = np.flatnonzero(inside)
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
