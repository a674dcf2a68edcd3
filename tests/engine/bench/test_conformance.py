"""IBSI-1's reference values are met, live."""

import pytest

from engine.bench.conformance import conform, conformity_counts


@pytest.fixture(scope="module")
def rows(shared):
    return conform(shared)


def test_every_shared_feature_of_every_configuration_is_met_but_for_averages_over_slices(rows):
    """28 of shape, intensity and histogram; 113 textures for each of 3D and 2.5D: 39 averaged, 39 merged, 35 others."""
    counts = conformity_counts(rows)
    assert counts["digital"] == {"met": 28 + 2 * 113, "not offered": 113}
    assert counts["A"] == counts["B"] == {"met": 28 + 113, "not offered": 113}
    assert counts["C"] == counts["D"] == counts["E"] == {"met": 28 + 113}


def test_a_row_that_is_not_met_or_was_converted_says_why(rows):
    assert all(row.reason for row in rows if row.verdict != "met")
    assert {row.tag for row in rows if "_2D" in row.tag} == {row.tag for row in rows if row.verdict == "not offered"}
    converted = {row.tag for row in rows if row.verdict == "met" and row.reason}
    assert converted == {"stat_kurt", "morph_pca_maj_axis", "morph_pca_min_axis", "morph_pca_least_axis"}
