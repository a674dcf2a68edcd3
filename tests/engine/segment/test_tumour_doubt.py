"""The voxels in doubt, from probabilities whose bounds are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from engine.geometry import cropped_grid
from engine.segment.sliding_window import Slab
from engine.segment.tumour_doubt import LEAST, MOST, Doubtful, doubt_mask, doubtful_bits
from store.volumes import Grid, Mask

SHAPE = (9, 11, 21)
GRID = Grid((21, 11, 9), (1.5, 1.5, 3.0), (-12.0, 4.0, 100.0))
EVERYWHERE = np.ones(SHAPE, np.bool_)


def slab(share: np.ndarray, start: int = 0) -> Slab:
    """A slab of a two-label model with a given mean probability of tumour."""
    logits = np.zeros((2, *share.shape), np.float32)
    return Slab(start, logits, np.stack([share, share**2]).astype(np.float32))


def ramp() -> np.ndarray:
    """Probability 0.025, 0.075, ... 1.025 along x, the same in every row: 2..17 lie in 0.1..0.9."""
    return np.broadcast_to((np.arange(21) + 0.5) / 20, SHAPE)


def lung(voxels: np.ndarray, grid: Grid = GRID) -> Mask:
    return Mask("lung_left", "automatic", "model", voxels, grid)


def in_doubt(share: np.ndarray) -> Doubtful:
    return Doubtful(doubtful_bits(slab(share)), GRID)


def test_a_voxel_is_in_doubt_between_the_two_bounds():
    expected = np.zeros(SHAPE, np.bool_)
    expected[:, :, 2:18] = True
    assert (in_doubt(ramp()).voxels == expected).all()


def test_both_bounds_count_and_what_is_sure_does_not():
    share = np.zeros(SHAPE, np.float32)
    share[0, 0, :6] = (LEAST, MOST, 0.0999, 0.9001, 0.0, 1.0)
    assert np.argwhere(in_doubt(share).voxels)[:, 2].tolist() == [0, 1]


def test_slabs_one_after_the_other_are_the_whole():
    bits = np.concatenate([doubtful_bits(slab(ramp()[a:b], a)) for a, b in ((0, 4), (4, 5), (5, 9))])
    assert (bits == in_doubt(ramp()).bits).all()


def test_on_the_models_own_grid_nothing_moves():
    mask = doubt_mask(in_doubt(ramp()), [lung(EVERYWHERE)], "model", GRID)
    assert (mask.structure, mask.origin, mask.source) == ("doubt", "automatic", "model")
    assert (mask.voxels == in_doubt(ramp()).voxels).all()


def test_on_a_finer_grid_each_voxel_is_its_block():
    fine = Grid((42, 22, 18), (0.75, 0.75, 1.5), (-12.375, 3.625, 99.25))
    mask = doubt_mask(in_doubt(ramp()), [], "model", fine)
    assert (mask.voxels == in_doubt(ramp()).voxels.repeat(2, 0).repeat(2, 1).repeat(2, 2)).all()


def test_only_the_box_of_the_lungs_counts():
    left, right = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_)
    left[2, 3, 4], right[6, 8, 10] = True, True
    mask = doubt_mask(in_doubt(ramp()), [lung(left), lung(right)], "model", GRID)
    expected = np.zeros(SHAPE, np.bool_)
    expected[2:7, 3:9, 4:11] = True
    assert (mask.voxels == expected).all()


@pytest.mark.parametrize("lungs", [[], [lung(~EVERYWHERE)]])
def test_without_lungs_the_whole_sweep_counts(lungs):
    assert doubt_mask(in_doubt(ramp()), lungs, "model", GRID).voxels.sum() == 9 * 11 * 16


def test_a_sure_model_leaves_an_empty_mask():
    assert not doubt_mask(in_doubt(np.zeros(SHAPE, np.float32)), [], "model", GRID).voxels.any()


def test_beyond_the_sweep_there_is_no_doubt():
    swept = cropped_grid(GRID, (slice(2, 5), slice(0, 11), slice(0, 21)))
    part = Doubtful(doubtful_bits(slab(np.full((3, 11, 21), 0.5))), swept)
    mask = doubt_mask(part, [], "model", GRID)
    assert np.flatnonzero(mask.voxels.any(axis=(1, 2))).tolist() == [2, 3, 4]
