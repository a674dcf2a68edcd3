"""LUNG1-001, from DICOM, in a real browser: tumour, ring and lungs are shown, and a stroke is what is stored."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from store.layout import StudyFolder
from store.reviews import load_drawn
from tests.conftest import command_line
from tests.pages.conftest import Server
from tests.pages.review_study import (
    WAIT_MS,
    choose_option,
    draw_on_axial,
    drawn_points,
    enter,
    key_of,
    mask_points,
    masks_of,
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


def own_voxels(page: Page, name: str) -> Locator:
    """The viewer with a part of the scan voxel by voxel, once it is drawn."""
    shown = key_of(page)
    press(viewer_of(page), name)
    return viewer_of(page, shown)


def test_it_opens_on_the_tumour_with_ring_and_lungs(page):
    viewer = viewer_of(page)
    expect(page.locator(".viewer .where")).to_contain_text("preview, each point the mean of 2 × 2 × 1 voxels")
    assert all(viewer.evaluate(VOXELS_OF_LAYERS)[name] > 0 for name in SHOWN)
    assert all(
        viewer.evaluate("host => host.viewer.scene.layers.map(l => [l.name, l.on])").count([n, True]) for n in SHOWN
    )
    assert own_voxels(page, "tumour").evaluate(VOXELS_OF_LAYERS)["reference"] == GTV_VOXELS
    expect(page.locator(".viewer .where")).not_to_contain_text("preview")


def test_a_stroke_kept_and_a_stroke_undone_are_stored_as_they_are_seen(study, page):
    viewer = own_voxels(page, "tumour")
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


def test_a_blank_canvas_offers_no_part_about_the_tumour_and_sends_the_pen_to_the_whole_series(page):
    shown = key_of(page)
    assert viewer_of(page).locator("button[data-name=tumour]").count() == 1
    choose_option(page, "Mode", "Blank canvas")
    viewer = viewer_of(page, shown)
    assert viewer.locator("button[data-name=tumour]").count() == 0
    press(viewer, "draw")
    page.locator(".viewer .message", has_text="choose Whole series first.").wait_for()
