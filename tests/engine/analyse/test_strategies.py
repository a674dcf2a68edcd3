"""The comparison of strategies on overlaps that are made up so that the answer is known."""

import numpy as np
import pytest

from engine.analyse.strategies import ONE_TRAINING, compare_strategies
from store.records import StrategyOverlap, TrainedModel
from store.sources import Trainings

CASES = 12


def overlaps(gains: dict[str, float], seeds: int, run_sd: float = 0.01):
    """Strategies that differ by a gain, on the same cases of differing difficulty."""
    rng = np.random.default_rng(1)
    base = rng.uniform(0.2, 0.7, CASES)
    rows = []
    for name, gain in gains.items():
        for seed in range(1, seeds + 1):
            dsc = np.clip(base + gain + rng.normal(0, run_sd) + rng.normal(0, 0.01, CASES), 0, 1)
            rows += [
                StrategyOverlap(name, seed, 0, f"C{c:02d}", float(d), float(d), d < 0.3, 5.0) for c, d in enumerate(dsc)
            ]
    return Trainings(tuple(("", row) for row in rows))


def models(gains: dict[str, float], seeds: int):
    every = [
        TrainedModel(name, seed, 0, "w", "p", 100, 10.0 * seed, 20.0, "cpu", 1, 5)
        for name in gains
        for seed in range(1, seeds + 1)
    ]
    return Trainings(tuple(("", model) for model in every))


def compare(gains, seeds=3, run_sd=0.01):
    return compare_strategies(overlaps(gains, seeds, run_sd), models(gains, seeds))


def of(compared, test, first, second):
    return next(r for r in compared.comparisons if (r.test, {r.first, r.second}) == (test, {first, second}))


GAINS = {"tumour-only": 0.0, "tumour-and-anatomy": 0.0, "anatomy-pretraining": 0.2}


def test_a_real_gain_is_found_by_every_test_of_dsc():
    compared = compare(GAINS)
    for test in ("wilcoxon", "mixed model"):
        row = of(compared, test, "tumour-only", "anatomy-pretraining")
        assert row.p_holm < 0.01
        assert row.effect == pytest.approx(-0.2, abs=0.03)
    assert next(r for r in compared.comparisons if r.test == "friedman").p < 0.001


def test_a_difference_of_one_training_is_not_a_difference_of_strategies():
    """Trainings that scatter by 0.1 make one pair look decided over cases; the mixed model does not believe it."""
    gains = {"tumour-only": 0.0, "anatomy-pretraining": 0.0}
    compared = compare(gains, seeds=2, run_sd=0.1)
    assert of(compared, "wilcoxon", *gains).p < 0.001
    assert of(compared, "mixed model", *gains).p > 0.05


def test_one_seed_has_no_mixed_model_and_says_so():
    row = of(compare(GAINS, seeds=1), "mixed model", "tumour-only", "anatomy-pretraining")
    assert (row.p, row.p_holm, row.note) == (None, None, ONE_TRAINING)
    assert row.effect is not None


def test_holm_runs_within_each_test():
    compared = compare(GAINS)
    for test in ("wilcoxon", "mcnemar", "mixed model"):
        rows = [row for row in compared.comparisons if row.test == test]
        smallest = min(rows, key=lambda row: row.p)
        assert smallest.p_holm == pytest.approx(min(1.0, 3 * smallest.p))


def test_cases_that_a_training_lacks_are_left_out_of_all():
    rows = overlaps(GAINS, 2).rows[:-1]
    compared = compare_strategies(Trainings(rows), models(GAINS, 2))
    assert {summary.cases for summary in compared.summaries} == {CASES - 1}


def test_a_summary_prints_the_budget_of_one_training():
    summary = compare(GAINS).summaries[0]
    assert (summary.iterations, summary.cpu_seconds, summary.device) == (100, 20.0, "cpu")
    assert summary.trainings == 3
    assert summary.seed_dsc_lowest <= summary.dsc_mean <= summary.seed_dsc_highest


def test_two_strategies_have_no_test_of_all_together():
    assert not [r for r in compare({"tumour-only": 0.0, "tumour-only-long": 0.1}).comparisons if r.test == "friedman"]
