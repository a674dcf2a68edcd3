import numpy as np
import pytest

from engine.analyse.reproducibility import family_icc, reproduce
from engine.protocol import Reproducibility
from store.records import Cohort
from tests.engine.analyse import measured

RULES = Reproducibility()
# Shrout and Fleiss 1979, table 2; ICC(1,1), (2,1), (3,1) by R psych 2.2.9 (notes/statistics.md section 3)
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
ICC11 = (0.16574176840547555, -0.132932324874750873, 0.72256006232812109)
ICC21 = (0.28976377952755922, 0.018786513374712047, 0.76108436894965310)
ICC31 = (0.71484071484071487, 0.342464765033925367, 0.94585825995535955)


def study(ratings, family="random", tested=True, roi="intratumoural"):
    """Base and perturbed records of ratings (patients, measurements, features); the first measurement is the base."""
    base, moved, masks = [], [], []
    for row, own in enumerate(ratings):
        case = f"c{row:03d}"
        base.append((case, measured.vector(own[0], roi)))
        for place, values in enumerate(own[1:]):
            moved.append((case, measured.perturbed_vector(values, f"p{place}", roi)))
            masks.append((case, measured.perturbed_mask(f"p{place}", family, roi, tested)))
    return base, moved, masks


def reproduced(*studies, features, rules=RULES):
    joined = [Cohort(tuple(row for one in studies for row in one[part])) for part in range(3)]
    return reproduce(*joined, measured.names(features), rules)


def estimates(*studies, features, rules=RULES):
    return reproduced(*studies, features=features, rules=rules).estimates


def test_the_table_of_shrout_and_fleiss():
    row = estimates(study(RATINGS[:, :, None]), features=1)[0]
    assert (row.n, row.k) == (6, 4)
    assert (row.icc11, row.icc11_lo, row.icc11_hi) == pytest.approx(ICC11)
    assert (row.icc21, row.icc21_lo, row.icc21_hi) == pytest.approx(ICC21)
    assert (row.icc31, row.icc31_lo, row.icc31_hi) == pytest.approx(ICC31)
    assert row.icc_class == "poor"


def test_a_systematic_shift_counts_against_a_fixed_setting():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(20, 1, 1))
    shifted = np.concatenate([base, base + 2.0 + 0.01 * rng.normal(size=base.shape)], axis=1)
    row = estimates(study(shifted, "fixed"), features=1)[0]
    assert row.icc31 > 0.99
    assert row.icc21 < 0.5
    assert not row.survives


def test_the_class_stands_on_the_lower_bound_not_the_estimate():
    noise = 0.6 * np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1], [1, 0, -1], [-1, 1, 0], [0, -1, 1]])
    row = estimates(study((np.arange(6.0)[:, None] * 0.6 + noise)[:, :, None]), features=1)[0]
    assert row.icc11 > 0.75 > row.icc11_lo
    assert row.icc_class in ("poor", "moderate")
    assert not row.survives


def test_a_feature_must_pass_in_every_family():
    rng = np.random.default_rng(3)
    base = rng.normal(size=(20, 1, 2))
    good = study(np.concatenate([base, base + 0.01 * rng.normal(size=(20, 2, 2))], axis=1))
    spoilt = np.concatenate([base, base + 0.01], axis=1)
    spoilt[:, 1, 1] = rng.normal(size=20)
    fixed = study(spoilt, "fixed")
    fixed = ([], [(c, measured.perturbed_vector(v.values, "grown")) for c, v in fixed[1]],
             [(c, measured.perturbed_mask("grown", "fixed")) for c, _ in fixed[2]])  # fmt: skip
    rows = estimates(good, fixed, features=2)
    assert {(row.feature, row.family): row.survives for row in rows} == {
        ("feature0", "random"): True,
        ("feature0", "fixed"): True,
        ("feature1", "random"): False,
        ("feature1", "fixed"): False,
    }


def test_masks_that_hardly_changed_are_not_tested_and_never_survive():
    rng = np.random.default_rng(4)
    rows = estimates(study(np.repeat(rng.normal(size=(8, 1, 1)), 3, axis=1), tested=False), features=1)
    assert [(row.icc_class, row.survives, row.icc11) for row in rows] == [("not_tested", False, None)]


def test_a_region_that_was_never_perturbed_is_not_tested():
    rng = np.random.default_rng(5)
    base = rng.normal(size=(8, 1, 1))
    moved = study(np.concatenate([base, base + 0.01 * rng.normal(size=(8, 2, 1))], axis=1))
    lung = ([(f"c{i:03d}", measured.vector([float(i)], "whole_lung")) for i in range(8)], [], [])
    found = {row.roi: row for row in estimates(moved, lung, features=1)}
    assert found["intratumoural"].survives
    assert found["whole_lung"].icc_class == "not_tested"


def test_a_constant_feature_is_constant_not_stable():
    row = estimates(study(np.full((8, 3, 1), 4.0)), features=1)[0]
    assert (row.icc_class, row.survives, row.icc11) == ("constant", False, None)


