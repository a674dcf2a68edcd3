"""Every setting of [features] and every recipe against PyRadiomics 3.0.1 with the same settings, whole image."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from engine.measure.extraction import measure
from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.levels import Binning, padded_bins
from engine.measure.neighbourhood import frame_of
from engine.measure.radiomics import pyradiomics_by_name, pyradiomics_features, pyradiomics_settings
from engine.metrics.recipe import RECIPES, feature_names, full_name, recipe_named
from engine.protocol import FeatureGrid, Features, Protocol, Rois
from store.records import STATUSES
from store.volumes import Grid

SHAPE = (14, 16, 15)
GRID = Grid(SHAPE[::-1], (0.6, 0.8, 1.1), (0.0, 0.0, 0.0))
SETTINGS = {
    "bin number": {"bin_count": 32},
    "few bins": {"bin_count": 5},
    "range": {"resegment_hu": (-500.0, 150.0)},
    "outliers": {"resegment_sd": 1.5},
    "distance 2": {"distances": (2,)},
    "distances 1 and 3": {"distances": (1, 3)},
    "merged": {"weighting": "merged"},
    "euclidean": {"weighting": "euclidean"},
    "manhattan": {"weighting": "manhattan", "bin_count": 16},
    "same slice": {"directions": "2.5D"},
    "same slice, far": {"directions": "2.5D", "distances": (1, 2), "bin_count": 8},
    "same slice, merged": {"directions": "2.5D", "weighting": "merged"},
    "infinity": {"weighting": "infinity", "distances": (1, 2), "resegment_hu": (-800.0, 300.0)},
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def image():
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 0.8)
    hu = np.clip(np.rint(texture * 1500 - 300), -1000, 400).astype(np.int16)
    return FeatureImage(hu, np.zeros(SHAPE, dtype=bool), GRID)


def masks():
    z, y, x = np.indices(SHAPE)
    ball = (z - 6) ** 2 + (y - 8) ** 2 + (x - 7) ** 2 <= 20
    slab = np.zeros(SHAPE, dtype=bool)
    slab[7, 2:14, 3:12] = slab[8, 2:4, 3:5] = True
    return ball, slab, np.roll(ball, 1, axis=1)


def measured(features):
    return measure(image(), masks(), features, FeatureGrid(), Rois())


def off(found, theirs, names):
    wrong = ~np.isclose(found.values, theirs, rtol=1e-9, atol=1e-11, equal_nan=True)
    return [f"{names[i]} {found.values[i]} {theirs[i]}" for i in np.flatnonzero(wrong)]


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_gives_the_values_of_pyradiomics(setting):
    features = Features(recipe="original-107", **SETTINGS[setting])
    recipe = recipe_named(features.recipe)
    names = [full_name(name) for name in feature_names(recipe)]
    for mask, found in zip(masks(), measured(features), strict=True):
        settings = pyradiomics_settings(features)
        theirs = pyradiomics_features(image().intensity_hu, mask, GRID.spacing_mm, recipe, 25.0, False, settings)
        assert off(found, theirs, names) == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_recipe_has_the_names_order_and_values_of_pyradiomics(recipe):
    """Image types and the features of a class in PyRadiomics' order; classes in the order of our frozen vectors."""
    ball, settings = masks()[0], {"binCount": 16}
    theirs = pyradiomics_by_name(image().intensity_hu, ball, GRID.spacing_mm, recipe, settings, False)
    names = [full_name(name) for name in feature_names(recipe)]
    assert set(theirs) == set(names)
    assert len(names) == recipe.count
    assert list(dict.fromkeys(name.split("_")[0] for name in theirs)) == list(recipe.image_types)
    classes = {name.rsplit("_", 1)[0] for name in names}
    for begins in classes:
        assert [n for n in theirs if n.startswith(f"{begins}_")] == [n for n in names if n.startswith(f"{begins}_")]
    found = measure_rois(image(), (ball,), recipe, Binning(25.0, count=16))[0]
    assert off(found, np.array([theirs[name] for name in names]), names) == []


def test_bins_of_a_number_hold_the_highest_value_in_the_last():
    """IBSI's fixed bin number by its formula, on values that lie on no inner edge but at both ends."""
    values = np.random.default_rng(1).uniform(-3, 3, SHAPE)
    mask = np.ones(SHAPE, dtype=bool)
    bins = padded_bins(values, frame_of([mask]), Binning(25.0, count=8))[1:-1, 1:-1, 1:-1]
    low, high = values.min(), values.max()
    assert np.array_equal(bins, np.minimum(np.floor(8 * (values - low) / (high - low)), 7) + 1)


