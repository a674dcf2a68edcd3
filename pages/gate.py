"""Who may see a page. Every page asks for itself; roles come from the study's accounts on every rerun.

COHORTSCOPE_SIGN_IN says how people sign in: `oidc` (Streamlit's st.login), `proxy` (a header that a reverse proxy
sets, trusted only together with a secret that only it knows), or nothing: open, on this computer only.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.review.grants import session_digest
from pages.sessions import session_of
from store.access import SIGNED_IN, Person, allowed, role_of

V = TypeVar("V")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")
FIRST_ACTION = "view study"
STUDY_VARIABLE = "COHORTSCOPE_STUDY"
SIGN_IN_VARIABLE = "COHORTSCOPE_SIGN_IN"
HOURS_VARIABLE, DEFAULT_HOURS = "COHORTSCOPE_SESSION_HOURS", 12.0
PROXY_SECRET_VARIABLE = "COHORTSCOPE_PROXY_SECRET"
PROXY_USER_HEADER, PROXY_SECRET_HEADER = "X-Forwarded-User", "X-Cohortscope-Proxy"
SHORTEST_SECRET = 16
OPEN = Person("this computer", "administrator", "open on this computer")
SECONDS_AN_HOUR = 3600
MOST_SESSIONS = 10_000
CLOSE_SECONDS = 5
# Who is behind a session of Streamlit, and behind a browser's cookie, and until when: told when the gate let him in; of
# many the oldest is forgotten first.
VISITORS: dict[str, tuple[str, float]] = {}
BROWSERS: dict[str, tuple[str, float]] = {}
# When somebody signed out on a browser: Streamlit forgets him in one tab only, we in all.
SIGNED_OUT: dict[str, float] = {}
# When a proxy first named somebody on a browser, or he began anew: a proxy says who it is, not since when.
PROXY_SESSIONS: dict[str, float] = {}


def study_folder() -> Path | None:
    """The study folder named by the environment, None when there is none."""
    named = os.environ.get(STUDY_VARIABLE, "")
    return Path(named).resolve() if named and Path(named).is_dir() else None


def admit(action: str = FIRST_ACTION) -> Person:
    """The visitor of a page that needs an action; stops the page unless he may do it. Every page calls this first."""
    way = os.environ.get(SIGN_IN_VARIABLE, "")
    ways = {"": _open_person, "oidc": _oidc_person, "proxy": _proxy_person}
    if way not in ways:
        st.error(f"{SIGN_IN_VARIABLE} must be oidc, proxy or empty.")
        st.stop()
    person = ways[way]()
    if not allowed(person, action):
        what = "no role in this study" if not person.role else f"the role {person.role}, which may not: {action}"
        st.error(f"Signed in as {person.name}, with {what}. An administrator gives roles.")
        if action == FIRST_ACTION:  # else the entry has drawn it
            _leave_button(way)
        st.stop()
    _remember_visitor(person)
    return person


def visitor_line(person: Person) -> None:
    """Who signed in and the way out, in the sidebar; drawn once, by the entry: a key may stand on a page once."""
    way = os.environ.get(SIGN_IN_VARIABLE, "")
    if way:
        st.sidebar.caption(f"{person.name} · {person.role}")
        _leave_button(way)


def signed_in() -> Person | None:
    """The visitor where people sign in and he may judge; None where the app is open on this computer."""
    return admit_quietly() if os.environ.get(SIGN_IN_VARIABLE, "") else None


def admit_quietly() -> Person:
    """The visitor once `admit` has let him in, without its words in the sidebar."""
    return _oidc_person() if os.environ.get(SIGN_IN_VARIABLE, "") == "oidc" else _proxy_person()


def bearer(study: Path, name: str) -> Person:
    """Whoever a token names, with the role he has now: a role taken away ends the token too."""
    role = role_of(study, name) if os.environ.get(SIGN_IN_VARIABLE, "") else OPEN.role
    return Person(name, role, "token")


def still_may(study: Path, name: str, action: str) -> bool:
    """Whether somebody may still do something, with the role he has now."""
    return may(bearer(study, name), action)


def may_send_files(session_id: str) -> bool:
    """Whether a session of Streamlit belongs to somebody who may upload a mask, images or a table."""
    study, (name, ends_at) = study_folder(), VISITORS.get(session_id, ("", 0.0))
    return study is not None and time.time() < ends_at and still_may(study, name, "draw")


def may_see_media(cookies: Mapping[str, str]) -> bool:
    """Whether a browser may fetch pictures and files that pages made: only while somebody is signed in on it."""
    if not os.environ.get(SIGN_IN_VARIABLE, ""):
        return True
    study, browser = study_folder(), session_of(cookies)
    name, ends_at = BROWSERS.get(session_digest(browser), ("", 0.0))
    return bool(study and browser and time.time() < ends_at) and still_may(study, name, FIRST_ACTION)


def _remember_visitor(person: Person) -> None:
    context = get_script_run_ctx()
    if context is None:
        return
    until = (person.name, session_ends_at())
    _remember(VISITORS, context.session_id, until)
    browser = session_of(st.context.cookies)
    if browser:
        _remember(BROWSERS, session_digest(browser), until)


def _remember(known: dict[str, V], session: str, value: V) -> None:
    known.pop(session, None)
    known[session] = value
    while len(known) > MOST_SESSIONS:
        known.pop(next(iter(known)), None)


@st.fragment(run_every=CLOSE_SECONDS)
def close_when_over(study: Path, person: Person, action: str = FIRST_ACTION) -> None:
    """Close a page that is open once the visitor may no longer see it."""
    if not stays(study, person, action):
        st.rerun(scope="app")


def stays(study: Path, person: Person, action: str) -> bool:
    """Whether a page that is open may stay so: the role stands, and the session has not ended."""
    ended = person.how in SIGNED_IN and _too_old()
    left = person.how == "OpenID Connect" and _left()
    return not ended and not left and still_may(study, person.name, action)


def may(person: Person, action: str) -> bool:
    """Whether a control is worth showing; the action itself asks again."""
    return allowed(person, action)


def _open_person() -> Person:
    if not _local_only():
        st.error(
            "This installation has no sign-in, so it answers on this computer only. "
            "Start it with `--server.address 127.0.0.1` and without a proxy in front."
        )
        st.stop()
    return OPEN


def _local_only() -> bool:
    """The server listens on loopback and nobody forwards requests from elsewhere."""
    forwarded = any(header(name) for name in FORWARDED)
    return st.get_option("server.address") in LOOPBACK and not forwarded


def _oidc_person() -> Person:
    if not st.user.is_logged_in:
        st.title("Cohortscope", anchor=False)
        st.write("Sign in with your institution's account to see this study.")
        if st.button("Sign in", type="primary", key="sign-in"):
            st.login()
        st.stop()
    if _too_old() or _left():
        st.logout()
        st.stop()
    # Providers that do not say so may let their users choose the address.
    verified = st.user.get("email") if st.user.get("email_verified") in (True, "true") else None
    return _person(str(verified or st.user.get("sub") or ""), "OpenID Connect")


def _too_old() -> bool:
    """Whether the session outlived its hours."""
    return time.time() > session_ends_at()


def _left() -> bool:
    """Whether somebody signed out on this browser, in whatever tab, after the provider issued the identity."""
    return float(st.user.get("iat") or 0) < int(signed_out_at(session_digest(session_of(st.context.cookies))))


def signed_out_at(browser: str) -> float:
    """When somebody last signed out on a browser (a digest of its cookie), 0 where nobody did."""
    return SIGNED_OUT.get(browser, 0.0)


def session_ends_at() -> float:
    """When what a page gives out must end: hours after the provider issued the identity, or after a proxy first named
    the visitor on this browser; hours from now where nobody signs in."""
    lasting, way = session_hours() * SECONDS_AN_HOUR, os.environ.get(SIGN_IN_VARIABLE, "")
    if way == "oidc":
        return float(st.user.get("iat") or 0) + lasting
    return (_proxy_began_at() if way == "proxy" else time.time()) + lasting


def session_hours() -> float:
    """How long a session lasts."""
    return float(os.environ.get(HOURS_VARIABLE) or DEFAULT_HOURS)


def _proxy_began_at() -> float:
    session = _proxy_session()
    if session not in PROXY_SESSIONS:
        _remember(PROXY_SESSIONS, session, time.time())
    return PROXY_SESSIONS[session]


def _proxy_session() -> str:
    """What tells one person on one browser from others, behind a proxy."""
    return f"{session_digest(session_of(st.context.cookies))} {header(PROXY_USER_HEADER).strip().lower()}"


def header(name: str) -> str:
    """A header of the visitor's request, empty where there is none."""
    return st.context.headers.get(name) or ""


