"""How fast pages answer in a real browser: the heaviest page against an empty one, alternated in one run."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

from engine.present.browser import NoBrowserError, browser_path
from store.queries.cohort import cases
from store.queries.study import runs
from store.snapshot import close_snapshots, open_snapshot

HOUSE = Path(__file__).resolve().parents[2]
EMPTY, HEAVY = "Upload", ("Agreement", "Reproducibility", "Selection", "Discrimination")
ROUNDS = 5
START_SECONDS, PAGE_MS = 90, 120_000
END_OF_PAGE = "text=· seed "
VIEW = ViewportSize(width=1440, height=900)
POLL_MS = 20


@dataclass(frozen=True, slots=True)
class PageSpeed:
    """Median seconds of in-app navigation until a page is drawn, and from a box around points to the new list."""

    cases: int
    empty_s: float
    seconds: dict[str, float]
    heaviest: str
    ratio: float
    box_s: float | None
    rounds: int
    load: float  # of the machine, before it began: above its cores, seconds are too long


def bench_pages(study: Path) -> PageSpeed:
    """Measure a study's pages in Chromium on this machine; NoBrowserError; ValueError for a study without a run."""
    path = browser_path()
    if path is None:
        raise NoBrowserError
    snapshot = open_snapshot(study)
    found = runs(snapshot)
    if not found:
        raise ValueError("this study has no run yet; start one with `run`")
    count = len(cases(snapshot, found[0].run_id))
    close_snapshots()
    load = os.getloadavg()[0]
    with _served(study) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport=VIEW).new_page()
        page.set_default_timeout(PAGE_MS)
        page.goto(f"{address}/upload")
        _idle(page)
        seconds = _rounds(page)
        box = _box_select(page)
        browser.close()
    medians = {name: round(statistics.median(values), 2) for name, values in seconds.items()}
    empty = medians.pop(EMPTY)
    heaviest = max(medians, key=lambda name: medians[name])
    ratio = round(medians[heaviest] / empty, 1)
    return PageSpeed(count, empty, medians, heaviest, ratio, box, ROUNDS, round(load, 1))


def _rounds(page: Page) -> dict[str, list[float]]:
    """Seconds of every page, alternated; a first visit of each is not counted."""
    found: dict[str, list[float]] = {name: [] for name in (EMPTY, *HEAVY)}
    for number in range(ROUNDS + 1):
        for name in (EMPTY, *HEAVY):
            taken = _visit(page, name)
            if number:
                found[name].append(taken)
    return found


def _visit(page: Page, name: str) -> float:
    """Seconds from a click in the menu until the page stands still with its last line drawn."""
    begun = time.monotonic()
    page.locator("[data-testid=stSidebarNavLink]", has_text=name).first.click()
    page.wait_for_function("name => document.title.startsWith(name)", arg=name)
    _idle(page)
    return time.monotonic() - begun


def _idle(page: Page) -> None:
    """Wait until the script of the page has run and nothing of the page before is left."""
    page.wait_for_function(
        "() => !document.querySelector('[data-stale=true], [data-testid=stStatusWidget], [data-testid=stSkeleton]')"
        " && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every(c => c.querySelector('.main-svg'))"
        " && document.querySelector('h1')",
        polling=POLL_MS,
    )
    if page.title().split(" ")[0] in HEAVY:
        page.wait_for_selector(END_OF_PAGE)


def _box_select(page: Page) -> float | None:
    """Seconds from the end of a box around points until the list below has changed; None without points."""
    _visit(page, "Agreement")
    plot = page.locator(".js-plotly-plot").first
    if not plot.locator(".points path.point").count():
        return None
    before = page.locator("h3", has_text="Cases (").inner_text()
    plot.hover()
    page.locator("[data-title='Box Select']").first.click()
    area = plot.locator(".nsewdrag").first.bounding_box()
    if area is None:
        return None
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + 3)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] - 3, area["y"] + area["height"] - 3, steps=8)
    page.mouse.up()
    begun = time.monotonic()
    page.wait_for_function(
        "before => [...document.querySelectorAll('h3')].some(h => h.innerText.startsWith('Cases (')"
        " && h.innerText !== before)",
        arg=before,
        polling=POLL_MS,
    )
    return round(time.monotonic() - begun, 2)


@contextmanager
def _served(study: Path) -> Iterator[str]:
    """The app on a free port of this computer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    environment = os.environ | {"COHORTSCOPE_STUDY": str(study.resolve())}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=HOUSE, env=environment, **quiet)  # type: ignore[call-overload]
    try:
        _answering(process, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answering(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.3)
    raise RuntimeError(f"the app did not answer within {START_SECONDS} s")


def page_lines(found: PageSpeed) -> list[str]:
    """The measurement in words."""
    each = ", ".join(f"{name} {seconds} s" for name, seconds in found.seconds.items())
    box = "not measured" if found.box_s is None else f"{found.box_s} s"
    return [
        f"{found.cases} cases, medians of {found.rounds} alternated visits; load of the machine {found.load}",
        f"{EMPTY} (empty) {found.empty_s} s; {each}",
        f"heaviest: {found.heaviest}, {found.ratio} times an empty page",
        f"a box around points until the list below has changed: {box}",
    ]
