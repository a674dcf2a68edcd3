"""Stage `second_lungs`: both lungs by another method than the study's own, to see which features notice."""

from __future__ import annotations

from dataclasses import dataclass

from engine.protocol import Perturb
from engine.segment.lungs import find_lungs
from engine.segment.segmentation import LUNGS, THRESHOLD_SOURCE
from store.records import Segmentation
from store.volumes import CtSeries, FeatureMasks, Mask, SecondLungs


@dataclass(frozen=True, slots=True)
class SecondMethod:
    """Output of the stage."""

    masks: SecondLungs


def second_lungs(
    ct: CtSeries, masks: FeatureMasks, segmentation: tuple[Segmentation, ...], choices: Perturb
) -> SecondMethod:
    """Thresholded lungs where the study's own are outlined or a model's.

    None where whole_lung is not perturbed, where the study's own are thresholded or missing, or none are found.
    """
    methods = {record.lungs_method for record in segmentation}
    if "whole_lung" not in choices.rois or choices.preset == "none" or not methods & {"outlined", "model"}:
        return SecondMethod(SecondLungs(()))
    tumour = masks.find("tumour")
    found = find_lungs(ct, tumour.voxels if tumour is not None else None)
    if found is None or found.lone:
        return SecondMethod(SecondLungs(()))
    both = zip(LUNGS, (found.left, found.right), strict=True)
    return SecondMethod(SecondLungs(tuple(Mask(n, "automatic", THRESHOLD_SOURCE, v, ct.grid) for n, v in both)))
