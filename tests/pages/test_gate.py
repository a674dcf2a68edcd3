"""Who is let in by a proxy's header, and what each role sees; sign-in by OpenID is in test_sign_in.py."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import StreamlitGate
from engine.review.grants import session_digest
from pages import gate
from pages.gate import may_see_media, may_send_files, stays
from pages.menu import ROOT, SECTIONS
from pages.sessions import session_of
from store.access import ACTIONS, ROLES, Person, allowed, set_account
from store.audit import audit_lines
from store.publisher import publish
from tests.store.recorded import finish_run, start_run

SECRET = "a secret of the proxy"
PAGES = [path.removeprefix("pages/") for _, pages in SECTIONS for path, _ in pages]
BEGIN = re.compile(r"begin(?:_without_run)?\(\"[^\"]*\"(?:, \"([^\"]*)\")?\)")
RIGHT = {"X-Cohortscope-Proxy": SECRET, "X-Forwarded-User": "Ada@example.org"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    start_run(tmp_path, "run-1")
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def behind_proxy(monkeypatch):
    """Pretend that a proxy sent these headers."""

    def send(headers: dict[str, str], secret: str = SECRET) -> None:
        monkeypatch.setenv("COHORTSCOPE_SIGN_IN", "proxy")
        monkeypatch.setenv("COHORTSCOPE_PROXY_SECRET", secret)
        monkeypatch.setattr("pages.gate.header", lambda name: headers.get(name, ""))

    monkeypatch.setattr("pages.gate.PROXY_SESSIONS", {})
    return send


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, SECRET),
        ({"X-Forwarded-User": "ada@example.org"}, SECRET),
        (RIGHT | {"X-Cohortscope-Proxy": "a guess"}, SECRET),
        (RIGHT | {"X-Forwarded-User": ""}, SECRET),
        (RIGHT | {"X-Cohortscope-Proxy": "short"}, "short"),
        (RIGHT | {"X-Cohortscope-Proxy": ""}, ""),
    ],
)
def test_without_the_proxys_secret_and_a_name_nothing_is_shown(show, study, behind_proxy, headers, secret):
    set_account(study, "ada@example.org", "administrator", "boss")
    behind_proxy(headers, secret)
    app = show(study, "study/runs.py")
    assert "through the proxy" in app.error[0].value
    assert not app.title


def action_of(page: str) -> str:
    """The action that a page asks for when it begins."""
    found = BEGIN.findall((ROOT / "pages" / page).read_text("utf-8"))
    assert found, f"{page} must begin with begin(question, action)"
    return found[0] or "view study"


@pytest.mark.parametrize("page", PAGES)
def test_a_cold_deep_link_to_any_page_shows_nothing_to_somebody_signed_out(show, study, behind_proxy, page):
    behind_proxy({})
    app = show(study, page)
    assert [one.value for one in app.error] == ["Sign in through the proxy of your institution."]
    assert {element.type for block in (app.main, app.sidebar) for element in block} <= {
        "main",
        "sidebar",
        "error",
        "html",
    }


@pytest.mark.parametrize("page", PAGES)
def test_each_role_sees_its_pages(show, study, behind_proxy, page):
    behind_proxy(RIGHT)
    for role in ("", *ROLES):
        set_account(study, "ada@example.org", role, "boss")
        app = show(study, page)
        may = allowed(Person("ada@example.org", role, "proxy"), action_of(page))
        assert (role, bool(app.title)) == (role, may)
        assert (role, "An administrator gives roles" in " ".join(one.value for one in app.error)) == (role, not may)


def test_pages_differ_in_what_they_ask_for():
    assert {ACTIONS[action_of(page)] for page in PAGES} == set(ROLES)


@pytest.mark.parametrize(("role", "starts"), [("viewer", False), ("reader", False), ("administrator", True)])
def test_only_administrators_are_offered_a_run(show, study, behind_proxy, role, starts):
    set_account(study, "ada@example.org", role, "boss")
    behind_proxy(RIGHT)
    labels = [button.label for button in show(study, "study/runs.py").sidebar.button]
    assert ("Start a run" in labels) == starts


def test_an_unknown_way_of_signing_in_lets_nobody_in(show, study, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_SIGN_IN", "anybody")
    app = show(study, "study/runs.py")
    assert "must be oidc, proxy or empty" in app.error[0].value
    assert not app.title
    assert audit_lines(study) == ()


def test_a_page_that_is_open_closes_when_the_role_is_taken_away(study, behind_proxy):
    set_account(study, "ada@example.org", "reader", "boss")
    behind_proxy(RIGHT)
    ada = Person("ada@example.org", "reader", "proxy")
    assert stays(study, ada, "view images")
    set_account(study, "ada@example.org", "", "boss")
    assert not stays(study, ada, "view images")


def test_a_file_is_taken_from_sessions_of_those_who_may_send_one(show, study, behind_proxy, monkeypatch):
    monkeypatch.setattr("pages.gate.VISITORS", {})
    session = "test session id"  # AppTest's
    behind_proxy({})
    show(study, "study/upload.py")
    assert not may_send_files(session)
    behind_proxy(RIGHT)
    for role, sends in (("viewer", False), ("reader", True), ("", False)):
        set_account(study, "ada@example.org", role, "boss")
        show(study, "study/runs.py")
        assert may_send_files(session) == sends


@pytest.fixture
def at_provider(monkeypatch, study):
    """Pretend that a browser with this cookie sent the identity of a sign-in at a provider."""
    monkeypatch.setenv("COHORTSCOPE_SIGN_IN", "oidc")
    monkeypatch.setenv("COHORTSCOPE_STUDY", str(study))
    monkeypatch.setattr("pages.gate.BROWSERS", {})
    monkeypatch.setattr("pages.gate.VISITORS", {})

    def come(browser: str, **claims: object) -> None:
        identity = {"sub": "a-1", "iat": time.time() - 60} | claims
        cookies = {"_streamlit_xsrf": f"2|00000000|{browser}|1"} if browser else {}
        context = SimpleNamespace(cookies=cookies, headers={})
        monkeypatch.setattr("pages.gate.st", SimpleNamespace(user=identity, context=context))

    return come


def test_signing_out_ends_the_sign_in_on_every_browser_that_holds_its_cookie(at_provider):
    at_provider("aa11", iat=1000)
    assert not gate._left()
    gate._forget_sign_in()
    for browser in ("aa11", "bb22", ""):
        at_provider(browser, iat=1000)
        assert gate._left()
    at_provider("bb22", sub="b-2", iat=1000)
    assert not gate._left()


def test_whoever_signs_in_again_is_let_in(at_provider):
    at_provider("aa11")
    gate._forget_sign_in()
    at_provider("aa11", iat=time.time() + 1)
    assert not gate._left()


def test_an_older_sign_in_on_the_same_browser_ends_too(at_provider):
    at_provider("aa11", sub="b-2", iat=2000)
    gate._forget_sign_in()
    at_provider("aa11", iat=1000)
    assert gate._left()


def test_media_and_tokens_end_on_every_browser_of_a_sign_in_that_was_signed_out(at_provider, study):
    set_account(study, "ada@example.org", "reader", "boss")
    at_provider("bb22", iat=1000)
    elsewhere = {"_streamlit_xsrf": "2|00000000|bb22|1"}
    browser = session_digest(session_of(elsewhere))
    gate.BROWSERS[browser] = gate.Visitor("ada@example.org", time.time() + 60, gate._sign_in())
    assert may_see_media(elsewhere)
    at_provider("aa11", iat=1000)
    gate._forget_sign_in()
    assert not may_see_media(elsewhere)
    assert time.time() - 60 < gate.signed_out_at(browser) <= time.time()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "8.8.8.8"},
        {"Via": "1.1 proxy"},
        {"X-Forwarded-Host": "study.hospital.org"},
        {"X-Forwarded-Proto": "https"},
        {"CF-Connecting-IP": "8.8.8.8"},
        {"Origin": "https://study.hospital.org"},
        {"Origin": "https://127.0.0.1.hospital.org"},
        {"Origin": "null"},
        {"Host": "study.hospital.org"},
        {"Host": "10.0.0.7:8501"},
        {"Host": "[::1"},
    ],
)
def test_without_sign_in_a_request_from_elsewhere_is_refused(show, study, monkeypatch, headers):
    monkeypatch.delenv("COHORTSCOPE_SIGN_IN", raising=False)
    monkeypatch.setattr("pages.gate.header", lambda name: headers.get(name, ""))
    app = show(study, "study/runs.py")
    assert "on this computer only" in app.error[0].value
    assert not app.title


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "[::1]:8501"])
def test_without_sign_in_a_browser_on_this_computer_is_let_in(show, study, monkeypatch, host):
    monkeypatch.delenv("COHORTSCOPE_SIGN_IN", raising=False)
    headers = {"Host": host, "Origin": f"http://{host}"}
    monkeypatch.setattr("pages.gate.header", lambda name: headers.get(name, ""))
    assert not show(study, "study/runs.py").error


@pytest.fixture
def later(monkeypatch):
    """Let the gate's clock run on by some hours."""
    now = time.time

    def pass_by(hours: float) -> None:
        monkeypatch.setattr(gate.time, "time", lambda: now() + hours * 3600)

    return pass_by


