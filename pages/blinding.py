"""What a reader who reads blinded must not meet elsewhere: the cases of his orders until he has signed them."""

from __future__ import annotations

from pathlib import Path

from engine.review.reading_list import kept_order, signed_readings
from engine.run.drawing import BLIND
from pages.reader import current_reader
from store.queries.agreement import review_cases
from store.queries.reviews import ReviewState, readers_with_orders, review_state, stored_order
from store.snapshot import Snapshot


def still_blind(study: Path, snapshot: Snapshot, run_id: str, state: ReviewState, reader: str) -> frozenset[str]:
    """Cases of the run that a reader has yet to read in a reader study or to contour on a blank canvas."""
    cases = [case.case_id for case in review_cases(snapshot, run_id)]
    waiting = set()
    for mode in BLIND:
        order = kept_order(stored_order(study, reader, mode), cases)
        waiting |= set(order) - signed_readings(state.verdicts, reader, mode)
    return frozenset(case for case, _ in waiting)


def blind_cases(study: Path, snapshot: Snapshot, run_id: str) -> frozenset[str]:
    """Cases that whoever looks has yet to read blinded; where nobody has said who looks, those of all readers."""
    reader, state = current_reader(), review_state(study)
    looking = readers_with_orders(study) if reader is None else (reader.name,)
    return frozenset().union(*(still_blind(study, snapshot, run_id, state, name) for name in looking))
