from dataclasses import replace

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.analyse.comparison import sentence
from engine.analyse.predictions import mean_predictions
from engine.analyse.prognosis import compare_models
from engine.analyse.risk_quality import _groups, subgroups
from engine.protocol import Plan
from engine.statistics.roc import weighted_auc
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, collect, make_table, run_resamples

LOCKED = Plan(locked_at="2026-01-01T00:00:00Z")


def prognosis_of(table, seed, plan, finals=(), choices=CHOICES):
    found = run_resamples(table, seed)
    sizes = candidates(table, choices, RULES, NO_COMBAT).sizes
    collected = collect(found, "out_of_bag"), collect(found, "performance")
    return compare_models(table, *collected, finals, sizes, choices, plan)


@pytest.fixture(scope="module")
def null():
    table = make_table(np.random.default_rng(21), n=100)
    return table, prognosis_of(table, 21, Plan())


@pytest.fixture(scope="module")
def planted():
    table = make_table(np.random.default_rng(22), n=150, signal=2.5)
    return table, prognosis_of(table, 22, LOCKED)


def comparison(prognosis, base, extended):
    return next(row for row in prognosis.comparisons if (row.base, row.extended) == (base, extended))


def test_noise_is_never_said_to_add(null):
    sentences = [row.sentence for row in null[1].comparisons]
    assert all(text.startswith("not shown to add") or text == "too small to tell" for text in sentences)


def test_a_planted_gain_adds(planted):
    row = comparison(planted[1], "clinical", "combined")
    assert row.sentence == "adds"
    assert row.spread_lo > 0
    assert not row.exploratory


@pytest.mark.parametrize(
    ("lo", "hi", "text"),
    [
        (0.01, 0.05, "adds"),
        (-0.02, 0.06, "not shown to add (up to +0.06 possible)"),
        (-0.15, 0.10, "too small to tell"),
        (-0.10, -0.02, "not shown to add (up to +0.00 possible)"),
        (0.01, 0.40, "adds"),
    ],
)
def test_the_sentence_follows_from_the_spread(lo, hi, text):
    assert sentence(lo, hi) == text


def test_before_the_plan_is_locked_estimates_stay_and_p_goes(null):
    for row in null[1].comparisons:
        assert row.exploratory
        assert (row.delong_p, row.delong_z) == (None, None)
        assert row.delong_lo <= row.delong_difference <= row.delong_hi
    assert all(term.p is None and term.lo < term.hazard_ratio < term.hi for term in null[1].cox)


def test_after_locking_p_is_shown(planted):
    assert comparison(planted[1], "clinical", "combined").delong_p < 0.001
    assert all(term.p is not None for term in planted[1].cox)


def test_delong_uses_determined_patients_only(null):
    table, prognosis = null
    row = comparison(prognosis, "clinical", "combined")
    assert row.n == (table.label != -1).sum()
    assert row.events == (table.label == 1).sum()


def test_undetermined_patients_are_predicted_but_weigh_nothing(null):
    table, prognosis = null
    unknown = {case for case, label in zip(table.case_ids, table.label, strict=True) if label == -1}
    rows = [row for row in prognosis.predictions if row.case_id in unknown]
    assert rows
    assert all(row.label is None and row.weight == 0 for row in rows)


def test_the_difference_is_the_mean_difference_of_the_arms(planted):
    auc = {row.model: row.auc for row in planted[1].summaries}
    row = comparison(planted[1], "clinical", "combined")
    assert row.difference == pytest.approx(auc["combined"] - auc["clinical"])


def test_the_roc_begins_and_ends_in_the_corners(planted):
    points = [row for row in planted[1].roc if row.model == "combined"]
    assert (points[0].false_positive_share, points[0].true_positive_share) == (0, 0)
    assert (points[-1].false_positive_share, points[-1].true_positive_share) == pytest.approx((1, 1))


@pytest.mark.parametrize("which", ["null", "planted"])
def test_the_area_under_the_drawn_roc_is_the_auc_that_is_reported(which, request):
    prognosis = request.getfixturevalue(which)[1]
    for summary in prognosis.summaries:
        points = [row for row in prognosis.roc if row.model == summary.model]
        sensitivity, along = zip(*((row.true_positive_share, row.false_positive_share) for row in points), strict=True)
        assert np.trapezoid(sensitivity, along) == pytest.approx(summary.auc, abs=0.012)  # 101 points, half a step
        assert all(row.lo <= row.true_positive_share <= row.hi for row in points[1:])


def test_net_benefit_of_treating_all_is_that_of_the_prevalence(planted):
    table, prognosis = planted
    means = mean_predictions(table, collect(run_resamples(table, 22), "out_of_bag"))
    share = np.average(table.label[means.determined] == 1, weights=means.weights[means.determined])
    for row in prognosis.decisions:
        if row.model == "treat all":
            odds = row.threshold / (1 - row.threshold)
            assert row.net_benefit == pytest.approx(share - (1 - share) * odds, abs=0.03 * (1 + odds))


