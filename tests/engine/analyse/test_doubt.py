"""Doubt that knows, doubt that does not, and the cases that need none."""

from __future__ import annotations

import numpy as np
import pytest

from engine.analyse.doubt import estimate_doubt
from store.records import Cohort, DeclinedError, Overlap, Segmentation, Uncertainty

CASES = 60


def uncertain(entropy: float) -> Uncertainty:
    return Uncertainty(12.0, 1, 1.0, entropy, 5.0 - entropy, None, 0.99, 14.0)


NOTHING = Uncertainty(0.0, 0, None, None, None, None, 0.2, 0.0)


def overlap(dsc: float, comparison: str = "agreement") -> Overlap:
    kind = "wrong_place" if dsc == 0 else "found"
    return Overlap(
        "tumour", "r", "m", comparison, dsc, dsc, 2.0, dsc, dsc, 5.0, 1.0, 0.0, 1.0, dsc == 0, kind, 0
    )  # fmt: skip


def cohorts(entropies, dscs, comparison="agreement"):
    names = [f"c{i:03d}" for i in range(len(entropies))]
    rows = [(n, NOTHING if e is None else uncertain(e)) for n, e in zip(names, entropies, strict=True)]
    known = [(n, overlap(d, comparison)) for n, d in zip(names, dscs, strict=True) if d is not None]
    masks = [(n, segmented(row is not NOTHING)) for n, row in rows]
    return Cohort(tuple(rows)), Cohort(tuple(masks)), Cohort(tuple(known))


def segmented(tumour_found: bool) -> Segmentation:
    return Segmentation("a" * 64, "cpu", 0.0, 0.0, 0.0, 0.0, tumour_found, None, "model")


def known_doubt():
    """Entropy says how good an outline is; the worst miss."""
    rng = np.random.default_rng(2)
    entropies = rng.uniform(0.05, 0.6, CASES)
    dscs = np.clip(1.05 - 1.2 * entropies + 0.05 * rng.standard_normal(CASES), 0, 1)
    dscs[entropies > 0.52] = 0.0
    return list(entropies), list(dscs)


def found(result):
    return next(row for row in result.quality if row.subset == "found")


def test_entropy_that_says_how_good_an_outline_is_ranks_and_detects():
    result = estimate_doubt(*cohorts(*known_doubt()), np.random.default_rng(1))
    quality = found(result)
    assert quality.n == CASES
    assert quality.ranks
    assert quality.rho_lo > 0.8
    assert quality.detects
    assert quality.mean_error < quality.mean_error_of_the_mean
    assert [row.place for row in result.estimates] == list(range(1, CASES + 1))
    assert result.estimates[0].missed


def test_entropy_of_other_cases_is_no_better_than_chance():
    entropies, dscs = known_doubt()
    said = []
    for seed in range(100, 108):
        shuffled = np.random.default_rng(seed).permutation(entropies)
        quality = found(estimate_doubt(*cohorts(list(shuffled), dscs), np.random.default_rng(1)))
        said += [quality.ranks, quality.detects]
    assert sum(said) <= 1  # of 16, each wrong in 2.5 %


def test_where_nothing_was_found_nothing_is_learnt_and_the_case_comes_first():
    entropies, dscs = known_doubt()
    result = estimate_doubt(*cohorts([None, None, *entropies], [0.0, None, *dscs]), np.random.default_rng(1))
    first, second = (row for row in result.estimates if row.basis == "nothing found")
    assert {first.case_id, second.case_id} == {"c000", "c001"}
    assert first.predicted_dsc == 0
    assert first.missed_probability == 1
    assert found(result).n == CASES
    assert next(row for row in result.quality if row.subset == "all").n == CASES + 1


def test_a_case_without_a_reference_is_predicted_by_the_others():
    entropies, dscs = known_doubt()
    result = estimate_doubt(*cohorts([*entropies, 0.58, 0.06], [*dscs, None, None]), np.random.default_rng(1))
    doubtful, sure = (next(r for r in result.estimates if r.case_id == f"c{i:03d}") for i in (CASES, CASES + 1))
    assert doubtful.basis == sure.basis == "no reference"
    assert doubtful.achieved_dsc is None
    assert doubtful.predicted_dsc < 0.4 < 0.8 < sure.predicted_dsc
    assert doubtful.missed_probability > sure.missed_probability


def test_misses_are_not_predicted_from_two_of_them():
    entropies, dscs = known_doubt()
    dscs = [max(d, 0.05) for d in dscs]
    dscs[4] = dscs[9] = 0.0
    result = estimate_doubt(*cohorts(entropies, dscs), np.random.default_rng(1))
    assert found(result).auc is None
    assert all(row.missed_probability is None for row in result.estimates)


@pytest.mark.parametrize("comparison", ["agreement", "edit_distance"])
def test_without_enough_independent_references_there_is_no_doubt(comparison):
    entropies, dscs = known_doubt()
    few = 19 if comparison == "agreement" else CASES
    with pytest.raises(DeclinedError, match="20 cases"):
        estimate_doubt(*cohorts(entropies[:few], dscs[:few], comparison), np.random.default_rng(1))


def test_without_a_model_there_is_no_doubt():
    with pytest.raises(DeclinedError, match="20 cases"):
        estimate_doubt(Cohort(()), Cohort(()), Cohort(()), np.random.default_rng(1))


def test_a_crumb_that_the_mask_lacks_is_nothing_found():
    """Two voxels of the model's grid that lead, dropped from the mask on the CT's grid."""
    uncertainty, masks, known = cohorts(*known_doubt())
    crumb = ("crumb", uncertain(0.1))
    result = estimate_doubt(
        Cohort((*uncertainty.rows, crumb)),
        Cohort((*masks.rows, ("crumb", segmented(False)))),
        Cohort((*known.rows, ("crumb", overlap(0.0)))),
        np.random.default_rng(1),
    )
    assert next(row.basis for row in result.estimates if row.case_id == "crumb") == "nothing found"
    assert found(result).n == CASES


def test_measures_that_say_nothing_are_no_better_than_the_mean():
    """Constant measures: every prediction is the mean of all, whatever the case."""
    _, dscs = known_doubt()
    quality = found(estimate_doubt(*cohorts([0.3] * CASES, dscs), np.random.default_rng(1)))
    assert quality.mean_error == pytest.approx(quality.mean_error_of_the_mean, abs=1e-12)
    assert quality.bias == pytest.approx(0, abs=1e-12)
    assert not quality.ranks


def test_calibration_is_the_line_of_achieved_on_predicted():
    result = estimate_doubt(*cohorts(*known_doubt()), np.random.default_rng(1))
    kept = [row for row in result.estimates if row.basis == "left out"]
    predicted, achieved = [r.predicted_dsc for r in kept], [r.achieved_dsc for r in kept]
    quality = found(result)
    assert quality.slope == pytest.approx(np.polyfit(predicted, achieved, 1)[0], rel=1e-9)
    assert quality.bias == pytest.approx(np.mean(achieved) - np.mean(predicted), abs=1e-12)
    assert quality.expected_missed == pytest.approx(sum(r.missed_probability for r in kept))
    assert quality.expected_missed == pytest.approx(quality.missed, abs=2.5)
