"""The viewer's tools in a real browser: what they draw, rub out, fill and measure, against geometry and SciPy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect
from scipy.ndimage import distance_transform_edt, maximum_filter1d

from engine.geometry import index_to_points_mm
from store.layout import StudyFolder
from store.ledger import Ledger
from store.queries.images import REFERENCE, load_masks
from store.reviews import load_drawn
from store.volumes import Mask
from tests.conftest import command_line
from tests.pages.conftest import Server, settled
from tests.pages.review_study import (
    DIRECTIONS,
    SHAPE_ZYX,
    SPACING,
    build_study,
    choose_option,
    drag_over_axial,
    enter,
    key_of,
    masks_of,
    press,
    save,
    show_voxel,
    take_pen,
    viewer_of,
)

BALL = (19, 17, 14)  # centre of the ball of the plain scan from the right, the back, the feet
SLAB_MM = 10.0
RAS_VOXELS = "host => [host.viewer.nv.volumes[0].dimsRAS.slice(1, 4), Array.from(host.viewer.nv.volumes[0].img2RAS())]"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools") / "study"
    build_study(folder)
    command_line("run", str(folder), "--until", "review")
    return folder


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[Server]:
    served = Server(study)
    yield served
    served.stop()


def whole_series(page: Page, server: Server, case: str, reader: str) -> Locator:
    """The viewer with every voxel of a case."""
    enter(page, f"{server.address}/review?case={case}", reader)
    shown = key_of(page)
    press(viewer_of(page), "whole")
    viewer = viewer_of(page, shown)
    settled(page)
    return viewer


def square(x0: int, x1: int, y0: int, y1: int) -> tuple[tuple[int, int], ...]:
    """The corners of a rectangle of voxels, in the order of a stroke."""
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def stroke(page: Page, viewer: Locator, z: int, corners: tuple[tuple[int, int], ...]) -> None:
    """Draw or rub out a filled shape on one axial slice."""
    show_voxel(viewer, (*BALL[:2], z))
    drag_over_axial(page, viewer, corners)


def stored_ras(study: Path, reader: str) -> NDArray[np.bool_]:
    """What a reader saved last, z, y, x from the feet, the back, the right; scans along the axes are kept in LPS."""
    return load_drawn(StudyFolder(study), masks_of(study, reader)[-1].drawn_key).voxels[:, ::-1, ::-1]


def ras_voxels(viewer: Locator) -> NDArray[np.float64]:
    """The voxels on screen, z, y, x from the feet, the back, the right."""
    dims, values = viewer.evaluate(RAS_VOXELS)
    return np.array(values).reshape(dims[::-1])


def said(page: Page, pattern: str) -> re.Match[str]:
    """What the viewer says, once it matches."""
    message = page.locator(".viewer .message", has_text=re.compile(pattern))
    message.wait_for()
    found = re.search(pattern, message.inner_text())
    assert found is not None
    return found


def test_the_eraser_takes_exactly_the_voxels_under_it_and_undo_brings_them_back(study, server, page):
    viewer = whole_series(page, server, "plain", "Ada")
    wanted = np.zeros(SHAPE_ZYX, np.bool_)
    wanted[14, 10:23, 8:21] = True
    take_pen(viewer, "draw")
    stroke(page, viewer, 14, square(8, 20, 10, 22))
    save(viewer, 1)
    assert (stored_ras(study, "Ada") == wanted).all()
    take_pen(viewer, "erase")
    stroke(page, viewer, 14, square(12, 16, 14, 18))
    stroke(page, viewer, 14, square(8, 10, 10, 12))
    press(viewer, "undo")
    wanted[14, 14:19, 12:17] = False
    save(viewer, 2)
    assert (stored_ras(study, "Ada") == wanted).all()


def between(below: NDArray[np.bool_], above: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Shape-based interpolation (Raya and Udupa 1990) by SciPy: distances negative inside, border half a voxel out."""

    def signed(shape: NDArray[np.bool_]) -> NDArray[np.float64]:
        padded = np.pad(shape, 1)
        inner = padded[1:-1, :-2] & padded[1:-1, 2:] & padded[:-2, 1:-1] & padded[2:, 1:-1]
        to_edge = distance_transform_edt(~(shape & ~inner))
        return np.where(shape, -to_edge - 0.5, to_edge - 0.5)

    return (1 - share) * signed(below) + share * signed(above) < 0


