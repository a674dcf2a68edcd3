"""Slices are drawn in radiological convention, whatever way the voxels are stored."""

from __future__ import annotations

import numpy as np
import pytest

from engine.present.figures.slices import (
    PLANES,
    Contour,
    close_up,
    cropped,
    middle_slice,
    render_slice,
    slice_count,
    viewed,
    viewed_mask,
)
from store.volumes import CtSeries, Grid, Mask

WINDOW = (0.0, 200.0)


def bright_corner(direction: tuple[float, ...], index_zyx: tuple[int, int, int]) -> CtSeries:
    """Air with one bright block at the head, front and patient's left, stored in the given direction."""
    array = np.full((12, 10, 8), -1000, np.int16)
    z, y, x = (slice(0, 4) if side == 0 else slice(-4, None) for side in index_zyx)
    array[z, y, x] = 1000
    return CtSeries(array, Grid((8, 10, 12), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction))


STORED = [
    # x runs to the left, y to the back, z to the head: the block is at the last z, first y, last x
    ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (1, 0, 1)),
    # all three axes reversed
    ((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0), (0, 1, 0)),
]


@pytest.mark.parametrize(("direction", "corner"), STORED)
def test_left_is_right_front_and_head_are_up(direction, corner):
    series = viewed(bright_corner(direction, corner))
    axial = render_slice(series, "axial", slice_count(series, "axial") - 2, WINDOW, [])
    coronal = render_slice(series, "coronal", 1, WINDOW, [])
    for picture in (axial, coronal):
        rows, columns, _ = picture.shape
        assert picture[rows // 8, 7 * columns // 8].tolist() == [255, 255, 255]
        assert picture[7 * rows // 8, columns // 8].tolist() == [0, 0, 0]


def test_permuted_axes_are_put_back():
    direction = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # i runs back, j to the head, k to the left
    series = viewed(CtSeries(np.zeros((5, 6, 7), np.int16), Grid((7, 6, 5), (1.0, 2.0, 3.0), (0, 0, 0), direction)))
    assert series.intensity_hu.shape == (6, 7, 5)
    assert series.spacing_zyx_mm == (2.0, 1.0, 3.0)


def test_millimetres_are_square():
    series = viewed(CtSeries(np.zeros((20, 40, 40), np.int16), Grid((40, 40, 20), (1.0, 1.0, 4.0), (0, 0, 0))))
    rows, columns, _ = render_slice(series, "coronal", 3, WINDOW, []).shape
    assert rows / columns == pytest.approx(80 / 40, rel=0.01)


def test_outline_has_the_colour_and_leaves_the_inside():
    grid = Grid((40, 40, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    voxels = np.zeros(grid.shape_zyx, np.bool_)
    voxels[4, 10:30, 10:30] = True
    series = viewed(CtSeries(np.full(grid.shape_zyx, 100, np.int16), grid))
    shown = viewed_mask(Mask("tumour", "independent", "reader A", voxels, grid), series)
    picture = render_slice(series, "axial", middle_slice(shown, series, "axial"), WINDOW, [Contour(shown, "#009E73")])
    scale = picture.shape[0] / 40
    assert picture[int(10 * scale), int(20 * scale)].tolist() == [0, 158, 115]
    assert picture[int(20 * scale), int(20 * scale)].tolist() == [255, 255, 255]


def test_masks_on_another_grid_are_resampled():
    fine, coarse = Grid((40, 40, 40), (1.0,) * 3, (0.0,) * 3), Grid((20, 20, 20), (2.0,) * 3, (0.5,) * 3)
    voxels = np.zeros(coarse.shape_zyx, np.bool_)
    voxels[5:10, 5:10, 5:10] = True
    series = viewed(CtSeries(np.zeros(fine.shape_zyx, np.int16), fine))
    shown = viewed_mask(Mask("peritumoural", "independent", "ring", voxels, coarse), series)
    assert shown.sum() == 10**3
    assert shown[10:20, 10:20, 10:20].all()


def test_close_up_keeps_the_margin_in_millimetres():
    grid = Grid((40, 40, 20), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    voxels = np.zeros(grid.shape_zyx, np.bool_)
    voxels[10, 20, 5] = True
    series = viewed(CtSeries(np.zeros(grid.shape_zyx, np.int16), grid))
    box = close_up(series, voxels, 8.0)
    assert box == (slice(6, 15), slice(12, 29), slice(0, 14))  # 4 slices, 8 rows, cut off at the edge
    assert cropped(series, box).intensity_hu.shape == (9, 17, 14)


@pytest.mark.parametrize("plane", PLANES)
def test_slices_that_do_not_exist_are_refused(plane):
    series = viewed(CtSeries(np.zeros((5, 6, 7), np.int16), Grid((7, 6, 5), (1.0,) * 3, (0.0,) * 3)))
    with pytest.raises(ValueError, match="slice must lie"):
        render_slice(series, plane, 9, WINDOW, [])
