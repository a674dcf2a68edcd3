"""The wheel in the viewer, and an earlier CT beside the images: where it lies, and how the two scroll together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from playwright.sync_api import Locator, Page, expect

from engine.protocol import Images, Protocol, Segment, Study, write_protocol
from store.audit import audit_lines, verify_audit
from tests.conftest import command_line
from tests.pages.conftest import Server
from tests.pages.review_study import WAIT_MS, Addresses, enter, press, viewer_of

SHAPE_ZYX = (28, 36, 40)
SPACING = (2.5, 2.0, 3.0)
ORIGIN = (-61.25, 33.5, 120.75)
SHIFT_MM = (10.0, -6.0, 9.0)  # x, y, z in LPS: what brings the earlier chest onto the later one
DAYS = 183
COARSE_MM = 4.0
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def write(path: Path, array, origin) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))


def built(folder: Path, model: str = "") -> Path:
    """Two chests of air in soft tissue with a ball; the first was scanned before, half a year ago and elsewhere."""
    z, y, x = np.indices(SHAPE_ZYX)
    ball = ((x - 20) ** 2 + (y - 18) ** 2 + (z - 14) ** 2) < 5**2
    hu = np.full(SHAPE_ZYX, -1000, np.int16)
    hu[3:-3, 3:-3, 3:-3] = 40
    hu[5:-5, 5:-5, 5:-5] = -850
    small = hu.copy()
    hu[ball] = 30
    for name in ("before", "never"):
        write(folder / "images" / name / "image.nii.gz", hu, ORIGIN)
        write(folder / "images" / name / "tumour.nii.gz", ball.astype(np.uint8), ORIGIN)
    moved = tuple(a - b for a, b in zip(ORIGIN, SHIFT_MM, strict=True))
    write(folder / "images" / "before" / "prior.nii.gz", small, moved)
    rows = [f"{n},{n}/image.nii.gz,{n}/tumour.nii.gz" for n in ("before", "never")]
    table = ["case_id,image,reference,prior,prior_days", f"{rows[0]},before/prior.nii.gz,{DAYS}", f"{rows[1]},,"]
    (folder / "images" / "images.csv").write_text("\n".join(table) + "\n")
    described = Study(name="Scanned before", synthetic=True, public_ids=True)
    images = Images(root="images", reference=("tumour",))
    write_protocol(folder, Protocol(study=described, images=images, segment=Segment(model=model)))
    command_line("run", str(folder), "--until", "review")
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same with an outline by a model, for a reader study to judge."""
    served = Server(built(tmp_path_factory.mktemp("segmented"), "demo"))
    yield served
    served.stop()


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


def opened(page: Page, server: Server, case: str, reader: str) -> Locator:
    enter(page, f"{server.address}/review?case={case}", reader)
    return viewer_of(page)


def with_earlier(page: Page, server: Server, reader: str) -> Locator:
    viewer = opened(page, server, "before", reader)
    page.locator(".viewer[data-prior]").wait_for(timeout=WAIT_MS)
    return viewer


def places(viewer: Locator) -> tuple[np.ndarray, np.ndarray]:
    """Crosshair of the images and of the earlier CT in RAS millimetres."""
    found = viewer.evaluate("host => [host.viewer.place(), host.viewer.earlier.place()]")
    return np.array(found[0]), np.array(found[1])


def turn_wheel(page: Page, viewer: Locator, canvas: str, plane: int, notches: int) -> None:
    """Turn the wheel over the middle of a plane (0 axial, 1 coronal, 2 sagittal) of one of the two viewers."""
    tile = viewer.evaluate(
        """(host, [earlier, plane]) => { const nv = earlier ? host.viewer.earlier.nv : host.viewer.nv
        const t = nv.screenSlices.find(s => s.axCorSag === plane), r = nv.uiData.dpr || window.devicePixelRatio
        const [l, top, w, h] = t.leftTopWidthHeight; return [(l + w / 2) / r, (top + h / 2) / r] }""",
        [".earlier" in canvas, plane],
    )
    locator = viewer.locator(canvas)
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    page.mouse.move(box["x"] + tile[0], box["y"] + tile[1])
    for _ in range(abs(notches)):
        page.mouse.wheel(0, 120 if notches > 0 else -120)
        page.wait_for_timeout(100)


MAIN, EARLIER = "canvas.images", ".earlier canvas"
ZOOM = "host => Array.from(host.viewer.nv.scene.pan2Dxyzmm)"