def test_a_session_behind_a_proxy_ends_by_its_own_age_and_begins_anew_when_asked(show, study, behind_proxy, later):
    set_account(study, "ada@example.org", "reader", "boss")
    behind_proxy(RIGHT)
    ada = Person("ada@example.org", "reader", "proxy")
    assert show(study, "study/runs.py").title[0].value != "Cohortscope"
    later(11.9)
    assert show(study, "study/runs.py").title[0].value != "Cohortscope"
    assert stays(study, ada, "view study")
    later(12.1)
    assert not stays(study, ada, "view study")
    app = show(study, "study/runs.py")
    assert [one.value for one in app.title] == ["Cohortscope"]
    assert "ended after 12 hours" in app.markdown[0].value
    app.button(key="begin-session").click().run()
    assert app.title[0].value != "Cohortscope"
    assert stays(study, ada, "view study")


def test_hours_of_a_session_are_the_administrators_choice(show, study, behind_proxy, later, monkeypatch):
    set_account(study, "ada@example.org", "reader", "boss")
    monkeypatch.setenv("COHORTSCOPE_SESSION_HOURS", "2")
    behind_proxy(RIGHT)
    show(study, "study/runs.py")
    later(2.1)
    assert "ended after 2 hours" in show(study, "study/runs.py").markdown[0].value