def test_fill_between_adds_exactly_the_shapes_between_two_drawn_slices(study, server, page):
    viewer = whole_series(page, server, "flipped", "Bea")
    wanted = np.zeros(SHAPE_ZYX, np.bool_)
    wanted[9, 10:23, 8:21] = wanted[13, 14:19, 12:17] = wanted[16, 14:19, 12:17] = True
    take_pen(viewer, "draw")
    stroke(page, viewer, 9, square(8, 20, 10, 22))
    stroke(page, viewer, 13, square(12, 16, 14, 18))
    stroke(page, viewer, 16, square(12, 16, 14, 18))
    press(viewer, "fill")
    before = wanted.sum()
    for z in (10, 11, 12):
        wanted[z] = between(wanted[9], wanted[13], (z - 9) / 4)
    wanted[14] = wanted[15] = wanted[13]
    assert int(said(page, r"^(\d+) voxels filled")[1]) == wanted.sum() - before
    save(viewer, 1)
    assert (stored_ras(study, "Bea") == wanted).all()


def test_the_caliper_says_long_and_short_axis_in_millimetres_and_forgets_them_with_the_case(server, page):
    viewer = whole_series(page, server, "plain", "Cleo")
    show_voxel(viewer, BALL)
    pixel_mm = viewer.evaluate(
        """(host, mm) => { const nv = host.viewer.nv, r = nv.uiData.dpr || window.devicePixelRatio
        return mm / (Math.abs(nv.screenSlices.find(s => s.axCorSag === 0).leftTopWidthHeight[2]) / r) }""",
        SHAPE_ZYX[2] * SPACING[0],
    )
    press(viewer, "measure")
    drag_over_axial(page, viewer, ((20, 12), (20, 24)))
    assert float(said(page, r"^Caliper: ([\d.]+) mm$")[1]) == pytest.approx(12 * SPACING[1], abs=pixel_mm + 0.05)
    drag_over_axial(page, viewer, ((10, 17), (30, 17)))
    long, short = (float(text) for text in said(page, r"^Long axis ([\d.]+) mm, short axis ([\d.]+) mm").groups())
    assert long == pytest.approx(20 * SPACING[0], abs=pixel_mm + 0.05)
    assert short == pytest.approx(12 * SPACING[1], abs=pixel_mm + 0.05)
    drag_over_axial(page, viewer, ((12, 10), (24, 22)))
    slanted = np.hypot(12 * SPACING[0], 12 * SPACING[1])
    assert float(said(page, r"^Caliper: ([\d.]+) mm$")[1]) == pytest.approx(slanted, abs=2 * pixel_mm)
    shown = key_of(page)
    page.get_by_role("button", name="Next").click()
    assert viewer_of(page, shown).evaluate("host => host.viewer.nv.document.completedMeasurements.length") == 0


@pytest.mark.parametrize("case", DIRECTIONS)
def test_the_disk_says_mean_spread_and_count_of_the_voxels_in_it(server, page, case):
    viewer = whole_series(page, server, case, "Dora")
    voxels = ras_voxels(viewer)
    across, up = viewer.evaluate("host => host.viewer.nv.volumes[0].pixDimsRAS.slice(1, 3)")
    z, y, x = (int(np.median(place)) for place in np.nonzero(voxels == 30))
    show_voxel(viewer, (x, y, z))
    press(viewer, "disk")
    drag_over_axial(page, viewer, ((x, y), (x + 7, y)))
    rows, columns = np.indices(voxels.shape[1:])
    inside = voxels[z][np.hypot((columns - x) * across, (rows - y) * up) <= 7 * across + 1e-4]
    assert 30 in inside
    assert -850 in inside
    diameter, mean, spread, count = said(page, r"^Disk of ([\d.]+) mm: (-?\d+) ± (\d+) HU \((\d+) voxels\)").groups()
    assert float(diameter) == pytest.approx(14 * across, abs=0.051)
    assert (int(count), float(mean)) == (inside.size, pytest.approx(inside.mean(), abs=0.5001))
    assert float(spread) == pytest.approx(inside.std(ddof=1), abs=0.5001)


@pytest.mark.parametrize("case", DIRECTIONS)
def test_the_slab_is_the_maximum_of_the_slices_that_come_nearest_to_ten_millimetres(server, page, case):
    viewer = whole_series(page, server, case, "Elsa")
    voxels = ras_voxels(viewer)
    thickness = viewer.evaluate("host => host.viewer.nv.volumes[0].pixDimsRAS[3]")
    slices = min(range(3, 21, 2), key=lambda count: abs(count * thickness - SLAB_MM))
    press(viewer, "slab")
    assert (ras_voxels(viewer) == maximum_filter1d(voxels, slices, axis=0, mode="nearest")).all()
    press(viewer, "slab")
    assert (ras_voxels(viewer) == voxels).all()


