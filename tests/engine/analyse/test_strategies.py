"""The comparison of strategies on overlaps that are made up so that the answer is known."""

import dataclasses

import numpy as np
import pytest

from engine.analyse.strategies import ONE_TRAINING, compare_strategies
from engine.training_protocol import Strategies
from store.records import DeclinedError, StrategyOverlap, TrainedModel, TrainingMember
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


REPORTED = tuple(TrainingMember(0, f"C{c:02d}", f"{c:064d}", "reported", "") for c in range(CASES))


def chosen(gains, seeds):
    return Strategies(names=tuple(gains), seeds=tuple(range(1, seeds + 1)))


def compare(gains, seeds=3, run_sd=0.01):
    return compare_strategies(overlaps(gains, seeds, run_sd), models(gains, seeds), REPORTED, chosen(gains, seeds))


def compare_without(lost, members=REPORTED, seeds=3, fold_of=lambda row: 0):
    """The comparison of GAINS when the trainings (strategy, seed, fold) of `lost` failed."""
    rows = [dataclasses.replace(row, fold=fold_of(row)) for _, row in overlaps(GAINS, seeds)]
    left = [row for row in rows if (row.strategy, row.seed, row.fold) not in lost]
    trained = [model for model in models(GAINS, seeds) if (model[1].strategy, model[1].seed, 0) not in lost]
    return compare_strategies(
        Trainings(tuple(("", row) for row in left)), Trainings(tuple(trained)), members, chosen(GAINS, seeds)
    )


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


def test_a_failed_training_costs_its_seed_not_the_comparison():
    compared = compare_without({("tumour-only", 3, 0)})
    assert {(s.cases, s.trainings) for s in compared.summaries} == {(CASES, 2)}
    assert of(compared, "mixed model", "tumour-only", "anatomy-pretraining").p_holm < 0.01
    left_out = {(t.strategy, t.seed): t.reason for t in compared.trainings if not t.compared}
    assert {seed for _, seed in left_out} == {3}
    assert left_out["tumour-only", 3] == "gave no result"
    assert left_out["anatomy-pretraining", 3] == "seed 3 is not whole in every strategy"


def test_what_is_left_is_that_of_a_comparison_without_the_lost_seed():
    assert compare_without({("tumour-only", 3, 0)}).comparisons == compare_two_seeds().comparisons


def compare_two_seeds():
    rows = Trainings(tuple(row for row in overlaps(GAINS, 3) if row[1].seed < 3))
    return compare_strategies(rows, models(GAINS, 2), REPORTED, chosen(GAINS, 2))


def test_a_strategy_that_never_trained_is_left_out_alone():
    compared = compare_without({("tumour-and-anatomy", seed, 0) for seed in (1, 2, 3)})
    assert {s.strategy: s.trainings for s in compared.summaries} == {"tumour-only": 3, "anatomy-pretraining": 3}
    assert {t.strategy for t in compared.trainings if not t.compared} == {"tumour-and-anatomy"}


def test_no_common_seed_is_declined_with_what_is_missing():
    with pytest.raises(DeclinedError, match="tumour-only seed 1, anatomy-pretraining seed 2"):
        compare_without({("tumour-only", 1, 0), ("anatomy-pretraining", 2, 0)}, seeds=2)


def test_a_failed_fold_drops_its_seed_and_never_its_cases():
    two_folds = tuple(dataclasses.replace(member, fold=c % 2) for c, member in enumerate(REPORTED))
    compared = compare_without({("tumour-only", 2, 1)}, two_folds, fold_of=lambda row: int(row.case_id[1:]) % 2)
    assert {(s.cases, s.trainings) for s in compared.summaries} == {(CASES, 2)}
    (lost,) = [t for t in compared.trainings if t.scored_folds < t.folds]
    assert (lost.strategy, lost.seed, lost.scored_folds, lost.folds) == ("tumour-only", 2, 1, 2)


def test_a_training_that_scored_too_few_cases_is_not_whole():
    rows = Trainings(overlaps(GAINS, 2).rows[:-1])
    compared = compare_strategies(rows, models(GAINS, 2), REPORTED, chosen(GAINS, 2))
    assert {(s.cases, s.trainings) for s in compared.summaries} == {(CASES, 1)}


def test_a_summary_prints_the_budget_of_one_training():
    summary = compare(GAINS).summaries[0]
    assert (summary.iterations, summary.cpu_seconds, summary.device) == (100, 20.0, "cpu")
    assert summary.trainings == 3
    assert summary.seed_dsc_lowest <= summary.dsc_mean <= summary.seed_dsc_highest


def test_two_strategies_have_no_test_of_all_together():
    assert not [r for r in compare({"tumour-only": 0.0, "tumour-only-long": 0.1}).comparisons if r.test == "friedman"]
