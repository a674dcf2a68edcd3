"""Distances to a mask: SciPy's transform, closed forms, and a mask that is empty."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from engine.metrics.distance import distance_to_mm

SHAPES = [(30, 40, 50), (1, 20, 30), (25, 1, 1), (7, 33, 1)]
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.7, 0.7), (5.0, 0.9765625, 0.68359375), (0.3, 2.5, 1.1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("share", [0.002, 0.05, 0.6])
def test_distances_are_those_of_scipy(shape, spacing, share):
    rng = np.random.default_rng(3)
    mask = rng.random(shape) < share
    mask.flat[rng.integers(mask.size)] = True
    expected = ndimage.distance_transform_edt(~mask, sampling=spacing)
    np.testing.assert_allclose(distance_to_mm(mask, spacing), expected, rtol=1e-14, atol=0)


def test_distances_to_one_voxel_are_those_of_pythagoras():
    mask = np.zeros((9, 11, 13), bool)
    mask[4, 2, 12] = True
    z, y, x = np.ogrid[:9, :11, :13]
    expected = np.sqrt((5.0 * (z - 4)) ** 2 + (0.7 * (y - 2)) ** 2 + (0.8 * (x - 12)) ** 2)
    np.testing.assert_allclose(distance_to_mm(mask, (5.0, 0.7, 0.8)), expected, rtol=1e-14)


def test_a_body_is_0_inside_and_whole_steps_on_a_line():
    mask = np.zeros((5, 5, 20), bool)
    mask[:, :, :4] = True
    found = distance_to_mm(mask, (2.0, 2.0, 1.5))
    assert (found[mask] == 0).all()
    assert (found[2, 2, 4:] == 1.5 * np.arange(1, 17)).all()


def test_nothing_is_near_an_empty_mask():
    assert np.isinf(distance_to_mm(np.zeros((3, 4, 5), bool), (1.0, 1.0, 1.0))).all()


def test_parts_of_an_array_are_taken_as_they_are():
    whole = np.random.default_rng(5).random((20, 20, 40)) < 0.01
    part = whole[2:18:2, ::-1, 1:39:3]
    expected = ndimage.distance_transform_edt(~part, sampling=(1.0, 2.0, 3.0))
    np.testing.assert_allclose(distance_to_mm(part, (1.0, 2.0, 3.0)), expected, rtol=1e-14)


def test_a_spacing_of_0_is_refused():
    with pytest.raises(ValueError, match="spacing_zyx_mm"):
        distance_to_mm(np.ones((2, 2, 2), bool), (0.0, 1.0, 1.0))
