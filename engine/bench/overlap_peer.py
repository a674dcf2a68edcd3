"""Side of `bench overlap` in MONAI, run by .venv-peers: surface Dice of mask pairs, with its CPU seconds.

Run by its path, so that nothing of ours is imported: overlap_peer.py IN.npz OUT.npz.
"""

from __future__ import annotations

import sys
import time

import monai
import numpy as np
from monai.metrics import compute_surface_dice
from monai.utils import convert_to_tensor


def main(source: str, target: str) -> None:
    """Measure every pair of the input file."""
    with np.load(source) as given:
        count, tolerance = int(given["count"]), float(given["tolerance_mm"])
        values, seconds = [], []
        for place in range(count):
            shape, spacing = tuple(given[f"shape{place}"]), tuple(float(s) for s in given[f"spacing{place}"])
            masks = [np.unpackbits(given[f"{name}{place}"], count=int(np.prod(shape))) for name in ("one", "other")]
            one, other = (convert_to_tensor(_one_hot(mask.reshape(shape))) for mask in masks)
            start = time.process_time()
            found = compute_surface_dice(other, one, [tolerance], spacing=spacing, use_subvoxels=True)
            seconds.append(time.process_time() - start)
            values.append(float(found[0, 0]))
    np.savez(target, values=values, seconds=seconds, version=monai.__version__)


def _one_hot(mask: np.ndarray) -> np.ndarray:
    return np.stack([1 - mask, mask])[None].astype(np.uint8)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
