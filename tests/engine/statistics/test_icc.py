"""Intraclass correlation against Shrout and Fleiss's table and R psych."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.statistics.icc import Icc, icc, icc_lower


def forms(result: Icc) -> dict:
    return {
        "ICC1": result.one_way,
        "ICC2": result.agreement,
        "ICC3": result.consistency,
        "ICC1k": result.mean_one_way,
        "ICC2k": result.mean_agreement,
        "ICC3k": result.mean_consistency,
    }


def test_six_forms_and_bounds_equal_psych_on_shrout_fleiss(shared: Path) -> None:
    reference = json.loads((shared / "data/stats_reference/icc_shrout_fleiss.json").read_text())
    result = forms(icc(np.array(reference["data"], dtype=float)[:, :, None]))
    for name, expected in reference["values"].items():
        got = [result[name].estimate[0], result[name].lower[0], result[name].upper[0]]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
        assert round(got[0], 2) == reference["published_rounded"][name]


def test_a_shifted_rater_is_consistent_but_does_not_agree(shared: Path) -> None:
    reference = json.loads((shared / "data/stats_reference/icc_shrout_fleiss.json").read_text())
    first = np.array(reference["data"], dtype=float)[:, 0]
    result = icc(np.stack([first, first + 3], axis=1)[:, :, None])
    got = [float(form.estimate[0]) for form in (result.one_way, result.agreement, result.consistency)]
    expected = [reference["shifted_rater"][name] for name in ("ICC1", "ICC2", "ICC3")]
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert result.consistency.lower[0] == pytest.approx(1.0)
    assert np.isfinite([result.agreement.lower[0], result.agreement.upper[0]]).all()


def test_real_submissions_of_nine_teams_equal_psych(shared: Path) -> None:
    folder = shared / "data/ibsi1_multi_team"
    values = pd.read_csv(folder / "multi_team_CT.csv.gz")
    reference = pd.read_csv(folder / "icc_reference_psych_CT.csv")
    by_tag = dict(iter(values.groupby("tag")))
    worst = 0.0
    for row in reference.itertuples():
        table = by_tag[row.tag].pivot(index="id", columns="team", values="value")[row.teams.split("|")]
        result = forms(icc(table.to_numpy()[:, :, None]))
        for name, form in result.items():
            worst = max(worst, abs(float(form.estimate[0]) - getattr(row, name)))
        for name in ("ICC1", "ICC2", "ICC3"):
            bounds = np.array([result[name].lower[0], result[name].upper[0]])
            expected = np.array([getattr(row, f"{name}_lo"), getattr(row, f"{name}_hi")])
            np.testing.assert_allclose(bounds, expected, atol=1e-9, err_msg=f"{row.tag} {name}")
    assert len(reference) == 226
    assert worst < 1e-9


def test_constant_and_incomplete_features_are_undefined_and_do_not_touch_others() -> None:
    rng = np.random.default_rng(1)
    good = rng.normal(size=(10, 3))
    broken = good.copy()
    broken[4, 1] = np.nan
    result = icc(np.stack([good, np.full((10, 3), 7.1), broken], axis=2))
    alone = icc(good[:, :, None])
    for name, form in forms(result).items():
        assert np.isnan(form.estimate[1:]).all(), name
        assert np.isnan(form.lower[1:]).all(), name
        assert form.estimate[0] == pytest.approx(forms(alone)[name].estimate[0], abs=1e-12)


def test_a_large_offset_does_not_change_the_result() -> None:
    values = np.random.default_rng(2).normal(size=(20, 4, 1))
    np.testing.assert_allclose(icc(values + 2**20).one_way.estimate, icc(values).one_way.estimate, atol=1e-9)


def test_perfect_agreement_is_one_with_bounds_one() -> None:
    values = np.repeat(np.arange(6.0)[:, None, None], 3, axis=1)
    for name, form in forms(icc(values)).items():
        assert (form.estimate[0], form.lower[0], form.upper[0]) == pytest.approx((1, 1, 1)), name


@pytest.mark.parametrize("shape", [(1, 3, 2), (3, 1, 2), (3, 2)])
def test_shapes_without_two_subjects_and_raters_are_refused(shape: tuple) -> None:
    with pytest.raises(ValueError, match="values must be"):
        icc(np.zeros(shape))


@pytest.mark.parametrize("form", ["one_way", "agreement"])
def test_the_lower_bound_alone_is_the_one_of_the_whole(form):
    rng = np.random.default_rng(4)
    values = rng.normal(size=(12, 5, 300)) + rng.normal(size=(12, 1, 300)) * rng.uniform(0, 5, 300)
    values[:, :, 0], values[3, 2, 1], values[:, :, 2] = 7.0, np.nan, values[:, :1, 2]  # constant, unknown, perfect
    whole = getattr(icc(values), form).lower
    np.testing.assert_array_equal(icc_lower(values, form), whole)
