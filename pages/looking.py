"""Who looks at a case: the audit names the reader, also where he says only afterwards who he is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import streamlit as st

from engine.service import note_images_seen
from pages.reader import current_reader
from store.access import Person

LAST, NAMELESS = "last-looks", "looks-without-a-name"


def looker(person: Person) -> Person:
    """Whoever looks, under the name of the reader where that is known."""
    reader = current_reader()
    return person if reader is None else replace(person, name=reader.name)


def note_look(study: Path, person: Person, case_id: str, place: str) -> None:
    """Put into the audit who looks at a case, once for each time that it comes on screen in a place of the app."""
    who = looker(person)
    last: dict[str, tuple[str, str]] = st.session_state.setdefault(LAST, {})
    if last.get(place) == (who.name, case_id):
        return
    note_images_seen(study, who, case_id)
    last[place] = (who.name, case_id)
    remember_looks([case_id])


def remember_looks(case_ids: Iterable[str]) -> None:
    """Where no name is known: whose images this session has shown, for the reader who names himself in it."""
    if current_reader() is None:
        st.session_state.setdefault(NAMELESS, set()).update(case_ids)


def claim_looks(study: Path, person: Person) -> None:
    """Put into the audit, for the reader who has now said who he is, the cases that this session showed him before."""
    unclaimed: set[str] = st.session_state.get(NAMELESS, set())
    for case_id in sorted(unclaimed):
        note_images_seen(study, looker(person), case_id)
        unclaimed.discard(case_id)
        st.session_state.pop(LAST, None)  # whoever looks after him without a name may be another
