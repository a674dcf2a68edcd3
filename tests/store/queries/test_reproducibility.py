"""The ICC that is headlined is the one that decided: (1,1) for random perturbations, (2,1) for fixed settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from store.publisher import publish
from store.queries.reproducibility import (
    Family,
    FeatureIcc,
    Reading,
    class_counts,
    families,
    feature_iccs,
    feature_values,
    image_falls,
    survival_shares,
)
from store.records import FeatureName, FeatureVector, PerturbedFeatureVector, PerturbedMask
from store.snapshot import close_snapshots, open_snapshot
from tests.store.recorded import icc_row, record, start_run


@pytest.fixture
def study(tmp_path: Path):
    start_run(tmp_path, "run-1")
    rows = [icc_row("intratumoural", family) for family in ("random", "fixed")]
    record(tmp_path, "run-1", "reproducibility", "", rows)
    publish(tmp_path)
    yield tmp_path
    close_snapshots()


def headline(study: Path, family: str) -> FeatureIcc:
    return feature_iccs(open_snapshot(study), "run-1", family)[0]


def test_random_perturbations_are_headlined_by_the_one_way_form(study):
    found = headline(study, "random")
    assert (found.icc_kind, found.icc, found.icc_lo, found.icc_hi) == ("ICC(1,1)", 0.1, 0.05, 0.2)


def test_fixed_settings_are_headlined_by_absolute_agreement_though_the_one_way_form_is_recorded(study):
    found = headline(study, "fixed")
    assert (found.icc_kind, found.icc, found.icc_lo, found.icc_hi) == ("ICC(2,1)", 0.8, 0.78, 0.85)


def test_another_form_is_shown_on_demand(study):
    found = feature_iccs(open_snapshot(study), "run-1", "random", "icc31")[0]
    assert (found.icc_kind, found.icc, found.icc_lo) == ("ICC(3,1)", 0.9, 0.88)


@pytest.mark.parametrize(
    ("reading", "surviving"),
    [
        (Reading("deciding", 0.75), 0),  # the random family's (1,1) is 0.05
        (Reading("deciding", 0.75, "fixed"), 1),
        (Reading("deciding", 0.80, "fixed"), 0),
        (Reading("icc31", 0.75), 1),
        (Reading("icc11", 0.05), 1),
    ],
)
def test_a_feature_survives_where_every_family_read_passes_by_the_form_read(study, reading, surviving):
    (found,) = survival_shares(open_snapshot(study), "run-1", reading)
    assert (found.tested, found.surviving, found.not_tested) == (1, surviving, 0)
    (counted,) = class_counts(open_snapshot(study), "run-1", reading)
    assert (counted.feature_class, counted.roi, counted.surviving) == ("glcm", "intratumoural", surviving)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form must be one of"):
        Reading("icc2k", 0.75)


def test_families_say_whether_they_decide(tmp_path):
    start_run(tmp_path, "run-1")
    shown = dataclasses.replace(icc_row("intratumoural", "readers"), declared=False)
    record(tmp_path, "run-1", "reproducibility", "", [icc_row("intratumoural", "random"), shown])
    publish(tmp_path)
    snapshot = open_snapshot(tmp_path)
    assert families(snapshot, "run-1") == (Family("random", True), Family("readers", False))
    (found,) = survival_shares(snapshot, "run-1", Reading("deciding", 0.01))
    assert found.surviving == 1  # readers are shown and decide nothing
    close_snapshots()


def test_images_are_listed_as_they_fall_and_untested_ones_are_not(tmp_path):
    start_run(tmp_path, "run-1")
    bounds = {"square": 0.2, "original": 0.9, "wavelet-LLL": 0.6}
    rows = [
        dataclasses.replace(icc_row("intratumoural", "random"), image_type=name, icc11_lo=lower)
        for name, lower in bounds.items()
    ]
    flat = icc_row("intratumoural", "random", icc_class="not_tested")
    rows.append(dataclasses.replace(flat, image_type="gradient"))
    record(tmp_path, "run-1", "reproducibility", "", rows)
    publish(tmp_path)
    found = image_falls(open_snapshot(tmp_path), "run-1", Reading("deciding", 0.75))
    assert [(f.image_type, f.median_bound, f.surviving) for f in found] == [
        ("square", 0.2, 0),
        ("wavelet-LLL", 0.6, 0),
        ("original", 0.9, 1),
    ]
    close_snapshots()


def test_a_features_values_come_with_what_perturbed_them(tmp_path):
    start_run(tmp_path, "run-1")
    statuses = np.zeros(2, np.uint8)
    base = FeatureVector("intratumoural", "none", "set", np.array([1.0, 2.0]), statuses)
    moved = PerturbedFeatureVector("intratumoural", "noise-1", "set", np.array([1.5, 2.5]), statuses)
    mask = PerturbedMask("intratumoural", "noise-1", "random", "noise", "{}", 1.0, 0.0, True)
    names = [FeatureName("set", place, "original", "glcm", name) for place, name in enumerate(("Contrast", "Entropy"))]
    record(tmp_path, "run-1", "names", "", names)
    record(tmp_path, "run-1", "features", "A", [base])
    record(tmp_path, "run-1", "perturb", "A", [mask])
    record(tmp_path, "run-1", "perturbed_features", "A", [moved])
    record(tmp_path, "run-1", "reproducibility", "", [icc_row("intratumoural", "random")])
    publish(tmp_path)
    snapshot = open_snapshot(tmp_path)
    found = feature_values(snapshot, "run-1", feature_iccs(snapshot, "run-1", "random")[0])
    assert [(v.perturbation, v.family, v.method, v.value) for v in found] == [
        ("noise-1", "random", "noise", 2.5),
        ("none", "base", "unperturbed", 2.0),
    ]
    close_snapshots()
