"""The ring that a reader may see: around the outline that he judges, never around one that is hidden from him."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.geometry import box_of, cropped_grid
from engine.measure.regions import LUNGS, ring_around
from engine.metrics.margins import largest_components
from engine.run.ticket import run_protocol
from store.reviews import open_ledger
from store.volumes import FeatureMasks, Mask, MaskSet

TUMOUR = "tumour"


def ring_of_the_judged(study: Path, run_id: str, reference: MaskSet, automatic: MaskSet) -> tuple[Mask, ...]:
    """The ring around the largest component of the automatic tumour, whatever stands downstream; at most one.

    The reference holds what the reader may see of it: where there is no automatic tumour the ring goes around its
    tumour, it leaves out its other lesions, and it is cut by its lungs before the automatic ones.
    """
    others = _other_lesions(reference)
    outline = _index_lesion(automatic, others) or _cropped(reference.find(TUMOUR))
    if outline is None:
        return ()
    found = {name: reference.find(name) or automatic.find(name) for name in LUNGS}
    beside = FeatureMasks((*(mask for mask in found.values() if mask is not None), *others))
    native = next(masks.grid for masks in (automatic.find(TUMOUR), reference.find(TUMOUR)) if masks is not None)
    with open_ledger(study) as ledger:
        protocol = run_protocol(ledger, run_id)
    return (ring_around(outline, beside, native, protocol.grid, protocol.rois),)


def _index_lesion(automatic: MaskSet, others: tuple[Mask, ...]) -> Mask | None:
    """The largest component of the automatic tumour outside other lesions that are known, cropped to its box."""
    mask = automatic.find(TUMOUR)
    if mask is not None and others:
        mask = replace(mask, voxels=mask.voxels & ~np.logical_or.reduce([other.voxels for other in others]))
    cropped = _cropped(mask)
    return None if cropped is None else replace(cropped, voxels=largest_components(cropped.voxels))


def _other_lesions(reference: MaskSet) -> tuple[Mask, ...]:
    """The outlined lesions but the index lesion, without what they share with it."""
    index = reference.find(TUMOUR)
    found = (mask for mask in reference.masks if mask.structure == TUMOUR and mask.lesion > 0)
    return tuple(found if index is None else (replace(m, voxels=m.voxels & ~index.voxels) for m in found))


def _cropped(mask: Mask | None) -> Mask | None:
    """A mask in its own box; None where there is nothing in it."""
    if mask is None or not mask.voxels.any():
        return None
    box = box_of(mask.voxels)
    return replace(mask, voxels=mask.voxels[box], grid=cropped_grid(mask.grid, box))
