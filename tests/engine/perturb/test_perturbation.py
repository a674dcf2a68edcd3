"""Stage 9 on a sphere in a block of lung."""

import itertools
import json

import numpy as np
import pytest
from scipy import ndimage

from engine.geometry import on_larger_grid, resample_mask
from engine.metrics.margins import peritumoural_ring
from engine.perturb.perturbation import perturb_masks
from engine.protocol import FeatureGrid, Perturb, Rois
from store.volumes import AutomaticMasks, CtSeries, FeatureMasks, Grid, Mask, ReferenceMasks, RoiMasks, SecondLungs

GRID = Grid((40, 40, 40), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))


def whole(mask):
    return on_larger_grid(mask.voxels, mask.grid, GRID)


def on_base_grid(found):
    """Names of the perturbations that leave the feature grid where it is."""
    return {image.perturbation for image in found.images if not image.moves}


CHOICES = Perturb(slices_mm=(5.0,), voxels_mm=(3.0,))


def mask(structure, voxels, source="reader"):
    return Mask(structure, "independent", source, voxels, GRID)


def perturb(ct, native, rois, choices=CHOICES, seed=5, readers=(), second=None):
    references, second = ReferenceMasks(tuple(readers)), None if second is None else SecondLungs(second)
    grid = FeatureGrid(spacing_mm=2.0)
    rng = np.random.default_rng(seed)
    return perturb_masks(ct, native, rois, references, AutomaticMasks(()), second, choices, Rois(), grid, rng)


@pytest.fixture(scope="module")
def made():
    z, y, x = np.indices(GRID.shape_zyx)
    tumour = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 49
    lung = (x > 4) & (x < 30)
    ring = peritumoural_ring(tumour, lung, GRID.spacing_zyx_mm, Rois().ring_mm).voxels
    native = FeatureMasks((mask("tumour", tumour), mask("lung_left", lung)))
    rois = RoiMasks((mask("intratumoural", tumour), mask("peritumoural", ring), mask("whole_lung", lung & ~tumour)))
    ct = CtSeries(np.random.default_rng(0).normal(0, 10, GRID.shape_zyx).astype(np.float32), GRID)
    return perturb(ct, native, rois), tumour, lung


def test_each_chosen_roi_has_every_perturbation_of_the_preset(made):
    perturbed, _, _ = made
    by_roi = {roi: [r.method for r in perturbed.perturbed if r.roi == roi] for roi in ("intratumoural", "peritumoural")}
    assert {r.roi for r in perturbed.perturbed} == set(by_roi)
    assert len(by_roi["intratumoural"]) == 12
    assert by_roi["peritumoural"].count("ring_width") == 4
    assert len(perturbed.masks.masks) == len(perturbed.perturbed) == 28
    assert {image.perturbation for image in perturbed.images} == {r.perturbation for r in perturbed.perturbed}


def test_ring_is_rebuilt_around_the_perturbed_tumour_inside_the_lung(made):
    perturbed, base, lung = made
    by_name = {(m.structure, m.source): whole(m) for m in perturbed.masks.masks if m.source in on_base_grid(perturbed)}
    for (roi, name), ring in by_name.items():
        if roi == "peritumoural":
            assert not (ring & by_name.get(("intratumoural", name), base)).any()
            if not name.startswith("slices"):
                assert not (ring & ~lung).any()
            assert ring.any()


def test_a_wider_ring_holds_the_narrower_one(made):
    rings = {m.source: whole(m) for m in made[0].masks.masks if m.source.startswith("ring")}
    order = [rings[name] for name in ("ring-2", "ring-1", "ring+1", "ring+2")]
    assert all((one <= other).all() for one, other in itertools.pairwise(order))
    assert order[0].sum() < order[-1].sum()


def test_a_turned_tumour_keeps_volume_and_place(made):
    turned = next(r for r in made[0].perturbed if r.perturbation == "rotation-1" and r.roi == "intratumoural")
    assert abs(turned.volume_change_percent) < 1.0
    assert turned.dsc > 0.95
    assert turned.tested


def test_other_voxels_and_thicker_slices_keep_the_tumour_about_as_large(made):
    found = {r.perturbation: r for r in made[0].perturbed if r.roi == "intratumoural" and r.family == "resampling"}
    assert set(found) == {"slices-5", "voxels-3"}
    for record in found.values():
        assert record.tested
        assert abs(record.volume_change_percent) < 6
        assert record.dsc > 0.85


def test_what_was_drawn_and_reached_is_recorded(made):
    perturbed, _tumour, _ = made
    grown = next(r for r in perturbed.perturbed if r.perturbation == "volume+10" and r.roi == "intratumoural")
    assert json.loads(grown.parameters) == {"percent": 10.0}
    assert grown.plausible


def test_a_ring_is_as_plausible_as_the_tumour_that_it_surrounds(made):
    plausible = {(r.roi, r.perturbation): r.plausible for r in made[0].perturbed if r.method != "ring_width"}
    for (roi, name), own in plausible.items():
        assert own == plausible["intratumoural", name], roi


