import json

import numpy as np
import pytest

from engine.analyse.association import associate, epsilon_squared_interval, rank_biserial_interval
from engine.analyse.batch_effects import Scored, batch_differences, overall_verdict
from engine.protocol import Agreement, Plan
from store.records import Cohort, DeclinedError
from tests.engine.analyse import measured

LOCKED = Plan(locked_at="2026-01-01T00:00:00Z")


def cohort(seed=1, n=80, missed=12):
    """DSC rises with sphericity, falls at the chest wall, ignores contrast; the last `missed` small ones are missed."""
    rng = np.random.default_rng(seed)
    sphericity, contact, contrast = rng.uniform(0.3, 0.9, n), rng.random(n) < 0.5, rng.random(n) < 0.5
    dsc = np.clip(0.5 + 0.5 * sphericity - 0.1 * contact + 0.03 * rng.normal(size=n), 0, 1)
    diameter = np.where(np.arange(n) >= n - missed, 8.0, 30.0) + rng.normal(0, 4, n)
    rows = {"overlaps": [], "morphology": [], "location": [], "acquisition": []}
    for i in range(n):
        case, gone = f"c{i:03d}", i >= n - missed
        rows["overlaps"].append((case, measured.overlap(0.0 if gone else dsc[i], gone)))
        rows["morphology"].append((case, measured.morphology(diameter[i] ** 3, sphericity[i], diameter[i])))
        rows["location"].append((case, measured.location(("left", "right")[i % 2], bool(contact[i]))))
        rows["acquisition"].append((case, measured.acquisition("yes" if contrast[i] else "no")))
    return {name: Cohort(tuple(own)) for name, own in rows.items()}


def run(plan=LOCKED, **changed):
    given = cohort() | changed
    return associate(**given, covariates=None, rules=Agreement(), plan=plan, rng=np.random.default_rng(0)).associations


@pytest.fixture(scope="module")
def rows():
    return run()


def one(rows, variable, subset="detected", outcome="dsc", test=""):
    return next(r for r in rows if (r.variable, r.subset, r.outcome) == (variable, subset, outcome) and test in r.test)


def test_planted_sphericity_and_contact_are_found(rows):
    shape = one(rows, "sphericity")
    assert shape.effect > 0.7
    assert shape.effect_lo < shape.effect < shape.effect_hi
    assert shape.q < 0.001
    contact = one(rows, "chest_wall_contact")
    assert contact.effect_name == "rank-biserial correlation (no above yes)"
    assert contact.effect_lo > 0


def test_a_planted_null_is_judged_by_the_margin_not_by_p(rows):
    assert one(rows, "contrast").verdict in ("equivalent", "inconclusive")
    assert one(rows, "contrast").test == "mann-whitney"


def test_all_and_detected_patients_are_kept_apart(rows):
    assert one(rows, "sphericity", "all").n == 80
    assert one(rows, "sphericity", "detected").n == 68


def test_the_missed_part_finds_the_small_tumours(rows):
    size = one(rows, "maximum_3d_diameter_mm", "all", "missed", "firth")
    assert size.effect_hi < 0
    assert size.n == 80


def test_the_detected_part_finds_sphericity(rows):
    assert one(rows, "sphericity", "detected", "dsc", "fractional").effect_lo > 0


def test_q_is_never_below_p(rows):
    tested = [row for row in rows if row.q is not None]
    assert len(tested) > 10
    assert all(row.q >= row.p for row in tested)


def test_before_locking_estimates_and_intervals_stay_without_p_or_q(rows):
    loose = run(Plan())
    assert all(row.p is None and row.q is None for row in loose)
    assert [row.effect for row in loose] == [row.effect for row in rows]


def test_edit_distances_never_enter():
    given = cohort()
    edited = Cohort(tuple((c, measured.overlap(o.dsc, o.missed, "edit_distance")) for c, o in given["overlaps"]))
    with pytest.raises(DeclinedError, match="independent"):
        run(overlaps=edited)
    mixed = Cohort((*edited.rows[:60], *given["overlaps"].rows[60:]))
    assert one(run(overlaps=mixed), "sphericity", "all").n == 20


def test_two_readers_of_one_patient_count_once():
    given = cohort()["overlaps"]
    doubled = Cohort(tuple(sorted([*given.rows, *given.rows], key=lambda row: row[0])))
    assert one(run(overlaps=doubled), "sphericity", "all").n == 80


def test_groups_show_their_counts_and_medians(rows):
    groups = json.loads(one(rows, "side", "all").groups)
    assert {level: own[0] for level, own in groups.items()} == {"left": 40, "right": 40}


def test_one_group_only_is_not_tested(rows):
    row = one(rows, "vendor")
    assert (row.test, row.p, row.verdict) == ("none", None, "")


def test_few_misses_fall_back_to_ranks():
    found = [row for row in run(**cohort(missed=3)) if row.outcome == "missed"]
    assert {row.test for row in found} == {"mann-whitney, exact: too few misses for a model"}


def test_no_miss_gives_no_missed_part():
    assert not [row for row in run(**cohort(missed=0)) if row.outcome == "missed"]


@pytest.mark.parametrize(("shift", "spread", "verdict"),
                         [(0.0, 0.02, "equivalent"), (0.2, 0.02, "different"), (0.0, 0.4, "inconclusive")])  # fmt: skip
def test_the_batch_verdict(shift, spread, verdict):
    pattern = np.resize([-1.0, 1.0], 20) * spread
    labels = np.repeat(["soft", "sharp"], 20)
    scored = Scored("dsc", "all", np.concatenate([pattern, pattern + shift]))
    (row,) = rows = batch_differences(scored, "kernel_group", labels, 0.05, "")
    assert (row.verdict, row.margin, row.n_first) == (verdict, 0.05, 20)
    assert overall_verdict(rows) == verdict


def test_intervals_of_perfectly_separated_groups_are_points():
    low, high = np.arange(5.0), np.arange(10.0, 15.0)
    assert rank_biserial_interval(high, low, np.random.default_rng(0)) == pytest.approx((1.0, 1.0))
    lo, hi = epsilon_squared_interval([np.zeros(4), np.ones(4), np.full(4, 2.0)], np.random.default_rng(0))
    assert (lo, hi) == pytest.approx((1.0, 1.0))
