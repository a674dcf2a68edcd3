"""The five features of the neighbouring grey tone difference matrix, as PyRadiomics 3.0.1 defines them."""

from __future__ import annotations

import numpy as np

from engine.measure.textures import Textures

COARSENESS_OF_FLAT = 1e6


def tone_features(textures: Textures) -> tuple[float, ...]:
    """Busyness, coarseness, complexity, contrast and strength; flat regions get 0 and coarseness 1e6."""
    voxels, difference = textures.tone_difference.T
    present = voxels > 0
    level = np.flatnonzero(present) + 1.0
    share, difference = voxels[present] / voxels.sum(), difference[present]
    gap = np.abs(level[:, None] - level[None, :])
    both = share[:, None] + share[None, :]
    weighted = share * difference
    mean_difference = float(weighted.sum())
    spread = float(np.abs((level * share)[:, None] - (level * share)[None, :]).sum())
    pairs, total = len(level) * (len(level) - 1), float(difference.sum())
    contrast = float((share[:, None] * share[None, :] * gap**2).sum()) * total / voxels.sum()
    complexity = float((gap * (weighted[:, None] + weighted[None, :]) / both).sum()) / voxels.sum()
    return (
        mean_difference / spread if spread else 0.0,
        1.0 / mean_difference if mean_difference else COARSENESS_OF_FLAT,
        complexity,
        contrast / pairs if pairs else 0.0,
        float((both * gap**2).sum()) / total if total else 0.0,
    )
