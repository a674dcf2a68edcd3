"""How much a reader must press to read one case: counted by the browser, on a demo study of phantoms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.pages.conftest import Server
from tests.pages.review_study import enter, key_of, signed, viewer_of

MOST = 4
READER = "Nora"
COUNT = """window.pressed = 0
for (const kind of ['pointerdown', 'keydown'])
  window.addEventListener(kind, event => { if (event.isTrusted) window.pressed++ }, true)"""


@pytest.fixture
def server(demo_copy: Path) -> Iterator[Server]:
    served = Server(demo_copy)
    yield served
    served.stop()


def shown_case(page: Page) -> str:
    """The case on screen, once its images are."""
    viewer_of(page)
    return page.url.partition("case=")[2]


def pressed(page: Page) -> int:
    """Clicks and keys since the page was opened or last asked, then none."""
    return int(page.evaluate("() => { const count = window.pressed; window.pressed = 0; return count }"))


def test_a_case_of_the_work_list_is_opened_judged_and_signed_in_at_most_four_clicks(demo_copy, server, page):
    page.add_init_script(COUNT)
    enter(page, f"{server.address}/review", READER)
    first = shown_case(page)
    page.get_by_role("link", name="Cohort").click()
    page.wait_for_selector("text=Who is in this study?")
    pressed(page)
    page.get_by_role("link", name="Review").click()
    assert shown_case(page) == first
    shown = key_of(page)
    page.get_by_role("button", name=re.compile("^None")).click()
    page.locator("[data-testid=stBaseButton-primary]", has_text="None").wait_for()
    page.get_by_role("button", name=re.compile("^Sign")).click()
    (verdict,) = signed(demo_copy, READER)
    viewer_of(page, shown)
    assert 0 < pressed(page) <= MOST
    assert (verdict.case_id, verdict.judgement) == (first, "none")
    second = shown_case(page)
    assert second != first
    page.keyboard.press("1")
    page.locator("[data-testid=stBaseButton-primary]", has_text="None").wait_for()
    page.keyboard.press("Control+Enter")
    assert [(v.case_id, v.judgement) for v in signed(demo_copy, READER, 2)] == [(first, "none"), (second, "none")]
    assert 0 < pressed(page) <= MOST
