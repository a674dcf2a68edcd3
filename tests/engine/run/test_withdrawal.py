"""A withdrawn patient's rows and images: gone from the study's folder, named where they lie elsewhere, also after a
restored backup."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms
from engine.acquire.uploads import accept_table, stage_table
from engine.commands import app
from engine.protocol import Clinical, Covariates, Images, Outcome, Protocol, Study, read_protocol, write_protocol
from engine.run.runner import run
from engine.run.withdrawal import MARKS_FILE, before_serving, withdraw
from engine.segment.model import list_models, models_home
from store.snapshot import close_snapshots
from store.withdrawal import tombstones

GONE, STAYS = "Maria Canary", "Otto Stays"
ROWS = f'id;days;event;note\n{GONE};10;1;"a; b"\n{STAYS};20;0;plain\n'


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path))).integers(-900, 100, (16, 20, 20)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))


@pytest.fixture
def study(tmp_path: Path):
    folder = tmp_path / "study"
    for patient in (GONE, STAYS):
        write_image(folder / "images" / patient / "image.nii.gz")
    write_image(folder / "images" / GONE / "prior.nii.gz")
    (folder / "inside.csv").write_text(ROWS)
    (tmp_path / "outside.csv").write_text(ROWS.replace("id;days;event", "patient;age;sex"))
    clinical = Clinical(files=("inside.csv", "../outside.csv"), id=("id", "patient"))
    images = Images(root="images", reference=("tumour",))
    write_protocol(folder, Protocol(study=Study(), images=images, clinical=clinical))
    run(folder, "acquire", "inline")
    yield folder
    close_snapshots()


def case_of(study: Path) -> str:
    return Pseudonyms(study, public_ids=False).case_id(GONE)


def naming(folder: Path) -> set[str]:
    """Files below a folder whose path or content names the patient."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder))
        for path in found
        if GONE in str(path.relative_to(folder)) or GONE.encode() in path.read_bytes()
    }


def test_the_row_goes_from_tables_in_the_study_and_tables_elsewhere_are_named(study):
    gone = withdraw(study, case_of(study), "holder", "asked for it")
    assert (study / "inside.csv").read_text() == f"id;days;event;note\n{STAYS};20;0;plain\n"
    assert gone.left_outside == ((study / "../outside.csv"),)
    assert naming(study) == set()
    assert (study / "images" / STAYS / "image.nii.gz").exists()


def test_a_restored_backup_loses_his_images_and_rows_again_before_a_page_is_served(study, tmp_path):
    backup = tmp_path / "backup"
    shutil.copytree(study, backup, ignore=shutil.ignore_patterns(PRIVATE_FOLDER))
    case_id = case_of(study)
    withdraw(study, case_id, "holder", "asked for it")
    for path in study.glob("ledger.sqlite*"):
        path.unlink()
    for name in ("artifacts", "snapshots"):
        shutil.rmtree(study / name)
    shutil.copytree(backup, study, dirs_exist_ok=True)
    assert naming(study)
    before_serving(study)
    assert [stone.case_id for stone in tombstones(study)] == [case_id]
    assert naming(study) == set()
    assert STAYS in (study / "inside.csv").read_text()


def test_an_uploaded_table_loses_the_row_and_one_that_was_replaced_goes_whole(study):
    mapping = ("id", Outcome(kind="time", time="days", event="event", event_value="1"), Covariates())
    for _ in range(2):
        accept_table(study, stage_table(study, ROWS.encode()), *mapping)
    tables = list((study / PRIVATE_FOLDER / "tables").glob("*.csv"))
    assert len(tables) == 1
    (study / "inside.csv").unlink()
    (study / PRIVATE_FOLDER / "tables" / "clinical-older.csv").write_text(ROWS)
    withdraw(study, case_of(study), "holder", "asked for it")
    assert naming(study) == set()
    assert STAYS in tables[0].read_text()
    assert tables[0].stat().st_mode & 0o777 == 0o600


def test_a_table_that_breaks_a_law_is_not_taken_and_can_be_taken_later(study, monkeypatch):
    token = stage_table(study, ROWS.encode())
    mapping = ("id", Outcome(kind="time", time="days", event="event", event_value="1"), Covariates())

    def refuse(directory, protocol):
        raise ValueError("the plan is locked")

    before = (study / "study.toml").read_text()
    with monkeypatch.context() as locked:
        locked.setattr("engine.acquire.uploads.write_protocol", refuse)
        with pytest.raises(ValueError, match="locked"):
            accept_table(study, token, *mapping)
    assert (study / "study.toml").read_text() == before
    assert not list((study / PRIVATE_FOLDER / "tables").glob("*.csv"))
    accept_table(study, token, *mapping)
    assert len(read_protocol(study).clinical.files) == 1


def test_a_model_that_saw_a_withdrawn_patient_says_so_where_models_are_listed(tmp_path, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path))
    marked, *_ = list_models()
    (models_home()).mkdir(parents=True, exist_ok=True)
    (models_home() / MARKS_FILE).write_text(f"{marked.sha256} 2026-11-28T06:00:00+00:00\n")
    lines = CliRunner().invoke(app, ["model", "list"]).output.splitlines()
    (line,) = [line for line in lines if marked.name in line.split()]
    assert line.endswith("saw a patient who withdrew on 2026-11-28")
    assert sum("withdrew" in line for line in lines) == 1
