"""The recipe of 1967 features, as data."""

import dataclasses
from collections import Counter

import pytest

from engine.metrics.recipe import PAPER_1967, feature_names, feature_set_of, full_name, recipe_named


def test_paper_recipe_has_107_features_of_the_image_and_93_of_each_of_20_filters():
    per_image = Counter(name.image_type for name in feature_names(PAPER_1967))
    assert per_image.pop("original") == 107
    assert len(per_image) == 20
    assert set(per_image.values()) == {93}


def test_names_are_spelled_as_pyradiomics_spells_them():
    names = [full_name(name) for name in feature_names(PAPER_1967)]
    assert len(set(names)) == 1967
    assert {
        "original_shape_Maximum3DDiameter",
        "log-sigma-2-0-mm-3D_glcm_JointEnergy",
        "wavelet-LLH_gldm_DependenceEntropy",
        "lbp-3D-m1_firstorder_10Percentile",
    } <= set(names)


def test_the_order_is_frozen():
    """A change of names or order is another feature set and must not go unnoticed."""
    names = feature_names(PAPER_1967)
    assert [name.place for name in names] == list(range(1967))
    assert feature_set_of(PAPER_1967) == "48623fca46502dbdd17098014fcd6ca608f0c1b0d4a3fc283d9598891ba8b7b5"


def test_a_recipe_that_does_not_add_up_is_refused():
    with pytest.raises(ValueError, match="must have 1967"):
        dataclasses.replace(PAPER_1967, image_types=PAPER_1967.image_types[:-1])


def test_an_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match="paper-1967"):
        recipe_named("paper-1968")
