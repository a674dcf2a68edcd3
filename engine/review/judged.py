"""What readers made of one automatic mask: accepted, corrected, or nothing that could stand downstream."""

from __future__ import annotations

from dataclasses import dataclass, replace

from store.records import Verdict
from store.reviews import ADJUDICATOR, readers_words
from store.sources import Verdicts
from store.volumes import Mask

ACCEPTING = "none"


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The automatic mask of one structure as it would be measured, the key of what readers saw, and what they said."""

    found: Mask | None
    seen: str
    verdicts: Verdicts
    structure: str

    def adjudicated(self) -> Mask | None:
        """The mask that the adjudicator's last word names; None without one, or where he left none that could stand."""
        said = [v for v in self.verdicts.rows if v.structure == self.structure and v.role == ADJUDICATOR]
        return self._meant(said[-1]) if said else None

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
        agreed = len(said) == 1 or len({v.drawn_key for v in said}) == 1
        if not corrections or (not agreed and disagreement == "wait"):
            return None
        return self._meant(corrections[-1])

    def _meant(self, verdict: Verdict) -> Mask | None:
        drawn = self.verdicts.mask(verdict.drawn_key)
        if drawn is not None:
            return drawn
        if verdict.judgement != ACCEPTING or verdict.mask_key != self.seen:
            return None
        return None if self.found is None or not self.found.voxels.any() else replace(self.found, origin="accepted")
