"""Censoring weights, and AUC and Brier score at a horizon, against R riskRegression and scikit-survival."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines.datasets import load_rossi

from engine.statistics.censoring import fit_censoring, horizon_labels, ipcw_auc, ipcw_brier, ipcw_weights
from engine.statistics.cox import cox_survival, fit_cox
from engine.statistics.kaplan_meier import kaplan_meier, survival_at
from store.records import DeclinedError

COLUMNS = ["fin", "age", "prio"]
ALL_COLUMNS = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]


@pytest.mark.parametrize(
    ("week", "auc", "cox", "null"),
    [
        (26, 0.6200029394473839, 0.1044884177781134, 0.1093750000000000),
        (50, 0.6655561829474874, 0.1756232871889636, 0.1897933813443073),
    ],
)
def test_rossi_auc_and_brier_equal_risk_regression(week: int, auc: float, cox: float, null: float) -> None:
    rossi = load_rossi().astype(float)
    fit = fit_cox(rossi[ALL_COLUMNS], rossi.week, rossi.arrest)
    risk = 1 - cox_survival(fit, rossi[ALL_COLUMNS], week)
    curve = fit_censoring(rossi.week, rossi.arrest)
    weights, labels = (
        ipcw_weights(curve, rossi.week, rossi.arrest, week),
        horizon_labels(rossi.week, rossi.arrest, week),
    )
    assert ipcw_auc(labels, risk, weights) == pytest.approx(auc, abs=1e-9)
    assert ipcw_brier(labels, risk, weights) == pytest.approx(cox, abs=1e-9)
    prevalence = 1 - survival_at(kaplan_meier(rossi.week, rossi.arrest), [week])[0]
    assert ipcw_brier(labels, np.full(len(rossi), prevalence), weights) == pytest.approx(null, abs=1e-12)


def test_lung_brier_and_auc_equal_scikit_survival(shared: Path) -> None:
    folder = shared / "data/stats_reference"
    frame = pd.read_csv(folder / "lung_cox_predictions.csv")
    reference = json.loads((folder / "survival_lung.json").read_text())
    event = (frame.status == 2).to_numpy()
    curve = fit_censoring(frame.time, event)
    brier, auc = reference["brier_scikit_survival"], reference["td_auc_scikit_survival"]
    for at, time in enumerate(brier["times"]):
        weights, labels = ipcw_weights(curve, frame.time, event, time), horizon_labels(frame.time, event, time)
        assert ipcw_brier(labels, 1 - frame[f"s{time}"], weights) == pytest.approx(brier["values"][at], abs=2e-3)
        assert ipcw_auc(labels, frame.lp, weights) == pytest.approx(auc["values"][at], abs=2e-3)


def test_weights_by_hand() -> None:
    times, events = [1, 2, 2, 3, 4], [1, 0, 1, 1, 0]
    curve = fit_censoring(times, events)
    # at 2 one event leaves first, three remain, one is censored: G(2) = 2/3
    np.testing.assert_allclose(curve.survival, [1, 2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(ipcw_weights(curve, times, events, 3.5), [1, 0, 1, 1.5, 1.5])
    assert horizon_labels(times, events, 3.5).tolist() == [True, False, True, True, False]


def test_an_administrative_cut_at_the_horizon_keeps_the_survivors() -> None:
    times, events = [10, 24, 24, 24], [1, 0, 0, 0]
    weights = ipcw_weights(fit_censoring(times, events), times, events, 24)
    np.testing.assert_allclose(weights, [1, 1, 1, 1])


def test_without_censoring_every_weight_is_one() -> None:
    times, events = np.arange(1, 9), np.ones(8)
    np.testing.assert_array_equal(ipcw_weights(fit_censoring(times, events), times, events, 5), np.ones(8))


def test_weights_sum_to_about_the_number_of_patients() -> None:
    rng = np.random.default_rng(0)
    time, censored = rng.exponential(30, 4000), rng.exponential(40, 4000)
    times, events = np.minimum(time, censored), time <= censored
    weights = ipcw_weights(fit_censoring(times, events), times, events, 24)
    assert weights.sum() == pytest.approx(4000, rel=0.02)
    assert np.average(horizon_labels(times, events, 24), weights=weights) == pytest.approx(1 - np.exp(-0.8), abs=0.02)


def test_a_horizon_beyond_all_training_follow_up_declines() -> None:
    curve = fit_censoring([5, 6], [1, 0])
    with pytest.raises(DeclinedError, match="nobody in training"):
        ipcw_weights(curve, [9], [0], 8)
