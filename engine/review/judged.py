"""What readers made of one automatic mask: accepted, corrected, or nothing that could stand downstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.geometry import same_grid
from store.records import Verdict
from store.reviews import ADJUDICATOR, BLANK_CANVAS, latest_verdicts, readers_words
from store.sources import Verdicts
from store.volumes import Grid, Mask

ACCEPTING = "none"


def names_a_mask(judgement: str, drawn_key: str) -> bool:
    """Whether a word says which mask shall stand: "none" the automatic one, the others only with a drawing."""
    return bool(drawn_key) or judgement == ACCEPTING


def drawings_to_take(rows: Sequence[Verdict], case_id: str, seen: str, reader: str) -> tuple[Verdict, ...]:
    """Last words of others, readers before adjudicators, with a drawing over the automatic tumour of a case as it is.

    Each drawing once: with the word of who signed it first.
    """
    here = [v for v in rows if v.case_id == case_id]
    adjudicators = [v for v in latest_verdicts(here) if v.role == ADJUDICATOR and v.structure == "tumour"]
    found: dict[str, Verdict] = {}
    for word in (*readers_words(here, "tumour"), *adjudicators):
        if word.drawn_key and word.mask_key == seen and word.reader != reader:
            found.setdefault(word.drawn_key, word)
    return tuple(found.values())


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The automatic mask of one structure as it would be measured, the key of what readers saw, and what they said.

    `grid` is that of the case's images as they are now; None where the case has no mask that tells.
    """

    found: Mask | None
    seen: str
    verdicts: Verdicts
    structure: str
    grid: Grid | None = None

    def adjudicated(self) -> Mask | None:
        """The mask that the last adjudication which names one names; None without one, or where it cannot stand now."""
        last = self._adjudication()
        return None if last is None else self._meant(last)

    def reviewed(self, disagreement: str) -> Mask | None:
        """The mask that the readers agree on, else by the rule; None where nobody judged this very mask.

        Repeats of a reader study and blank canvases do not count: neither is a reader's word on what shall stand.
        """
        said = [v for v in readers_words(self.verdicts.rows, self.structure) if v.mask_key == self.seen]
        if not said:
            return None
        if all(v.judgement == ACCEPTING for v in said):
            return self._meant(said[0])
        corrections = [v for v in said if v.drawn_key]
        if not corrections or (not self._agreed(said) and disagreement == "wait"):
            return None
        return self._meant(corrections[-1])

    def outdated(self) -> int:
        """How many last words name a mask of other images, or an adjudication an earlier automatic mask."""
        last = self._adjudication()
        drawn = [v for v in readers_words(self.verdicts.rows, self.structure) if v.drawn_key]
        last_words = latest_verdicts(self.verdicts.rows)
        contours = [v for v in last_words if v.structure == self.structure and v.mode == BLANK_CANVAS]
        said = [*drawn, *contours, *([] if last is None else [last])]
        return sum(not self._is_of_now(v) for v in said)

    def _adjudication(self) -> Verdict | None:
        said = [v for v in self.verdicts.rows if v.structure == self.structure and v.role == ADJUDICATOR]
        return next((v for v in reversed(said) if names_a_mask(v.judgement, v.drawn_key)), None)

    def _agreed(self, said: Sequence[Verdict]) -> bool:
        """Whether every word names the same voxels, whoever drew them."""
        masks = [self.verdicts.mask(v.drawn_key) for v in said]
        first = masks[0]
        return first is not None and all(m is not None and _same_voxels(first, m) for m in masks)

    def _is_of_now(self, verdict: Verdict) -> bool:
        drawn = self.verdicts.mask(verdict.drawn_key)
        if drawn is None:
            return verdict.mask_key == self.seen
        return self.grid is None or same_grid(drawn.grid, self.grid)

    def _meant(self, verdict: Verdict) -> Mask | None:
        if not self._is_of_now(verdict):
            return None
        drawn = self.verdicts.mask(verdict.drawn_key)
        if drawn is not None or verdict.judgement != ACCEPTING:
            return drawn
        return None if self.found is None or not self.found.voxels.any() else replace(self.found, origin="accepted")


def _same_voxels(one: Mask, other: Mask) -> bool:
    return same_grid(one.grid, other.grid) and np.array_equal(one.voxels, other.voxels)
