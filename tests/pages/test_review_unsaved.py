"""Tokens are those of the case on screen, and no signature passes over a drawing that was not saved."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Route

from engine.run.review_desk import undo_drawing
from engine.run.review_layers import Layer
from engine.run.review_volumes import automatic_tumour
from pages.image_viewer import Viewed, automatic_key, drawing_key
from pages.judging import NOT_SAVED
from pages.reader import Reader
from store.artifacts import store_value
from store.layout import StudyFolder
from store.ledger import Ledger
from store.queries.images import AUTOMATIC
from store.reviews import Reading, load_drawn
from store.volumes import AutomaticMasks
from tests.conftest import command_line
from tests.pages.conftest import Server, settled
from tests.pages.review_study import (
    DIRECTIONS,
    WAIT_MS,
    build_study,
    draw_on_axial,
    drawn_points,
    enter,
    key_of,
    mask_points,
    masks_of,
    press,
    save,
    signed,
    take_pen,
    viewer_of,
)

TRIANGLE = ((0.35, 0.35), (0.6, 0.4), (0.45, 0.65))
OTHER = ((0.7, 0.7), (0.8, 0.72), (0.75, 0.8))
SMALL = ((0.2, 0.2), (0.3, 0.22), (0.25, 0.3))
BACK_MS = 20_000
CASES = DIRECTIONS | {"turned": np.diag([-1.0, -1.0, 1.0]), "inverted": np.diag([1.0, -1.0, -1.0])}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unsaved") / "study"
    build_study(folder, CASES)
    command_line("run", str(folder), "--until", "review")
    return folder


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


def cases_of(viewer: Locator) -> set[str]:
    """The cases of the tokens that the viewer holds."""
    bodies = [token.partition(".")[0] for token in viewer.evaluate("host => Object.values(host.viewer.tokens)")]
    return {json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["case_id"] for body in bodies}


def on_screen(page: Page) -> str:
    """The case of the address."""
    return page.url.partition("case=")[2]


def drawing_of(viewer: Locator) -> str:
    """What the viewer calls the drawing of the case on screen."""
    return str(viewer.evaluate("host => host.viewer.data.drawingKey"))


def next_case(page: Page, way: str = "Next") -> Locator:
    """Go on, or back, and the viewer with its images."""
    shown, address = key_of(page), page.url
    page.get_by_role("button", name=way).click()
    viewer = viewer_of(page, shown)
    page.wait_for_url(lambda url: url != address)  # it may follow the images
    settled(page)
    return viewer


def test_a_drawing_that_was_not_saved_belongs_to_its_images_whichever_run_shows_them(demo_copy):
    with Ledger(StudyFolder(demo_copy)) as ledger:
        run_id = ledger.latest_run().run_id
        (one, its_key, _), (other, other_key, _) = ledger.placed(run_id, "acquire")[:2]
        ledger.place_tasks("again", "acquire", [(one, its_key), (other, other_key)])
        ledger.place_tasks("replaced", "acquire", [(one, other_key)])

    def belongs(run, case=one, number=1, reader="Ada", part=""):
        reading = Reading(case, reader, "reader study", number)
        return drawing_key(Viewed(demo_copy, run, Reader(reader, ""), reading, (), "", (), True, ""), part)

    assert belongs(run_id) == belongs("again")
    elsewhere = [belongs("replaced"), belongs(run_id, other), belongs(run_id, number=2), belongs(run_id, reader="Ben")]
    assert len({belongs(run_id), *elsewhere, belongs(run_id, part="chest")}) == 6


def test_a_sign_of_life_that_is_answered_late_brings_no_token_of_the_case_before(study, server, page):
    enter(page, f"{server.address}/review?case=plain", "Abe")
    viewer = viewer_of(page)
    settled(page)
    held: list[Route] = []
    page.route("**/volumes/alive", lambda route: held.append(route))
    viewer.evaluate("host => { host.viewer.lastAlive = 0 }")
    with page.expect_request("**/volumes/alive"):
        viewer.locator("canvas.images").hover()
    assert cases_of(viewer) == {"plain"}
    viewer = next_case(page)
    assert on_screen(page) != "plain"
    with page.expect_response("**/volumes/alive"):
        held[0].continue_()
    page.wait_for_timeout(500)
    assert cases_of(viewer) == {on_screen(page)}
    take_pen(viewer, "draw")
    draw_on_axial(page, viewer, TRIANGLE)
    save(viewer, 1)
    assert [mask.case_id for mask in masks_of(study, "Abe")] == [on_screen(page)]


def test_a_drawing_sent_with_the_token_of_another_case_is_not_stored_and_then_is_with_its_own(study, server, page):
    enter(page, f"{server.address}/review?case=plain", "Bob")
    viewer = viewer_of(page)
    settled(page)
    viewer.evaluate("host => { window.others = host.viewer.tokens }")
    viewer = next_case(page)
    take_pen(viewer, "draw")
    draw_on_axial(page, viewer, TRIANGLE)
    drawn = drawn_points(viewer)
    viewer.evaluate("host => { host.viewer.tokens = window.others }")
    press(viewer, "save")
    page.get_by_text("NOT stored: it was drawn on other images").wait_for(timeout=WAIT_MS)
    assert masks_of(study, "Bob") == []
    page.wait_for_function("host => host.viewer.tokens !== window.others", arg=viewer.element_handle())
    settled(page)
    assert cases_of(viewer) == {on_screen(page)}
    press(viewer, "save")
    page.locator(".viewer[data-saved]").wait_for(timeout=WAIT_MS)  # which version depends on who drew on it before
    (mask,) = masks_of(study, "Bob")
    assert mask.case_id == on_screen(page) != "plain"
    assert mask_points(load_drawn(StudyFolder(study), mask.drawn_key)) == drawn


def test_a_stroke_on_each_of_six_cases_that_was_not_saved_comes_back_to_each(study, server, page):
    enter(page, f"{server.address}/review?case=plain", "Joe")
    viewer = viewer_of(page)
    settled(page)
    drawn = {}
    for _ in CASES:
        take_pen(viewer, "draw")
        draw_on_axial(page, viewer, TRIANGLE)
        drawn[on_screen(page)] = drawn_points(viewer)
        viewer = next_case(page)
    assert (len(drawn), len(CASES)) == (6, 6)
    for _ in CASES:
        page.locator(f".viewer[data-restored='{drawing_of(viewer)}']").wait_for(timeout=BACK_MS)
        assert drawn_points(viewer) == drawn[on_screen(page)]
        viewer = next_case(page)
    assert masks_of(study, "Joe") == []


def test_the_automatic_mask_has_another_name_in_each_reading_and_none_where_it_is_not_seen():
    def name(mask="a", number=1, run="run-1", layers=("lungs", "automatic")):
        shown = tuple(Layer(layer, "", ()) for layer in layers)
        reading = Reading("A", "Ada", "reader study", number)
        return automatic_key(Viewed(Path(), run, Reader("Ada", ""), reading, shown, "", (), True, mask))

    assert name() == name(run="run-2")
    assert len({name(), name(mask="b"), name(number=2)}) == 3
    assert name(layers=("yours",)) == ""


def segmented(study: Path) -> str:
    """A case with an automatic mask."""
    with Ledger(StudyFolder(study)) as ledger:
        placed = ledger.placed(ledger.latest_run().run_id, "segment")
    return next(case for case, _, state in placed if state == "done")


def segmented_anew(study: Path, case: str) -> tuple[set[tuple[float, ...]], set[tuple[float, ...]]]:
    """The voxels of a case's automatic mask before and after another model's took its place."""
    key = "f" * 64
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
        before = automatic_tumour(study, run_id, case)
        after = replace(before, voxels=np.roll(before.voxels, 4, 2))
        ledger.place_tasks(run_id, "segment", [(case, key)])
        ledger.claim(key)
        masks = AutomaticMasks((after,))
        ledger.finish_task(key, [store_value(StudyFolder(study), AUTOMATIC, key, AutomaticMasks, masks)], 1.0, 1.0)
    return mask_points(before), mask_points(after)


def test_strokes_over_a_former_automatic_mask_come_back_with_the_word_that_it_changed(demo_copy, page):
    case, server = segmented(demo_copy), Server(demo_copy)
    try:
        enter(page, f"{server.address}/review?case={case}", "Kim")
        viewer = viewer_of(page)
        settled(page)
        take_pen(viewer, "draw")
        draw_on_axial(page, viewer, SMALL)
        drawn = drawn_points(viewer)
        before, after = segmented_anew(demo_copy, case)
        for _ in range(2):  # he looks and goes on undecided: it is said again
            next_case(page)
            viewer = next_case(page, "Previous")
            page.get_by_text("The automatic mask changed meanwhile: Undo stroke shows it").wait_for(timeout=WAIT_MS)
            assert drawn_points(viewer) == drawn > before
        press(viewer, "undo")
        assert drawn_points(viewer) == after
    finally:
        server.stop()


def saved_canvas(page: Page, server: Server, reader: str) -> Locator:
    """The first blank canvas of a reader, with a first version saved."""
    enter(page, f"{server.address}/review", reader, "Blank canvas")
    page.wait_for_selector(f"text=reading 1 of {len(CASES)}")
    viewer = viewer_of(page)
    settled(page)
    take_pen(viewer, "draw")
    draw_on_axial(page, viewer, TRIANGLE)
    save(viewer, 1)
    page.get_by_role("button", name="Sign this contour").wait_for()
    settled(page)
    return viewer


def refused(page: Page) -> None:
    """The page says that a drawing is not saved."""
    page.get_by_text(NOT_SAVED).wait_for(timeout=WAIT_MS)
    settled(page)


def test_a_stroke_that_was_not_saved_is_signed_away_neither_by_key_nor_by_button(study, server, page):
    viewer = saved_canvas(page, server, "Cid")
    draw_on_axial(page, viewer, SMALL)
    drawn = drawn_points(viewer)
    page.keyboard.press("Control+Enter")
    refused(page)
    page.get_by_role("button", name="Sign this contour").click()
    page.wait_for_timeout(1000)
    refused(page)
    assert signed(study, "Cid", 0) == []
    assert drawn_points(viewer) == drawn
    save(viewer, 2)
    page.keyboard.press("Control+Enter")
    (verdict,) = signed(study, "Cid")
    assert mask_points(load_drawn(StudyFolder(study), verdict.drawn_key)) == drawn


def another_tab(page: Page, server: Server, reader: str) -> tuple[Page, Locator]:
    """The same reader's blank canvas in a second tab of the same browser."""
    tab = page.context.new_page()
    enter(tab, f"{server.address}/review", reader)
    tab.wait_for_selector(f"text=reading 1 of {len(CASES)}")
    viewer = viewer_of(tab)
    settled(tab)
    take_pen(viewer, "draw")
    return tab, viewer


