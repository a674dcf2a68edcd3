"""What a reader who reads blinded must not meet elsewhere: the cases of his orders, and what would tell of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from engine.review.reading_list import kept_order, signed_readings
from pages.reader import current_reader
from store.queries.agreement import ReviewCase, review_cases
from store.queries.reviews import ReviewState, readers_with_orders, review_state, segmentations, stored_order
from store.reviews import BLANK_CANVAS, READER_STUDY
from store.snapshot import Snapshot

Place = tuple[str, int]
OPENED = "opened-though-blind"
CLOSED = (
    "This case stays closed here until you have finished your reader study and your blank canvas of this case: go on "
    "there first (*Mode*). Opened here it drops out of the blank canvas, and once you have signed it here, what you "
    "say of it in the reader study counts for no agreement, neither between readers nor with yourself."
)


def readable(study: Path, run_id: str, mode: str, cases: Sequence[ReviewCase]) -> list[str]:
    """The cases that can be read in a mode: to be judged a model must have segmented a case, to be contoured none."""
    if mode == BLANK_CANVAS:
        return [case.case_id for case in cases]
    made = segmentations(study, run_id)
    return [case.case_id for case in cases if case.segmented and case.case_id in made]


def waiting(
    study: Path, snapshot: Snapshot, run_id: str, state: ReviewState, reader: str, mode: str
) -> frozenset[Place]:
    """Readings of a reader's stored order of a mode that are not signed and can be read, in whichever run."""
    cases = [replace(case, segmented=case.segmented_in_any_run) for case in review_cases(snapshot, run_id)]
    order = kept_order(stored_order(study, reader, mode), readable(study, run_id, mode, cases))
    return frozenset(order) - signed_readings(state.verdicts, reader, mode)


def still_blind(study: Path, snapshot: Snapshot, run_id: str, state: ReviewState, reader: str) -> frozenset[str]:
    """Cases of the run that a reader has yet to judge in a reader study or to contour on a blank canvas.

    While a case waits to be judged again, all of his reader study: the ones read once would tell which come again.
    """
    canvas, judging = (waiting(study, snapshot, run_id, state, reader, mode) for mode in (BLANK_CANVAS, READER_STUDY))
    if any(reading > 1 for _, reading in judging):
        judging |= frozenset(stored_order(study, reader, READER_STUDY))
    return frozenset(case for case, _ in canvas | judging)


def blind_cases(study: Path, snapshot: Snapshot, run_id: str) -> frozenset[str]:
    """Cases to which whoever looks is still blind; where nobody has said who looks, those of all readers."""
    reader, state = current_reader(), review_state(study)
    looking = readers_with_orders(study) if reader is None else (reader.name,)
    return frozenset().union(*(still_blind(study, snapshot, run_id, state, name) for name in looking))


def closed_cases(study: Path, snapshot: Snapshot, run_id: str, state: ReviewState, reader: str) -> frozenset[str]:
    """Cases to which a reader is still blind, without those that he opened in the work list all the same."""
    opened = st.session_state.setdefault(OPENED, set())
    closed = still_blind(study, snapshot, run_id, state, reader)
    return frozenset(case for case in closed if (reader, case) not in opened)


def places_of_open(cases: tuple[ReviewCase, ...], closed: frozenset[str]) -> tuple[ReviewCase, ...]:
    """The cases with their places among those that are open: a place left out would tell how doubtful a closed one is.

    Unchanged where none is closed.
    """
    place = itertools.count(1)
    open_now = {case.case_id: next(place) for case in cases if case.place is not None and case.case_id not in closed}
    return tuple(replace(case, place=open_now.get(case.case_id)) for case in cases) if closed else cases


def say_closed(reader: str, case_id: str) -> None:
    """Why a case stays closed in the work list, and a way in."""
    st.info(CLOSED)
    opened = st.session_state[OPENED]
    st.button("Open it all the same", key="open-blind", on_click=opened.add, args=((reader, case_id),))
