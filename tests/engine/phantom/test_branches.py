"""Tubes and trees against the volumes and ends that geometry gives."""

from __future__ import annotations

import numpy as np
import pytest

from engine.phantom.branches import occupancy, polyline, tree
from engine.phantom.case import SPACING_MM


@pytest.mark.parametrize("radius", [4.0, 8.0, 12.0])
def test_tube_has_the_volume_of_a_capsule(radius: float) -> None:
    """A linear edge one voxel s wide adds s²/12 to a squared radius and r s²/4 to a cubed one."""
    filled = occupancy(polyline([(0.0, 0.0, -45.0), (0.0, 0.0, 45.0)], radius))
    cylinder = np.pi * (radius**2 + SPACING_MM**2 / 12) * 90
    ends = 4 / 3 * np.pi * (radius**3 + radius * SPACING_MM**2 / 4)
    assert float(filled.sum()) * SPACING_MM**3 == pytest.approx(cylinder + ends, rel=0.02)


def test_thin_tube_never_fills_a_voxel() -> None:
    filled = occupancy(polyline([(0.0, 0.0, -45.0), (0.0, 0.0, 45.0)], 0.8))
    assert 0 < float(filled.max()) <= np.pi * 0.8**2 / SPACING_MM**2 + 1e-6


def test_tube_outside_the_grid_leaves_it_empty() -> None:
    assert not occupancy(polyline([(0.0, 0.0, 400.0), (0.0, 0.0, 500.0)], 5.0)).any()


def test_tree_reaches_every_leaf_from_its_root_and_narrows() -> None:
    leaves = np.random.default_rng(3).uniform(-50, 50, (40, 3))
    branches = tree(np.zeros(3), leaves, 1.0)
    to_leaf = np.linalg.norm(branches.centres_mm[None] - leaves[:, None], axis=-1).min(axis=1)
    assert to_leaf.max() < 1e-9
    assert np.allclose(branches.centres_mm[0], 0)
    assert branches.radii_mm[0] == pytest.approx(40 ** (1 / 2.7))
    assert branches.radii_mm.min() == 1.0
