"""LUNG1-001, from DICOM, in a real browser: tumour, ring and lungs are shown, and a stroke is what is stored."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from engine.geometry import index_to_points_mm, points_to_index
from store.layout import StudyFolder
from store.ledger import Ledger
from store.queries.images import REFERENCE, load_ct, load_masks
from store.reviews import READER_STUDY, load_drawn, reading_order
from tests.conftest import command_line
from tests.pages.conftest import Server, settled
from tests.pages.review_study import (
    WAIT_MS,
    Addresses,
    choose_option,
    draw_on_axial,
    drawn_points,
    enter,
    key_of,
    mask_points,
    masks_of,
    name_again,
    press,
    save,
    take_pen,
    viewer_of,
)

GTV_VOXELS = 54639  # ../shared/data/lung1_001/README.md
VOXELS_OF_LAYERS = """host => { const { layers, bits } = host.viewer.scene
  const count = n => bits.reduce((sum, v) => sum + (v >> n & 1), 0)
  return Object.fromEntries(layers.map((layer, n) => [layer.name, count(n)])) }"""
SHOWN = ("lungs", "peritumoural", "reference")
TRIANGLE = ((0.35, 0.4), (0.45, 0.42), (0.4, 0.5))
ELSEWHERE = ((0.6, 0.6), (0.7, 0.62), (0.65, 0.7))
LUNG = [-1350, 150]
SERIES_UIDS = ("1.3.6.1.4",)
ON_SCREEN = """host => { const nv = host.viewer.nv, [x, y, z] = nv.scene.crosshairPos
  const [, nx, ny] = nv.volumes[0].dimsRAS
  const at = (u, v) => nv.frac2canvasPosWithTile([u, v, z], 0).pos, here = at(x, y)
  const area = plane => { const [, , w, h] = nv.screenSlices.find(s => s.axCorSag === plane).leftTopWidthHeight
    return Math.abs(w * h) }
  return [Math.abs(at(x + 10 / nx, y)[0] - here[0]) / 10, Math.abs(at(x, y + 10 / ny)[1] - here[1]) / 10,
    area(0), area(1)] }"""


@pytest.fixture(scope="module")
def study(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lung1")
    with tarfile.open(shared / "data/lung1_001/lung1_001_dicom.tar.xz") as tar:
        tar.extractall(folder / "images", filter="data")
    command_line("new", str(folder / "study"), "--images", str(folder / "images"), "--reference", "GTV-1")
    command_line("run", str(folder / "study"), "--until", "regions")
    return folder / "study"


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


@pytest.fixture
def page(server: Server, browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    enter(page, f"{server.address}/review", "Ada")
    yield page
    context.close()


def key_of_other(page: Page, shown: str) -> str:
    """The key of the images that come in place of those shown."""
    return str(viewer_of(page, shown).get_attribute("data-key"))


def test_it_opens_close_up_on_the_tumour_with_ring_and_lungs_in_the_scans_own_voxels(study, page):
    viewer = viewer_of(page)
    expect(page.locator(".viewer .part")).to_contain_text("close-up of the scan’s own voxels, each 2 × 2 screen pixels")
    assert viewer.evaluate("host => host.viewer.nv.volumes[0].dimsRAS.slice(1, 3)") == [256, 256]
    assert viewer.evaluate(VOXELS_OF_LAYERS)["reference"] == GTV_VOXELS
    assert all(viewer.evaluate(VOXELS_OF_LAYERS)[name] > 0 for name in SHOWN)
    assert all(
        viewer.evaluate("host => host.viewer.scene.layers.map(l => [l.name, l.on])").count([n, True]) for n in SHOWN
    )
    assert viewer.evaluate("host => [host.viewer.nv.volumes[0].cal_min, host.viewer.nv.volumes[0].cal_max]") == LUNG
    across, up, axial, coronal = viewer.evaluate(ON_SCREEN)
    assert (across, up) == pytest.approx((2, 2), abs=1e-3)
    assert axial > 1.3 * coronal


def test_places_and_values_close_up_are_those_of_the_scan(study, page):
    viewer = viewer_of(page)
    place, hu = viewer.evaluate(
        """host => { const nv = host.viewer.nv; const [x, y, z] = Array.from(nv.frac2vox(nv.scene.crosshairPos))
        return [host.viewer.place(), nv.volumes[0].getValue(x, y, z)] }"""
    )
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
        (case,) = {unit for unit, _, _ in ledger.placed(run_id, "acquire")}
    ct = load_ct(study, run_id, case)
    x, y, z = np.rint(points_to_index(np.array([place]) * (-1, -1, 1), ct.grid)[0]).astype(int)
    assert index_to_points_mm(np.array([[x, y, z]]), ct.grid)[0] * (-1, -1, 1) == pytest.approx(place, abs=0.01)
    assert ct.intensity_hu[z, y, x] == hu
    tumour = load_masks(study, run_id, case, REFERENCE).find("tumour")
    assert tumour.voxels[z, y, x]


def test_the_whole_chest_is_there_for_one_key_without_another_fetch_and_at_the_same_place(page):
    viewer = viewer_of(page)
    page.locator(".viewer[data-ahead]").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    place, close = np.array(viewer.evaluate("host => host.viewer.place()")), key_of(page)
    page.keyboard.press("f")
    chest = key_of_other(page, close)
    expect(page.locator(".viewer .part")).to_contain_text("preview, each point the mean of 2 × 2 × 1 voxels")
    assert viewer.evaluate("host => host.viewer.place()") == pytest.approx(place, abs=0.01)
    settled(page)
    assert key_of(page) == chest
    page.keyboard.press("f")
    assert key_of_other(page, chest) == close
    assert viewer.evaluate("host => host.viewer.place()") == pytest.approx(place, abs=0.01)
    assert viewer.evaluate(VOXELS_OF_LAYERS)["reference"] == GTV_VOXELS
    assert [url for url in asked if "/volumes/ct" in url or "/volumes/layers" in url] == []


def test_the_wheel_says_where_the_close_up_ends(page):
    viewer = viewer_of(page)
    viewer.evaluate("host => { host.viewer.nv.scene.crosshairPos[2] = 0; host.viewer.nv.drawScene() }")
    box = viewer.locator("canvas.images").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 120)
    page.mouse.wheel(0, 120)
    page.locator(".viewer .message", has_text="The close-up ends here; the key f shows the whole chest.").wait_for()


def test_a_study_without_a_model_says_that_there_is_nothing_to_judge_and_draws_no_reader_study(study, page):
    key_of(page)
    choose_option(page, "Mode", "Reader study")
    page.get_by_text("none of them is segmented").wait_for()
    expect(page.locator(".viewer")).to_have_count(0)
    with Ledger(StudyFolder(study)) as ledger:
        assert reading_order(ledger, "Ada", READER_STUDY) == ()


def test_a_stroke_kept_and_a_stroke_undone_are_stored_as_they_are_seen(study, page):
    viewer = viewer_of(page)
    take_pen(viewer, "draw")
    draw_on_axial(page, viewer, TRIANGLE)
    drawn = drawn_points(viewer)
    draw_on_axial(page, viewer, ELSEWHERE)
    assert drawn_points(viewer) > drawn
    press(viewer, "undo")
    assert drawn_points(viewer) == drawn
    save(viewer, 1)
    (stored,) = masks_of(study, "Ada")
    assert len(drawn) > 100
    assert mask_points(load_drawn(StudyFolder(study), stored.drawn_key)) == drawn


def test_a_blank_canvas_opens_on_the_whole_scan_has_no_close_up_and_sends_the_pen_to_the_whole_series(server, page):
    assert viewer_of(page).locator("button[data-name=close]").count() == 1
    enter(page, f"{server.address}/review", "Cora", "Blank canvas")  # who has met no outline of it
    viewer = viewer_of(page)
    assert viewer.locator("button[data-name=close]").count() == 0
    expect(page.locator(".viewer .part")).to_contain_text("preview, each point the mean of 2 × 2 × 1 voxels")
    assert viewer.evaluate("host => host.viewer.nv.volumes[0].dimsRAS.slice(1, 4)") == [256, 256, 134]
    assert viewer.evaluate("host => Array.from(host.viewer.nv.scene.crosshairPos)") == pytest.approx(
        [0.5] * 3, abs=0.01
    )
    press(viewer, "draw")
    page.locator(".viewer .message", has_text="choose Whole series first.").wait_for()


def download(page: Page, name: str) -> bytes:
    """What a button of the sidebar hands out."""
    settled(page)
    with page.expect_download() as taken:
        page.get_by_role("button", name=name).click()
    return Path(taken.value.path()).read_bytes()


def test_no_address_names_the_patient_the_reader_or_outside_the_work_list_the_case(study, server, browser):
    with Ledger(StudyFolder(study)) as ledger:
        (case,) = {unit for unit, _, _ in ledger.placed(ledger.latest_run().run_id, "acquire")}
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    asked = Addresses(context)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    enter(page, f"{server.address}/review", "Ada Quillfeather")
    close = key_of(page)
    page.locator(".viewer[data-ahead]").wait_for()
    page.keyboard.press("f")
    chest = key_of_other(page, close)
    page.keyboard.press("f")
    viewer = viewer_of(page, chest)
    take_pen(viewer, "draw")
    draw_on_axial(page, viewer, TRIANGLE)
    press(viewer, "save")
    page.locator(".viewer[data-saved]").wait_for()
    page.get_by_text("Mask as a file").click()
    assert download(page, "Mask (NIfTI)")[:2] == b"\x1f\x8b"
    assert download(page, "Mask (DICOM SEG)")[128:132] == b"DICM"
    assert set(asked.naming(case)) == {page.url}
    assert page.url == f"{server.address}/review?case={case}"
    in_the_work_list = len(asked.found)
    choose_option(page, "Mode", "Reader study")
    page.get_by_text("none of them is segmented").wait_for()
    page.get_by_role("button", name="Another reader").click()
    name_again(page, "Bea Quillfeather", "Blank canvas")
    viewer_of(page)
    page.get_by_text("Simple slices", exact=True).click()
    page.locator("[data-testid=stImage] img").first.wait_for()
    assert page.url == f"{server.address}/review"
    assert asked.elsewhere(server.address) == []
    assert asked.naming("LUNG1", "Quillfeather", *SERIES_UIDS) == []
    del asked.found[:in_the_work_list]
    assert len(asked.found) > 5
    assert asked.naming(case) == []
    context.close()
