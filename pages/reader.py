"""Who reads. Until accounts exist a reader names himself; this file is the one place where identity comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

NAME = re.compile(r"[^\W_][\w .'-]{0,39}")
NAMED_HIMSELF = "named himself"
SESSION_KEY = "reader"
SESSION_COOKIE = "_streamlit_xsrf"
MASKED_COOKIE = re.compile(r"2\|([0-9a-f]{8})\|([0-9a-f]+)\|\d+")


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader as verdicts record him: his name and how it is known."""

    name: str
    identity: str


def current_reader() -> Reader | None:
    """The reader of this session; None until he has said who he is. Accounts will answer here instead."""
    name = st.session_state.get(SESSION_KEY)
    return Reader(str(name), NAMED_HIMSELF) if name else None


def session_of(cookies: Mapping[str, str]) -> str:
    """What tells one browser session from another; empty without the session cookie.

    Streamlit masks the cookie anew with every answer ("2|mask|masked token|time"), so the mask is taken off.
    """
    found = MASKED_COOKIE.fullmatch(str(cookies.get(SESSION_COOKIE, "")).strip("\"'"))
    if found is None:
        return ""
    mask, masked = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    return bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked)).hex()


def require_reader(known: tuple[str, ...]) -> Reader:
    """The reader of this session; where there is none, ask for the name and stop: nothing of a case is shown."""
    reader = current_reader()
    if reader is None:
        _ask(known)
        st.stop()
    st.sidebar.caption(f"Reading as **{reader.name}** ({reader.identity})")
    if st.sidebar.button("Another reader", key="leave", type="tertiary"):
        st.session_state.pop(SESSION_KEY)
        st.rerun()
    return reader


def _ask(known: tuple[str, ...]) -> None:
    st.info("Say who you are to see images and to judge. The name is stored with every verdict and every mask.")
    with st.form("who", border=False, width=420):
        name = st.selectbox(
            "Reader",
            known,
            index=None,
            accept_new_options=True,
            placeholder="Your name, as readers of this study know it",
        )
        if st.form_submit_button("Begin", type="primary"):
            _enter((name or "").strip())


def _enter(name: str) -> None:
    if not NAME.fullmatch(name):
        st.error("A reader's name begins with a letter or a digit and has at most 40 letters, digits, spaces or .'-")
        return
    st.session_state[SESSION_KEY] = name
    st.rerun()