@pytest.mark.parametrize(("plane", "axis", "step_mm"), [(0, 2, 3.0), (1, 1, 2.0), (2, 0, 2.5)])
def test_a_notch_of_the_wheel_is_one_slice_towards_feet_back_or_left(server, page, plane, axis, step_mm):
    viewer = opened(page, server, "never", f"Wheel {plane}")
    before = np.array(viewer.evaluate("host => host.viewer.place()"))
    zoom = viewer.evaluate(ZOOM)
    turn_wheel(page, viewer, MAIN, plane, 3)
    after = np.array(viewer.evaluate("host => host.viewer.place()"))
    expected = np.zeros(3)
    expected[axis] = -3 * step_mm
    half = np.array(SPACING) / 2 + 1e-3  # the first notch also goes to the middle of a voxel across the other axes
    assert (after - before)[axis] == pytest.approx(expected[axis], abs=half[axis])
    assert (np.abs(after - before - expected) <= half).all()
    turn_wheel(page, viewer, MAIN, plane, -2)
    back = np.array(viewer.evaluate("host => host.viewer.place()"))
    assert (back - after)[axis] == pytest.approx(2 * step_mm, abs=1e-3)
    assert viewer.evaluate(ZOOM) == zoom


def test_an_earlier_ct_lies_where_its_lungs_do_and_scrolls_along(server, page):
    viewer = with_earlier(page, server, "Ada")
    expect(page.locator(".earlier .title")).to_have_text(f"Earlier CT: {DAYS} days before")
    now, then = places(viewer)
    assert now - then == pytest.approx(np.array(SHIFT_MM) * LPS_TO_RAS, abs=COARSE_MM)
    shift = now - then
    turn_wheel(page, viewer, MAIN, 0, 2)
    scrolled, along = places(viewer)
    assert scrolled[2] < now[2] - 4
    assert scrolled - along == pytest.approx(shift, abs=1e-2)
    turn_wheel(page, viewer, EARLIER, 0, -1)
    followed, led = places(viewer)
    assert led[2] - along[2] == pytest.approx(3.0, abs=1.6)
    assert followed - led == pytest.approx(shift, abs=1e-2)


def test_unlinked_they_scroll_alone_and_are_linked_again_as_they_lie(server, page):
    viewer = with_earlier(page, server, "Bea")
    press(viewer, "link")
    before, _ = places(viewer)
    turn_wheel(page, viewer, EARLIER, 0, 3)
    alone, then = places(viewer)
    assert alone == pytest.approx(before)
    press(viewer, "link")
    turn_wheel(page, viewer, MAIN, 0, 2)
    moved, along = places(viewer)
    assert moved[2] < alone[2]
    assert moved - along == pytest.approx(alone - then, abs=1e-2)


def test_the_pane_closes_and_is_not_there_without_an_earlier_ct(server, page):
    viewer = with_earlier(page, server, "Cleo")
    press(viewer, "prior")
    expect(page.locator(".earlier")).to_be_hidden()
    press(viewer, "prior")
    expect(page.locator(".earlier")).to_be_visible()
    shown = str(viewer.get_attribute("data-key"))
    page.get_by_role("button", name="Next").click()
    viewer_of(page, shown)
    expect(page.locator(".earlier")).to_be_hidden()
    expect(page.locator("button[data-name=prior]")).to_have_count(0)


def test_slices_drawn_on_the_server_have_it_beside_them(server, page):
    with_earlier(page, server, "Dora")
    page.get_by_text("Simple slices", exact=True).click()
    page.get_by_text(f"Earlier CT: {DAYS} days before; slice").wait_for(timeout=WAIT_MS)


def hold_back(page: Page, name: str) -> list:
    """Requests for a volume wait until they are let go, or are refused."""
    held: list = []
    page.route(f"**/volumes/{name}", lambda route: held.append(route))
    return held


def let_go(page: Page, name: str, held: list) -> None:
    for route in held:
        route.continue_()
    held.clear()
    page.unroute(f"**/volumes/{name}")


def to_next(page: Page, viewer: Locator) -> None:
    """Go to the next case and wait until the viewer has heard of it."""
    wanted = str(viewer.get_attribute("data-wanted"))
    page.get_by_role("button", name="Next").click()
    page.locator(f".viewer[data-wanted]:not([data-wanted='{wanted}'])").wait_for()


def viewer_free(page: Page) -> Locator:
    """The viewer, whether its images are there or not."""
    return page.locator(".viewer")


