"""ComBat against neuroCombat 0.2.12 (tests/reference/neurocombat.py), and what a fit must refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.statistics.combat import fit_combat

REFERENCE = json.loads((Path(__file__).parents[2] / "reference" / "neurocombat.json").read_text())
VALUES, BATCHES = np.array(REFERENCE["values"]), tuple(REFERENCE["batches"])
PROTECTED = np.column_stack([REFERENCE["sex"], REFERENCE["age"]]).astype(float)


@pytest.mark.parametrize(("name", "covariates"), [("plain", None), ("protected", PROTECTED)])
def test_on_all_data_it_equals_neurocombat(name, covariates):
    found = fit_combat(VALUES, BATCHES, covariates).apply(VALUES, BATCHES, covariates)
    wanted = np.array(REFERENCE[name])
    assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-12
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_patients_that_were_not_in_the_fit_are_harmonised_one_by_one():
    rng = np.random.default_rng(1)
    batches = ("A",) * 200 + ("B",) * 200
    truth = rng.normal(size=(400, 8))
    seen = truth * np.where(np.array(batches) == "B", 2.0, 1.0)[:, None] + 3.0 * (np.array(batches) == "B")[:, None]
    fitted = fit_combat(seen[::2], batches[::2])
    one = fitted.apply(seen[1:2], batches[1:2])
    together = fitted.apply(seen[1::2], batches[1::2])
    assert np.allclose(one[0], together[0])
    of_a, of_b = together[:100], together[100:]
    assert np.abs(of_a.mean(axis=0) - of_b.mean(axis=0)).max() < 0.5
    assert np.allclose(of_a.std(axis=0), of_b.std(axis=0), rtol=0.25)


def test_a_protected_difference_stays_and_an_unprotected_one_goes():
    # sex differs by 5 units and is unevenly spread over the batches
    rng = np.random.default_rng(2)
    batches, sex = np.repeat(["A", "B"], 150), np.concatenate([np.arange(150) < 30, np.arange(150) < 120]).astype(float)
    values = rng.normal(size=(300, 6)) + 5.0 * sex[:, None] + 2.0 * (batches == "B")[:, None]

    def kept(covariates):
        moved = fit_combat(values, batches, covariates).apply(values, batches, covariates)
        return (moved[sex == 1].mean(axis=0) - moved[sex == 0].mean(axis=0)).mean()

    assert kept(sex[:, None]) == pytest.approx(5.0, abs=0.2)
    assert kept(None) < 4.5


def test_repeats_of_a_patient_share_his_batch():
    fitted = fit_combat(VALUES, BATCHES)
    repeats = np.stack([VALUES, VALUES + 1.0], axis=1)
    moved = fitted.apply(repeats, BATCHES)
    assert np.allclose(moved[:, 0], fitted.apply(VALUES, BATCHES))
    assert np.allclose(moved[:, 1], fitted.apply(VALUES + 1.0, BATCHES))


def test_a_feature_that_does_not_vary_stays_as_it_is():
    constant = np.column_stack([VALUES, np.full(len(VALUES), 7.0)])
    assert np.allclose(fit_combat(constant, BATCHES).apply(constant, BATCHES)[:, -1], 7.0)


def test_an_unknown_batch_is_refused():
    with pytest.raises(ValueError, match=r"batches must have been in the fit \(A, B, C\), got D"):
        fit_combat(VALUES, BATCHES).apply(VALUES[:1], ("D",))


@pytest.mark.parametrize("batches", [("A",) * len(VALUES), ("Z", *BATCHES[1:])])
def test_one_batch_or_a_batch_of_one_is_refused(batches):
    with pytest.raises(ValueError, match="two or more of two or more"):
        fit_combat(VALUES, batches)


def test_a_covariate_that_follows_from_the_batch_is_refused():
    with pytest.raises(ValueError, match="must not follow from the batches"):
        fit_combat(VALUES, BATCHES, np.array([[float(b == "A")] for b in BATCHES]))


def test_missing_values_are_refused():
    broken = VALUES.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="values must be finite"):
        fit_combat(broken, BATCHES)
