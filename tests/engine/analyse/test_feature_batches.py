"""Batch effects that were planted are found, vanish under ComBat, and outcome that hangs on a batch is flagged."""

import numpy as np
import pytest

from engine.analyse.batches import batch_of
from engine.analyse.feature_batches import compare_batches, explained, principal_plane, refusal
from engine.protocol import Batch
from store.records import Cohort
from tests.engine.analyse import measured

N, P = 60, 6


def study(shift=3.0, events=None):
    rng = np.random.default_rng(1)
    kernels = ["sharp" if i % 3 == 0 else "soft" for i in range(N)]
    values = rng.normal(size=(N, P)) + shift * (np.array(kernels) == "sharp")[:, None] * (np.arange(P) < 3)
    cases = [f"c{i:02d}" for i in range(N)]
    base = [(c, measured.vector(v)) for c, v in zip(cases, values, strict=True)]
    moved, masks = [], []
    for case, own in list(zip(cases, values, strict=True))[:30]:
        for k in range(3):
            moved.append((case, measured.perturbed_vector(own + 0.4 * rng.normal(size=P), f"p{k}")))
            masks.append((case, measured.perturbed_mask(f"p{k}")))
    scanned = [(c, measured.acquisition(kernel=k)) for c, k in zip(cases, kernels, strict=True)]
    outcomes = None
    if events is not None:
        labels = [events(k, i) for i, k in enumerate(kernels)]
        outcomes = tuple(measured.outcome(c, label, 800, label) for c, label in zip(cases, labels, strict=True))
    cohorts = (Cohort(tuple(base)), Cohort(tuple(moved)), Cohort(tuple(masks)))
    return compare_batches(*cohorts, measured.names(P), Cohort(tuple(scanned)), outcomes, Batch())


@pytest.fixture(scope="module")
def found():
    return study()


def kernel_rows(found):
    return {row.feature: row for row in found.variances if row.variable == "kernel"}


def test_planted_features_are_explained_by_the_kernel_and_combat_takes_it_away(found):
    rows = kernel_rows(found)
    # a shift of 3 sd in a third of the patients: between variance 9 * 2/9 = 2 of 3 in all
    assert all(rows[f"feature{i}"].before == pytest.approx(2 / 3, abs=0.12) for i in range(3))
    assert all(rows[f"feature{i}"].before < 0.1 for i in range(3, 6))
    assert all(abs(row.after) < 0.05 for row in rows.values())


def test_a_variable_of_one_level_explains_nothing_and_cannot_be_harmonised(found):
    rows = [row for row in found.variances if row.variable == "contrast"]
    assert {(row.before, row.after) for row in rows} == {(0.0, None)}
    of = {row.variable: row for row in found.outcomes}
    assert (of["contrast"].harmonised, of["contrast"].reason) == (False, "all patients are of one batch")
    assert of["kernel"].harmonised


def test_the_plane_parts_the_batches_before_and_not_after(found):
    def apart(harmonised):
        rows = [p for p in found.points if p.variable == "kernel" and p.harmonised == harmonised]
        sides = [np.mean([p.first for p in rows if p.level == level]) for level in ("sharp", "soft")]
        return abs(sides[0] - sides[1])

    assert apart(False) > 1.5
    assert apart(True) < 0.5


def test_the_icc_falls_when_a_batch_no_longer_spreads_the_patients(found):
    # without the planted spread between patients the same repeats agree less
    planted = [row for row in found.iccs if row.feature in ("feature0", "feature1", "feature2")]
    assert planted
    assert all(row.after < row.before for row in planted)
    assert {row.n for row in planted} == {30}


def test_outcome_that_follows_the_batch_is_flagged_and_independent_outcome_is_not():
    follows = study(events=lambda kernel, i: kernel == "sharp").outcomes
    apart = study(events=lambda kernel, i: i % 2 == 0).outcomes
    by_kernel = [next(row for row in rows if row.variable == "kernel") for rows in (follows, apart)]
    assert by_kernel[0].cramers_v == pytest.approx(1.0)
    assert [row.confounded for row in by_kernel] == [True, False]


def test_without_outcomes_the_association_is_not_known(found):
    assert all(row.cramers_v is None and not row.confounded for row in found.outcomes)
    assert {(row.level, row.n, row.events) for row in found.levels if row.variable == "kernel"} == {
        ("sharp", 20, None),
        ("soft", 40, None),
    }


def test_small_batches_refuse_combat_and_say_which():
    assert refusal(("A",) * 9 + ("B",) * 4, 5) == "fewer than 5 patients in: B"
    assert refusal(("A",) * 9 + ("B",) * 5, 5) == ""


def test_adjusted_share_is_about_zero_where_batches_do_nothing():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(40, 2000))
    assert abs(explained(values, ("A", "B", "C", "D") * 10).mean()) < 0.005
    step = np.repeat([0.0, 1.0], 20)[:, None]
    assert explained(step, ("A",) * 20 + ("B",) * 20)[0] == pytest.approx(1.0)


def test_the_plane_holds_what_two_factors_make():
    rng = np.random.default_rng(5)
    factors = rng.normal(size=(50, 2))
    places, shares = principal_plane(factors @ rng.normal(size=(2, 20)))
    assert sum(shares) == pytest.approx(1.0)
    assert places.shape == (50, 2)


@pytest.mark.parametrize(
    ("thickness", "level"),
    [(1.0, "up to 1.5 mm"), (1.5, "up to 1.5 mm"), (3.0, "1.5 to 3 mm"), (5.0, "over 3 mm"), (None, "unknown")],
)
def test_slice_thickness_falls_in_three_groups(thickness, level):
    assert batch_of("slice thickness", measured.acquisition(thickness=thickness), Batch()) == level


def test_an_empty_tag_is_a_level_of_its_own():
    assert batch_of("manufacturer", measured.acquisition(manufacturer=" "), Batch()) == "unknown"
    assert batch_of("manufacturer", measured.acquisition(manufacturer="Siemens"), Batch()) == "SIEMENS"
