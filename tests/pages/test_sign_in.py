"""Sign-in end to end: an OpenID provider as a program of its own on loopback, the app, and a browser between them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit.web.server.starlette import starlette_agent_routes, starlette_auth_routes, starlette_routes

from pages.menu import SECTIONS
from pages.volume_routes import ROUTES
from store.access import set_account
from store.audit import audit_lines
from store.publisher import publish
from tests.pages.conftest import Server, free_port
from tests.store.recorded import finish_run, start_run

STEMS = [path.rpartition("/")[2].removesuffix(".py") for _, pages in SECTIONS for path, _ in pages]
READER = {"sub": "r-1", "email": "reader@example.org", "email_verified": True}
STRANGER = {"sub": "s-1", "email": "stranger@example.org", "email_verified": True}
SILENT = {"sub": "q-1", "email": "reader@example.org"}  # a provider that says nothing of the address
UNVERIFIED = {"sub": "u-1", "email": "reader@example.org", "email_verified": False}
START_SECONDS = 60
SHORT_SECONDS = 30
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OPEN_ROUTES = {"/viewer/viewer.js"}  # a program, the same for everyone


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """oidc-provider-mock: a whole OpenID provider (discovery, keys, code flow, signed tokens) built on Authlib."""
    port = free_port()
    users = [part for user in (READER, STRANGER, UNVERIFIED, SILENT) for part in ("--user-claims", json.dumps(user))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *users]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, "the provider did not start"
            assert time.monotonic() < deadline, "the provider did not answer"
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    start_run(folder, "run-1")
    finish_run(folder, "run-1")
    publish(folder)
    return folder


@contextmanager
def serving(provider: str, study: Path, folder: Path, hours: str = "") -> Iterator[Server]:
    """The app with sign-in at the provider; sessions last so many hours (empty: the default)."""
    secrets, port = folder / "secrets.toml", free_port()
    secrets.write_text(
        f'[auth]\nredirect_uri = "http://127.0.0.1:{port}/oauth2callback"\ncookie_secret = "{"c" * 40}"\n'
        f'client_id = "cohortscope"\nclient_secret = "{"s" * 40}"\n'
        f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORTSCOPE_SIGN_IN", "oidc")
        patch.setenv("COHORTSCOPE_SESSION_HOURS", hours)
        patch.setattr("tests.pages.conftest.free_port", lambda: port)
        found = Server(study, "--secrets.files", str(secrets))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def server(provider: str, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(provider, study, tmp_path_factory.mktemp("secrets")) as found:
        yield found


def sign_in(page, server: Server, subject: str, path: str = "cohort") -> None:
    page.goto(f"{server.address}/{path}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("input[name=sub]")
    page.fill("input[name=sub]", subject)
    page.get_by_role("button", name="Authorize").first.click()
    page.wait_for_url(f"{server.address}/**")


def test_a_deep_link_to_every_page_shows_nothing_to_somebody_signed_out(server, page):
    for stem in reversed(STEMS):  # the first one meets a server that nobody has visited
        page.goto(f"{server.address}/{stem}")
        page.get_by_role("button", name="Sign in").wait_for()
        said = page.inner_text("body")
        assert "run-1" not in said
        assert "seed" not in said


def test_a_reader_signs_in_and_out_and_a_role_taken_away_counts_at_once(server, page, study):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")
    page.wait_for_selector("text=reader@example.org · reader")
    page.goto(f"{server.address}/runs")
    page.wait_for_selector("text=reader@example.org · reader")
    assert not page.get_by_role("button", name="Start a run").count()
    set_account(study, "reader@example.org", "", "boss")
    page.reload()
    page.wait_for_selector("text=no role in this study")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/oauth2/end_session**")
    page.goto(f"{server.address}/cohort")
    page.get_by_role("button", name="Sign in").wait_for()


@pytest.mark.parametrize("subject", ["s-1", "u-1", "q-1"])
def test_somebody_without_a_role_or_with_an_unverified_address_sees_nothing(server, page, study, subject):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, subject)
    page.wait_for_selector("text=no role in this study")
    assert "run-1" not in page.inner_text("body")
    assert "set account" in [line.action for line in audit_lines(study)]


def test_an_open_page_closes_by_itself_when_the_role_is_taken_away(server, page, study):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")
    page.wait_for_selector("text=reader@example.org · reader")
    page.goto(f"{server.address}/runs")
    page.wait_for_selector("text=· seed ")
    set_account(study, "reader@example.org", "", "boss")
    page.wait_for_selector("text=no role in this study")
    assert "seed" not in page.inner_text("body")


def send_files(page, server: Server, path: str) -> set[int]:
    """What Streamlit's upload route says to a file, for each id that the page's socket was told: one is the session."""
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.goto(server.address + path)
    page.wait_for_selector("[data-testid=stMain] h1")
    token = next(one["value"] for one in page.context.cookies() if one["name"] == "_streamlit_xsrf")
    file = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"id"}
    routes = [
        f"{server.address}/_stcore/upload_file/{one}/{uuid.uuid4()}" for one in set(re.findall(UUID, str(frames)))
    ]
    return {page.request.put(to, headers={"X-Xsrftoken": token}, multipart={"file": file}).status for to in routes}


def test_streamlits_upload_route_takes_nothing_from_somebody_signed_out(server, page, study):
    assert send_files(page, server, "/runs") == {403}
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")
    page.wait_for_selector("text=reader@example.org · reader")
    assert 204 in send_files(page, server, "/runs")


def answer_of(method: str, address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=60) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")


def test_every_route_of_ours_refuses_who_has_no_token(server):
    asked = [(method, route.path) for route in ROUTES for method in route.methods]
    assert len(asked) > 5
    answers = {path: answer_of(method, server.address + path) for method, path in asked if path not in OPEN_ROUTES}
    assert {
        path: answer for path, answer in answers.items() if answer[0] != 403 or answer[1] not in ("", "forbidden")
    } == {}


def streamlits_paths() -> set[str]:
    """The paths of the routes that Streamlit registers, parameters filled in."""
    modules = (starlette_routes, starlette_auth_routes, starlette_agent_routes)
    found = {value for one in modules for name, value in vars(one).items() if re.match(r"_?ROUTE_[A-Z_0-9]+$", name)}
    return {re.sub(r"\{[^}]*\}", "run-1", path) for path in found if isinstance(path, str)}


def test_no_route_of_streamlit_says_anything_of_the_study_to_somebody_signed_out(server, page, study):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")  # so that there is something to know
    page.wait_for_selector("text=reader@example.org · reader")
    paths = streamlits_paths()
    assert len(paths) > 10
    for path in paths:
        for method in ("GET", "POST"):
            _, said = answer_of(method, f"{server.address}/{path}")
            assert not [word for word in ("reader@", "seed", str(study), "CASE") if word in said], path


def test_fonts_and_icons_come_before_anybody_signs_in_and_nothing_else_under_their_name(server, page):
    failed = []
    page.on("response", lambda one: failed.append(one.url) if one.status == 403 else None)
    page.goto(f"{server.address}/cohort")
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.evaluate("document.fonts.load('24px Material Symbols Rounded').then(found => found.length)") == 1
    assert failed == []
    assert answer_of("GET", f"{server.address}/static/media/{'0' * 56}.csv")[0] == 403


def test_a_meeting_on_the_screen_closes_by_itself_when_the_role_is_taken_away(server, page, study):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")
    page.wait_for_selector("text=reader@example.org · reader")
    page.goto(f"{server.address}/meeting?present=1")
    page.wait_for_selector("text=is empty")
    set_account(study, "reader@example.org", "", "boss")
    page.wait_for_selector("text=no role in this study")
    assert "is empty" not in page.inner_text("body")


def test_media_that_pages_made_are_for_browsers_on_which_somebody_is_signed_in(server, page, browser, study):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")
    page.wait_for_selector("text=reader@example.org · reader")
    address = f"{server.address}/media/{'0' * 56}.csv"
    assert page.request.get(address).status == 404  # let through: Streamlit itself knows no such file
    other = browser.new_context()
    assert other.request.get(address).status == 403
    other.close()
    assert answer_of("GET", address)[0] == 403
    assert answer_of("GET", f"{server.address}/cohort/media/x.png")[0] == 403
    set_account(study, "reader@example.org", "", "boss")
    assert page.request.get(address).status == 403
    set_account(study, "reader@example.org", "reader", "boss")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/oauth2/end_session**")
    assert page.request.get(address).status == 403


def test_signing_out_in_one_tab_ends_the_others_too(server, page, study):
    set_account(study, "reader@example.org", "reader", "boss")
    sign_in(page, server, "r-1")
    page.wait_for_selector("text=reader@example.org · reader")
    other = page.context.new_page()
    other.goto(f"{server.address}/runs")
    other.wait_for_selector("text=· seed ")
    page.wait_for_timeout(1100)  # the provider counts in whole seconds
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/oauth2/end_session**")
    other.wait_for_selector("text=Sign in")
    assert "seed" not in other.inner_text("body")
    assert page.request.get(f"{server.address}/media/{'0' * 56}.csv").status == 403


def test_a_session_that_is_too_old_ends_on_the_page_and_on_every_route(provider, page, study, tmp_path):
    set_account(study, "reader@example.org", "reader", "boss")
    media = f"media/{'0' * 56}.csv"
    with serving(provider, study, tmp_path, str(SHORT_SECONDS / 3600)) as short:
        sign_in(page, short, "r-1", "runs")
        page.wait_for_selector("text=· seed ")
        assert page.request.get(f"{short.address}/{media}").status == 404  # let through: no such file
        assert 204 in send_files(page, short, "/runs")
        page.wait_for_url("**/oauth2/end_session**", timeout=(SHORT_SECONDS + 30) * 1000)
        assert page.request.get(f"{short.address}/{media}").status == 403
        page.goto(f"{short.address}/runs")
        page.get_by_role("button", name="Sign in").wait_for()
        assert "seed" not in page.inner_text("body")
        assert send_files(page, short, "/runs") == {403}