def test_a_disk_under_the_slab_measures_the_slice_and_says_so(server, page):
    viewer = whole_series(page, server, "plain", "Gus")
    voxels = ras_voxels(viewer)
    across, up = viewer.evaluate("host => host.viewer.nv.volumes[0].pixDimsRAS.slice(1, 3)")
    z, y, x = np.nonzero(voxels == 30)
    last, y, x = z.max(), int(np.median(y)), int(np.median(x))  # the ball's last slice: under the slab it is larger
    show_voxel(viewer, (x, y, int(last)))
    press(viewer, "slab")
    assert " at most in the slab" in viewer.inner_text()
    press(viewer, "disk")
    drag_over_axial(page, viewer, ((x, y), (x + 7, y)))
    rows, columns = np.indices(voxels.shape[1:])
    near = np.hypot((columns - x) * across, (rows - y) * up) <= 7 * across + 1e-4
    found = said(page, r"^Disk of [\d.]+ mm: (-?\d+) ± \d+ HU \(\d+ voxels\) of this slice, not of the slab$")
    assert float(found[1]) == pytest.approx(voxels[last][near].mean(), abs=0.5001)
    thick = maximum_filter1d(voxels, 3, axis=0, mode="nearest")
    assert thick[last][near].mean() > voxels[last][near].mean() + 10


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (1440, 900), (1920, 1080)])
@pytest.mark.parametrize("mode", ["Work list", "Blank canvas"])
def test_the_images_are_seen_without_scrolling(server, page, mode, width, height):
    page.set_viewport_size({"width": width, "height": height})
    enter(page, f"{server.address}/review", "Fay")
    if mode != "Work list":
        choose_option(page, "Mode", mode)
        page.wait_for_selector("text=reading 1 of")
    settled(page)
    box = viewer_of(page).locator(".stage").bounding_box()
    assert box["y"] + box["height"] <= height
    assert box["height"] > 0.5 * height


SURFACE = """(host, name) => { const mesh = host.viewer.nv.meshes.find(m => m.name === name)
  return [Array.from(mesh.pts), Array.from(mesh.tris)] }"""


@pytest.mark.parametrize("case", DIRECTIONS)
def test_in_3d_the_reference_is_a_closed_surface_where_it_lies(study, server, page, case):
    viewer = whole_series(page, server, case, "Hope")
    viewer.locator("button[data-name='3d']").click()
    points, triangles = (np.array(values).reshape(-1, 3) for values in viewer.evaluate(SURFACE, "reference"))
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}
    first, second, third = (points[triangles[:, corner]] for corner in range(3))
    volumes = np.einsum("ij,ij->i", first - points[0], np.cross(second - points[0], third - points[0])) / 6
    mask = outlined(study, case)
    assert volumes.sum() / 1000 == pytest.approx(mask.volume_ml, rel=0.1)
    index = np.argwhere(mask.voxels)[:, ::-1].astype(np.float64)
    middle = index_to_points_mm(index, mask.grid).mean(axis=0) * (-1, -1, 1)
    assert (points.max(axis=0) + points.min(axis=0)) / 2 == pytest.approx(middle, abs=0.05)
    for name in ("reference", "peritumoural"):
        viewer.locator(f"label.layer input[name={name}]").uncheck()
    assert viewer.evaluate("host => host.viewer.nv.meshes.map(m => m.name)") == []


def outlined(study: Path, case: str) -> Mask:
    """The reference tumour of a case."""
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
    found = load_masks(study, run_id, case, REFERENCE).find("tumour")
    assert found is not None
    return found


def test_the_volume_of_a_mask_is_shown_and_follows_the_pen(study, server, page):
    viewer = whole_series(page, server, "oblique", "Vera")
    label = viewer.locator("label.layer", has_text="Reference")
    expect(label).to_have_text(f"Reference {outlined(study, 'oblique').volume_ml:.1f} ml")
    take_pen(viewer, "draw")
    stroke(page, viewer, 14, square(8, 20, 10, 22))
    stroke(page, viewer, 15, square(8, 20, 10, 22))
    voxels = 2 * 13 * 13
    said(page, rf"Your mask now: {voxels * np.prod(SPACING) / 1000:.1f} ml, {voxels} voxels")
    press(viewer, "undo")
    said(page, rf"ml, {voxels // 2} voxels")


@pytest.mark.parametrize("case", list(DIRECTIONS))
def test_the_viewer_opens_on_the_middle_of_the_tumour_however_the_scan_lies(study, server, page, case):
    viewer = whole_series(page, server, case, f"Opening {case}")
    tumour = outlined(study, case)
    z, y, x = (round(middle) for middle in np.argwhere(tumour.voxels).mean(axis=0))
    wanted = index_to_points_mm(np.array([[x, y, z]], dtype=np.float64), tumour.grid)[0] * np.array([-1.0, -1.0, 1.0])
    found = np.array(viewer.evaluate("host => host.viewer.place()"))
    assert found == pytest.approx(wanted, abs=max(SPACING) / 2)
    at_crosshair = """host => { const nv = host.viewer.nv, [nx, ny] = nv.volumes[0].dimsRAS.slice(1, 3)
    const [x, y, z] = Array.from(nv.frac2vox(nv.scene.crosshairPos))
    return host.viewer.scene.bits[x + nx * (y + ny * z)] }"""
    assert viewer.evaluate(at_crosshair) > 0
