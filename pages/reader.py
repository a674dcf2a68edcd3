"""Who reads: whoever signed in, or, where the app is open on this computer, who the reader says he is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from pages.gate import signed_in

NAME = re.compile(r"[^\W_][\w .'-]{0,39}")
NAMED_HIMSELF = "named himself"
SESSION_KEY, MODE_KEY = "reader", "mode"


WITHOUT_A_MODE = "Without a choice: the reader study or blank canvas that you have begun, else the work list."


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader as verdicts record him: his name and how it is known."""

    name: str
    identity: str


def current_reader() -> Reader | None:
    """The reader of this session: whoever signed in; where nobody signs in, None until he has said who he is."""
    person = signed_in()
    if person is not None:
        return Reader(person.name, person.how)
    name = st.session_state.get(SESSION_KEY)
    return Reader(str(name), NAMED_HIMSELF) if name else None


def require_reader(known: frozenset[str], simulated: frozenset[str], modes: Mapping[str, str]) -> Reader:
    """The reader of this session; where there is none, ask for the name and stop: nothing of a case is shown.

    He may say at once in which mode (mode -> title) he begins: who contours unseen must meet no outline before. Names
    of simulated readers are not offered, and who bears one is refused: their verdicts are not his to change.
    """
    reader = current_reader()
    if reader is None:
        _ask(tuple(sorted(known - simulated)), simulated, modes)
        st.stop()
    st.sidebar.caption(f"Reading as **{reader.name}** ({reader.identity})")
    if reader.identity == NAMED_HIMSELF and st.sidebar.button("Another reader", key="leave", type="tertiary"):
        for key in (SESSION_KEY, MODE_KEY):
            st.session_state.pop(key, None)
        st.query_params.pop("case", None)  # the next one may be blind to it
        st.rerun()
    if reader.name in simulated:
        st.error(_taken(reader.name))
        st.stop()
    return reader


def _ask(known: tuple[str, ...], simulated: frozenset[str], modes: Mapping[str, str]) -> None:
    st.info("Say who you are to see images and to judge. The name is stored with every verdict and every mask.")
    with st.form("who", border=False, width=420):
        name = st.selectbox(
            "Reader",
            known,
            index=None,
            accept_new_options=True,
            placeholder="Your name, as readers of this study know it",
        )
        mode = st.radio("Begin with", modes, None, modes.__getitem__, horizontal=True)
        st.caption(WITHOUT_A_MODE)
        if st.form_submit_button("Begin", type="primary"):
            _enter((name or "").strip(), simulated, mode)


def _enter(name: str, simulated: frozenset[str], mode: str | None) -> None:
    fault = name_fault(Reader(name, NAMED_HIMSELF), simulated)
    if fault:
        st.error(fault)
        return
    st.session_state[SESSION_KEY] = name
    if mode:
        st.session_state[MODE_KEY] = mode
    st.rerun()


def name_fault(reader: Reader, simulated: frozenset[str]) -> str:
    """Why nobody may judge under a reader's name, in words; empty where he may. A sign-in may give any name."""
    if reader.identity == NAMED_HIMSELF and not NAME.fullmatch(reader.name):
        return "A reader's name begins with a letter or a digit and has at most 40 letters, digits, spaces or .'-"
    return _taken(reader.name) if reader.name in simulated else ""


def _taken(name: str) -> str:
    return f"{name} is a simulated reader of this study, whose verdicts nobody can change. Choose another name."
