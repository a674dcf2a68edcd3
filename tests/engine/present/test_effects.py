"""Effects and errors as they are drawn and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.present.blank_canvas import blank_canvas_sample
from engine.present.figures.effects import batch_figure
from engine.present.figures.error_map import error_map
from engine.present.wording.segmentation import (
    alias_sentence,
    association_sentence,
    batch_sentence,
    cross_table,
    forest_sentence,
    pair_label,
    plain_cell,
)
from store.queries.agreement import MaskPair
from store.records import AcquisitionPair, Association, BatchDifference
from store.volumes import Grid, Mask

GRID = Grid((40, 40, 40), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
CONTACT = Association(
    *("dsc", "costal_contact_share", "spearman", "all", 153, "rho", -0.31, -0.45, -0.16, 0.001, 0.003, "", ""),
    *(-0.11, -0.16, -0.05, "10 percentage points"),
)
DIFFERENCE = BatchDifference(
    *("dsc", "detected", "contrast", "no", "yes", 60, 80, 0.01, -0.02, 0.04, 0.05, "equivalent", "")
)


def ball(radius):
    z, y, x = np.indices(GRID.shape_zyx) - 20
    return Mask("tumour", "independent", "reader", z**2 + y**2 + x**2 <= radius**2, GRID)


def test_the_sentence_says_direction_change_interval_n_and_q():
    said = association_sentence(CONTACT)
    assert said.startswith("DSC falls with share of surface against the chest wall (−0.11 per 10 percentage points): ")
    assert "n = 153" in said
    assert "q = 0.003" in said


def test_an_interval_over_zero_is_no_clear_relation():
    said = association_sentence(replace(CONTACT, effect=-0.05, effect_hi=0.1))
    assert said.startswith("No clear relation of DSC with share of surface")


def test_before_locking_nothing_speaks_of_p():
    assert "p =" not in association_sentence(replace(CONTACT, p=None, q=None))


def test_an_aliased_scan_variable_says_what_it_cannot_be_told_from():
    row = replace(CONTACT, variable="contrast", aliased_with="kernel_group")
    assert "cannot be told from reconstruction kernel" in association_sentence(row)


def test_verdicts_are_counted_and_the_margin_is_drawn():
    rows = [DIFFERENCE, replace(DIFFERENCE, variable="vendor", verdict="inconclusive", hi=0.2)]
    assert "1 equivalent, 1 inconclusive" in batch_sentence(rows)
    band = batch_figure(rows).layout.shapes[-1]
    assert (band.x0, band.x1) == (-0.05, 0.05)


def test_aliased_pairs_are_named_and_cross_tabulated():
    pair = AcquisitionPair("contrast", "kernel_group", 4, 1.0, True, '{"no": {"soft": 3}, "yes": {"sharp": 1}}')
    assert "contrast and reconstruction kernel (Cramér's V 1.00)" in alias_sentence([pair])
    assert cross_table(pair)[0] == {"Contrast": "no", "sharp": 0, "soft": 3}


def test_the_forest_names_the_largest_effect_that_is_clear():
    name = "change of DSC, yes less no"
    row = Association(*("dsc", "chest_wall_contact", "fractional logit, adjusted", "detected", 140, name),
                      *(-0.08, -0.12, -0.04, None, None, "", "", -0.08, -0.12, -0.04, "yes less no"))  # fmt: skip
    said = forest_sentence([row, replace(row, variable="contrast", effect=-0.2, effect_lo=-0.5, effect_hi=0.1)])
    assert said.startswith("All else kept, chest wall contact changes DSC most: −0.08 (−0.12 to −0.04), yes less no.")


def test_every_kind_of_pair_has_a_name():
    pair = MaskPair("tumour", "reader", "reader-b", "readers", 9)
    assert pair_label(pair) == "Reader-b vs reader (two readers)"
    lungs = MaskPair("lung_left", "reader", "90908510bcf0", "agreement", 9)
    assert pair_label(lungs) == "Model 9090 vs reader, lung left"
    assert pair_label(replace(pair, comparison="models")).endswith("(two programs)")


@pytest.mark.parametrize(
    ("column", "stored", "shown"),
    [
        ("missed_kind", "wrong_place", "in the wrong place"),
        ("test", "mann-whitney, exact: too few misses for a model", "Mann-Whitney, exact: too few misses for a model"),
        ("test", "fractional logit, adjusted", "fractional logit, adjusted"),
        ("outcome", "surface_dsc", "Surface DSC"),
    ],
)
def test_stored_words_are_written_as_elsewhere_on_the_page(column, stored, shown):
    assert plain_cell(column, stored) == shown


def test_a_ball_grown_by_three_millimetres_is_three_too_large_everywhere():
    found = error_map(ball(8), ball(11))
    assert found.errors_mm == pytest.approx(3.0, abs=0.6)
    assert error_map(ball(11), ball(8)).errors_mm == pytest.approx(-3.0, abs=0.6)
    assert np.linalg.norm(found.corners_mm - 20, axis=1) == pytest.approx(8.0, abs=0.8)


def test_an_empty_mask_has_no_error_map():
    nothing = Mask("tumour", "automatic", "abc", np.zeros(GRID.shape_zyx, dtype=bool), GRID)
    assert error_map(ball(8), nothing) is None


def test_the_blank_canvas_sample_is_random_and_the_same_again():
    ids = [f"c{i:03d}" for i in range(100)]
    drawn = blank_canvas_sample(ids, 7)
    assert drawn == blank_canvas_sample(ids[::-1], 7)
    assert len(set(drawn)) == 30
    assert drawn != blank_canvas_sample(ids, 8)
    assert set(blank_canvas_sample(ids[:4], 7)) == set(ids[:4])
