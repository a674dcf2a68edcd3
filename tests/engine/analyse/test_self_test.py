"""Permuted outcomes: nothing may be predicted, out of bag or by the cross-validation inside a bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.analyse.self_test import permute_outcomes, with_outcomes_of
from engine.protocol import SelfTest
from store.sources import ResampleNumber
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, make_table

WANTED = SelfTest(repeats=20, resamples=5)
CHOSEN_INSIDE = CHOICES.model_copy(update={"schemes": ("FCQ", "MIQ"), "trees": 10, "inner_folds": 3})


@pytest.fixture(scope="module")
def means() -> dict[tuple[str, str], float]:
    """Mean AUC over 20 permutations of a table with a strong signal and many features, by model and evaluation."""
    table = make_table(np.random.default_rng(3), n=90, p=150, signal=2.0)
    sizes = candidates(table, CHOSEN_INSIDE, RULES, NO_COMBAT).sizes
    rows = [
        row
        for number in range(WANTED.repeats)
        for row in permute_outcomes(
            table,
            sizes,
            CHOSEN_INSIDE,
            RULES,
            WANTED,
            NO_COMBAT,
            ResampleNumber(number),
            np.random.default_rng([3, number]),
        ).performance
    ]
    keys = {(row.model, row.evaluation) for row in rows}
    return {key: float(np.mean([r.auc for r in rows if (r.model, r.evaluation) == key])) for key in keys}


def test_out_of_bag_is_a_coin_for_every_model(means):
    # notes/statistics.md section 6: selection inside the resample 0.51, outside 0.84
    found = {model: auc for (model, evaluation), auc in means.items() if evaluation == "out-of-bag"}
    assert set(found) >= {"clinical", "combined", "radiomic", "shuffled", "volume"}
    assert all(0.45 <= auc <= 0.55 for auc in found.values()), found


def test_cross_validation_inside_a_bootstrap_is_a_coin(means):
    # the same section: with copies of a patient on both sides 0.76
    assert 0.45 <= means["radiomic", "cross-validation"] <= 0.55


def test_outcomes_move_together_and_features_stay():
    table = make_table(np.random.default_rng(1), n=30)
    order = np.random.default_rng(2).permutation(30)
    dealt = with_outcomes_of(table, order)
    assert dealt.values is table.values
    assert np.array_equal(dealt.days, table.days[order])
    assert np.array_equal(dealt.label, table.label[order])
