"""Which outlines of a case a reader may see in a mode, and their masks; what is hidden never leaves the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.run.review_ring import ring_of_the_judged
from store.layout import StudyFolder
from store.queries.images import AUTOMATIC, REFERENCE, REGIONS, load_doubt, load_masks
from store.records import Verdict
from store.reviews import ADJUDICATION, BLANK_CANVAS, READER_STUDY, load_drawn, readers_words
from store.volumes import Mask, MaskSet

TUMOUR, LUNGS = "tumour", ("lung_left", "lung_right")
YOURS = "yours"
MEASURED = "measured ring"
FIRST_READER, SECOND_READER = "reader A", "reader B"


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One outline on screen: its name among the colours, its title, its masks on any grid."""

    name: str
    title: str
    masks: tuple[Mask, ...]


def visible_layers(mode: str, signed: bool) -> tuple[str, ...]:
    """Names of the layers of a mode, in drawing order: a blank canvas shows no tumour, a study no other reader, and
    neither what the model was unsure of. Nor does a blank canvas show the automatic lungs: they end at the tumour.
    Where the reference is hidden its lungs are too, for they may end at its tumour.

    What others drew is shown in the work list once the reader has signed; adjudicators see all. The ring that is
    measured goes around what stands downstream, so until then it is the ring around the outline that is judged.
    """
    if mode == BLANK_CANVAS:
        return (YOURS,)
    if mode == READER_STUDY:
        return ("lungs", "peritumoural", "automatic", YOURS)
    if signed or mode == ADJUDICATION:
        return ("lungs", MEASURED, "reference", "automatic", "doubt", FIRST_READER, SECOND_READER, YOURS)
    return ("lungs", "peritumoural", "reference", "automatic", "doubt", YOURS)


def shown_first(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """Names of the layers that are on when a case opens; the reference only where there is nothing to judge."""
    automatic = any(mask.voxels.any() for layer in layers if layer.name == "automatic" for mask in layer.masks)
    on = ("lungs", "peritumoural", MEASURED, "automatic" if automatic else "reference", YOURS)
    return tuple(layer.name for layer in layers if layer.name in on)


def case_layers(
    study: Path, run_id: str, case_id: str, names: tuple[str, ...], drawn_key: str, others: tuple[str, ...]
) -> tuple[Layer, ...]:
    """The named layers of a case, in order; drawn_key is the reader's own mask, others are those of other readers.

    There is no layer of doubt where the run stored none.
    """
    reference = load_masks(study, run_id, case_id, REFERENCE)
    automatic = load_masks(study, run_id, case_id, AUTOMATIC)
    seen = reference if "reference" in names else MaskSet(())
    ring = ring_of_the_judged(study, run_id, seen, automatic) if "peritumoural" in names else ()
    measured = load_masks(study, run_id, case_id, REGIONS).masks if MEASURED in names else ()
    mine = (load_drawn(StudyFolder(study), drawn_key),) if drawn_key else ()
    theirs = [load_drawn(StudyFolder(study), key) for key in others]
    found = {
        "lungs": Layer("lungs", "Lungs", _of(LUNGS, (*seen.masks, *automatic.masks))),
        "peritumoural": Layer("peritumoural", "Peritumoural ring", ring),
        MEASURED: Layer(MEASURED, "Ring that is measured", _of(("peritumoural",), measured)),
        "reference": Layer("reference", "Reference", _of((TUMOUR,), reference.masks)),
        "automatic": Layer("automatic", "Automatic", _of((TUMOUR,), automatic.masks)),
        YOURS: Layer(YOURS, "Yours", mine),
    }
    doubt = load_doubt(study, run_id, case_id).masks if "doubt" in names else ()
    if doubt:
        found["doubt"] = Layer("doubt", "Doubt", doubt)
    for name, mask in zip((FIRST_READER, SECOND_READER), theirs, strict=False):
        found[name] = Layer(name, mask.source, (mask,))
    return tuple(found[name] for name in names if name in found)


def others_words(verdicts: tuple[Verdict, ...], case_id: str, reader: str) -> tuple[Verdict, ...]:
    """The last words of the other readers on a case, by name; not of simulated ones, who saw no mask."""
    mine = [v for v in verdicts if v.case_id == case_id and (v.mask_key or v.drawn_key)]
    return tuple(sorted((v for v in readers_words(mine, TUMOUR) if v.reader != reader), key=lambda v: v.reader))


def _of(structures: tuple[str, ...], masks: tuple[Mask, ...]) -> tuple[Mask, ...]:
    """The first mask of each structure and lesion."""
    found: dict[tuple[str, int], Mask] = {}
    for mask in masks:
        if mask.structure in structures:
            found.setdefault((mask.structure, mask.lesion), mask)
    return tuple(found.values())
