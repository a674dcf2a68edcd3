"""Whether verdicts and drawn masks are in the numbers yet, what it would take, and the one click that does it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import streamlit as st

from engine.present.wording.review import stale_sentence
from engine.protocol import PROTOCOL_FILE
from engine.run.foresee import foresee
from engine.service import bring_up_to_date
from pages.frame import run_by_itself
from store.access import Person
from store.foresight import Foreseen, reviewed_until, run_standing
from store.ledger import running
from store.queries.reviews import ReviewState

REFRESH_SECONDS = 3


def foreseen(study: Path) -> Foreseen:
    """What a run would compute; known anew when anything it depends on has changed. ValueError from the choices."""
    text = (study / PROTOCOL_FILE).read_text(encoding="utf-8")
    return _foreseen(study, (hashlib.sha256(text.encode()).hexdigest(), *run_standing(study)))


@st.cache_data(max_entries=4, show_spinner="Comparing keys")
def _foreseen(study: Path, standing: tuple[str, ...]) -> Foreseen:
    del standing
    return foresee(study)


def stale(study: Path, person: Person, state: ReviewState) -> None:
    """Say what is not in the numbers yet, and offer to bring it up to date; nothing where all is."""
    if running(study):
        _waiting(study)
        return
    chosen = reviewed_until(study)
    if not any(verdict.signed_at > chosen for verdict in state.verdicts):
        return
    try:
        found = foreseen(study)
    except ValueError as error:
        st.warning(f"What would be recomputed cannot be said: {error}")
        return
    if not found.tasks:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(stale_sentence(found.of_cases, len(found.cases), found.of_cohort, found.seconds))
        if st.button("Bring up to date", key="bring-up-to-date"):
            _start(study, person)


def _start(study: Path, person: Person) -> None:
    try:
        bring_up_to_date(study, person)
    except (RuntimeError, ValueError) as error:
        st.error(str(error))
        return
    st.session_state["was-running"] = True
    st.rerun()


@st.fragment(run_every=REFRESH_SECONDS)
def _waiting(study: Path) -> None:
    """A line while a run goes on; the page runs again when it is over."""
    if running(study):
        st.markdown(":blue-badge[Running] The numbers are being brought up to date; see **Runs**.")
    else:
        run_by_itself()