def test_on_noise_no_model_is_worth_more_than_its_alternatives(null):
    benefit = {(row.model, round(row.threshold, 2)): row.net_benefit for row in null[1].decisions}
    for threshold in (0.2, 0.3, 0.4, 0.5):
        assert benefit["combined", threshold] < max(benefit["treat all", threshold], 0.0) + 0.02


def test_calibration_groups_hold_every_determined_patient(planted):
    table, prognosis = planted
    bins = [row for row in prognosis.calibration if row.model == "combined"]
    assert sum(row.n for row in bins) == (table.label != -1).sum()
    assert [row.predicted for row in bins] == sorted(row.predicted for row in bins)


def test_high_risk_dies_sooner_where_the_signal_is_planted(planted):
    curves = [row for row in planted[1].survival if row.grouping == "combined risk"]
    last = {level: [row.survival for row in curves if row.level == level][-1] for level in ("low", "high")}
    assert last["high"] < last["low"]


def test_curves_are_drawn_for_all_stage_and_both_risks(null):
    table, prognosis = null
    assert {row.grouping for row in prognosis.survival} == {"all", "stage", "clinical risk", "combined risk"}
    start = next(row for row in prognosis.survival if row.grouping == "all")
    assert (start.days, start.survival, start.at_risk) == (0, 1, len(table.case_ids))


def test_brier_of_a_planted_signal_beats_the_clinical_arm(planted):
    brier = {row.model: row.brier for row in planted[1].summaries}
    assert brier["combined"] < brier["clinical"]


def test_groups_carry_a_spread_around_their_gain_and_small_ones_carry_none(planted):
    _, found = planted
    told = [group for group in found.subgroups if group.difference is not None]
    assert told
    for group in told:
        assert group.difference_lo < group.difference < group.difference_hi
        assert group.difference == pytest.approx(group.extended_auc - group.base_auc, abs=1e-12)
        assert min(group.events, group.n - group.events) >= 5
        assert group.resamples >= 10
    for group in found.subgroups:
        small = min(group.events, group.n - group.events) < 5
        assert (group.difference is None) == (group.difference_lo is None) == small


def levels_of_noise(seed):
    """Pure noise, and one clinical covariate of three levels: inside a level the clinical risk hardly varies."""
    rng = np.random.default_rng(seed)
    table = make_table(rng, n=100)
    codes = rng.integers(0, 3, (100, 1)).astype(table.clinical_codes.dtype)
    columns = {"clinical_names": ("site",), "clinical_kinds": ("category",), "clinical_levels": ("a", "b", "c")}
    return replace(table, clinical_codes=codes, clinical_numbers=np.full((100, 1), np.nan), **columns)


def test_on_noise_no_group_gains_where_averaged_risks_would_invent_a_gain():
    """A patient's averaged risk comes from models fitted without him, which lowers it for events: ranks turn round."""
    gains, averaged = [], []
    for seed in (31, 32, 33):
        table = levels_of_noise(seed)
        out_of_bag = collect(run_resamples(table, seed), "out_of_bag")
        means = mean_predictions(table, out_of_bag)
        groups = [g for g in subgroups(table, means, out_of_bag, "clinical", "combined") if g.grouping == "site"]
        gains += [group.difference for group in groups if group.difference is not None]
        for level in range(3):
            rows = (table.clinical_codes[:, 0] == level) & means.measured("clinical")
            averaged.append(weighted_auc(means.label[rows], means.probability["clinical"][rows], means.weights[rows]))
    assert len(gains) >= 6
    assert abs(np.mean(gains)) < 0.06
    assert np.mean(averaged) < 0.4  # why risks are not averaged


def test_a_number_of_few_values_is_split_where_it_has_two_sides():
    table = make_table(np.random.default_rng(5), n=40)
    binary = np.r_[np.zeros(10), np.ones(30)][:, None]
    columns = {
        "clinical_names": ("score",),
        "clinical_kinds": ("number",),
        "clinical_codes": table.clinical_codes[:, :1],
    }
    found = list(_groups(replace(table, clinical_numbers=binary, batches=(), **columns)))
    sizes = [(name, level, int(rows.sum())) for name, level, rows in found]
    assert sizes[:2] == [("score", "below 1", 10), ("score", "1", 30)]


def test_a_model_that_was_not_made_has_no_sample_size(planted):
    _, found = planted
    assert {need.model for need in found.needs} == {"clinical", "clinical_volume", "combined"}
    bare = replace(planted[0], volume_ml=np.full(len(planted[0].case_ids), np.nan))
    needs = prognosis_of(bare, 22, LOCKED).needs
    assert {need.model for need in needs} == {"clinical", "combined"}