def test_what_another_tab_saved_is_not_overwritten_and_the_strokes_stay_one_undo_away(study, server, page):
    viewer = saved_canvas(page, server, "Gil")
    draw_on_axial(page, viewer, SMALL)
    mine = drawn_points(viewer)
    tab, other = another_tab(page, server, "Gil")
    draw_on_axial(tab, other, OTHER)
    save(other, 2)
    theirs = drawn_points(other)
    press(viewer, "save")
    page.get_by_text("Your mask was changed: undone, imported or saved elsewhere").wait_for(timeout=WAIT_MS)
    assert len(masks_of(study, "Gil")) == 2
    assert drawn_points(viewer) == theirs
    press(viewer, "undo")
    assert drawn_points(viewer) == mine
    save(viewer, 3)
    assert mask_points(load_drawn(StudyFolder(study), masks_of(study, "Gil")[-1].drawn_key)) == mine


def test_a_drawing_that_was_taken_back_is_not_under_the_pen_any_more(study, server, page):
    viewer = saved_canvas(page, server, "Hue")
    undo_drawing(study, Reading(masks_of(study, "Hue")[0].case_id, "Hue", "blank canvas"))
    viewer.evaluate("host => host.viewer.component.setTriggerValue('renew', 1)")  # the page runs again, as on any click
    page.get_by_role("button", name="Sign this contour").wait_for(state="detached", timeout=WAIT_MS)
    settled(page)
    deadline = time.monotonic() + WAIT_MS / 1000
    while drawn_points(viewer) and time.monotonic() < deadline:  # the empty one is fetched
        page.wait_for_timeout(200)
    assert drawn_points(viewer) == set()
    draw_on_axial(page, viewer, SMALL)
    drawn = drawn_points(viewer)
    press(viewer, "save")
    page.get_by_role("button", name="Sign this contour").wait_for(timeout=WAIT_MS)
    _, second = masks_of(study, "Hue")
    assert mask_points(load_drawn(StudyFolder(study), second.drawn_key)) == drawn


