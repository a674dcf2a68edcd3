"""Uploads stay apart until the gate has judged them and somebody accepts; what is refused leaves nothing behind."""

from __future__ import annotations

import io
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest

from engine.acquire.check import check
from engine.acquire.uploads import (
    KEPT_SECONDS,
    accept_images,
    accept_table,
    check_table,
    check_upload,
    column_facts,
    discard,
    stage_archive,
    stage_files,
    stage_table,
    sweep_uploads,
)
from engine.bench.malformed.image_files import write_image
from engine.bench.malformed.specimen import write_outlined
from engine.protocol import CovariateColumn, Covariates, Images, Outcome, Protocol, Study, read_protocol, write_protocol
from store.records import RefusedError

TABLE = b"id,days,event,age,date\nP1,300,1,60,2019-03-04\n"
TIME = Outcome(kind="time", time="days", event="event")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    write_protocol(folder, Protocol(study=Study(public_ids=True), images=Images(reference=("Tumour",))))
    return folder


@pytest.fixture
def packed(tmp_path: Path) -> io.BytesIO:
    write_outlined(tmp_path / "made")
    return io.BytesIO(Path(shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "made")).read_bytes())


def held(study: Path) -> list[str]:
    return [str(path.relative_to(study)) for path in study.rglob("*") if path.is_file() and path.name != "study.toml"]


def test_an_archive_is_judged_apart_and_then_kept(study, packed):
    token = stage_archive(study, packed)
    assert not (study / "images").exists()
    found = check_upload(study, token)
    assert (found.accepted, found.refused) == (("P1",), ())
    accept_images(study, token)
    assert read_protocol(study).images.root == "images"
    assert check(study).accepted == ("P1",)
    assert not list((study / "private" / "uploads").iterdir())


def test_uploads_are_found_beside_a_table_of_images_each_by_its_own_layout(study, packed, tmp_path):
    """images.csv lists what lies beside it: what was kept later would else be read by no run, without a word."""
    write_image(study / "images" / "A" / "image.nii.gz")
    (study / "images" / "images.csv").write_text("case_id,image\nA,A/image.nii.gz\n")
    write_protocol(study, Protocol(study=Study(public_ids=True), images=Images(root="images", reference=("Tumour",))))
    for name, case in (("named", "B"), ("listed", "C")):
        write_image(tmp_path / name / case / "image.nii.gz")
        if name == "listed":
            (tmp_path / name / "images.csv").write_text("case_id,image\nC,C/image.nii.gz\n")
        raw = Path(shutil.make_archive(str(tmp_path / name), "zip", tmp_path / name)).read_bytes()
        accept_images(study, stage_archive(study, io.BytesIO(raw)))
    accept_images(study, stage_archive(study, packed))
    found = check(study)
    assert (sorted(found.accepted), found.refused) == (["A", "B", "C", "P1"], ())


def test_an_upload_that_is_discarded_leaves_neither_ids_nor_paths(tmp_path, packed):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    write_protocol(hidden, Protocol(images=Images(reference=("Tumour",))))
    token = stage_archive(hidden, packed)
    assert len(check_upload(hidden, token).accepted) == 1
    discard(hidden, token)
    said = {path.name: path.read_text() for path in (hidden / "private").iterdir() if path.is_file()}
    assert not [name for name, text in said.items() if name != "key" and ("P1" in text or token in text)]


def test_names_of_an_uploaded_folder_never_leave_it(study):
    with pytest.raises(RefusedError, match="archive_traversal"):
        stage_files(study, [("../../x.nii.gz", io.BytesIO(b"x"), 1)])
    assert held(study) == []


def test_a_bad_archive_leaves_nothing_behind(study, packed):
    raw = packed.getvalue()
    with pytest.raises(RefusedError, match="archive_damaged"):
        stage_archive(study, io.BytesIO(raw[: len(raw) // 2]))
    assert held(study) == []


def test_an_upload_with_a_refused_case_cannot_be_kept(study, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("P1/image.nii.gz", b"no image")
    token = stage_archive(study, io.BytesIO((tmp_path / "bad.zip").read_bytes()))
    with pytest.raises(ValueError, match="refuses 1"):
        accept_images(study, token)
    discard(study, token)
    assert not (study / "images").exists()


def test_images_outside_the_study_are_not_added_to(study, packed, tmp_path):
    write_protocol(study, Protocol(images=Images(root=str(tmp_path / "elsewhere"), reference=("Tumour",))))
    token = stage_archive(study, packed)
    with pytest.raises(ValueError, match="outside"):
        accept_images(study, token)


def test_a_table_is_described_without_its_cells_mapped_and_kept(study):
    token = stage_table(study, TABLE)
    facts = column_facts(study, token)
    assert [(one.column, one.kind) for one in facts][3:] == [("age", "number"), ("date", "date")]
    assert "2019" not in str(facts)
    age = Covariates(columns=(CovariateColumn(column="age", kind="number"),))
    assert check_table(study, token, "id", TIME, age).known == 1
    accept_table(study, token, "id", TIME, age)
    protocol = read_protocol(study)
    assert protocol.clinical.files[0].startswith("private/tables/")
    assert (protocol.outcome.time, protocol.covariates.columns[0].column) == ("days", "age")


def test_a_mapping_that_would_store_dates_is_refused(study):
    token = stage_table(study, TABLE)
    with pytest.raises(RefusedError, match="date_in_category"):
        accept_table(study, token, "id", TIME, Covariates(columns=(CovariateColumn(column="date"),)))
    assert read_protocol(study).clinical.files == ()


@pytest.mark.parametrize("token", ["", "../private", "0" * 15, "Z" * 16])
def test_a_token_is_never_a_path(study, token):
    with pytest.raises(ValueError, match="token"):
        discard(study, token)


def test_what_nobody_accepts_is_swept_after_a_day(study):
    token = stage_table(study, TABLE)
    old = time.time() - KEPT_SECONDS - 60
    os.utime(study / "private" / "uploads" / token, (old, old))
    assert sweep_uploads(study) == 1
    assert held(study) == []
