"""Who may see a page. Every page asks for itself; roles come from the study's accounts on every rerun.

COHORTSCOPE_SIGN_IN says how people sign in: `oidc` (Streamlit's st.login), `proxy` (a header that a reverse proxy
sets, trusted only together with a secret that only it knows), or nothing: open, on this computer only.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.review.grants import session_digest
from pages.sessions import note_sign_out, session_of, sign_out_of
from store.access import SIGNED_IN, Person, allowed, role_of

V = TypeVar("V")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FORWARDED = (  # by these proxies say that they pass on what somebody else asked
    "Via",
    "Forwarded",
    "X-Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-User",
    "X-Real-Ip",
    "X-Client-Ip",
    "True-Client-Ip",
    "CF-Connecting-IP",
    "Fastly-Client-Ip",
)
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
IN_A_SIGN_IN = ("iss", "sub", "iat", "nonce")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whom the gate let in, until when, and by which sign-in (a digest of its identity; empty behind a proxy)."""

    name: str
    ends_at: float
    sign_in: str


NOBODY = Visitor("", 0.0, "")
# Who is behind a session of Streamlit, and behind a browser's cookie: told when the gate let him in; of many the oldest
# is forgotten first.
VISITORS: dict[str, Visitor] = {}
BROWSERS: dict[str, Visitor] = {}
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
    study, visitor = study_folder(), VISITORS.get(session_id, NOBODY)
    return study is not None and time.time() < visitor.ends_at and still_may(study, visitor.name, "draw")


def may_see_media(cookies: Mapping[str, str]) -> bool:
    """Whether a browser may fetch pictures and files that pages made: only while somebody is signed in on it."""
    if not os.environ.get(SIGN_IN_VARIABLE, ""):
        return True
    study, browser = study_folder(), session_of(cookies)
    visitor = BROWSERS.get(session_digest(browser), NOBODY)
    return bool(study and browser and time.time() < visitor.ends_at) and still_may(study, visitor.name, FIRST_ACTION)


def _remember_visitor(person: Person) -> None:
    context = get_script_run_ctx()
    if context is None:
        return
    visitor = Visitor(person.name, session_ends_at(), _sign_in())
    _remember(VISITORS, context.session_id, visitor)
    browser = session_of(st.context.cookies)
    if browser:
        _remember(BROWSERS, session_digest(browser), visitor)


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
    """The server listens on loopback, and the request neither says that it was forwarded nor names another computer."""
    forwarded = any(header(name) for name in FORWARDED)
    own = all(_is_loopback(header(name)) for name in ("Host", "Origin"))
    return st.get_option("server.address") in LOOPBACK and own and not forwarded


def _is_loopback(address: str) -> bool:
    """Whether a Host or an Origin names this computer; one that was not sent does."""
    try:
        return not address or urlsplit(address if "//" in address else f"//{address}").hostname in LOOPBACK
    except ValueError:
        return False


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
    """Whether this sign-in was signed out, on whatever browser, or somebody signed out on this one after it began."""
    browser = session_digest(session_of(st.context.cookies))
    return signed_out_at(_sign_in()) > 0 or float(st.user.get("iat") or 0) < int(signed_out_at(browser))


def _sign_in() -> str:
    """What tells one sign-in at the provider from another; empty where there is none."""
    if os.environ.get(SIGN_IN_VARIABLE, "") != "oidc":
        return ""
    return session_digest(repr([st.user.get(claim) for claim in IN_A_SIGN_IN]))


def signed_out_at(digest: str) -> float:
    """When a sign-in, or somebody on a browser, signed out (a digest of its identity or cookie), 0 where nobody did."""
    study = study_folder()
    return sign_out_of(study, digest) if study else 0.0


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
        _forget_sign_in()
        st.logout()


def _forget_sign_in() -> None:
    """End what was given out to a sign-in, on whatever browser its cookie is: pages, media, tokens, uploads."""
    study, sign_in, browser = study_folder(), _sign_in(), session_of(st.context.cookies)
    name = BROWSERS.get(session_digest(browser), NOBODY).name
    browsers = {one for one, visitor in BROWSERS.items() if visitor.sign_in == sign_in}
    browsers |= {session_digest(browser)} if browser else set()
    if study:
        note_sign_out(study, {sign_in, *browsers})
    for one in browsers:
        BROWSERS.pop(one, None)
    for session in [one for one, visitor in VISITORS.items() if visitor.sign_in == sign_in or visitor.name == name]:
        VISITORS.pop(session, None)
