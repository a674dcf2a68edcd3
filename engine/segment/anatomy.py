"""Stage `anatomy`: the structures that models are trained on beside the tumour, and what nnU-Net notes of the case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.segment.anatomy_programs import label_by_program
from engine.segment.image_key import image_key
from engine.segment.lungs import find_lungs
from engine.segment.nnunet_plan import Labels, fingerprint, painted
from engine.training_protocol import Anatomy
from store.records import TrainableCase
from store.sources import AnatomyProgram
from store.volumes import AnatomyMasks, BoolZyx, CaseFingerprint, CtSeries, LabelMaps, Mask, ReferenceMasks

LUNGS = ("lung_left", "lung_right")
BACKGROUND, TUMOUR = "background", "tumour"


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """The anatomy of one case, what it can be trained for, and its fingerprint over anatomy (and tumour)."""

    masks: AnatomyMasks
    trainable: tuple[TrainableCase, ...]
    fingerprint: CaseFingerprint


def label_anatomy(
    ct: CtSeries, references: ReferenceMasks, maps: LabelMaps, anatomy: Anatomy, program: AnatomyProgram
) -> Labelled:
    """Anatomical masks and the reference tumour on the CT's grid, from the source that the protocol names.

    The reference tumour is never part of a structure. A case without any is left without (it cannot be trained on).
    """
    found = _structures(ct, references, maps, anatomy, program)
    tumour = tumour_of(references)
    if tumour is not None:
        found = {name: voxels & ~tumour for name, voxels in found.items()}
    kept = {name: voxels for name, voxels in found.items() if voxels.any()}
    masks = [
        Mask("anatomy", _origin(anatomy), anatomy.source, voxels, ct.grid, value, name)
        for value, (name, voxels) in enumerate(kept.items(), start=1)
    ]
    if tumour is not None:
        masks.append(Mask(TUMOUR, "independent", "reference", tumour, ct.grid))
    outlines = AnatomyMasks(tuple(masks))
    trainable = TrainableCase(image_key(ct), _volume_ml(references), ",".join(kept))
    return Labelled(outlines, (trainable,), fingerprint(ct, labels_of(outlines, (BACKGROUND, *kept, TUMOUR), ct)))


def _origin(anatomy: Anatomy) -> str:
    return "independent" if anatomy.source == "label maps" else "automatic"


def _structures(
    ct: CtSeries, references: ReferenceMasks, maps: LabelMaps, anatomy: Anatomy, program: AnatomyProgram
) -> dict[str, BoolZyx]:
    if anatomy.source == "label maps":
        return {mask.name: mask.voxels for mask in maps.masks}
    if anatomy.source != "lungs":
        return label_by_program(ct, program)
    outlined = {name: mask.voxels for name in LUNGS if (mask := references.find(name)) is not None}
    if len(outlined) == len(LUNGS):
        return outlined
    lungs = find_lungs(ct, tumour_of(references))
    return {} if lungs is None else {"lung_left": lungs.left, "lung_right": lungs.right}


def tumour_of(references: ReferenceMasks) -> BoolZyx | None:
    """The voxels of all outlined lesions together, None where there is none."""
    lesions = [mask.voxels for mask in references.masks if mask.structure == TUMOUR and mask.voxels.any()]
    return np.logical_or.reduce(lesions) if lesions else None


def _volume_ml(references: ReferenceMasks) -> float:
    index = references.find(TUMOUR)
    return 0.0 if index is None else index.volume_ml


def labels_of(outlines: AnatomyMasks, names: tuple[str, ...], ct: CtSeries) -> Labels:
    """Label values z, y, x on the CT's grid: the place of each name; later names are painted over earlier ones."""
    voxels = {TUMOUR if mask.structure == TUMOUR else mask.name: mask.voxels for mask in outlines.masks}
    return painted(voxels, names, ct.grid)
