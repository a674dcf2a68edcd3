"""What a model was unsure of in one CT: of the tumour's voxels, and of where a tumour may have been overlooked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.segment.sliding_window import Slab
from store.records import Uncertainty
from store.volumes import BoolZyx, Grid

Values = NDArray[np.float32]
CANDIDATE = 0.1  # probability from which a voxel may be tumour
FACES_EDGES_CORNERS = np.ones((3, 3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class TumourVoxels:
    """The voxels called tumour on the model's grid: index (n, 3) z, y, x, and of each what the members said.

    entropy: nats, of the mean softmax; lead: logit over the best other label; disagreement: standard deviation of the
    members' probability. Of the whole sweep: the largest probability of tumour, and the voxels of at least CANDIDATE.
    """

    index_zyx: NDArray[np.int32]
    entropy: Values
    lead: Values
    disagreement: Values
    largest_probability: float
    candidates: int

    @staticmethod
    def joined(parts: Sequence[TumourVoxels]) -> TumourVoxels:
        """Parts of one sweep as one; ValueError without any."""
        if not parts:
            raise ValueError("parts must hold at least one slab, got none")
        return TumourVoxels(
            np.concatenate([part.index_zyx for part in parts]),
            np.concatenate([part.entropy for part in parts]),
            np.concatenate([part.lead for part in parts]),
            np.concatenate([part.disagreement for part in parts]),
            max(part.largest_probability for part in parts),
            sum(part.candidates for part in parts),
        )


def tumour_voxels(slab: Slab, corner_yx: tuple[int, int], label: int) -> TumourVoxels:
    """The voxels of a slab, which begins at row and column `corner_yx`, whose highest logit is the tumour's."""
    share = slab.tumour[0]
    lead = slab.logits[label] - np.delete(slab.logits, label, axis=0).max(axis=0)
    found = lead > 0
    spread = np.sqrt(np.maximum(0.0, slab.tumour[1][found] - share[found] ** 2))
    index = np.argwhere(found) + np.array([slab.start, *corner_yx])
    return TumourVoxels(
        index.astype(np.int32),
        _entropy(slab.logits[:, found]),
        np.asarray(lead[found], dtype=np.float32),
        np.asarray(spread, dtype=np.float32),
        float(share.max(initial=0.0)),
        int((share >= CANDIDATE).sum()),
    )


def measured(voxels: TumourVoxels, grid: Grid, members: int, smallest_ml: float) -> Uncertainty:
    """The uncertainty of a case over its tumour without pieces under a volume; None where there is no tumour.

    Disagreement is None with one member. Components touch by face, edge or corner.
    """
    pieces, _ = ndimage.label(on_grid(voxels, grid), structure=FACES_EDGES_CORNERS)
    sizes = np.bincount(pieces.ravel()) * grid.voxel_ml
    large = sizes >= smallest_ml
    large[0] = False
    kept = large[pieces[tuple(voxels.index_zyx.T)]]
    volumes = sizes[large]
    return Uncertainty(
        tumour_ml=float(volumes.sum()),
        components=len(volumes),
        largest_share=float(volumes.max() / volumes.sum()) if len(volumes) else None,
        mean_entropy=_mean(voxels.entropy[kept]),
        mean_lead=_mean(voxels.lead[kept]),
        disagreement=_mean(voxels.disagreement[kept]) if members > 1 else None,
        largest_probability=voxels.largest_probability,
        candidate_ml=voxels.candidates * grid.voxel_ml,
    )


def on_grid(voxels: TumourVoxels, grid: Grid) -> BoolZyx:
    """The tumour's voxels as a mask on the grid of their sweep."""
    mask = np.zeros(grid.shape_zyx, dtype=np.bool_)
    mask[tuple(voxels.index_zyx.T)] = True
    return mask


def _entropy(logits: Values) -> Values:
    """Entropy in nats of the softmax over the first axis."""
    exponent = np.exp(logits - logits.max(axis=0, initial=-np.inf))
    share = np.maximum(exponent / exponent.sum(axis=0), 1e-12)
    return np.asarray(-(share * np.log(share)).sum(axis=0), dtype=np.float32)


def _mean(values: Values) -> float | None:
    return float(values.mean()) if len(values) else None
