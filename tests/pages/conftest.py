"""A page run in this process, and the app served on a free port to a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.testing.v1 import AppTest

from store.snapshot import close_snapshots

HOUSE = Path(__file__).parents[2]
START_SECONDS = 90
PAGE_SECONDS = 120
READER = "reader of tests"


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Run the app in this process on a study and go to a page of it."""

    def run(study: Path | None, page: str, **query: str) -> AppTest:
        monkeypatch.chdir(HOUSE)
        if study is None:
            monkeypatch.delenv("COHORTSCOPE_STUDY", raising=False)
        else:
            monkeypatch.setenv("COHORTSCOPE_STUDY", str(study))
        app = AppTest.from_file(str(HOUSE / "pages" / "entry.py"), default_timeout=PAGE_SECONDS)
        app.session_state["reader"] = READER
        for name, value in query.items():
            app.query_params[name] = value
        app.switch_page(str(HOUSE / "pages" / page))
        return app.run()

    yield run
    close_snapshots()


def settled(page: Page) -> None:
    """Wait until the page stands still: until then a list may close, a field move, a download be of the page before."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def free_port() -> int:
    """A port of loopback that nobody listens to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """The app as a process of its own: cold until its first visitor."""

    def __init__(self, study: Path, *options: str) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port), *options]
        self.environment = os.environ | {"COHORTSCOPE_STUDY": str(study)}
        self.start()

    def start(self) -> None:
        """Begin the process, again where it was stopped; returns when it answers."""
        self.process = subprocess.Popen(
            self.command, cwd=HOUSE, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()
                return
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.3)
        self.stop()
        raise RuntimeError(f"the app did not answer within {START_SECONDS} s")

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def cold_server(demo_study: Path) -> Iterator[Server]:
    """A server that nobody has visited."""
    server = Server(demo_study)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of 1440 x 900 with a session of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PAGE_SECONDS * 1000)
    yield page
    context.close()
