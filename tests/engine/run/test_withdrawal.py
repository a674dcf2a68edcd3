"""A withdrawn patient's rows and images: gone from the study's folder, named where they lie elsewhere, also after a
restored backup."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from engine.acquire.check import check
from engine.acquire.pseudonyms import LINKS_FILE, PRIVATE_FOLDER, LostKeyError, Pseudonyms, write_private
from engine.acquire.uploads import KEPT_SECONDS, accept_table, stage_table
from engine.acquire.withdrawn import unfinished_withdrawals
from engine.commands import app
from engine.protocol import Clinical, Covariates, Images, Outcome, Protocol, Study, read_protocol, write_protocol
from engine.run.removal import MARKS_FILE
from engine.run.runner import run
from engine.run.withdrawal import before_serving, withdraw
from engine.segment.model import list_models, models_home
from store.audit import audit_lines
from store.publisher import publish
from store.snapshot import close_snapshots
from store.tombstones import listed_withdrawals, tombstones, withdrawn_cases
from store.verification import verify

GONE, STAYS = "Maria Canary", "Otto Stays"
ROWS = f'id;days;event;note\n{GONE};10;1;"a; b"\n{STAYS};20;0;plain\n'


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(str(path))).integers(-900, 100, (16, 20, 20)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two patients after a run, to be copied."""
    return made_study(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def study(tmp_path: Path):
    yield made_study(tmp_path)
    close_snapshots()


def made_study(around: Path) -> Path:
    folder = around / "study"
    for patient in (GONE, STAYS):
        write_image(folder / "images" / patient / "image.nii.gz")
    write_image(folder / "images" / GONE / "prior.nii.gz")
    (folder / "inside.csv").write_text(ROWS)
    (around / "outside.csv").write_text(ROWS.replace("id;days;event", "patient;age;sex"))
    clinical = Clinical(files=("inside.csv", "../outside.csv"), id=("id", "patient"))
    images = Images(root="images", reference=("tumour",))
    write_protocol(folder, Protocol(study=Study(), images=images, clinical=clinical))
    run(folder, "acquire", "inline")
    return folder


def case_of(study: Path) -> str:
    return Pseudonyms(study, public_ids=False).case_id(GONE)


def naming(folder: Path, name: str = GONE) -> set[str]:
    """Files below a folder whose path or content names the patient."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder))
        for path in found
        if name in str(path.relative_to(folder)) or name.encode() in path.read_bytes()
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


STEPS = (
    "engine.run.removal.remember_withdrawal",
    "engine.run.removal._mark_models",
    "engine.run.removal.remove_files",
    "engine.run.removal.forget_in_tables",
    "engine.run.removal.discard_uploads",
    "engine.run.removal.withdraw_case",
    "store.withdrawal._delete_files",
    "store.withdrawal._overwrite_deleted",
    "engine.run.removal.forget_way_back",
    "engine.acquire.withdrawn.forget_source",
    "engine.acquire.withdrawn.changed_links",
)


def results(study: Path) -> int:
    return sum(path.is_file() for path in (study / "artifacts").rglob("*"))


class PulledPlugError(Exception):
    """The withdrawal stops here."""


def pull_the_plug(*_: object, **__: object) -> None:
    raise PulledPlugError


def withdraw_again(study: Path) -> None:
    withdraw(study, case_of(study), "holder", "asked for it")


@pytest.mark.parametrize("again", [before_serving, withdraw_again])
@pytest.mark.parametrize("step", STEPS)
def test_a_withdrawal_that_stops_before_any_step_is_finished_at_the_next_start_or_by_a_second_one(
    recorded, tmp_path, monkeypatch, step, again
):
    study = tmp_path / "copy"
    shutil.copytree(recorded, study)
    case_id, before = case_of(study), results(study)
    (study / "snapshots" / "work.duckdb.tmp").mkdir()
    (study / "snapshots" / "work.duckdb.tmp" / "duckdb_temp_storage-0.tmp").write_text(GONE)
    with monkeypatch.context() as broken:
        broken.setattr(step, pull_the_plug)
        with pytest.raises(PulledPlugError):
            withdraw(study, case_id, "holder", "asked for it")
    if step == STEPS[0]:
        assert case_id not in withdrawn_cases(study)
        withdraw(study, case_id, "holder", "asked for it")
    again(study)
    assert naming(study) == set()
    assert list((study / "snapshots").iterdir()) == []
    assert verify(study).clean
    (stone,) = tombstones(study)
    assert (stone.reason, stone.artifacts, len(stone.runs.split())) == ("asked for it", before - results(study), 1)


def test_a_publisher_sweeps_the_rows_that_a_killed_one_had_spilled(study):
    spilled = study / "snapshots" / "work.duckdb.tmp"
    spilled.mkdir()
    (spilled / "duckdb_temp_storage-0.tmp").write_text(GONE)
    publish(study)
    assert not spilled.exists()


@pytest.mark.parametrize("begin", [before_serving, lambda study: run(study, "acquire", "inline")])
def test_an_upload_that_nobody_kept_and_a_killed_import_are_swept_when_app_or_run_starts(study, begin):
    upload = study / PRIVATE_FOLDER / "uploads" / stage_table(study, ROWS.encode())
    long_ago = time.time() - 10 * KEPT_SECONDS
    os.utime(upload, (long_ago, long_ago))
    write_image(study / "images" / ".unpacking-killed" / "content" / "slice.nii.gz")
    begin(study)
    assert not upload.exists()
    assert list((study / "images").glob(".*")) == []


def test_a_tombstone_counts_where_an_older_private_folder_was_put_back(study, tmp_path):
    case_id = case_of(study)
    shutil.copytree(study / PRIVATE_FOLDER, tmp_path / "older")
    withdraw(study, case_id, "holder", "asked for it")
    shutil.rmtree(study / PRIVATE_FOLDER)
    shutil.copytree(tmp_path / "older", study / PRIVATE_FOLDER)
    write_image(study / "images" / GONE / "image.nii.gz")
    assert [one.case for one in check(study).refused if one.code == "withdrawn"] == [case_id]
    write_private(study / PRIVATE_FOLDER / LINKS_FILE, (tmp_path / "older" / LINKS_FILE).read_text())
    before_serving(study)
    assert naming(study) == set()
    assert listed_withdrawals(study) == {case_id: "asked for it"}
    assert unfinished_withdrawals(study) == {}


def test_a_study_with_a_withdrawal_and_no_private_folder_is_served_with_its_snapshots_and_lists_it_again(study):
    """A backup leaves private/ out by design; the tombstone that it brings says that the files are gone."""
    case_id = case_of(study)
    withdraw(study, case_id, "holder", "asked for it")
    publish(study)
    close_snapshots()
    shutil.rmtree(study / PRIVATE_FOLDER)
    before = (sorted((study / "snapshots").iterdir()), tombstones(study), results(study))
    before_serving(study)
    assert (sorted((study / "snapshots").iterdir()), tombstones(study), results(study)) == before
    assert before[0]
    assert listed_withdrawals(study) == {case_id: "asked for it"}


def test_without_the_key_results_are_served_only_if_no_withdrawn_patient_is_in_them(study, caplog):
    case_id = case_of(study)
    links = (study / PRIVATE_FOLDER / LINKS_FILE).read_text()
    withdraw(study, case_id, "holder", "asked for it")
    write_private(study / PRIVATE_FOLDER / LINKS_FILE, links)
    (study / PRIVATE_FOLDER / "key").unlink()
    before_serving(study)
    assert "put private/ back" in caplog.text
    assert GONE not in caplog.text
    assert case_id not in caplog.text
    for path in study.glob("ledger.sqlite*"):
        path.unlink()
    with pytest.raises(LostKeyError):
        before_serving(study)


@pytest.mark.parametrize("command", ["whois", "withdraw"])
@pytest.mark.parametrize("typed", [GONE, GONE.lower(), "Mueller_Hans_1950"])
def test_a_name_typed_for_a_case_id_is_written_nowhere_and_nothing_is_done(recorded, tmp_path, command, typed):
    study = tmp_path / "copy"
    shutil.copytree(recorded, study, ignore=shutil.ignore_patterns("*.csv", "images"))
    before = naming(study, typed)
    said = CliRunner().invoke(app, [command, str(study), typed, "--reason", "asked for it"])
    assert isinstance(said.exception, ValueError)
    assert (case_of(study) in str(said.exception)) == (typed.lower() == GONE.lower())
    assert typed.lower() not in f"{said.exception} {said.output}".lower()
    assert audit_lines(study, 1)[0].detail == "unknown case"
    assert withdrawn_cases(study) == {}
    assert naming(study, typed) == before


def test_a_case_that_only_a_check_has_seen_can_be_named_and_withdrawn(tmp_path):
    study = tmp_path / "study"
    write_image(study / "images" / GONE / "image.nii.gz")
    write_protocol(study, Protocol(images=Images(root="images", reference=("tumour",))))
    check(study)
    words = [str(study), case_of(study), "--reason", "asked for it"]
    assert CliRunner().invoke(app, ["whois", *words]).output.strip() == GONE
    assert CliRunner().invoke(app, ["withdraw", *words]).exit_code == 0
    assert naming(study) == set()
    assert CliRunner().invoke(app, ["withdraw", *words]).exit_code == 0


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
