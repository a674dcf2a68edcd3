import dataclasses

import numpy as np
import pytest

from engine.analyse.external import validate
from engine.analyse.guard import rows_of
from engine.portable_model import merged, read_model_text
from engine.present.wording.external import differences, verdict
from engine.protocol import Clinical, Covariates, FeatureGrid, Features, Outcome, Plan, Rois
from engine.statistics.delong import compare_aucs
from store.records import CarriedModel, DeclinedError, ExternalSummary, RefusedError
from tests.engine.analyse.cohorts import make_table
from tests.engine.analyse.test_portable import finals_of

LOCKED = Plan(locked_at="2026-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def cohorts():
    table = make_table(np.random.default_rng(11), n=320, signal=1.5)
    return rows_of(table, np.arange(160)), rows_of(table, np.arange(160, 320))


@pytest.fixture(scope="module")
def carried(cohorts):
    read = tuple(read_model_text(final.specification) for final in finals_of(cohorts[0]).models)
    return (CarriedModel("A", 160, 60, "", merged(read, "A", {}).model_dump_json()),)


def run(table, carried, plan=LOCKED, outcome=Outcome(), clinical=Clinical(), grid=FeatureGrid()):
    return validate(table, carried, outcome, clinical, Covariates(), Features(), grid, Rois(), plan)


def row(found, model):
    return next(summary for summary in found.summaries if summary.model == model)


def test_a_planted_signal_transfers_and_delong_says_so(cohorts, carried):
    found = run(cohorts[1], carried)
    combined = row(found, "combined")
    assert verdict(combined) == "Transfers"
    assert combined.slope_lo < 1.3
    pair = next(c for c in found.comparisons if (c.base, c.extended) == ("clinical_volume", "combined"))
    assert pair.p < 0.01
    assert pair.n == (cohorts[1].label != -1).sum()


def test_the_test_is_delongs_on_the_stored_predictions(cohorts, carried):
    found = run(cohorts[1], carried)
    known = {p.case_id: p.label for p in found.predictions if p.label is not None}
    risk = {m: {p.case_id: p.probability for p in found.predictions if p.model == m} for m in ("clinical", "combined")}
    expected = compare_aucs(
        [known[c] for c in known], [risk["combined"][c] for c in known], [risk["clinical"][c] for c in known]
    )
    pair = next(c for c in found.comparisons if (c.base, c.extended) == ("clinical", "combined"))
    assert (pair.z, pair.p) == pytest.approx((expected.z, expected.p_value))


def test_before_the_plan_is_locked_there_is_no_p(cohorts, carried):
    for pair in run(cohorts[1], carried, Plan()).comparisons:
        assert (pair.z, pair.p, pair.exploratory) == (None, None, True)


def test_patients_who_trained_the_model_are_refused(cohorts, carried):
    with pytest.raises(RefusedError, match="trained the model"):
        run(cohorts[0], carried)


def test_shuffled_outcomes_are_said_not_to_transfer(cohorts, carried):
    table, order = cohorts[1], np.random.default_rng(6).permutation(160)
    broken = dataclasses.replace(table, days=table.days[order], event=table.event[order], label=table.label[order])
    assert verdict(row(run(broken, carried), "combined")).startswith("Fails to transfer")


def test_a_shift_of_the_baseline_is_found_and_mended_by_the_intercept(cohorts, carried):
    table = cohorts[1]
    kept = np.flatnonzero((table.label == 1) | (np.arange(160) % 3 == 0))  # two thirds of the event-free gone
    found = row(run(rows_of(table, kept), carried), "combined")
    assert found.observed > found.mean_risk + 0.08
    assert found.intercept_lo > 0
    assert found.brier_recalibrated <= found.brier_shifted < found.brier


def test_what_the_model_was_not_made_for_is_named(cohorts, carried):
    elsewhere = Clinical(time_zero="start of radiotherapy", treatment="radiotherapy")
    found = run(cohorts[1], carried, outcome=Outcome(endpoint="overall survival"), clinical=elsewhere)
    expected = {"endpoint", "time zero", "treatment", "feature extraction"}  # of imported features nobody knows it
    assert {a.aspect for a in found.aspects if a.differs} == expected
    assert "radiotherapy" in differences(found.aspects)


def test_what_neither_side_declares_is_not_taken_for_the_same(cohorts, carried):
    said = differences(run(cohorts[1], carried).aspects)
    assert said.startswith("**Whether it was made for this is not known.** treatment: not declared on either side; ")
    assert "feature extraction: not declared on either side" in said


def test_another_grid_than_the_model_was_made_on_is_named(cohorts):
    made = rows_of(dataclasses.replace(cohorts[0], batches=("sharp",) * 160), np.arange(160))
    read = tuple(read_model_text(final.specification) for final in finals_of(made).models)
    carried = (CarriedModel("A", 160, 60, "", merged(read, "A", {}).model_dump_json()),)
    here = dataclasses.replace(cohorts[1], batches=("sharp",) * 160)
    same = {a.aspect: a.differs for a in run(here, carried).aspects}
    assert same["feature extraction"] is False
    other = {a.aspect: (a.made_for, a.tested_on) for a in run(here, carried, grid=FeatureGrid(spacing_mm=2.0)).aspects}
    assert other["grid.spacing_mm"] == ("1.0", "2.0")


def test_arms_without_their_columns_are_left_out_and_none_left_declines(cohorts, carried):
    bare = dataclasses.replace(cohorts[1], clinical_names=("x", "y"))
    assert {s.model for s in run(bare, carried).summaries} == {"radiomic", "volume"}
    nothing = dataclasses.replace(bare, features=tuple(f"other{i}" for i in range(12)), volume_ml=np.full(160, np.nan))
    with pytest.raises(DeclinedError, match="no arm"):
        run(nothing, carried)


def summary(auc, lo, hi):
    return ExternalSummary("combined", auc, lo, hi, auc, 0.59, 0.3, 0.3, *[0.0] * 3, None, None, None, *[0.2] * 3, None, 104, 76, 104.0)  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((0.55, 0.70), "Transfers"), ((0.38, 0.62), "Fails to transfer: no better"),
        ((0.20, 0.45), "Fails to transfer: worse"), ((0.30, 0.75), "Too few patients"),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_interval(bounds, said):
    assert verdict(summary(sum(bounds) / 2, *bounds)).startswith(said)
