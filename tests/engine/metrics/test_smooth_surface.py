"""Surface Dice on smooth surfaces against closed forms: two spheres shifted by d share min(1, tolerance / d)."""

import numpy as np
import pytest

from engine.metrics.overlap import surface_distances, surface_dsc
from engine.metrics.smooth_surface import smooth_distances, smooth_signed_distance_mm, smooth_surface

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.7, 0.7), (2.5, 0.8, 0.8), (3.0, 0.75, 0.75), (5.0, 0.7, 0.7)]


def spheres(radius, shift, axis, spacing, rng):
    reach = 2 * radius + shift + 12
    shape = [int(reach / s) + 2 for s in spacing]
    middle = np.full(3, reach / 2) + rng.uniform(-0.5, 0.5, 3) * np.array(spacing)
    balls = []
    for sign in (-1, 1):
        centre = middle + sign * shift / 2 * np.eye(3)[axis]
        z, y, x = (np.arange(n) * s - c for n, s, c in zip(shape, spacing, centre, strict=True))
        balls.append(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 <= radius**2)
    return balls


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("shift", "tolerance", "axis"), [(4.0, 2.0, 2), (4.0, 1.0, 2), (6.0, 2.0, 0)])
def test_shifted_spheres_come_within_four_hundredths_of_the_closed_form(spacing, shift, tolerance, axis):
    one, other = spheres(20.0, shift, axis, spacing, np.random.default_rng(5))
    exact = tolerance / shift
    smooth = smooth_distances(one, other, spacing).share_within(tolerance)
    assert smooth == pytest.approx(exact, abs=0.04)
    voxel = surface_dsc(surface_distances(one, other, spacing), tolerance)
    assert abs(smooth - exact) < abs(voxel - exact)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_area_of_a_sphere_is_true_within_a_twentieth(spacing):
    ball, _ = spheres(16.0, 0.0, 2, spacing, np.random.default_rng(6))
    assert smooth_surface(ball, spacing).areas_mm2.sum() == pytest.approx(4 * np.pi * 16**2, rel=0.05)


def test_equal_masks_agree_wholly_and_far_ones_not_at_all():
    ball, _ = spheres(10.0, 0.0, 2, (1.0, 1.0, 1.0), np.random.default_rng(1))
    assert smooth_distances(ball, ball, (1.0, 1.0, 1.0)).share_within(0.1) == 1.0
    assert smooth_distances(ball, np.roll(ball, 20, axis=2), (1.0, 1.0, 1.0)).share_within(0.01) < 0.05


def test_a_single_voxel_has_a_surface_and_an_empty_mask_none():
    voxel = np.zeros((5, 5, 5), dtype=bool)
    assert smooth_surface(voxel, (1.0, 1.0, 1.0)) is None
    assert smooth_distances(voxel, ~voxel, (1.0, 1.0, 1.0)) is None
    voxel[2, 2, 2] = True
    assert smooth_surface(voxel, (1.0, 1.0, 1.0)).areas_mm2.sum() > 0


def test_a_mask_without_a_border_is_refused():
    with pytest.raises(ValueError, match="both inside and outside"):
        smooth_signed_distance_mm(np.ones((3, 3, 3), dtype=bool), (1.0, 1.0, 1.0))