def test_routes_end_with_the_session(show, study, behind_proxy, later, monkeypatch):
    monkeypatch.setattr("pages.gate.VISITORS", {})
    monkeypatch.setattr("pages.gate.BROWSERS", {})
    monkeypatch.setattr("pages.gate.session_of", lambda cookies: "one browser")
    set_account(study, "ada@example.org", "reader", "boss")
    behind_proxy(RIGHT)
    show(study, "study/runs.py")
    assert may_send_files("test session id")
    assert may_see_media({})
    later(12.1)
    assert not may_send_files("test session id")
    assert not may_see_media({})


@pytest.mark.parametrize(
    ("path", "asked"), [("/media/x.png", "may_see_media"), ("/_stcore/upload_file/a/b", "may_send_files")]
)
def test_the_gate_asks_the_ledger_off_the_event_loop(monkeypatch, path, asked):
    """A ledger that is slow or locked would else hold up every request of everybody."""
    threads: list[int] = []  # the event loop's first
    monkeypatch.setattr(f"app.{asked}", lambda _: threads.append(threading.get_ident()) or False)

    async def ask() -> list[dict]:
        threads.append(threading.get_ident())
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        await StreamlitGate(None)({"type": "http", "method": "PUT", "path": path, "headers": []}, receive, send)
        return sent

    with ThreadPoolExecutor(1) as elsewhere:  # a browser of another test has its loop in this thread
        sent = elsewhere.submit(lambda: asyncio.run(ask())).result()
    assert sent[0]["status"] == 403
    of_loop, of_ledger = threads
    assert of_loop != of_ledger