def test_what_was_reached_is_read_off_the_masks(made):
    perturbed, tumour, _ = made
    grown = next(r for r in perturbed.perturbed if r.perturbation == "volume+10" and r.roi == "intratumoural")
    assert grown.volume_change_percent == pytest.approx(10.0, abs=100 / tumour.sum())
    assert 0.94 < grown.dsc < 0.96
    assert grown.tested


def test_noise_is_tested_though_its_mask_is_unchanged(made):
    noisy = [r for r in made[0].perturbed if r.method == "noise"]
    assert {r.dsc for r in noisy} == {1.0}
    assert all(r.tested for r in noisy)
    levels = [image.noise_sd_hu for image in made[0].images if image.perturbation.startswith("noise")]
    assert levels == pytest.approx([10.0, 10.0], rel=0.05)


def test_a_hardly_changed_mask_is_not_tested():
    z, y, x = np.indices(GRID.shape_zyx)
    tumour = (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 64
    masks = (mask("tumour", tumour),)
    ct = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)
    choices = Perturb(volume_quick_percent=(0.5,), rois=("intratumoural",))
    found = perturb(ct, FeatureMasks(masks), RoiMasks((mask("intratumoural", tumour),)), choices)
    tested = {r.perturbation: r.tested for r in found.perturbed}
    assert not tested["volume+0.5"]
    assert not tested["noise-1"]  # a flat image has no noise of its own
    assert tested["rotation-1"]  # the mask hardly changes, the image's grid does
    assert tested["contour-1"]


def test_without_tumour_there_is_nothing_to_perturb():
    empty = mask("intratumoural", np.zeros(GRID.shape_zyx, dtype=bool))
    ct = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)
    found = perturb(ct, FeatureMasks(()), RoiMasks((empty,)))
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
    choices = Perturb(rois=("intratumoural", "peritumoural", "whole_lung"), volume_quick_percent=(40.0,), slices_mm=())
    found = perturb(ct, native, rois, choices)
    still = [m for m in found.masks.masks if m.source in on_base_grid(found)]
    assert {m.structure for m in still} == {"intratumoural", "peritumoural", "whole_lung"}
    assert not any((whole(m) & node).any() for m in still)
    moved = [m for m in found.masks.masks if m.source not in on_base_grid(found)]
    assert not any((resample_mask(m.voxels, m.grid, GRID) & core(node)).any() for m in moved)


def core(voxels):
    return ndimage.binary_erosion(voxels)


def test_outlines_by_others_are_perturbations_of_tumour_and_ring(made):
    _, tumour, lung = made
    z, y, x = np.indices(GRID.shape_zyx)
    wider = mask("tumour", (z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 64, "B")
    elsewhere = mask("tumour", (z - 5) ** 2 + (y - 5) ** 2 + (x - 33) ** 2 <= 9, "C")
    native = FeatureMasks((mask("tumour", tumour), mask("lung_left", lung)))
    rois = RoiMasks((mask("intratumoural", tumour),))
    ct = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)
    found = perturb(ct, native, rois, readers=(mask("tumour", tumour), wider, elsewhere))
    readers = {r.perturbation: r for r in found.perturbed if r.family == "readers"}
    assert set(readers) == {"reader-B", "reader-C"}  # the tumour's own outline is no other reading
    assert readers["reader-B"].tested
    assert readers["reader-B"].plausible
    assert readers["reader-B"].volume_change_percent == pytest.approx(100 * (wider.voxels.sum() / tumour.sum() - 1))
    assert (readers["reader-C"].dsc, readers["reader-C"].tested, readers["reader-C"].plausible) == (0.0, False, False)


def test_whole_lung_is_perturbed_by_its_own_boundary_and_by_a_second_method(made):
    _, tumour, lung = made
    smaller = lung & (np.indices(GRID.shape_zyx)[2] > 6)
    native = FeatureMasks((mask("tumour", tumour), mask("lung_left", lung)))
    ring = peritumoural_ring(tumour, lung, GRID.spacing_zyx_mm, Rois().ring_mm).voxels
    rois = RoiMasks((mask("intratumoural", tumour), mask("whole_lung", lung & ~tumour & ~ring)))
    ct = CtSeries(np.random.default_rng(1).normal(0, 9, GRID.shape_zyx).astype(np.float32), GRID)
    choices = Perturb(rois=("whole_lung",), slices_mm=(), voxels_mm=())
    found = perturb(ct, native, rois, choices, second=(mask("lung_left", smaller, "threshold"),))
    by_name = {m.source: whole(m) for m in found.masks.masks if m.source in on_base_grid(found)}
    assert np.array_equal(by_name["lung-method"], smaller & ~tumour & ~ring)
    assert np.array_equal(by_name["noise-1"], lung & ~tumour & ~ring)
    grown = by_name["volume+10"]
    assert not (grown & (tumour | ring)).any()
    assert (grown >= by_name["noise-1"]).all()
    method = next(r for r in found.perturbed if r.perturbation == "lung-method")
    assert (method.family, method.tested) == ("fixed", True)


def test_perturbed_masks_are_kept_in_their_own_box(made):
    perturbed, _, _ = made
    for one in perturbed.masks.masks:
        assert one.voxels.size < GRID.size_xyz[0] ** 3 / 4
        assert all(one.voxels.any(axis=tuple(a for a in range(3) if a != axis)).all() for axis in range(3))