def test_degenerate_values_never_enter():
    rng = np.random.default_rng(6)
    base, moved, masks = study(rng.normal(size=(8, 3, 1)))
    base = [(case, measured.vector(v.values, status=measured.DEGENERATE)) for case, v in base]
    row = estimates((base, moved, masks), features=1)[0]
    assert (row.icc_class, row.n) == ("constant", 0)


def test_two_giants_lift_the_icc_and_the_rank_says_so():
    # design.md section 7: two giant tumours of 50 lift 0.47 to 0.90
    rng = np.random.default_rng(7)
    values = rng.normal(size=(50, 1, 1)) + 1.06 * rng.normal(size=(50, 3, 1))
    values[:2] += 20.0
    found = family_icc(values, "random")
    assert found.numbers[0, 0] > 0.85
    assert found.trimmed[0] < 0.65
    assert found.rank[0] < 0.65


def test_a_patient_with_a_missing_measurement_leaves_only_that_feature():
    rng = np.random.default_rng(8)
    values = rng.normal(size=(9, 1, 2)) + 0.1 * rng.normal(size=(9, 3, 2))
    values[4, 2, 1] = np.nan
    found = family_icc(values, "random")
    assert found.patients.tolist() == [9, 8]
    alone = family_icc(np.delete(values, 4, axis=0)[:, :, 1:], "random")
    assert np.allclose(found.numbers[1], alone.numbers[0])


def planted(icc, n=60, k=12, seed=0):
    """Measurements (n, k, 1) of unit within-patient variance whose ICC is the given one."""
    rng = np.random.default_rng([seed, int(1000 * icc)])
    between = np.sqrt(icc / (1 - icc)) * rng.normal(size=(n, 1, 1))
    return between + rng.normal(size=(n, k, 1))


@pytest.mark.parametrize(
    ("icc", "icc_class"),
    [(0.30, "poor"), (0.40, "poor"), (0.65, "moderate"), (0.70, "moderate"), (0.86, "good"), (0.95, "excellent")],
)
def test_planted_iccs_are_found_and_every_class_is_recovered(icc, icc_class):
    row = estimates(study(np.concatenate([planted(icc, seed=s) for s in range(4)])), features=1)[0]
    assert row.icc11_lo < icc < row.icc11_hi
    assert row.icc_class == icc_class
    assert row.survives == (icc_class in ("good", "excellent"))


def test_within_patient_spread_stands_beside_the_icc_in_the_features_own_unit():
    # unit within-patient sd: 1.96 sqrt(2) = 2.77; the mean is 100
    row = estimates(study(100 + planted(0.9, n=400)), features=1)[0]
    assert row.repeatability == pytest.approx(2.77, rel=0.03)
    assert row.within_cv == pytest.approx(0.01, rel=0.05)


def mixed_study(other):
    """A stable feature over random perturbations; unstable over one measurement of another family."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(20, 1, 1))
    good = study(np.concatenate([base, base + 0.01 * rng.normal(size=(20, 2, 1))], axis=1))
    spoilt = study(np.concatenate([base, rng.normal(size=(20, 1, 1))], axis=1), other)
    return good, ([], [(c, measured.perturbed_vector(v.values, "x")) for c, v in spoilt[1]],
                  [(c, measured.perturbed_mask("x", other)) for c, _ in spoilt[0]])  # fmt: skip


def test_a_family_that_the_protocol_does_not_declare_is_shown_and_decides_nothing():
    rows = {row.family: row for row in estimates(*mixed_study("readers"), features=1)}
    assert (rows["readers"].declared, rows["readers"].icc_class) == (False, "poor")
    assert (rows["random"].declared, rows["random"].survives) == (True, True)
    strict = Reproducibility(families=("random", "readers"))
    assert not any(row.survives for row in estimates(*mixed_study("readers"), features=1, rules=strict))


def test_with_no_declared_family_tested_nothing_survives():
    rows = estimates(*mixed_study("readers"), features=1, rules=Reproducibility(families=("resampling",)))
    assert [row.survives for row in rows] == [False, False]


def test_each_perturbation_is_told_apart_by_what_it_does_alone():
    rng = np.random.default_rng(11)
    base = rng.normal(size=(20, 1, 5))
    harmless, harmful = base + 0.01 * rng.normal(size=base.shape), rng.normal(size=base.shape)
    effects = {e.perturbation: e for e in reproduced(study(np.concatenate([base, harmless, harmful], 1)), features=5).effects}  # fmt: skip  # noqa: E501
    assert (effects["p0"].below, effects["p1"].below) == (0, 5)
    assert effects["p0"].median_icc > 0.99 > 0.6 > effects["p1"].median_icc
    assert (effects["p0"].n, effects["p0"].features, effects["p0"].dsc_median) == (20, 5, 0.9)


def test_the_share_left_out_as_extreme_is_the_protocols():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(50, 1, 1)) + 1.06 * rng.normal(size=(50, 3, 1))
    values[:2] += 20.0
    assert family_icc(values, "random", 0.02).trimmed[0] > 0.8  # one of two giants stays
    assert family_icc(values, "random", 0.04).trimmed[0] < 0.65