def test_bins_of_a_number_do_not_depend_on_the_other_masks():
    features = Features(recipe="original-107", bin_count=16)
    alone = [measure(image(), [mask], features, FeatureGrid(), Rois())[0] for mask in masks()]
    for one, together in zip(alone, measured(features), strict=True):
        assert np.array_equal(one.values, together.values, equal_nan=True)


def test_resegmentation_changes_intensities_and_leaves_shape():
    names = feature_names(recipe_named("original-107"))
    shape = np.array([name.feature_class == "shape" for name in names])
    for kept, whole in zip(
        measured(Features(recipe="original-107", resegment_hu=(-400, 100))),
        measured(Features(recipe="original-107")),
        strict=True,
    ):
        assert np.array_equal(kept.values[shape], whole.values[shape])
        values = dict(zip((full_name(name) for name in names), kept.values, strict=True))
        assert -400 <= values["original_firstorder_Minimum"] <= values["original_firstorder_Maximum"] <= 100


@pytest.mark.parametrize("backend", ["engine", "legacy"])
def test_a_mask_that_resegmentation_empties_says_so(backend):
    hu = np.full(SHAPE, -300, dtype=np.int16)
    ball = masks()[0]
    hu[6, 8, 5:9] = 50
    there = FeatureImage(hu, np.zeros(SHAPE, dtype=bool), GRID)
    for kept, status in (((300.0, 350.0), "empty"), ((0.0, 100.0), "too_small")):
        features = Features(recipe="original-107", resegment_hu=kept, backend=backend)
        found = measure(there, (ball,), features, FeatureGrid(), Rois())[0]
        assert np.isnan(found.values).all()
        assert set(found.statuses) == {STATUSES.index(status)}


def test_a_constant_mask_is_degenerate_with_a_number_of_bins_too():
    flat = FeatureImage(np.full(SHAPE, 40, dtype=np.int16), np.zeros(SHAPE, dtype=bool), GRID)
    recipe = recipe_named("original-107")
    names = [full_name(name) for name in feature_names(recipe)]
    found = measure_rois(flat, (masks()[0],), recipe, Binning(25.0, count=32))[0]
    theirs = pyradiomics_features(flat.intensity_hu, masks()[0], GRID.spacing_mm, recipe, 25.0, False, {"binCount": 32})
    assert off(found, theirs, names) == []
    degenerate = {n for n, s in zip(names, found.statuses, strict=True) if s == STATUSES.index("degenerate")}
    assert len(degenerate) == 77


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        ({"bin_count": -1}, "bin_count"),
        ({"bin_count": 513}, "bin_count"),
        ({"bin_count": 8, "bin_origin": "ibsi"}, "bin_origin"),
        ({"resegment_hu": [0]}, "resegment_hu"),
        ({"resegment_hu": [100, -100]}, "resegment_hu"),
        ({"resegment_hu": [0, 1e6]}, "resegment_hu"),
        ({"resegment_hu": [0, float("nan")]}, "resegment_hu"),
        ({"resegment_sd": -1}, "resegment_sd"),
        ({"distances": []}, "distances"),
        ({"distances": [0]}, "distances"),
        ({"distances": [6]}, "distances"),
        ({"distances": [2, 1]}, "distances"),
        ({"weighting": "chessboard"}, "weighting"),
        ({"backend": "legacy", "resegment_sd": 2, "resegment_hu": [-10, 10]}, "resegment_sd"),
        ({"backend": "legacy", "bin_origin": "ibsi"}, "bin_origin"),
        ({"backend": "legacy", "directions": "2.5D"}, "directions"),
    ],
)
def test_settings_out_of_their_interval_are_refused(wrong, law):
    with pytest.raises(ValidationError, match=law):
        Features.model_validate(wrong)


@pytest.mark.parametrize("kept", [(-1000, 400), (-2000, 3000), (500, 600)])
def test_resegmentation_that_the_clipped_ct_makes_pointless_is_refused(kept):
    with pytest.raises(ValidationError, match="must cut into"):
        Protocol(features=Features(resegment_hu=kept))
