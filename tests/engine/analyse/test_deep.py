"""Arms of embeddings: who has them, that training patients alone choose them, that other arms stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.analyse.deep import deep_scaling, with_embeddings
from engine.analyse.guard import Guard, LeakError
from engine.analyse.prognosis import compare_models
from engine.protocol import Plan
from store.artifacts import read_value, write_value
from store.matrices import DesignTable
from store.records import DEEP_ARMS, NO_MODEL, Cohort, Embedding, EmbeddingName
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, collect, make_table, mean_auc, run_resamples
from tests.engine.analyse.test_portable import finals_of

WIDTH = 6
NAMES = tuple(EmbeddingName("set", n, "model", 2, "mean", n, f"encoder-stage2_mean_{n:03d}") for n in range(WIDTH))


def embedding(values, roi="intratumoural", status="ok"):
    return Embedding(roi, status, "set" if len(values) else "", np.asarray(values, dtype=np.float64))


def deep_table(seed=3, signal=2.0, radiomic_signal=0.0) -> DesignTable:
    """A cohort whose embedding 2 drives the hazard (as feature 0 of `make_table`) and whose radiomics are noise."""
    rng = np.random.default_rng(seed)
    table = make_table(rng, n=120, signal=signal, censored=False)
    values = rng.normal(size=(120, WIDTH))
    values[:, 2] = table.values[:, 0]
    noise = rng.normal(size=table.values.shape)
    noise[:, 0] = radiomic_signal * table.values[:, 0] + noise[:, 0]
    rows = tuple((case, embedding(row)) for case, row in zip(table.case_ids, values, strict=True))
    return with_embeddings(replace(table, values=noise), ("intratumoural",), Cohort(rows), NAMES)


def test_a_planted_embedding_is_found_where_radiomics_is_noise():
    found = run_resamples(deep_table(), seed=1)
    assert mean_auc(found, "deep") > 0.75
    assert mean_auc(found, "radiomic") < 0.62
    assert mean_auc(found, "clinical_deep") > mean_auc(found, "clinical") + 0.15
    performance = [row for one in found for row in one.performance if row.model == "deep"]
    assert {row.features for row in performance} <= set(range(1, CHOICES.most_kept + 1))


def test_without_embeddings_there_is_no_such_arm():
    found = run_resamples(make_table(np.random.default_rng(3), signal=1.0), seed=1)
    assert not {row.model for one in found for row in one.performance} & set(DEEP_ARMS)


def test_every_other_arm_is_what_it_was_without_them():
    table = deep_table()
    plain = replace(table, deep_rois=(), deep_names=(), deep_values=None)
    ours, theirs = run_resamples(table, seed=4), run_resamples(plain, seed=4)
    kept = [tuple(row for row in one.performance if row.model not in DEEP_ARMS) for one in ours]
    assert kept == [one.performance for one in theirs]


def test_a_null_embedding_predicts_nothing():
    aucs = []
    for seed in range(4):
        table = deep_table(seed, signal=0.0)
        aucs.append(mean_auc(run_resamples(table, seed), "deep"))
    assert 0.42 < np.mean(aucs) < 0.58


def test_one_patient_without_embedding_takes_the_region_out_and_not_the_other():
    table = make_table(np.random.default_rng(0), n=20)
    inside = [(case, embedding(np.ones(WIDTH))) for case in table.case_ids]
    ring = [(case, embedding(np.full(WIDTH, 2.0), "peritumoural")) for case in table.case_ids]
    inside[7] = (table.case_ids[7], embedding((), status=NO_MODEL))
    both = ("intratumoural", "peritumoural")
    found = with_embeddings(table, both, Cohort((*inside, *ring)), NAMES)
    assert set(found.deep_rois) == {"peritumoural"}
    assert (found.deep_values == 2.0).all()
    assert with_embeddings(table, both, Cohort(tuple(inside)), NAMES) is table
    assert with_embeddings(table, both, Cohort(()), ()) is table


def test_values_that_no_region_could_give_take_it_out_too():
    table = make_table(np.random.default_rng(0), n=5)
    rows = [(case, embedding(np.ones(WIDTH))) for case in table.case_ids]
    rows[0] = (table.case_ids[0], embedding([np.nan, *np.ones(WIDTH - 1)], status="too_small"))
    assert with_embeddings(table, ("intratumoural",), Cohort(tuple(rows)), NAMES) is table


def test_the_selection_never_sees_a_test_patient():
    table = deep_table()
    train, test = table.case_ids[:90], table.case_ids[90:]
    rng = np.random.default_rng(0)
    scaling = Guard(table, test).fit(train, lambda t: deep_scaling(t, 2, CHOICES, "FCQ", rng))
    changed = replace(table, deep_values=np.vstack([table.deep_values[:90], 1e3 * table.deep_values[90:]]))
    again = Guard(changed, test).fit(train, lambda t: deep_scaling(t, 2, CHOICES, "FCQ", rng))
    assert scaling.columns.tolist() == again.columns.tolist()
    assert np.array_equal(scaling.mean, again.mean)
    with pytest.raises(LeakError):
        Guard(table, test).fit(table.case_ids, lambda t: deep_scaling(t, 2, CHOICES, "FCQ", rng))


def test_its_comparisons_are_exploratory_even_of_a_locked_plan():
    table = deep_table()
    found = run_resamples(table, seed=1)
    sizes = candidates(table, CHOICES, RULES, NO_COMBAT).sizes
    plan = Plan.model_construct(locked_at="2026-01-01T00:00:00Z")
    parts = (collect(found, "out_of_bag"), collect(found, "performance"))
    result = compare_models(table, *parts, (), sizes, CHOICES, plan)
    deep = [c for c in result.comparisons if c.extended in DEEP_ARMS]
    assert {(c.base, c.extended) for c in deep} >= {("radiomic", "deep"), ("clinical", "clinical_deep")}
    assert all(c.exploratory and c.delong_p is None for c in deep)
    assert not any(c.exploratory for c in result.comparisons if c.extended == "combined")
    forests = [s for s in result.summaries if s.model.startswith("forest_")]
    assert forests
    assert all(s.corrected_auc is None and s.optimism is None for s in forests)


def test_the_table_is_read_back_with_and_without_them(tmp_path):
    for number, table in enumerate((deep_table(), make_table(np.random.default_rng(0)))):
        path = tmp_path / f"{number}.npz"
        write_value(path, DesignTable, table)
        again = read_value(path, DesignTable)
        assert again.deep_names == table.deep_names
        assert (again.deep_values is None) == (table.deep_values is None)


def test_arms_of_embeddings_have_an_apparent_auc_and_no_file_to_carry():
    models = {final.model: final for final in finals_of(deep_table()).models}
    assert models["deep"].specification == models["clinical_deep"].specification == ""
    assert models["deep"].apparent_auc > 0.7
    assert all(final.specification for name, final in models.items() if name not in DEEP_ARMS)
