"""Stage 9 on a sphere in a block of lung."""

import json

import numpy as np
import pytest

from engine.geometry import on_larger_grid
from engine.metrics.margins import peritumoural_ring
from engine.perturb.perturbation import perturb_masks
from engine.protocol import FeatureGrid, Perturb, Rois
from store.volumes import CtSeries, FeatureMasks, Grid, Mask, RoiMasks

GRID = Grid((40, 40, 40), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))


def whole(mask):
    return on_larger_grid(mask.voxels, mask.grid, GRID)


def mask(structure, voxels):
    return Mask(structure, "independent", "reader", voxels, GRID)


@pytest.fixture(scope="module")
def made():
    z, y, x = np.indices(GRID.shape_zyx)
    tumour = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 49
    lung = (x > 4) & (x < 30)
    ring = peritumoural_ring(tumour, lung, GRID.spacing_zyx_mm, Rois().ring_mm).voxels
    native = FeatureMasks((mask("tumour", tumour), mask("lung_left", lung)))
    rois = RoiMasks((mask("intratumoural", tumour), mask("peritumoural", ring), mask("whole_lung", lung & ~tumour)))
    ct = CtSeries(np.random.default_rng(0).normal(0, 10, GRID.shape_zyx).astype(np.float32), GRID)
    return (
        perturb_masks(ct, native, rois, Perturb(), Rois(), FeatureGrid(spacing_mm=2.0), np.random.default_rng(5)),
        tumour,
        lung,
    )


def test_each_chosen_roi_has_every_perturbation_of_the_preset(made):
    perturbed, _, _ = made
    assert len(perturbed.perturbed) == 20
    assert {r.roi for r in perturbed.perturbed} == {"intratumoural", "peritumoural"}
    assert sum(r.family == "fixed" for r in perturbed.perturbed) == 4
    assert len(perturbed.masks.masks) == 20


def test_ring_is_rebuilt_around_the_perturbed_tumour_inside_the_lung(made):
    perturbed, _, lung = made
    by_name = {(m.structure, m.source): whole(m) for m in perturbed.masks.masks}
    for (roi, name), ring in by_name.items():
        if roi == "peritumoural":
            assert not (ring & by_name["intratumoural", name]).any()
            assert not (ring & ~lung).any()
            assert ring.any()


def test_what_was_drawn_and_reached_is_recorded(made):
    perturbed, tumour, _ = made
    grown = next(r for r in perturbed.perturbed if r.perturbation == "volume+10" and r.roi == "intratumoural")
    assert json.loads(grown.parameters) == {"percent": 10.0}
    assert grown.volume_change_percent == pytest.approx(10.0, abs=100 / tumour.sum())
    assert 0.94 < grown.dsc < 0.96
    assert grown.tested


def test_noise_is_tested_though_its_mask_is_unchanged(made):
    noisy = [r for r in made[0].perturbed if r.method == "noise"]
    assert {r.dsc for r in noisy} == {1.0}
    assert all(r.tested and r.noise_sd_hu == pytest.approx(10.0, rel=0.05) for r in noisy)


def test_a_hardly_changed_mask_is_not_tested():
    z, y, x = np.indices(GRID.shape_zyx)
    tumour = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 64
    masks = (mask("tumour", tumour),)
    ct = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)
    choices = Perturb(volume_percent=0.5, rois=("intratumoural",))
    found = perturb_masks(
        ct,
        FeatureMasks(masks),
        RoiMasks((mask("intratumoural", tumour),)),
        choices,
        Rois(),
        FeatureGrid(spacing_mm=2.0),
        np.random.default_rng(1),
    )
    tested = {r.perturbation: r.tested for r in found.perturbed}
    assert not tested["volume+0.5"]
    assert not tested["noise-1"]  # a flat image has no noise of its own
    assert tested["contour-1"]


def test_without_tumour_there_is_nothing_to_perturb():
    empty = mask("intratumoural", np.zeros(GRID.shape_zyx, dtype=bool))
    ct = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)
    found = perturb_masks(
        ct, FeatureMasks(()), RoiMasks((empty,)), Perturb(), Rois(), FeatureGrid(), np.random.default_rng(1)
    )
    assert found.perturbed == ()
    assert found.masks.masks == ()


def test_no_perturbed_region_enters_another_lesion():
    z, y, x = np.indices(GRID.shape_zyx)
    tumour = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 49
    node = (abs(z - 20) < 4) & (abs(y - 20) < 4) & (x > 27) & (x < 31)
    other = Mask("tumour", "independent", "reader", node, GRID, 1, "node")
    native = FeatureMasks((mask("tumour", tumour), mask("lung_left", x > 4), other))
    ring = peritumoural_ring(tumour, None, GRID.spacing_zyx_mm, 6.0, node).voxels
    rois = RoiMasks((mask("intratumoural", tumour), mask("peritumoural", ring), mask("whole_lung", (x > 4) & ~tumour)))
    ct = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)
    choices = Perturb(rois=("intratumoural", "peritumoural", "whole_lung"), volume_percent=40.0)
    found = perturb_masks(ct, native, rois, choices, Rois(), FeatureGrid(spacing_mm=2.0), np.random.default_rng(1))
    assert len(found.masks.masks) == 30
    assert not any((whole(m) & node).any() for m in found.masks.masks)


def test_perturbed_masks_are_kept_in_their_own_box(made):
    perturbed, _, _ = made
    for one in perturbed.masks.masks:
        assert one.voxels.size < GRID.size_xyz[0] ** 3 / 4
        assert all(one.voxels.any(axis=tuple(a for a in range(3) if a != axis)).all() for axis in range(3))
