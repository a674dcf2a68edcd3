"""What the demo's cohort plants is found, and what it does not plant is not: 20 seeds of its synthetic table.

Tumours, contacts and scanners are those of `draw_cohort`; the DSC falls with the planted difficulty (small, rough and
costal is harder; contrast does not enter) and has noise of its own, a tumour is missed below a DSC of 0.45.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from engine.analyse.association import associate
from engine.phantom.cohort import draw_cohort
from engine.protocol import Agreement, Plan
from store.records import Cohort
from tests.engine.analyse import measured

SEEDS = range(20)
PATIENTS = 153
LOCKED = Plan(locked_at="2026-01-01T00:00:00Z")
PLANTED_SIGNS = {"maximum_3d_diameter_mm": 1, "sphericity": 1, "costal_contact_share": -1}


def synthetic_table(seed):
    rng = np.random.default_rng([seed, 99])
    rows = {"overlaps": [], "morphology": [], "location": [], "acquisition": []}
    for patient in draw_cohort(PATIENTS, seed):
        plan = patient.tumour
        dsc = float(expit(1.9 - 0.55 * patient.difficulty + 0.6 * rng.normal()))
        missed = dsc < 0.45
        costal = plan.kind == "costal"
        sphericity = 0.9 - 1.5 * plan.roughness + 0.03 * rng.normal()
        share = float(rng.uniform(0.1, 0.4)) if costal else 0.0
        case = patient.patient_id
        rows["overlaps"].append((case, measured.overlap(0.0 if missed else dsc, missed)))
        rows["morphology"].append((case, measured.morphology(plan.diameter_mm**3 / 2000, sphericity, plan.diameter_mm)))
        rows["location"].append((case, measured.location(plan.side, costal, share=share)))
        contrast = {"true": "yes", "false": "no"}[str(patient.phantom.contrast).lower()]
        rows["acquisition"].append((case, measured.acquisition(contrast, patient.phantom.kernel)))
    return {name: Cohort(tuple(own)) for name, own in rows.items()}


@pytest.fixture(scope="module")
def found():
    results = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        results.append(associate(**synthetic_table(seed), covariates=None, rules=Agreement(), plan=LOCKED, rng=rng))
    return results


def row(result, variable, subset="all", outcome="dsc", test=""):
    return next(
        r
        for r in result.associations
        if (r.variable, r.subset, r.outcome) == (variable, subset, outcome) and test in r.test
    )


@pytest.mark.parametrize("variable", PLANTED_SIGNS)
def test_planted_relations_have_their_sign_in_every_seed(found, variable):
    rows = [row(result, variable) for result in found]
    assert all(np.sign(r.effect) == PLANTED_SIGNS[variable] for r in rows)


@pytest.mark.parametrize("variable", ["maximum_3d_diameter_mm", "sphericity"])
def test_planted_relations_with_shape_are_declared_in_every_seed(found, variable):
    assert all(row(result, variable).q < 0.05 for result in found)


@pytest.mark.parametrize(("variable", "sign"), [("maximum_3d_diameter_mm", 1), ("chest_wall_contact", -1)])
def test_planted_relations_hold_when_all_else_is_kept(found, variable, sign):
    """Costal tumours are also the larger ones here: only the adjusted effect shows what contact costs."""
    rows = [row(result, variable, "detected", test="adjusted") for result in found]
    assert all(np.sign(r.effect) == sign for r in rows)
    assert sum(min(sign * r.effect_lo, sign * r.effect_hi) > 0 for r in rows) >= 18


def test_contrast_is_not_declared_an_effect(found):
    """One false alarm in 20 would be the nominal rate."""
    rows = [row(result, "contrast", subset) for result in found for subset in ("all", "detected")]
    assert sum(r.q < 0.05 for r in rows) <= 1
    verdicts = [r.verdict for r in rows if r.subset == "detected"]
    assert verdicts.count("different") <= 2  # a 90 % interval excludes 0 in one of ten
    assert verdicts.count("equivalent") >= 10


def test_the_missed_part_never_blames_large_tumours(found):
    rows = [r for result in found for r in result.associations if r.outcome == "missed"]
    size = [r for r in rows if r.variable == "maximum_3d_diameter_mm"]
    assert len(size) >= 15
    assert all(r.effect < 0 for r in size)
