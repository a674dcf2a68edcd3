"""Which mask stands for a structure downstream: the first that exists of the protocol's feature_mask_order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.metrics.margins import component_count, largest_components
from engine.protocol import Masks
from engine.review.judged import Judged
from store.records import FeatureMask, Flag
from store.sources import Verdicts
from store.volumes import AutomaticMasks, FeatureMasks, Mask, ReferenceMasks, mask_key

STRUCTURES = ("tumour", "lung_left", "lung_right")


@dataclass(frozen=True, slots=True, eq=False)
class Reviewed:
    """The chosen masks (other outlined lesions beside them, to be kept out of regions), their origins, and flags."""

    masks: FeatureMasks
    chosen: tuple[FeatureMask, ...]
    flags: tuple[Flag, ...]


def choose_feature_masks(
    references: ReferenceMasks, automatic: AutomaticMasks, verdicts: Verdicts, order: Masks
) -> Reviewed:
    """Choose one mask for the index tumour and for each lung.

    "adjudicated" is the mask that an adjudication named last: the automatic one, or a drawn one, if it still is of the
    case's images; a word that names none decides nothing. "reviewed" is the automatic mask once every reader's last
    verdict on this very mask (by its key) is that no change is necessary (origin accepted), and it is not empty; else a
    reader's correction of it (origin corrected), where readers' voxels differ by the rule `disagreement`. "automatic"
    is the automatic mask unjudged, of a tumour its largest component outside other outlined lesions; "reference" is
    what the study brought. A structure without any mask gets source "none". An automatic mask in which nothing was
    found is a miss, and still the automatic choice.
    """
    others = _other_lesions(references)
    masks, chosen, outdated = [], [], 0
    for structure in STRUCTURES:
        judged = _judged(structure, references, automatic, _index_lesion(automatic.find(structure), others), verdicts)
        outdated += judged.outdated()
        source, mask = _choose(judged, references, order)
        if mask is None:
            chosen.append(FeatureMask(structure, "none", "none", ""))
            continue
        masks.append(mask)
        chosen.append(FeatureMask(structure, source, mask.origin, mask.source, _touches(mask, references)))
    return Reviewed(FeatureMasks((*masks, *others)), tuple(chosen), _flags(automatic, outdated))


def _judged(
    structure: str, references: ReferenceMasks, automatic: AutomaticMasks, found: Mask | None, verdicts: Verdicts
) -> Judged:
    """What was said of a structure; every mask of the two stages lies on the grid of the case's images."""
    seen = automatic.find(structure)
    grid = next((mask.grid for mask in (*automatic.masks, *references.masks)), None)
    return Judged(found, "" if seen is None else mask_key(seen), verdicts, structure, grid)


def _choose(judged: Judged, references: ReferenceMasks, order: Masks) -> tuple[str, Mask | None]:
    options = {
        "adjudicated": judged.adjudicated(),
        "reviewed": judged.reviewed(order.disagreement),
        "reference": references.find(judged.structure),
        "automatic": judged.found,
    }
    for source in order.feature_mask_order:
        mask = options.get(source)
        if mask is not None:
            return source, mask
    return "none", None


def _flags(automatic: AutomaticMasks, outdated: int) -> tuple[Flag, ...]:
    tumour = automatic.find("tumour")
    pieces = 0 if tumour is None else component_count(tumour.voxels)
    flags = []
    if pieces >= 2:
        text = f"The automatic tumour has {pieces} pieces; features of it are of the largest alone."
        flags.append(Flag("review", "several_components", text, "Look at the case in review."))
    if outdated:
        text = f"{outdated} signed mask(s) are of other images or of an earlier automatic mask, and are not measured."
        flags.append(Flag("review", "outdated_mask", text, "Judge the case again in review."))
    return tuple(flags)


def _index_lesion(mask: Mask | None, others: list[Mask]) -> Mask | None:
    """The largest component of an automatic tumour: satellites and false positives are never fed to features."""
    if mask is None or mask.structure != "tumour":
        return mask
    voxels = mask.voxels
    for other in others:
        voxels = voxels & ~other.voxels
    return replace(mask, voxels=largest_components(voxels))


def _other_lesions(references: ReferenceMasks) -> list[Mask]:
    """Outlined lesions but the index lesion; what two outlines share belongs to the index lesion."""
    index = references.find("tumour")
    others = [mask for mask in references.masks if mask.structure == "tumour" and mask.lesion > 0]
    return others if index is None else [replace(m, voxels=m.voxels & ~index.voxels) for m in others]


def _touches(mask: Mask, references: ReferenceMasks) -> bool | None:
    """Whether a tumour shares a voxel with the outlined index lesion; None where either is not there."""
    index = references.find("tumour")
    if mask.structure != "tumour" or index is None or not index.voxels.any() or not mask.voxels.any():
        return None
    return bool((mask.voxels & index.voxels).any())
