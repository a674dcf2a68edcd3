"""How readers' masks differ from the automatic one, from the reference and from each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.geometry import same_grid
from engine.measure.agreement import compare
from engine.protocol import Agreement
from store.records import ReaderOverlap, Verdict
from store.reviews import BLANK_CANVAS, readers_words
from store.sources import Verdicts
from store.volumes import AutomaticMasks, Grid, Mask, ReferenceMasks, mask_key

TUMOUR = "tumour"
AGREEMENT, EDIT_DISTANCE, READERS = "agreement", "edit_distance", "readers"


@dataclass(frozen=True, slots=True)
class ReadersCompared:
    """Rows of one case, none where no reader left a mask."""

    overlaps: tuple[ReaderOverlap, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReadersMask:
    """The mask of one reader: accepted or corrected (drawn over the automatic one), or drawn on a blank canvas.

    independent: he drew it before he knew the automatic one.
    """

    reader: str
    name: str
    mask: Mask
    independent: bool


def compare_readers(
    references: ReferenceMasks, automatic: AutomaticMasks, verdicts: Verdicts, rules: Agreement
) -> ReadersCompared:
    """Every reader's tumour against the automatic one, the reference and every other reader of the same kind.

    A reader who accepted the automatic mask has that mask; one who wanted a change and drew none has no mask. Rows of
    masks drawn over the automatic one are edit distances, and so are contours of a blank canvas by who had judged the
    automatic mask of the case before; only the other contours are agreement with it. The
    reference is one more reader. What was drawn on other images of the case (another grid) is left out; the stage
    *review* flags it.
    """
    predicted, reference = automatic.find(TUMOUR), references.find(TUMOUR)
    grid = next((mask.grid for mask in (*automatic.masks, *references.masks)), None)
    theirs = tuple(readers_masks(verdicts, predicted, grid))
    rows = []
    for one in theirs:
        if predicted is not None:
            rows.append(_row(one, predicted, predicted.source, AGREEMENT if one.independent else EDIT_DISTANCE, rules))
        if reference is not None and reference.origin == "independent":
            drawn = ReadersMask(reference.source, reference.source, reference, True)
            rows.append(_row(drawn, one.mask, one.name, READERS, rules))
    for one, other in combinations(theirs, 2):
        if one.reader != other.reader and one.independent == other.independent:
            rows.append(_row(one, other.mask, other.name, READERS, rules))
    return ReadersCompared(tuple(row for row in rows if row is not None))


def readers_masks(verdicts: Verdicts, predicted: Mask | None, grid: Grid | None) -> Iterator[ReadersMask]:
    """The last mask of each reader on a grid, by name, those over the automatic mask before those of a blank canvas.

    Of a blank canvas the first that he signed, where it is independent: before he amended it he may have looked at the
    automatic mask. What he contoured on other images of the case is neither the first nor the last.
    """
    seen = "" if predicted is None else mask_key(predicted)
    words = [v for v in readers_words(verdicts.rows, TUMOUR) if v.mask_key == seen]
    for verdict in sorted(words, key=lambda v: v.reader):
        drawn = _drawn_on(grid, verdicts, verdict)
        if drawn is not None:
            yield ReadersMask(verdict.reader, verdict.reader, drawn, False)
        elif verdict.judgement == "none" and predicted is not None:
            yield ReadersMask(verdict.reader, verdict.reader, predicted, False)
    contoured = [v for v in verdicts.rows if v.mode == BLANK_CANVAS and v.structure == TUMOUR]
    here = [(v, drawn) for v in contoured if (drawn := _drawn_on(grid, verdicts, v)) is not None]
    last = {v.reader: drawn for v, drawn in here}
    first = {v.reader: (v, drawn) for v, drawn in reversed(here)}
    for reader, (verdict, drawn) in sorted(first.items()):
        unseen = not _judged_before(verdicts.rows, verdict)
        yield ReadersMask(reader, f"{reader}, {BLANK_CANVAS}", drawn if unseen else last[reader], unseen)


def _drawn_on(grid: Grid | None, verdicts: Verdicts, verdict: Verdict) -> Mask | None:
    """What was drawn with a verdict, where it lies on the grid; any grid where the case has none."""
    drawn = verdicts.mask(verdict.drawn_key)
    return drawn if drawn is None or grid is None or same_grid(drawn.grid, grid) else None


def _judged_before(rows: Sequence[Verdict], contour: Verdict) -> bool:
    """Whether who contoured had judged an automatic mask of the case by then; rows in order of signing."""
    return any(v.reader == contour.reader and v.mask_key for v in rows[: rows.index(contour)])


def _row(one: ReadersMask, other: Mask, name: str, comparison: str, rules: Agreement) -> ReaderOverlap | None:
    found = compare(one.mask, other, rules)
    if found is None:
        return None
    row = found.overlap
    cells = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return ReaderOverlap(**(cells | {"from_source": one.name, "to_source": name, "comparison": comparison}))
