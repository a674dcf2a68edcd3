"""Kaplan-Meier, log-rank, Cox, concordance and cumulative incidence against R survival 3.5-3 and cmprsk 2.2-11."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines.datasets import load_rossi

from engine.statistics.concordance import concordance
from engine.statistics.cox import cox_survival, fit_cox, log_hazard, proportional_hazards
from engine.statistics.cumulative_incidence import cumulative_incidence, incidence_at
from engine.statistics.kaplan_meier import at_risk_at, kaplan_meier, median_survival, survival_at, survival_before
from engine.statistics.log_rank import log_rank
from store.records import DeclinedError

COLUMNS = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]


@pytest.fixture(scope="module")
def rossi() -> pd.DataFrame:
    return load_rossi().astype(float)


@pytest.fixture(scope="module")
def lung(shared: Path) -> tuple[pd.DataFrame, dict]:
    folder = shared / "data/stats_reference"
    return pd.read_csv(folder / "lung_ncctg.csv"), json.loads((folder / "survival_lung.json").read_text())


@pytest.fixture(scope="module")
def complete(lung: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame = lung[0].dropna(subset=["ph.ecog"])
    return frame[["age", "sex", "ph.ecog"]].to_numpy(float), frame.time.to_numpy(), (frame.status == 2).to_numpy()


def test_rossi_curve_and_log_log_bounds_equal_r(rossi: pd.DataFrame) -> None:
    curve = kaplan_meier(rossi.week, rossi.arrest)
    np.testing.assert_allclose(survival_at(curve, [0, 26, 52, 99]), [1, 0.875, *[0.7361111111111108] * 2], atol=1e-12)
    last = (curve.lower[-1], curve.upper[-1])
    assert last == pytest.approx((0.6918597157964872, 0.7750631833746742), abs=1e-12)
    assert at_risk_at(curve, [0])[0] == 432
    assert median_survival(curve) is None


def test_lung_curve_and_medians_equal_r(lung: tuple) -> None:
    frame, reference = lung
    curve = kaplan_meier(frame.time, frame.status == 2)
    km = reference["km"]
    np.testing.assert_allclose(survival_at(curve, km["times"]), km["surv"], atol=1e-12)
    assert median_survival(curve) == km["median"]
    for sex, median in km["median_by_sex"].items():
        own = frame[frame.sex == int(sex)]
        assert median_survival(kaplan_meier(own.time, own.status == 2)) == median


def test_frequency_weights_equal_copied_rows(rossi: pd.DataFrame) -> None:
    counts = np.random.default_rng(0).integers(0, 4, len(rossi))
    copies = rossi.loc[np.repeat(rossi.index, counts)]
    weighted, copied = kaplan_meier(rossi.week, rossi.arrest, counts), kaplan_meier(copies.week, copies.arrest)
    for name in ("survival", "lower", "upper", "at_risk"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(copied, name), atol=1e-12)


def test_left_limits_differ_from_values_only_at_event_times() -> None:
    curve = kaplan_meier([1, 2, 2, 3], [1, 1, 0, 0])
    np.testing.assert_allclose(survival_at(curve, [1, 2, 2.5]), [0.75, 0.5, 0.5])
    np.testing.assert_allclose(survival_before(curve, [1, 2, 2.5]), [1, 0.75, 0.5])


def test_a_curve_that_reaches_zero_has_no_bounds_there() -> None:
    curve = kaplan_meier([1, 2], [1, 1])
    assert curve.survival.tolist() == [0.5, 0.0]
    assert np.isnan([curve.lower[1], curve.upper[1]]).all()
    assert median_survival(curve) == 1.5  # R survival: midway on a plateau at exactly one half


def test_log_rank_equals_r(lung: tuple, rossi: pd.DataFrame) -> None:
    frame, reference = lung
    result = log_rank(frame.time, frame.status == 2, frame.sex)
    expected = reference["logrank_sex"]
    assert (result.statistic, result.p_value) == pytest.approx((expected["chisq"], expected["p"]), abs=1e-10)
    np.testing.assert_allclose(result.observed, expected["observed"])
    np.testing.assert_allclose(result.expected, expected["expected"], atol=1e-10)
    assert log_rank(rossi.week, rossi.arrest, rossi.fin).p_value == pytest.approx(0.05011611740900568, abs=1e-12)


def test_log_rank_of_one_group_is_refused(rossi: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="two or more"):
        log_rank(rossi.week, rossi.arrest, np.zeros(len(rossi)))


def test_rossi_cox_equals_r(rossi: pd.DataFrame) -> None:
    expected = [
        -0.37942216648588667, -0.05743774268406230, 0.31389978784249856, -0.14979569766653705,
        -0.43370387793730858, -0.08487108050249466, 0.09149708098529596,
    ]  # fmt: skip
    fit = fit_cox(rossi[COLUMNS], rossi.week, rossi.arrest)
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-10)
    assert fit.converged
    index = concordance(rossi.week, rossi.arrest, log_hazard(fit, rossi[COLUMNS])).index
    assert index == pytest.approx(0.6403292470997135, abs=1e-12)


def test_lung_cox_equals_r(lung: tuple, complete: tuple) -> None:
    expected = lung[1]["cox_efron_age_sex_phecog"]
    fit = fit_cox(*complete)
    np.testing.assert_allclose(fit.coefficients, list(expected["coef"].values()), atol=1e-9)
    np.testing.assert_allclose(fit.standard_errors, list(expected["se"].values()), atol=1e-9)
    np.testing.assert_allclose(fit.p_values, list(expected["p"].values()), atol=1e-9)
    np.testing.assert_allclose([fit.log_likelihood_null, fit.log_likelihood], expected["loglik"], atol=1e-9)


def test_score_test_of_proportional_hazards_equals_modern_cox_zph(
    lung: tuple, complete: tuple, rossi: pd.DataFrame
) -> None:
    expected = lung[1]["cox_efron_age_sex_phecog"]["zph_p"]
    result = proportional_hazards(fit_cox(*complete), *complete)
    got = [*result.p_values, result.global_p_value]
    np.testing.assert_allclose(got, list(expected.values()), atol=1e-6)
    arguments = (rossi[COLUMNS], rossi.week, rossi.arrest)
    age = proportional_hazards(fit_cox(*arguments), *arguments)
    assert age.statistics[1] == pytest.approx(5.974, abs=1e-3)  # R survival 3.5-3, transform km
    assert age.p_values[1] == pytest.approx(0.0145, abs=5e-5)


def test_a_level_that_is_gone_before_the_first_event_leaves_the_other_tests_as_they_are(complete: tuple) -> None:
    x, days, event = complete
    days, event = days.copy(), event.copy()
    days[0], event[0] = 0.5, False  # censored before anybody dies: of no risk set
    alone = np.zeros((len(days), 1))
    alone[0] = 1.0
    without = proportional_hazards(fit_cox(x, days, event), x, days, event)
    wider = np.column_stack([x[:, :1], alone, x[:, 1:]])
    found = proportional_hazards(fit_cox(wider, days, event), wider, days, event)
    assert np.isnan(found.p_values[1])
    np.testing.assert_allclose(np.delete(found.p_values, 1), without.p_values, rtol=1e-9)
    assert found.global_p_value == pytest.approx(without.global_p_value, rel=1e-9)


def test_predicted_survival_equals_r(shared: Path, complete: tuple) -> None:
    reference = pd.read_csv(shared / "data/stats_reference/lung_cox_predictions.csv")
    fit = fit_cox(*complete)
    np.testing.assert_allclose(log_hazard(fit, complete[0]), reference.lp, atol=1e-8)
    for time in (180, 365, 730):
        np.testing.assert_allclose(cox_survival(fit, complete[0], time), reference[f"s{time}"], atol=1e-8)
    assert (cox_survival(fit, complete[0], 0) == 1).all()


def test_concordance_counts_equal_r(lung: tuple, complete: tuple) -> None:
    frame, reference = lung
    by_age = concordance(frame.time, frame.status == 2, frame.age)
    expected = reference["concordance_age_only"]
    assert by_age.index == pytest.approx(expected["n"], abs=1e-12)
    counts = expected["counts"]
    assert (by_age.concordant, by_age.discordant) == (counts["concordant"], counts["discordant"])
    assert by_age.tied_risk == counts["tied_x"]
    risk = log_hazard(fit_cox(*complete), complete[0])
    index = concordance(complete[1], complete[2], risk).index
    assert index == pytest.approx(reference["concordance_cox_lp"]["harrell"], abs=1e-12)


def test_doubling_every_weight_doubles_the_information_only(complete: tuple) -> None:
    x, times, events = complete
    times = times + np.linspace(0, 0.4, times.size)
    plain, doubled = fit_cox(x, times, events), fit_cox(x, times, events, np.full(times.size, 2.0))
    np.testing.assert_allclose(plain.coefficients, doubled.coefficients, atol=1e-9)
    np.testing.assert_allclose(plain.standard_errors, doubled.standard_errors * np.sqrt(2), atol=1e-9)


def test_ridge_shrinks_and_separation_is_reported() -> None:
    x = np.arange(12.0)[:, None]
    times, events = np.arange(12.0, 0, -1), np.ones(12)
    assert not fit_cox(x, times, events).converged
    small, large = (fit_cox(x, times, events, ridge=ridge) for ridge in (1.0, 100.0))
    assert small.converged
    assert small.coefficients[0] > large.coefficients[0] > 0


@pytest.mark.parametrize(("x", "events"), [([[1.0], [2.0]], [0, 0]), ([[1.0], [1.0]], [1, 0])])
def test_cox_without_events_or_variation_declines(x: list, events: list) -> None:
    with pytest.raises(DeclinedError, match="Cox"):
        fit_cox(x, [1, 2], events)


def test_cumulative_incidence_with_ties_equals_r(rossi: pd.DataFrame) -> None:
    causes = np.where(rossi.arrest == 1, np.random.default_rng(0).integers(1, 3, len(rossi)), 0)
    first, second = (cumulative_incidence(rossi.week, causes, cause) for cause in (1, 2))
    np.testing.assert_allclose(incidence_at(first, [26, 52]), [0.04166666666666667, 0.09953703703703706], atol=1e-12)
    np.testing.assert_allclose(incidence_at(second, [26, 52]), [0.08333333333333334, 0.16435185185185192], atol=1e-12)
    at = np.searchsorted(first.times, [26, 52])
    expected = [0.009614147989488552, 0.014404009801714244]  # R survfit
    np.testing.assert_allclose(first.standard_error[at], expected, atol=1e-12)
    assert (first.lower <= first.incidence).all()
    assert (first.upper >= first.incidence).all()


def test_causes_and_survival_sum_to_one(rossi: pd.DataFrame) -> None:
    causes = np.where(rossi.arrest == 1, rossi.race.astype(int) + 1, 0)
    parts = [cumulative_incidence(rossi.week, causes, cause).incidence for cause in (1, 2)]
    np.testing.assert_allclose(sum(parts) + kaplan_meier(rossi.week, rossi.arrest).survival, 1, atol=1e-12)
