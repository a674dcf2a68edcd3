"""Who looks at a case: the audit names the reader, also where he says only afterwards who he is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from engine.service import note_images_seen
from pages.reader import current_reader
from store.access import Person

LAST, NAMELESS = "last-look", "looks-without-a-name"


def looker(person: Person) -> Person:
    """Whoever looks, under the name of the reader where that is known."""
    reader = current_reader()
    return person if reader is None else replace(person, name=reader.name)


def note_look(study: Path, person: Person, case_id: str) -> None:
    """Put into the audit who looks at a case, once for each time that it comes on screen."""
    who = looker(person)
    if st.session_state.get(LAST) == (who.name, case_id):
        return
    note_images_seen(study, who, case_id)
    st.session_state[LAST] = (who.name, case_id)
    if current_reader() is None:
        st.session_state.setdefault(NAMELESS, set()).add(case_id)


def claim_looks(study: Path, person: Person) -> None:
    """Put into the audit, for the reader who has now said who he is, the cases that this session showed him before."""
    for case_id in sorted(st.session_state.pop(NAMELESS, ())):
        note_images_seen(study, looker(person), case_id)
