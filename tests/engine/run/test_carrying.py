"""A model carried to another study: HarvardRT fails to transfer to Radboud, and nobody is tested who trained it."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pytest

from engine.acquire.new import new_table_study
from engine.present.wording.external import verdict
from engine.protocol import CovariateColumn, Covariates, Outcome, SelectionProtocol, read_protocol, write_protocol
from engine.run.carrying import apply_model, export_model
from engine.run.runner import run
from engine.run.selection_register import register_home
from store.queries.external import external_summaries
from store.records import RefusedError
from store.snapshot import close_snapshots, open_snapshot

N, P = 80, 30
QUICK = SelectionProtocol(resamples=10, trees=20, mrmr_features=10, most_kept=3)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path / "home"))
    yield
    close_snapshots()


def hosny(folder, name, shared):
    """A study of one cohort of Hosny 2018 as in ../shared/data/hosny_2yr/README.md: surv2yr 0 is a death."""
    folder.mkdir(exist_ok=True)
    table = folder / f"{name}.csv"
    table.write_bytes(gzip.decompress((shared / f"data/hosny_2yr/{name}.csv.gz").read_bytes()))
    new_table_study(folder / name, table, (table,))
    protocol = read_protocol(folder / name)
    outcome = Outcome(kind="binary", event="surv2yr", event_value="0")
    measured = tuple(c for c in protocol.features_table.columns if not c.startswith(("logit", "surv")))
    write_protocol(
        folder / name,
        protocol.model_copy(
            update={
                "selection": QUICK,
                "outcome": outcome,
                "features_table": protocol.features_table.model_copy(update={"columns": measured}),
            }
        ),
    )
    return folder / name


def test_trained_on_harvard_rt_it_fails_to_transfer_to_radboud(tmp_path, shared):
    there, here = hosny(tmp_path, "HarvardRT", shared), hosny(tmp_path, "Radboud", shared)
    run(there)
    export_model(there, tmp_path / "model.json")
    run_id = apply_model(tmp_path / "model.json", here)
    found = {row.model: row for row in external_summaries(open_snapshot(here), run_id)}
    # the README's forest: 0.592 in cross-validation, 0.496 on Radboud; every arm of features is no better than chance
    combined = found["combined"]
    assert combined.n == 104
    assert combined.auc_lo < 0.5 < combined.auc_hi
    assert verdict(combined).startswith("Fails to transfer")


def write_study(folder, name, ids, values, course):
    table = folder / f"{name}.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["patient", "days", "died", "age", *(f"original_glcm_F{n}" for n in range(P))])
        rows.writerows(
            [who, *map(int, own), *map(repr, row.tolist())] for who, own, row in zip(ids, course, values, strict=True)
        )
    new_table_study(folder / name, table, (table,))
    protocol = read_protocol(folder / name)
    write_protocol(
        folder / name,
        protocol.model_copy(
            update={
                "selection": QUICK,
                "outcome": Outcome(kind="time", time="days", event="died"),
                "covariates": Covariates(columns=(CovariateColumn(column="age", kind="number", unit="years"),)),
            }
        ),
    )
    return folder / name


def draw(rng):
    days = np.ceil(rng.exponential(900, N)).clip(1, 2000)
    return np.column_stack([days, (days < 2000) & (rng.random(N) < 0.8), rng.integers(45, 85, N)]).astype(int)


def test_its_patients_under_other_ids_and_masks_are_refused_and_strangers_are_not(tmp_path):
    rng = np.random.default_rng(3)
    course = draw(rng)
    there = write_study(tmp_path, "there", [f"p{n}" for n in range(N)], rng.lognormal(size=(N, P)), course)
    run(there, backend="inline")
    export_model(there, tmp_path / "model.json")
    order = rng.permutation(N)
    again = write_study(tmp_path, "again", [f"q{n}" for n in range(N)], rng.lognormal(size=(N, P)), course[order])
    before = (again / "study.toml").read_text()
    with pytest.raises(RefusedError, match=f"{N} by their follow-up and clinical table"):
        apply_model(tmp_path / "model.json", again)
    assert (again / "study.toml").read_text() == before
    strangers = write_study(tmp_path, "other", [f"r{n}" for n in range(N)], rng.lognormal(size=(N, P)), draw(rng))
    run_id = apply_model(tmp_path / "model.json", strangers)
    assert external_summaries(open_snapshot(strangers), run_id)
    accepted = (strangers / "external-model.json").read_bytes(), (strangers / "study.toml").read_text()
    export_model(strangers, tmp_path / "own.json")
    with pytest.raises(RefusedError, match="trained the model"):
        apply_model(tmp_path / "own.json", strangers)
    assert ((strangers / "external-model.json").read_bytes(), (strangers / "study.toml").read_text()) == accepted


def test_a_selection_that_an_older_version_entered_learns_who_was_in_it(tmp_path):
    rng = np.random.default_rng(4)
    course = draw(rng)
    there = write_study(tmp_path, "there", [f"p{n}" for n in range(N)], rng.lognormal(size=(N, P)), course)
    run(there, backend="inline")
    (entry,) = register_home().glob("*.json")
    text = json.loads(entry.read_text())
    taken = [["intratumoural_original_glcm_F1"]]
    old = {name: value for name, value in text.items() if name not in ("train_sha256", "courses", "images")}
    entry.write_text(json.dumps(old | {"taken": taken}))
    export_model(there, tmp_path / "model.json")
    assert json.loads(entry.read_text()) == text | {"taken": taken}
    assert all(path.stat().st_mode & 0o077 == 0 for path in register_home().iterdir())
    again = write_study(tmp_path, "again", [f"q{n}" for n in range(N)], rng.lognormal(size=(N, P)), course)
    with pytest.raises(RefusedError, match="follow-up"):
        apply_model(tmp_path / "model.json", again)
