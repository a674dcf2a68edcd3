"""Review in a real browser: what is drawn is what is stored, tokens hold, nothing leaves the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from store.layout import StudyFolder
from store.ledger import Ledger
from store.reviews import drawn_masks, load_drawn, reading_order
from tests.conftest import command_line
from tests.pages.conftest import Server
from tests.pages.review_study import (
    DIRECTIONS,
    WAIT_MS,
    build_study,
    choose_mode,
    draw_on_axial,
    drawn_points,
    enter,
    mask_points,
    save,
    take_pen,
    viewer_of,
)

TRIANGLE = ((0.35, 0.35), (0.6, 0.4), (0.45, 0.65))
SMALL = ((0.2, 0.2), (0.3, 0.22), (0.25, 0.3))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("directions") / "study"
    build_study(folder)
    command_line("run", str(folder), "--until", "review")
    return folder


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


@pytest.fixture
def page(browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    yield page
    context.close()


def masks_of(study: Path, reader: str) -> list:
    with Ledger(StudyFolder(study)) as ledger:
        return [mask for mask in drawn_masks(ledger) if mask.reader == reader]


def test_a_stroke_is_exactly_the_drawn_voxels_however_the_scan_lies(study, server, page):
    enter(page, f"{server.address}/review", "Ada")
    choose_mode(page, "Blank canvas")
    seen = set()
    for number in range(1, len(DIRECTIONS) + 1):
        page.wait_for_selector(f"text=reading {number} of {len(DIRECTIONS)}")
        viewer = viewer_of(page)
        take_pen(viewer, "draw")
        draw_on_axial(page, viewer, TRIANGLE)
        drawn = drawn_points(viewer)
        save(viewer, 1)
        stored = masks_of(study, "Ada")[-1]
        mask = load_drawn(StudyFolder(study), stored.drawn_key)
        assert len(drawn) > 20
        assert mask_points(mask) == drawn
        assert (mask.origin, mask.source) == ("independent", "Ada")
        seen.add(stored.case_id)
        page.get_by_role("button", name="Sign this contour").click()
    page.wait_for_selector(f"text={len(DIRECTIONS)} signed")
    assert seen == set(DIRECTIONS)
    with Ledger(StudyFolder(study)) as ledger:
        order = reading_order(ledger, "Ada", "blank canvas")
        assert {case for case, _ in order} == {v.case_id for v in ledger.verdicts()}