def test_what_is_saved_after_the_signature_in_another_tab_is_said_to_be_not_stored(study, server, page):
    viewer = saved_canvas(page, server, "Ivo")
    draw_on_axial(page, viewer, SMALL)
    tab, _ = another_tab(page, server, "Ivo")
    tab.get_by_role("button", name="Sign this contour").click()
    (verdict,) = signed(study, "Ivo")
    press(viewer, "save")
    page.get_by_text("You signed your contour").wait_for(timeout=WAIT_MS)
    settled(page)
    assert [mask.drawn_key for mask in masks_of(study, "Ivo")] == [verdict.drawn_key]
    page.get_by_text("You signed this meanwhile").wait_for(timeout=WAIT_MS)
    assert not viewer.evaluate("host => host.viewer.scene.drawing")


def test_a_stroke_that_was_undone_does_not_stand_in_the_way_of_a_signature(study, server, page):
    viewer = saved_canvas(page, server, "Dan")
    before = drawn_points(viewer)
    draw_on_axial(page, viewer, SMALL)
    page.keyboard.press("Control+Enter")
    refused(page)
    press(viewer, "undo")
    assert drawn_points(viewer) == before
    page.get_by_role("button", name="Sign this contour").click()
    (verdict,) = signed(study, "Dan")
    assert mask_points(load_drawn(StudyFolder(study), verdict.drawn_key)) == before
