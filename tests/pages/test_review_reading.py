"""Reading a case of the demo study in a browser: keys, drafts, the surface's error in colours, and no WebGL2 at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.run.review_volumes import automatic_tumour
from store.layout import StudyFolder
from store.ledger import Ledger
from tests.pages.conftest import Server, settled
from tests.pages.review_study import WAIT_MS, choose_option, enter, key_of, press, signed, viewer_of

NO_WEBGL2 = """const asked = HTMLCanvasElement.prototype.getContext
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === 'webgl2' ? null : asked.call(this, kind, ...more) }"""
COLOURS = """host => { const canvas = host.querySelector('canvas.outlines')
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data, found = {}
  for (let n = 0; n < pixels.length; n += 4) if (pixels[n + 3] === 255) {
    const name = '#' + [0, 1, 2].map(c => pixels[n + c].toString(16).padStart(2, '0')).join('')
    found[name] = (found[name] ?? 0) + 1 }
  return found }"""
AUTOMATIC = "#009e73"
ERROR_COLOURS = {"#2166ac", "#67a9cf", "#f7f7f7", "#ef8a62", "#b2182b"}
CHOSEN = "[data-testid=stBaseButton-primary]"


@pytest.fixture(scope="module")
def study(demo_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(demo_study, tmp_path_factory.mktemp("reading") / "study"))


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


def outlined(study: Path) -> str:
    """The first case with an automatic outline."""
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
        cases = [unit for unit, _, state in ledger.placed(run_id, "segment") if state == "done"]
    return next(case for case in cases if automatic_tumour(study, run_id, case).voxels.any())


def test_without_webgl2_slices_come_from_the_server_with_the_same_verdicts(study, server, page):
    page.add_init_script(NO_WEBGL2)
    enter(page, f"{server.address}/review", "Willa")
    page.locator("[data-testid=stImage] img").nth(2).wait_for()
    expect(page.locator(".viewer canvas")).to_have_count(0)
    settled(page)
    page.get_by_role("heading", name="Is this outline right?").click()
    page.keyboard.press("1")
    page.locator(CHOSEN, has_text="None").wait_for()
    page.keyboard.press("Control+Enter")
    (verdict,) = signed(study, "Willa")
    assert (verdict.judgement, bool(verdict.mask_key)) == ("none", True)


def test_the_automatic_outline_is_coloured_by_how_far_it_lies_from_the_reference(study, server, page):
    enter(page, f"{server.address}/review?case={outlined(study)}", "Ella")
    viewer = viewer_of(page)
    settled(page)
    for name in ("peritumoural", "lungs"):
        viewer.locator(f"label.layer input[name={name}]").uncheck()
    assert viewer.evaluate(COLOURS).keys() == {AUTOMATIC}
    press(viewer, "error")
    expect(viewer.locator(".band")).to_have_text(["≤ 1 mm", "≤ 2 mm", "≤ 3 mm", "≤ 5 mm", "> 5 mm"], timeout=WAIT_MS)
    page.wait_for_timeout(500)
    found = viewer.evaluate(COLOURS).keys()
    assert len(found & ERROR_COLOURS) > 1  # more than one band; where two lines cross they mix
    assert AUTOMATIC not in found
    press(viewer, "error")
    page.wait_for_timeout(500)
    assert viewer.evaluate(COLOURS).keys() == {AUTOMATIC}
    expect(viewer.locator(".band")).to_have_count(0)


def test_every_key_that_is_named_under_the_images_does_what_it_says(server, page):
    enter(page, f"{server.address}/review", "Kay")
    viewer = viewer_of(page)
    settled(page)
    pressed = lambda name: viewer.locator(f"button[data-name='{name}'][aria-pressed=true]")  # noqa: E731
    expect(pressed("Lung")).to_have_count(1)
    page.get_by_role("heading", name="Is this outline right?").click()
    for key, name in (("w", "Mediastinum"), ("c", "measure"), ("d", "draw"), ("e", "erase"), ("v", "look")):
        page.keyboard.press(key)
        expect(pressed(name)).to_have_count(1)
    assert viewer.evaluate("host => host.viewer.nv.volumes[0].cal_max") == 240
    first, shown = page.url, key_of(page)
    page.keyboard.press("n")
    viewer_of(page, shown)
    assert page.url != first
    settled(page)
    shown = key_of(page)
    page.keyboard.press("p")
    viewer_of(page, shown)
    assert page.url == first
    settled(page)
    for key, word in (("2", "Minor"), ("3", "Major"), ("4", "Missed"), ("1", "None")):
        page.keyboard.press(key)
        page.locator(CHOSEN, has_text=word).wait_for()
        settled(page)


def test_a_draft_is_kept_over_a_reload_and_after_signing_a_change_asks_for_its_reason(study, server, page):
    enter(page, f"{server.address}/review", "Dara")
    viewer_of(page)
    settled(page)
    page.get_by_role("heading", name="Is this outline right?").click()
    page.keyboard.press("3")
    page.locator(CHOSEN, has_text="Major").wait_for()
    choose_option(page, "Reason", "vessel")
    settled(page)
    enter(page, page.url, "Dara")  # a new session of the same reader
    page.locator(CHOSEN, has_text="Major").wait_for()
    viewer_of(page)
    settled(page)
    case = page.url
    page.get_by_role("button", name=re.compile("^Sign")).click()
    (verdict,) = signed(study, "Dara")
    assert (verdict.judgement, verdict.reason, verdict.amends) == ("major", "vessel", "")
    settled(page)
    enter(page, case, "Dara")
    viewer_of(page)
    page.get_by_role("button", name="Change it").click()
    page.get_by_label("Why it changes").wait_for()
    settled(page)
    page.get_by_role("button", name=re.compile("^Sign")).click()
    page.get_by_text("Not signed: say why the signed verdict changes.").wait_for()
    settled(page)
    assert len(signed(study, "Dara")) == 1
    enter(page, case, "Dara")  # a change that was begun goes on in a new session, until it is left
    viewer_of(page)
    page.get_by_label("Why it changes").wait_for()
    settled(page)
    page.get_by_role("button", name="Leave it").click()
    page.wait_for_selector("text=You signed on")
    expect(page.get_by_role("button", name="Change it")).to_have_count(1)