SHOWN = """host => [host.viewer.nv.volumes.length, host.viewer.earlier.nv?.volumes.length ?? 0,
  host.viewer.panel.pane.title.textContent]"""


def test_nobodys_images_stand_under_the_name_of_another_while_new_ones_are_on_their_way(server, page):
    viewer = with_earlier(page, server, "Eve")
    held = hold_back(page, "ct")
    to_next(page, viewer)
    assert viewer_free(page).evaluate(SHOWN)[:2] == [0, 0]
    let_go(page, "ct", held)
    viewer_of(page)
    assert viewer_free(page).evaluate(SHOWN) == [1, 0, ""]
    held = hold_back(page, "prior")
    to_next(page, viewer_free(page))
    viewer_of(page)
    expect(page.locator(".pane .said")).to_have_text("Fetching the earlier CT …")
    assert viewer_free(page).evaluate(SHOWN) == [1, 0, f"Earlier CT: {DAYS} days before"]
    to_next(page, viewer_free(page))  # gone on before it came
    let_go(page, "prior", held)
    viewer_of(page)
    page.wait_for_timeout(1500)
    assert viewer_free(page).evaluate(SHOWN) == [1, 0, ""]


def test_an_earlier_ct_that_cannot_be_fetched_leaves_an_empty_pane_that_says_so(server, page):
    viewer = with_earlier(page, server, "Fay")
    to_next(page, viewer)
    viewer_of(page)
    page.route("**/volumes/prior", lambda route: route.fulfill(status=500, body="{}"))
    to_next(page, viewer_free(page))
    viewer = viewer_of(page)
    expect(page.locator(".pane .said")).to_contain_text("could not be fetched")
    turn_wheel(page, viewer, MAIN, 0, 1)
    expect(page.locator(".pane .said")).to_contain_text("could not be fetched")
    assert viewer.evaluate(SHOWN)[1] == 0


def seen(study: Path, reader: str) -> list[str]:
    """What the audit says that a reader was shown, the oldest first."""
    lines = [line for line in audit_lines(study, 10_000) if line.actor == reader and line.action == "view images"]
    return [line.detail for line in sorted(lines, key=lambda line: line.seq)]


def test_that_a_reader_fetched_an_earlier_ct_is_in_the_audit_under_his_name(study, server, page):
    with_earlier(page, server, "Gina")
    assert sorted(seen(study, "Gina")) == ["before", "before: earlier CT"]
    press(viewer_free(page), "prior")
    page.get_by_role("button", name="Next").click()
    page.locator(".viewer[data-key]").wait_for()
    assert "never: earlier CT" not in seen(study, "Gina")
    assert verify_audit(study).whole


def test_an_earlier_ct_drawn_on_the_server_is_in_the_audit_too(study, server, page):
    with_earlier(page, server, "Hugo")
    before = seen(study, "Hugo")
    page.get_by_text("Simple slices", exact=True).click()
    page.get_by_text(f"Earlier CT: {DAYS} days before; slice").wait_for(timeout=WAIT_MS)
    assert seen(study, "Hugo")[len(before) :] == ["before", "before: earlier CT"]


def until_earlier(page: Page) -> None:
    """Go on to the case that has an earlier CT, which a study of readers does not name."""
    viewer = viewer_of(page)
    if not viewer.evaluate("host => Boolean(host.viewer.data.prior)"):
        to_next(page, viewer)
        viewer_of(page)
    page.locator(".viewer[data-prior]").wait_for(timeout=WAIT_MS)


@pytest.mark.parametrize(
    ("mode", "title"),
    [("Reader study", "Earlier CT"), ("Blank canvas", f"Earlier CT: {DAYS} days before")],
)
def test_an_earlier_ct_says_in_each_mode_what_the_header_may_say_and_no_address_names_the_case(
    segmented, page, mode, title
):
    asked = Addresses(page.context)
    enter(page, f"{segmented.address}/review", f"Ines {mode}", mode)
    until_earlier(page)
    expect(page.locator(".earlier .title")).to_have_text(title)
    now, then = places(viewer_free(page))
    assert now - then == pytest.approx(np.array(SHIFT_MM) * LPS_TO_RAS, abs=COARSE_MM)
    page.get_by_text("Simple slices", exact=True).click()
    page.get_by_text(f"{title}; slice").wait_for(timeout=WAIT_MS)
    assert (f"{DAYS} days" in page.inner_text("body")) == (mode != "Reader study")
    assert page.url == f"{segmented.address}/review"
    assert len(asked.found) > 10
    assert asked.naming("before", "never") == []
