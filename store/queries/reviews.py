"""What review pages read at once from the ledger: verdicts, drafts, versions, orders; never behind a publication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from store.reading_orders import order_now, words_shown
from store.records import DrawnMask, Verdict
from store.reviews import Draft, Reading, draft_of, drawn_masks, is_begun, open_ledger


@dataclass(frozen=True, slots=True)
class ReviewState:
    """All signed verdicts and drawn versions of a study, in the order of signing and saving.

    shown: (reader, case, mask key or EVERY_MASK) -> since when he knows what others said of it, from an adjudication
    or a consensus.
    """

    verdicts: tuple[Verdict, ...]
    drawn: tuple[DrawnMask, ...]
    shown: Mapping[tuple[str, str, str], str]

    def version(self, drawn_key: str) -> DrawnMask | None:
        """The latest saved version with a key, None for the empty key."""
        return next((mask for mask in reversed(self.drawn) if mask.drawn_key == drawn_key), None)


def review_state(study: Path) -> ReviewState:
    """Everything signed and saved so far."""
    with open_ledger(study) as ledger:
        return ReviewState(ledger.verdicts(), drawn_masks(ledger), words_shown(ledger))


def read_draft(study: Path, reading: Reading) -> Draft:
    """What a reader has said of a reading and not signed."""
    with open_ledger(study) as ledger:
        return draft_of(ledger, reading)


def change_begun(study: Path, reading: Reading) -> bool:
    """Whether the reader has begun to change what he signed, in whatever tab or session."""
    with open_ledger(study) as ledger:
        return is_begun(ledger, reading)


def readers_with_orders(study: Path) -> tuple[str, ...]:
    """Who has begun a reader study or a blank canvas, by name."""
    with open_ledger(study) as ledger:
        return tuple(str(row[0]) for row in ledger.rows("SELECT DISTINCT reader FROM reading_place ORDER BY reader"))


def stored_order(study: Path, reader: str, mode: str) -> tuple[tuple[str, int], ...]:
    """A reader's stored order of a mode as it is now, empty where none was drawn."""
    with open_ledger(study) as ledger:
        return order_now(ledger, reader, mode)


def segmentations(study: Path, run_id: str) -> dict[str, str]:
    """Case -> key of its segmentation in a run, where it is done: another key may be another mask."""
    with open_ledger(study) as ledger:
        return {case: key for case, key, state in ledger.placed(run_id, "segment") if state == "done"}
