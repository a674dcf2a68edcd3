"""Our side of `bench overlap` in a process of its own: surface Dice of mask pairs, with its CPU seconds.

Kernels are loaded before the first pair: that is paid once a process, not once a comparison.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from engine.metrics.overlap import surface_distances, surface_dsc


def main(source: str, target: str) -> None:
    """Measure every pair of the input file."""
    warm = np.pad(np.ones((2, 2, 2), np.bool_), 1)
    surface_distances(warm, warm, (1.0, 1.0, 1.0))
    with np.load(source) as given:
        count, tolerance = int(given["count"]), float(given["tolerance_mm"])
        values, seconds = [], []
        for place in range(count):
            shape, spacing = tuple(given[f"shape{place}"]), tuple(float(s) for s in given[f"spacing{place}"])
            masks = [np.unpackbits(given[f"{name}{place}"], count=int(np.prod(shape))) for name in ("one", "other")]
            one, other = (mask.reshape(shape).astype(np.bool_) for mask in masks)
            start = time.process_time()
            found = surface_dsc(surface_distances(one, other, (spacing[0], spacing[1], spacing[2])), tolerance)
            seconds.append(time.process_time() - start)
            values.append(found)
    np.savez(target, values=values, seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
