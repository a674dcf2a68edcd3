"""The ICC that is headlined is the one that decided: (1,1) for random perturbations, (2,1) for fixed settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.publisher import publish
from store.queries.reproducibility import FeatureIcc, feature_iccs
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
