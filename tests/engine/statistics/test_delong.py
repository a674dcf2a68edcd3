"""AUC, DeLong and ROC points against R pROC 1.18.0 on its own data."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc_curve

from engine.statistics.delong import auc_interval, auc_logit_interval, compare_aucs, delong
from engine.statistics.roc import roc_curve, weighted_auc, youden_point
from store.records import DeclinedError


@pytest.fixture(scope="module")
def asah(shared: Path) -> tuple[pd.DataFrame, np.ndarray, dict]:
    frame = pd.read_csv(shared / "data/stats_reference/aSAH.csv")
    reference = json.loads((shared / "data/stats_reference/proc_aSAH.json").read_text())
    return frame, (frame.outcome == "Poor").to_numpy(), reference


@pytest.mark.parametrize("marker", ["s100b", "ndka", "wfns"])
def test_area_variance_and_bounds_equal_proc(asah: tuple, marker: str) -> None:
    frame, poor, reference = asah
    expected = reference["auc"][marker]
    result = auc_interval(poor, frame[marker])
    assert result.auc == pytest.approx(expected["auc"], abs=1e-12)
    assert result.standard_error**2 == pytest.approx(expected["var"], abs=1e-12)
    assert (result.lower, result.upper) == pytest.approx(tuple(expected["ci95"]), abs=1e-12)
    assert weighted_auc(poor, frame[marker]) == pytest.approx(expected["auc"], abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [("s100b", "ndka"), ("wfns", "s100b"), ("wfns", "ndka")])
def test_paired_comparison_equals_proc(asah: tuple, first: str, second: str) -> None:
    frame, poor, reference = asah
    expected = reference["delong_paired"][f"{first}_vs_{second}"]
    result = compare_aucs(poor, frame[first], frame[second])
    assert (result.z, result.p_value) == pytest.approx((expected["Z"], expected["p"]), abs=1e-12)
    assert (result.lower, result.upper) == pytest.approx(tuple(expected["diff_ci95"]), abs=1e-12)
    covariance = delong(poor, frame[[first, second]].to_numpy().T).covariance[0, 1]
    assert covariance == pytest.approx(expected["cov"], abs=1e-12)
    assert compare_aucs(poor, frame[second], frame[first]).z == pytest.approx(-expected["Z"], abs=1e-12)


def test_logit_interval_equals_the_delta_method_on_proc_variances(asah: tuple) -> None:
    frame, poor, _ = asah
    result = auc_logit_interval(poor, frame.wfns)
    assert (result.lower, result.upper) == pytest.approx((0.7357640966473049, 0.886841844332612), abs=1e-12)


@pytest.mark.parametrize("marker", ["s100b", "ndka", "wfns"])
def test_youden_point_equals_proc(asah: tuple, marker: str) -> None:
    frame, poor, reference = asah
    result = youden_point(poor, frame[marker])
    expected = reference["youden"][marker]
    got = (result.threshold, result.specificity, result.sensitivity)
    assert got == pytest.approx((expected["threshold"], expected["specificity"], expected["sensitivity"]), abs=1e-12)


def test_identical_rankings_are_not_testable(asah: tuple) -> None:
    frame, poor, _ = asah
    result = compare_aucs(poor, frame.s100b, np.exp(frame.s100b))
    assert (result.difference, result.lower, result.upper) == (0.0, 0.0, 0.0)
    assert result.z is None
    assert result.p_value is None


def test_direction_is_never_flipped(asah: tuple) -> None:
    frame, poor, reference = asah
    assert weighted_auc(poor, -frame.s100b) == pytest.approx(1 - reference["auc"]["s100b"]["auc"], abs=1e-12)


@pytest.mark.parametrize("labels", [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
def test_fewer_than_two_events_or_non_events_decline(labels: list) -> None:
    with pytest.raises(DeclinedError, match="two events"):
        auc_interval(labels, [0.1, 0.2, 0.3, 0.4])


def test_weighted_curve_with_ties_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, scores, weights = rng.integers(0, 2, 200), rng.integers(0, 12, 200) / 4, rng.uniform(0, 3, 200)
    curve = roc_curve(labels, scores, weights)
    false, true, thresholds = sklearn_roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, false, atol=1e-12)
    np.testing.assert_allclose(curve.true_positive_rate, true, atol=1e-12)
    np.testing.assert_array_equal(curve.threshold, thresholds)
    assert weighted_auc(labels, scores, weights) == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights))


def test_a_class_without_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="events and non-events"):
        weighted_auc([1, 0, 0], [0.3, 0.2, 0.1], [0, 1, 1])


@pytest.mark.parametrize("cohort", ["HarvardRT", "Radboud"])
def test_published_cohorts_equal_proc(shared: Path, cohort: str) -> None:
    """Every area, variance, interval and paired test of two radiotherapy cohorts, with their missing values."""
    folder = shared / "data" / "hosny_2yr"
    reference = json.loads((folder / "delong_reference.json").read_text())
    frame = pd.read_csv(folder / f"{cohort}.csv.gz")
    alive = (frame["surv2yr"] == 1).to_numpy()
    signs = {name: -1.0 if text.startswith("-") else 1.0 for name, text in reference["scores"].items()}
    columns = {name: signs[name] * frame[text.lstrip("-")] for name, text in reference["scores"].items()}
    expected = reference["cohorts"][cohort]
    assert len(expected["auc"]) == 4
    for name, area in expected["auc"].items():
        known = columns[name].notna().to_numpy()
        found = auc_interval(alive[known], columns[name][known])
        got = (found.auc, found.standard_error**2, found.lower, found.upper)
        assert got == pytest.approx((area["auc"], area["var"], *area["ci95"]), abs=1e-12)
    assert len(expected["delong"]) >= 4
    for pair, test in expected["delong"].items():
        first, second = (columns[name] for name in pair.split("_vs_"))
        known = (first.notna() & second.notna()).to_numpy()
        compared = compare_aucs(alive[known], first[known], second[known])
        got = (compared.z, compared.p_value, compared.lower, compared.upper)
        assert got == pytest.approx((test["Z"], test["p"], *test["diff_ci95"]), abs=1e-11)
