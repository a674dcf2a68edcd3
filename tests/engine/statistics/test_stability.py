"""Nogueira's stability against the authors' notebook."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.statistics.stability import nogueira


def test_every_case_equals_the_authors_package(shared: Path) -> None:
    cases = json.loads((shared / "data/stats_reference/stability_nogueira.json").read_text())["cases"]
    assert len(cases) >= 4
    for name, case in cases.items():
        result = nogueira(np.array([[cell == "1" for cell in row] for row in case["rows"]]))
        assert result.index == pytest.approx(case["stability"], abs=1e-12), name
        if "variance" in case:
            assert result.standard_error**2 == pytest.approx(case["variance"], abs=1e-12), name
            assert (result.lower, result.upper) == pytest.approx((case["ci95_lower"], case["ci95_upper"]), abs=1e-9)


def test_toy_table_by_hand() -> None:
    table = np.array([[1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]], dtype=bool)
    result = nogueira(table)
    assert (result.index, result.standard_error) == pytest.approx((0.375, 0.09375), abs=1e-12)


def test_identical_sets_are_fully_stable_and_random_ones_not() -> None:
    same = np.tile([True, False, False], (5, 1))
    assert (nogueira(same).index, nogueira(same).standard_error) == (1.0, 0.0)
    rng = np.random.default_rng(0)
    assert abs(nogueira(rng.random((400, 300)) < 0.1).index) < 0.005


def test_all_or_nothing_is_undefined() -> None:
    assert np.isnan(nogueira(np.ones((3, 4), dtype=bool)).index)


def test_one_resample_is_refused() -> None:
    with pytest.raises(ValueError, match="two resamples"):
        nogueira(np.ones((1, 4), dtype=bool))
