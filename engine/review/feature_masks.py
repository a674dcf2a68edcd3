"""Which mask stands for a structure downstream: the first that exists of the protocol's feature_mask_order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.metrics.margins import largest_components
from engine.protocol import Masks
from store.records import FeatureMask, Verdict
from store.sources import Verdicts
from store.volumes import AutomaticMasks, FeatureMasks, Mask, ReferenceMasks

STRUCTURES = ("tumour", "lung_left", "lung_right")
ACCEPTING = ("none",)


@dataclass(frozen=True, slots=True, eq=False)
class Reviewed:
    """The chosen masks and where each came from."""

    masks: FeatureMasks
    chosen: tuple[FeatureMask, ...]


def choose_feature_masks(
    references: ReferenceMasks, automatic: AutomaticMasks, verdicts: Verdicts, order: Masks
) -> Reviewed:
    """Choose one mask for the index tumour and for each lung.

    "reviewed" is the automatic mask once every reader who judged it found no change necessary (origin accepted), and
    it is not empty; "automatic" is the same mask unjudged; "reference" is what the study brought. A structure without
    any mask gets source "none". An automatic mask in which nothing was found is a miss, and still the automatic choice.
    """
    masks, chosen = [], []
    for structure in STRUCTURES:
        source, mask = _choose(structure, references, automatic, verdicts, order)
        if mask is None:
            chosen.append(FeatureMask(structure, "none", "none", ""))
            continue
        masks.append(mask)
        chosen.append(FeatureMask(structure, source, mask.origin, mask.source))
    return Reviewed(FeatureMasks(tuple(masks)), tuple(chosen))


def _choose(
    structure: str, references: ReferenceMasks, automatic: AutomaticMasks, verdicts: Verdicts, order: Masks
) -> tuple[str, Mask | None]:
    found = _index_lesion(structure, automatic.find(structure))
    options = {
        "reviewed": _accepted(found, [v for v in verdicts.rows if v.structure == structure]),
        "reference": references.find(structure),
        "automatic": found,
    }
    for source in order.feature_mask_order:
        mask = options.get(source)
        if mask is not None:
            return source, mask
    return "none", None


def _index_lesion(structure: str, mask: Mask | None) -> Mask | None:
    """The largest component of an automatic tumour: satellites and false positives are never fed to features."""
    if mask is None or structure != "tumour":
        return mask
    return replace(mask, voxels=largest_components(mask.voxels))


def _accepted(mask: Mask | None, verdicts: list[Verdict]) -> Mask | None:
    if mask is None or not mask.voxels.any() or not verdicts or any(v.judgement not in ACCEPTING for v in verdicts):
        return None
    return replace(mask, origin="accepted")
