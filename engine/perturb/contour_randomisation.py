"""A contour as another reader might have drawn it: supervoxels at the boundary come in or stay out by chance.

Zwanenburg et al., Sci Rep 2019;9:614: a supervoxel that the mask nearly fills is kept, one that it hardly enters is
dropped, and any other is kept with a probability equal to the share of it that the mask covers. Boundaries between
supervoxels follow edges of the image, so the new contour does too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.metrics.margins import TOUCHING_26
from engine.perturb.plan import LARGEST_SEED, Context, Drawn
from engine.perturb.structure import Structure
from store.volumes import BoolZyx


@dataclass(frozen=True, slots=True)
class ContourRandomisation:
    """From which covered share on a supervoxel is surely kept, under which it is dropped, and the seed of the rest."""

    sure_share: float
    unlikely_share: float
    seed: int

    def apply(self, mask: BoolZyx, structure: Structure) -> BoolZyx:
        """The chosen supervoxels, with gaps closed; parts that touch the mask nowhere are dropped."""
        labels = structure.labels
        known = labels >= 0
        sizes = np.bincount(labels[known])
        covered = np.bincount(labels[known & mask], minlength=sizes.size) / np.maximum(sizes, 1)
        chance = np.where(covered >= self.sure_share, 1.0, np.where(covered < self.unlikely_share, 0.0, covered))
        if covered.size:
            chance[np.argmax(covered)] = 1.0
        chosen = np.random.default_rng(self.seed).random(chance.size) < chance
        drawn = np.where(known, chosen[labels] if chosen.size else False, mask)
        closed = ndimage.binary_closing(np.pad(drawn, 1), structure=TOUCHING_26)[1:-1, 1:-1, 1:-1] | drawn
        pieces, count = ndimage.label(closed, structure=TOUCHING_26)
        kept = np.bincount(pieces[mask], minlength=count + 1) > 0
        kept[0] = False
        return np.asarray(kept[pieces])


def draw_contour(rng: np.random.Generator, context: Context) -> Drawn:
    """The protocol's shares with chances of its own."""
    choices = context.choices
    step = ContourRandomisation(
        choices.contour_sure_share, choices.contour_unlikely_share, int(rng.integers(LARGEST_SEED))
    )
    return Drawn(steps=(step,))
