"""Which part of a scan a reader sees, and where it opens: by geometry, on grids of any size."""

from __future__ import annotations

import numpy as np
import pytest

from engine.geometry import points_to_index
from engine.run.review_layers import Layer
from engine.run.review_volumes import viewed_grid
from engine.run.scan_parts import Extent, covers, extent_of, offered_extents, opening_mm
from store.reviews import ADJUDICATION, BLANK_CANVAS, READER_STUDY, WORK_LIST
from store.volumes import CtSeries, Grid, Mask

GRID = Grid((512, 512, 120), (0.8, 0.8, 2.0), (-200.0, -180.0, -300.0))
WHOLE = (0, 120, 0, 512, 0, 512)
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def series(grid: Grid = GRID) -> CtSeries:
    return CtSeries(np.zeros(grid.shape_zyx, np.int16), grid)


def layer(name: str, *boxes: tuple[int, int, int, int, int, int], grid: Grid = GRID) -> Layer:
    """Boxes z, y, x as the masks of a layer: the index lesion, then others."""
    masks = []
    for number, (a, b, c, d, e, f) in enumerate(boxes):
        voxels = np.zeros(grid.shape_zyx, bool)
        voxels[a:b, c:d, e:f] = True
        masks.append(Mask("lung_left" if name == "lungs" else "tumour", "automatic", "m", voxels, grid, number))
    return Layer(name, name, tuple(masks))


def opened_at(*layers: Layer, grid: Grid = GRID) -> tuple[int, int, int]:
    """The voxel z, y, x on which the viewer opens."""
    place = np.array([opening_mm(grid, layers)]) * LPS_TO_RAS
    x, y, z = np.rint(points_to_index(place, grid)[0]).astype(int)
    return (int(z), int(y), int(x))


LESION = (50, 60, 200, 230, 300, 340)
ELSEWHERE = (20, 30, 300, 320, 100, 130)


def test_a_close_up_is_256_own_voxels_across_with_forty_millimetres_around_the_lesion():
    extent = extent_of("close", series(), (layer("automatic", LESION),))
    a, b, c, d, e, f = extent.box
    assert extent.editable
    assert (d - c, f - e) == (256, 256)
    assert ((c + d) // 2, (e + f) // 2) == (215, 320)
    assert (50 - a) * 2.0 >= 40 <= (b - 60) * 2.0
    assert (b - a) * 2.0 >= 120


def test_a_lesion_larger_than_that_is_seen_whole_with_its_margin():
    extent = extent_of("close", series(), (layer("automatic", (10, 110, 20, 420, 100, 500)),))
    assert extent.box == (0, 120, 0, 470, 50, 512)


def test_a_close_up_at_the_edge_is_moved_into_the_scan_and_stays_as_large():
    extent = extent_of("close", series(), (layer("automatic", (0, 4, 0, 10, 500, 512)),))
    assert extent.box == (0, 60, 0, 256, 256, 512)


def test_a_small_scan_is_its_own_close_up():
    small = Grid((100, 90, 40), (0.8, 0.8, 2.0), (0.0, 0.0, 0.0))
    close = extent_of("close", series(small), (layer("automatic", (10, 12, 20, 30, 40, 50), grid=small),))
    assert close.box == (0, 40, 0, 90, 0, 100)
    assert covers(close, extent_of("preview", series(small), ()))


def test_a_case_without_an_outline_has_a_close_up_as_large_about_the_middle_of_the_lungs():
    lungs = layer("lungs", (10, 110, 100, 400, 50, 250), (10, 110, 100, 400, 280, 470))
    extent = extent_of("close", series(), (lungs, layer("automatic")))
    a, b, c, d, e, f = extent.box
    assert (b - a, d - c, f - e) == (60, 256, 256)
    middle = opened_at(lungs, layer("automatic"))
    assert middle == pytest.approx((60, 250, 260), abs=1)
    assert ((a + b) / 2, (c + d) / 2, (e + f) / 2) == pytest.approx(middle, abs=1)


@pytest.mark.parametrize(
    ("mode", "offered"),
    [
        (WORK_LIST, ("close", "preview", "whole")),
        (READER_STUDY, ("close", "preview", "whole")),
        (ADJUDICATION, ("close", "preview", "whole")),
        (BLANK_CANVAS, ("preview", "whole")),
    ],
)
def test_what_is_offered_follows_from_the_mode_alone_and_a_blank_canvas_has_no_close_up(mode, offered):
    assert offered_extents(mode) == offered


@pytest.mark.parametrize(
    ("layers", "on"),
    [
        ((layer("reference", LESION), layer("automatic", (52, 58, 210, 240, 310, 350))), (55, 225, 330)),
        ((layer("reference", LESION), layer("automatic", ELSEWHERE)), (55, 215, 320)),
        ((layer("automatic", ELSEWHERE),), (25, 310, 115)),
        ((layer("reference", LESION), layer("automatic")), (55, 215, 320)),
        ((layer("reference", LESION), layer("automatic", LESION), layer("yours", ELSEWHERE)), (25, 310, 115)),
        ((layer("automatic", LESION, ELSEWHERE),), (55, 215, 320)),
        ((layer("lungs", (10, 110, 100, 400, 50, 250)),), (60, 250, 150)),
        ((), (60, 256, 256)),
    ],
    ids=["automatic", "wrong place", "no reference seen", "missed", "own", "index lesion", "lungs", "nothing"],
)
def test_it_opens_on_the_index_lesion_that_the_reader_may_see(layers, on):
    assert opened_at(*layers) == pytest.approx(on, abs=1)


def test_it_opens_on_a_voxel_of_a_lesion_that_is_hollow_or_in_pieces():
    hollow = layer("automatic", LESION)
    hollow.masks[0].voxels[50:60, 203:227, 303:337] = False
    hollow.masks[0].voxels[50:60, 400:405, 100:105] = True
    z, y, x = opened_at(hollow)
    assert hollow.masks[0].voxels[z, y, x]
    assert 200 <= y < 230


def test_a_preview_has_at_most_256_voxels_a_side_and_covers_the_chest():
    grid = Grid((512, 512, 300), (0.9, 0.9, 1.0), (0, 0, 0))
    extent = extent_of("preview", series(grid), (layer("lungs", (40, 260, 100, 400, 50, 450), grid=grid),))
    assert max(viewed_grid(grid, extent).size_xyz) <= 256
    assert not extent.editable
    assert extent.box[0] <= 40 < 260 <= extent.box[1]
    assert extent.box[4] <= 50 < 450 <= extent.box[5]


@pytest.mark.parametrize(
    ("extent", "covered"),
    [
        (Extent(WHOLE, (1, 1, 1)), True),
        (Extent(WHOLE, (1, 2, 2)), False),
        (Extent((10, 90, 0, 512, 0, 512), (1, 1, 1)), True),
        (Extent((11, 90, 0, 512, 0, 512), (1, 1, 1)), False),
        (Extent((10, 90, 0, 512, 0, 511), (1, 1, 1)), False),
    ],
)
def test_a_part_covers_another_with_own_voxels_of_all_of_it(extent, covered):
    assert covers(extent, Extent((10, 90, 0, 512, 0, 512), (1, 2, 2))) == covered
