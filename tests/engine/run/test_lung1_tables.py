"""Lung1's tables end to end: who is counted, and two-year AUCs near those that its README has from another program."""

from __future__ import annotations

import pytest

from engine.acquire.new import new_table_study
from engine.protocol import Outcome, SelectionProtocol, read_protocol, write_protocol
from engine.run.runner import run
from store.queries.prognosis import comparisons, model_summaries
from store.queries.study import flow_steps
from store.snapshot import close_snapshots, open_snapshot

COVARIATES = ("age", "clinical.T.Stage", "Clinical.N.Stage", "Overall.Stage", "Histology", "gender")


@pytest.fixture(scope="module")
def lung1(shared, tmp_path_factory):
    place = tmp_path_factory.mktemp("lung1")
    tables = shared / "data" / "lung1_tables"
    study = place / "study"
    features, clinical = tables / "lung1_features_clinical_190.csv.gz", tables / "lung1_clinical_v3_oct2019.csv"
    new_table_study(study, features, (clinical,))
    protocol = read_protocol(study)
    covariates = protocol.covariates.model_copy(
        update={"columns": tuple(c for c in protocol.covariates.columns if c.column in COVARIATES)}
    )
    outcome = Outcome(kind="time", time="Survival.time", event="deadstatus.event", endpoint="overall survival")
    quick = SelectionProtocol(resamples=16, trees=30, mrmr_features=20, most_kept=8)
    # public ids: the order of patients, and with it who is drawn, else follows from a random key of the study
    update = {"outcome": outcome, "covariates": covariates, "selection": quick}
    update["study"] = protocol.study.model_copy(update={"public_ids": True})
    write_protocol(study, protocol.model_copy(update=update))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORTSCOPE_HOME", str(place / "home"))
        found = run(study)
    yield open_snapshot(study), found.run_id
    close_snapshots()


def test_the_flow_counts_those_of_the_readme(lung1):
    snapshot, run_id = lung1
    counts = {step.label: step.n for step in flow_steps(snapshot, run_id)}
    # ../shared/data/lung1_tables/README.md: 421 with features; by 730 days 251 dead, 169 alive, 1 censored earlier
    assert {421, 251, 169, 1} <= set(counts.values())


def test_two_year_aucs_are_near_the_baselines_of_the_readme(lung1):
    snapshot, run_id = lung1
    auc = {row.model: row.auc for row in model_summaries(snapshot, run_id)}
    # random forest of scikit-learn in 5-fold cross-validation there: clinical 0.539, radiomics 0.667, both 0.652
    assert auc["clinical"] == pytest.approx(0.539, abs=0.05)
    assert auc["radiomic"] == pytest.approx(0.667, abs=0.06)
    assert auc["combined"] == pytest.approx(0.652, abs=0.06)
    assert auc["shuffled"] < auc["radiomic"] - 0.03


def test_what_is_said_does_not_go_beyond_the_spread(lung1):
    snapshot, run_id = lung1
    (pair,) = [c for c in comparisons(snapshot, run_id) if (c.base, c.extended) == ("clinical", "combined")]
    assert 417 <= pair.n <= 420  # of 420, 0.632 ** 16 * 420 = 0.27 are expected to be drawn in each of 16 resamples
    assert (pair.sentence == "adds") == (pair.spread_lo > 0)
