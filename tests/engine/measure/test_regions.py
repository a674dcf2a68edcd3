"""The three regions on boxes whose volumes are known."""

import numpy as np
import pytest

from engine.geometry import resample_mask
from engine.measure.regions import delineate_regions
from engine.protocol import FeatureGrid, Rois
from store.records import FeatureMask, Segmentation
from store.volumes import CtSeries, FeatureMasks, Grid, Mask

GRID = Grid((60, 50, 40), (1.0, 1.0, 2.0), (-20.0, 0.0, 50.0))
CHOSEN = (
    FeatureMask("tumour", "reviewed", "accepted", "model"),
    FeatureMask("lung_left", "reference", "independent", "reader"),
    FeatureMask("lung_right", "none", "none", ""),
)
SEGMENTATION = (Segmentation("", "cpu", 0, 0, 0, 0, True, None, "outlined"),)


def box(z, y, x):
    voxels = np.zeros(GRID.shape_zyx, dtype=bool)
    voxels[slice(*z), slice(*y), slice(*x)] = True
    return voxels


def mask(structure, voxels):
    return Mask(structure, "accepted", "model", voxels, GRID)


TUMOUR = box((18, 22), (20, 28), (20, 28))
LUNG = box((5, 35), (4, 44), (4, 50))


def delineate(*masks, spacing_mm=2.0, rois=None, hu=-800):
    ct = CtSeries(np.full(GRID.shape_zyx, hu, dtype=np.int16), GRID)
    return delineate_regions(
        ct, FeatureMasks(masks), CHOSEN, SEGMENTATION, FeatureGrid(spacing_mm=spacing_mm), rois or Rois()
    )


def test_regions_are_disjoint_and_fill_lung_and_tumour():
    found = delineate(mask("tumour", TUMOUR), mask("lung_left", LUNG))
    stack = np.stack([m.voxels for m in found.masks.masks])
    assert stack.sum(axis=0).max() == 1
    assert stack.any(axis=0).sum() * 8 == pytest.approx(LUNG.sum() * 2)
    assert [r.status for r in found.regions] == ["ok", "ok", "ok"]
    assert found.flags == ()


def test_records_say_volume_source_and_native_voxels():
    tumour, ring, lung = delineate(mask("tumour", TUMOUR), mask("lung_left", LUNG)).regions
    assert tumour.volume_ml == pytest.approx(0.512)
    assert (tumour.native_voxels, lung.native_voxels) == (256, LUNG.sum())
    assert (tumour.mask_source, ring.mask_source, lung.mask_source) == ("reviewed", "reviewed", "reference")
    assert (ring.width_mm, ring.clipped, ring.share_left) == (6.0, True, 1.0)
    assert ring.lungs_method == "outlined"


def test_ring_reaches_its_width_and_no_farther():
    ring = delineate(mask("tumour", TUMOUR), mask("lung_left", LUNG)).masks.find("peritumoural").voxels
    line = np.flatnonzero(ring[20, 11])  # along x through the tumour, 2 mm voxels
    assert line.tolist() == [7, 8, 9, 14, 15, 16]


def test_ring_at_the_edge_of_the_lung_is_clipped_and_flagged():
    beside = box((18, 22), (20, 28), (52, 60))
    found = delineate(mask("tumour", beside), mask("lung_left", LUNG))
    ring = found.regions[1]
    assert 0 < ring.share_left < 0.30
    assert [f.code for f in found.flags] == ["ring_small"]
    assert not (found.masks.find("peritumoural").voxels[:, :, 25:]).any()


def test_without_lungs_the_ring_is_whole_and_flagged_and_lung_has_no_features():
    found = delineate(mask("tumour", TUMOUR))
    assert [r.status for r in found.regions] == ["ok", "ok", "no_lungs"]
    assert not found.regions[1].clipped
    assert [f.code for f in found.flags] == ["ring_unclipped"]
    assert not found.masks.find("whole_lung").voxels.any()


def test_empty_tumour_leaves_lung_alone():
    found = delineate(mask("tumour", np.zeros_like(TUMOUR)), mask("lung_left", LUNG))
    assert [r.status for r in found.regions] == ["empty", "empty", "ok"]
    assert found.flags == ()


def test_absent_tumour_is_empty_too():
    assert [r.status for r in delineate(mask("lung_left", LUNG)).regions] == ["empty", "empty", "ok"]


def test_tumour_under_27_voxels_is_too_small():
    speck = box((18, 20), (20, 24), (20, 24))  # 2 x 2 x 2 voxels of 2 mm
    assert delineate(mask("tumour", speck), mask("lung_left", LUNG)).regions[0].status == "too_small"


def test_lung_with_tumour_is_one_setting_away():
    rois = Rois(lung_excludes_tumour=False)
    found = delineate(mask("tumour", TUMOUR), mask("lung_left", LUNG), rois=rois)
    assert found.regions[2].voxels * 8 == LUNG.sum() * 2


def test_share_of_clipped_intensities_is_recorded():
    regions = delineate(mask("tumour", TUMOUR), mask("lung_left", LUNG), hu=900).regions
    assert [r.clipped_hu_share for r in regions] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("lungs", [(), (mask("lung_left", LUNG),)])
def test_a_satellite_belongs_to_no_region(lungs):
    voxels = box((18, 22), (20, 28), (30, 34))
    satellite = Mask("tumour", "independent", "reference", voxels, GRID, 1, "satellite")
    found = delineate(mask("tumour", TUMOUR), satellite, *lungs, spacing_mm=1.0)
    kept_out = resample_mask(voxels, GRID, found.masks.masks[0].grid)
    assert kept_out.any()
    assert not any((m.voxels & kept_out).any() for m in found.masks.masks)
    whole = delineate(mask("tumour", TUMOUR), *lungs, spacing_mm=1.0).regions[1]
    ring = found.regions[1]
    assert ring.voxels < whole.voxels
    assert (whole.share_left, ring.share_left) == (1.0, pytest.approx(ring.voxels / whole.voxels))


def test_what_a_satellite_shares_with_the_tumour_mask_is_not_tumour():
    satellite = Mask("tumour", "independent", "reference", box((18, 22), (20, 28), (24, 34)), GRID, 1, "satellite")
    found = delineate(mask("tumour", TUMOUR), satellite, mask("lung_left", LUNG))
    assert found.regions[0].volume_ml == pytest.approx(0.256)
