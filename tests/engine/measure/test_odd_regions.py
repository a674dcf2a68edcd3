"""Every odd region has a status for every feature, and values only where there are any."""

import numpy as np
import pytest

from engine.measure.directions import TextureChoices
from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.levels import Binning
from engine.metrics.recipe import PAPER_1967, feature_names, full_name, recipe_named
from store.records import STATUSES
from store.volumes import Grid

SIDE = (12, 12, 12)
GRID = Grid(SIDE, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
RECIPE = recipe_named("original-107")
NAMES = [full_name(name) for name in feature_names(RECIPE)]
TEXTURED = {"glcm": 24, "glrlm": 16, "glszm": 16, "gldm": 14, "ngtdm": 5, "firstorder": 2}
SETTINGS = {
    "width": (Binning(25.0), TextureChoices()),
    "number": (Binning(25.0, count=32), TextureChoices()),
    "far and merged": (Binning(25.0), TextureChoices(distances=(1, 2), weighting="merged")),
}


def odd_regions():
    regions = {name: np.zeros(SIDE, dtype=bool) for name in ("voxel", "line", "slice", "border", "pieces")}
    regions["voxel"][6, 6, 6] = True
    regions["line"][6, 6, 2:10] = True
    regions["slice"][6, 2:10, 2:10] = True
    regions["border"][:6] = True
    regions["pieces"][1:4, 1:4, 1:4] = regions["pieces"][7:11, 7:11, 7:11] = True
    return regions


def noise():
    return np.random.default_rng(5).integers(-900, 300, SIDE).astype(np.int16)


def features(intensity, mask, recipe=RECIPE, settings="width"):
    return measure_rois(
        FeatureImage(intensity, np.zeros(SIDE, dtype=bool), GRID), (mask,), recipe, *SETTINGS[settings]
    )[0]


def marked(found, status):
    """How many features of each class have a status."""
    names = [n for n, s in zip(feature_names(RECIPE), found.statuses, strict=True) if STATUSES[s] == status]
    return {group: sum(n.feature_class == group for n in names) for group in {n.feature_class for n in names}}


@pytest.mark.parametrize("name", odd_regions())
def test_every_feature_of_every_image_has_a_value_or_the_status_not_finite(name):
    found = features(noise(), odd_regions()[name], PAPER_1967)
    lost = found.statuses == STATUSES.index("not_finite")
    assert np.array_equal(np.isnan(found.values), lost)
    assert name == "voxel" or lost.sum() <= 2, lost.sum()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", ["line", "slice", "border", "pieces"])
def test_lines_slices_borders_and_pieces_have_all_values(name, settings):
    found = features(noise(), odd_regions()[name], RECIPE, settings)
    assert marked(found, "ok") == {"shape": 14, "firstorder": 18} | {
        k: v for k, v in TEXTURED.items() if k != "firstorder"
    }


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", ["line", "slice", "border", "pieces"])
def test_a_constant_region_is_degenerate_where_levels_count(name, settings):
    found = features(np.full(SIDE, 50, dtype=np.int16), odd_regions()[name], RECIPE, settings)
    assert marked(found, "degenerate") == TEXTURED
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_single_voxel_has_no_neighbours_no_runs_and_no_elongation_but_its_intensity(settings):
    found = features(np.full(SIDE, 50, dtype=np.int16), odd_regions()["voxel"], RECIPE, settings)
    assert marked(found, "not_finite") == {"shape": 2, "glcm": 24, "glrlm": 16}
    assert marked(found, "degenerate") == {"firstorder": 2, "glszm": 16, "gldm": 14, "ngtdm": 5}
    values = dict(zip(NAMES, found.values, strict=True))
    assert values["original_firstorder_Mean"] == 50.0
    assert values["original_shape_VoxelVolume"] == 1.0


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        features(noise(), np.zeros(SIDE, dtype=bool))
