"""Natural perturbations: the tumour as another reader or a model outlined it, the lungs by another method."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.perturb.plan import Context, Drawn, Planned
from store.volumes import AutomaticMasks, FeatureMasks, Mask, ReferenceMasks, SecondLungs

OF_TUMOUR = ("intratumoural", "peritumoural")
MODEL = "model"


def other_readers(
    masks: FeatureMasks, references: ReferenceMasks, automatic: AutomaticMasks
) -> Iterator[tuple[Planned, Mask]]:
    """Every other outline of the index lesion: `reader-NAME` for each reference, `model` for the study's own."""
    own = masks.find("tumour")
    if own is None:
        return
    outlines = [(f"reader-{mask.source}", mask) for mask in references.masks]
    outlines += [(MODEL, mask) for mask in automatic.masks]
    for name, mask in outlines:
        of_lesion = mask.structure == "tumour" and mask.lesion == 0 and bool(mask.voxels.any())
        same = mask.voxels.shape == own.voxels.shape and np.array_equal(mask.voxels, own.voxels)
        if of_lesion and not same:
            yield Planned(name, "readers", "reader", _nothing, OF_TUMOUR), mask


def second_lungs_as_perturbation(second: SecondLungs | None) -> Iterator[tuple[Planned, tuple[Mask, ...]]]:
    """The lungs by another method as one perturbation, a fixed setting; none where there is no other method."""
    if second is not None and any(mask.voxels.any() for mask in second.masks):
        plan = Planned("lung-method", "fixed", "lung_method", _nothing, ("whole_lung",))
        yield plan, second.masks


def _nothing(_: np.random.Generator, context: Context) -> Drawn:
    """Outlines by others are given, not drawn."""
    return Drawn()
