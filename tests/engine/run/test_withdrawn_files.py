"""A withdrawal leaves no image of the patient in the study, takes nobody else's, and names what it cannot decide."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.acquire.check import check
from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms
from engine.acquire.uploads import stage_files, stage_table
from engine.bench.malformed.made_dicom import write_directory, write_rtstruct, write_series
from engine.commands import app
from engine.protocol import Images, Protocol, write_protocol
from engine.run.reapply import reapply_withdrawals
from engine.run.removal import Withdrawn
from engine.run.withdrawal import withdraw
from engine.run.withdrawn_files import SHARED, UNATTRIBUTED, LeftFile


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "study"
    (folder / "images").mkdir(parents=True)
    write_protocol(folder, Protocol(images=Images(root="images", reference=("GTV",))))
    return folder


def put(study: Path, *names: str) -> None:
    """Files below the image folder; nothing of them is read but that they are no DICOM."""
    for name in names:
        path = study / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def dicom(study: Path, name: str, patient: str, uid: str, slices: int = 12) -> None:
    write_series(study / "images" / name, series_uid=uid, patient=patient, numbers=range(slices))


def case_of(study: Path, patient: str) -> str:
    return Pseudonyms(study, public_ids=False).case_id(patient)


def gone(study: Path, patient: str) -> Withdrawn:
    return withdraw(study, case_of(study, patient), "holder", "asked for it")


def remaining(study: Path) -> set[str]:
    """Every file and folder below the image folder."""
    return {str(path.relative_to(study / "images")) for path in (study / "images").rglob("*")}


def test_every_series_and_outline_of_a_dicom_patient_goes_with_his_folder(study):
    for uid, (name, slices) in enumerate({"ct1": 12, "ct2": 12, "loc": 3}.items()):
        dicom(study, f"DOE_JOHN/{name}", "MRN777", f"1.2.{uid}", slices)
    write_rtstruct(study / "images/DOE_JOHN/rs.dcm", [("GTV", [])], series_uid="1.2.9", patient="MRN777")
    dicom(study, ".trash", "MRN777", "1.2.7", 1)
    dicom(study, "mixed", "MRN777", "1.2.5", 1)
    write_rtstruct(study / "images/mixed/rs.dcm", [("GTV", [])], series_uid="1.2.6", patient="MRN888")
    assert gone(study, "MRN777").deleted_files == 30
    assert remaining(study) == {"mixed", "mixed/rs.dcm"}


def test_dicom_files_without_a_patient_are_named_and_stay(study):
    dicom(study, "DOE", "MRN1", "1.2.1", 2)
    dicom(study, "elsewhere", "", "1.2.2", 1)
    put(study, "DOE/report.pdf", "notes.txt")
    left = gone(study, "MRN1").left_inside
    assert left == tuple(
        LeftFile(study / "images" / name, UNATTRIBUTED) for name in ("DOE/report.pdf", "elsewhere/000_0.dcm")
    )


def test_the_directory_of_a_disc_goes_with_the_first_of_its_patients(study):
    for patient, uid in (("MRN1", "1.2.1"), ("MRN2", "1.2.2"), ("MRN3", "1.2.3")):
        dicom(study, patient, patient, uid, 1)
    write_directory(study / "images/DICOMDIR", "MRN1", "MRN2")
    write_directory(study / "images/other/DICOMDIR", "unknown")
    unknown = (LeftFile(study / "images/other/DICOMDIR", UNATTRIBUTED),)
    assert (gone(study, "MRN3").left_inside, gone(study, "MRN1").left_inside) == (unknown, unknown)
    assert remaining(study) == {"MRN2", "MRN2/000_0.dcm", "other", "other/DICOMDIR"}


def test_files_of_a_case_folder_go_whether_they_were_used_or_not(study):
    own = ("image.nii.gz", "GTV.nii.gz", "heart.nii.gz", "notes.txt", "old/heart.nii.gz", ".DS_Store")
    put(study, *(f"SMITH_1/{name}" for name in own), "SMITH_2/image.nii.gz")
    done = gone(study, "SMITH_1")
    assert (done.deleted_files, done.left_inside) == (6, ())
    assert remaining(study) == {"SMITH_2", "SMITH_2/image.nii.gz"}


def test_another_patient_inside_a_case_folder_is_kept_and_named(study):
    put(study, "A/image.nii.gz", "A/heart.nii.gz", "A/B/image.nii.gz", "A/B/heart.nii.gz")
    dicom(study, "A/dicom", "MRN2", "1.2.1", 1)
    done = gone(study, "A")
    kept = ("A/B/heart.nii.gz", "A/B/image.nii.gz", "A/dicom/000_0.dcm")
    assert done.left_inside == tuple(LeftFile(study / "images" / name, SHARED) for name in kept)
    assert remaining(study) == {"A", "A/B", "A/dicom", *kept}


def test_a_flat_prefix_takes_no_longer_id(study):
    own = ("P1_image.nii.gz", "P1_GTV.nii.gz", "P1_heart.nii.gz", "P1_CT.json", "P1.mhd")
    others = {"P10_image.nii.gz", "P10_GTV.nii.gz", "P1_2_CT_image.nii.gz", "P1_2_heart.nii.gz", "P1x_GTV.nii.gz"}
    put(study, *own, *others)
    assert gone(study, "P1").deleted_files == len(own)
    assert remaining(study) == others


def test_a_flat_name_that_may_be_of_a_longer_id_is_named_and_stays(study):
    put(study, "P1_image.nii.gz", "P1_2_GTV.nii.gz")
    done = gone(study, "P1")
    assert done.left_inside == (LeftFile(study / "images/P1_2_GTV.nii.gz", UNATTRIBUTED),)
    assert remaining(study) == {"P1_2_GTV.nii.gz"}


def test_an_image_beside_all_others_takes_only_masks_of_the_study(study):
    put(study, "image.nii.gz", "GTV.nii.gz", "heart.nii.gz", "P7_GTV.nii.gz")
    assert gone(study, "images").deleted_files == 2
    assert remaining(study) == {"heart.nii.gz", "P7_GTV.nii.gz"}


def listed(study: Path, *rows: str) -> None:
    (study / "images" / "images.csv").write_text("\n".join(("case_id,image,reference", *rows)) + "\n")


def test_a_file_that_two_cases_list_is_kept_for_the_other_and_named(study):
    put(study, "a/ct.mhd", "a/ct.raw", "a/gtv.nii.gz", "a/heart.nii.gz", "b/ct.nii.gz")
    listed(study, "A,a/ct.mhd,a/gtv.nii.gz:2", "B,b/ct.nii.gz,a/gtv.nii.gz")
    heart = LeftFile(study / "images/a/heart.nii.gz", UNATTRIBUTED)
    assert gone(study, "A").left_inside == (LeftFile(study / "images/a/gtv.nii.gz", SHARED), heart)
    assert remaining(study) == {"a", "a/gtv.nii.gz", "a/heart.nii.gz", "b", "b/ct.nii.gz", "images.csv"}
    assert gone(study, "B").left_inside == (heart,)
    assert remaining(study) == {"a", "a/heart.nii.gz", "images.csv"}


def test_an_upload_whose_table_lists_files_of_others_takes_none_of_them(study):
    others = ("P1/image.nii.gz", "P1/GTV.nii.gz", "P1/old/heart.nii.gz", "P2_image.nii.gz", "P2_GTV.nii.gz")
    put(study, *others, "upload-0/images.csv", "upload-0/own.nii.gz")
    dicom(study, "ct", "MRN1", "1.2.1", 1)
    listed_too = [f"../{name}" for name in (*others, "ct/000_0.dcm")]
    table = ["case_id,image,further,a,b,c,d,e", ",".join(("EV", "own.nii.gz", *listed_too))]
    (study / "images/upload-0/images.csv").write_text("\n".join(table) + "\n")
    done = gone(study, "EV")
    assert done.deleted_files == 1
    assert {one.why for one in done.left_inside} == {SHARED}
    assert {str(one.path.relative_to(study / "images")) for one in done.left_inside} == {
        *others,
        "ct/000_0.dcm",
    }


def test_nothing_is_deleted_through_a_link_or_a_table_that_leads_out_of_the_image_folder(study, tmp_path):
    for name in ("nas/image.nii.gz", "one.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    put(study, "C/GTV.nii.gz")
    (study / "images/C/image.nii.gz").symlink_to(tmp_path / "one.nii.gz")
    (study / "images/D").symlink_to(tmp_path / "nas")
    assert gone(study, "C").left_outside == (tmp_path / "one.nii.gz",)
    assert gone(study, "D").left_outside == (study / "images/D/image.nii.gz",)
    assert remaining(study) == {"D"}
    assert (tmp_path / "one.nii.gz").exists()
    listed(study, "E,../study.toml,")
    assert gone(study, "E").left_outside == (study / "images/../study.toml",)
    assert (study / "study.toml").exists()


def test_the_content_index_forgets_a_case_that_was_checked_and_never_run(study, monkeypatch):
    put(study, "DOE/image.nii.gz", "ROE/image.nii.gz")
    monkeypatch.chdir(study.parent)
    check(Path("study"))
    index = study / PRIVATE_FOLDER / "index.json"
    assert "DOE" in index.read_text()
    gone(study, "DOE")
    assert [Path(path).parent.name for path in json.loads(index.read_text())] == ["ROE"]


def test_waiting_uploads_that_hold_the_patient_are_discarded_and_others_wait_on(study):
    dicom(study, "a", "P1", "1.2.1", 2)
    waiting = {
        "x/1.dcm": next((study / "images/a").iterdir()).read_bytes(),
        "P1/image.nii.gz": b"x",
        "images.csv": b"case_id,image\nP1,gone.nii.gz\n",
    }
    for name, content in waiting.items():
        stage_files(study, [(name, BytesIO(content), len(content))])
    stage_table(study, b"id,age\nP1,60\nP2,61\n")
    others = {stage_files(study, [("P10/image.nii.gz", BytesIO(b"x"), 1)]), stage_table(study, b"id,age\nP2,61\n")}
    assert gone(study, "P1").discarded_uploads == 4
    assert {path.name for path in (study / PRIVATE_FOLDER / "uploads").iterdir()} == others


def test_a_kept_upload_goes_with_its_table_when_it_held_nobody_else(study):
    put(study, "upload-0/images.csv", "upload-0/1.nii.gz", "upload-1/Q/image.nii.gz")
    (study / "images/upload-0/images.csv").write_text("case_id,image\nP1,1.nii.gz\n")
    assert gone(study, "P1").deleted_files == 1
    assert remaining(study) == {"upload-1", "upload-1/Q", "upload-1/Q/image.nii.gz"}


def test_a_restored_backup_loses_unused_series_and_listed_files_again(study, tmp_path):
    dicom(study, "DOE/ct1", "MRN1", "1.2.1")
    dicom(study, "DOE/loc", "MRN1", "1.2.2", 2)
    put(study, "a/ct.nii.gz", "b/ct.nii.gz")
    listed(study, "A,a/ct.nii.gz,", "B,b/ct.nii.gz,")
    backup = tmp_path / "backup"
    shutil.copytree(study, backup, ignore=shutil.ignore_patterns(PRIVATE_FOLDER))
    for patient in ("MRN1", "A"):
        gone(study, patient)
    for path in study.glob("ledger.sqlite*"):
        path.unlink()
    shutil.copytree(backup, study, dirs_exist_ok=True)
    assert len(reapply_withdrawals(study)) == 2
    assert remaining(study) == {"b", "b/ct.nii.gz", "images.csv"}
    assert (study / "images/images.csv").read_text() == "case_id,image,reference\nB,b/ct.nii.gz,\n"


def test_the_command_names_what_is_left_and_counts_uploads(study):
    dicom(study, "DOE", "MRN1", "1.2.1", 2)
    put(study, "DOE/report.pdf")
    stage_table(study, b"id,age\nMRN1,60\n")
    check(study)
    done = CliRunner().invoke(app, ["withdraw", str(study), case_of(study, "MRN1"), "--reason", "asked for it"])
    assert f"left, because {UNATTRIBUTED}; look at it yourself: {study}/images/DOE/report.pdf" in done.output
    assert "1 upload that nobody had kept yet held this case" in done.output