def _proxy_person() -> Person:
    secret = os.environ.get(PROXY_SECRET_VARIABLE, "")
    given, name = header(PROXY_SECRET_HEADER), header(PROXY_USER_HEADER)
    if len(secret) < SHORTEST_SECRET or not hmac.compare_digest(given.encode(), secret.encode()) or not name:
        st.error("Sign in through the proxy of your institution.")
        st.stop()
    if _too_old():
        st.title("Cohortscope", anchor=False)
        st.write(f"This session has ended after {session_hours():g} hours.")
        st.button("Begin a new session", type="primary", key="begin-session", on_click=_begin_anew)
        st.stop()
    return _person(name, "proxy")


def _begin_anew() -> None:
    PROXY_SESSIONS.pop(_proxy_session(), None)


def _person(name: str, how: str) -> Person:
    study = study_folder()
    return Person(name.strip().lower(), role_of(study, name) if study and name.strip() else "", how)


def _leave_button(way: str) -> None:
    if way == "oidc" and st.sidebar.button("Sign out", key="sign-out", type="tertiary"):
        _forget_browser(session_digest(session_of(st.context.cookies)))
        st.logout()


def _forget_browser(browser: str) -> None:
    """End what was given out to a browser: media, tokens for images, uploads of whoever sat there."""
    name, _ = BROWSERS.pop(browser, ("", 0.0))
    _remember(SIGNED_OUT, browser, time.time())
    for session in [one for one, (who, _) in VISITORS.items() if who == name]:
        VISITORS.pop(session, None)
