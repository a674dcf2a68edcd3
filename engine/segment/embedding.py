"""The encoder's features pooled over a mask on the model's grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.segment.inference import Prediction
from store.volumes import BoolZyx


def embedding(found: Prediction, mask: BoolZyx) -> NDArray[np.float64] | None:
    """The encoder's features over a mask on the prediction's grid: mean, sd and largest of each channel, in this order.

    Cells count by the share of their voxels in the mask. None when the mask is empty.
    """
    share = _cell_share(mask, found)
    inside = share > 0
    if not inside.any():
        return None
    weights = share[inside] / share[inside].sum()
    values = found.features[:, inside].astype(np.float64)
    mean = values @ weights
    spread = np.sqrt(np.maximum(0.0, (values - mean[:, None]) ** 2 @ weights))
    return np.concatenate([mean, spread, values.max(axis=1)])


def _cell_share(mask: BoolZyx, found: Prediction) -> NDArray[np.float64]:
    """Share of each feature cell's voxels that lie in a mask."""
    cells, stride = found.features.shape[1:], found.feature_stride
    room = np.zeros([n * s for n, s in zip(cells, stride, strict=True)], dtype=np.float64)
    z, y, x = mask.shape
    room[:z, :y, :x] = mask
    blocks = room.reshape(cells[0], stride[0], cells[1], stride[1], cells[2], stride[2])
    return np.asarray(blocks.mean(axis=(1, 3, 5)))
