"""Uploads stay apart until the gate has judged them and somebody accepts; what is refused leaves nothing behind."""

from __future__ import annotations

import csv
import io
import os
import shutil
import struct
import time
import zipfile
from pathlib import Path

import pytest

from engine.acquire.archive import appearing, sweep_unpacking, unpack
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
from engine.bench.malformed.made_dicom import write_directory, write_series
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


@pytest.mark.parametrize("folder", [".Trashes/501", ".part"])
def test_an_upload_with_images_under_hidden_names_is_kept_without_them(study, tmp_path, folder):
    write_outlined(tmp_path / "made")
    write_image(tmp_path / "made" / folder / "old_image.nii.gz")
    token = stage_archive(study, zipped(tmp_path / "made"))
    found = check_upload(study, token)
    assert (found.accepted, found.refused) == (("P1",), ())
    assert [flag.message for flag in found.flagged if flag.code == "hidden_images"] == (
        ["1 images under names with a dot in front were not read. They are not kept."] if folder == ".part" else []
    )
    accept_images(study, token)
    assert not list((study / "images").glob("*/.*"))
    assert (check(study).accepted, check(study).refused) == (("P1",), ())


def test_a_disc_with_its_directory_and_droppings_can_be_uploaded_and_kept(study, tmp_path):
    write_outlined(tmp_path / "made")
    write_directory(tmp_path / "made/DICOMDIR", "P1", "P2")
    for name in ("Thumbs.db", "AUTORUN.INF"):
        (tmp_path / "made/ct" / name).write_bytes(b"[autorun]")
    token = stage_archive(study, zipped(tmp_path / "made"))
    assert (check_upload(study, token).accepted, check_upload(study, token).refused) == (("P1",), ())
    accept_images(study, token)
    assert check(study).accepted == ("P1",)


def test_images_outside_the_study_are_not_added_to(study, packed, tmp_path):
    write_protocol(study, Protocol(images=Images(root=str(tmp_path / "elsewhere"), reference=("Tumour",))))
    token = stage_archive(study, packed)
    with pytest.raises(ValueError, match="outside"):
        accept_images(study, token)


def zipped(folder: Path) -> io.BytesIO:
    return io.BytesIO(Path(shutil.make_archive(str(folder), "zip", folder)).read_bytes())


def with_case(study: Path, case: str) -> Path:
    """The study with one case of its own as NIfTI; returns its image."""
    write_protocol(study, Protocol(study=Study(public_ids=True), images=Images(root="images", reference=("Tumour",))))
    return write_image(study / "images" / case / "image.nii.gz")


@pytest.mark.parametrize("column", ["image", "reference", "prior"])
@pytest.mark.parametrize("how", ["absolute", "relative"])
def test_a_table_that_came_by_upload_names_no_file_outside_it_neither_judged_nor_kept(study, tmp_path, column, how):
    other = with_case(study, "P1")
    write_image(tmp_path / "sent" / "own.nii.gz")
    cell = str(other) if how == "absolute" else "../P1/image.nii.gz"
    cells = {"case_id": "EVIL", "image": "own.nii.gz"} | {column: cell}
    (tmp_path / "sent" / "images.csv").write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n")
    token = stage_archive(study, zipped(tmp_path / "sent"))
    assert [(one.case, one.code) for one in check_upload(study, token).refused] == [("EVIL", "outside_folder")]
    with pytest.raises(ValueError, match="refuses 1"):
        accept_images(study, token)
    shutil.copytree(tmp_path / "sent", study / "images" / f"upload-{token}")  # kept before this was judged
    found = check(study)
    assert found.accepted == ("P1",)
    assert [(one.case, one.code) for one in found.refused] == [("EVIL", "outside_folder")]


@pytest.mark.parametrize("layout", ["files", "DICOM"])
def test_a_patient_whom_the_study_has_as_files_cannot_be_uploaded_again(study, packed, tmp_path, layout):
    with_case(study, "P1")
    for name in ("P1", "P2"):
        write_image(tmp_path / "sent" / name / "image.nii.gz")
    token = stage_archive(study, zipped(tmp_path / "sent") if layout == "files" else packed)
    found = check_upload(study, token)
    assert [(one.case, one.code) for one in found.refused] == [("P1", "known_patient")]
    assert found.accepted == (("P2",) if layout == "files" else ())
    with pytest.raises(ValueError, match="refuses 1"):
        accept_images(study, token)
    assert check(study).accepted == ("P1",)


def test_series_that_join_those_of_a_known_patient_are_said_aloud(study, packed, tmp_path):
    accept_images(study, stage_archive(study, packed))
    write_series(tmp_path / "more" / "ct", series_uid="1.2.3.9")
    token = stage_archive(study, zipped(tmp_path / "more"))
    found = check_upload(study, token)
    assert (found.accepted, found.refused) == (("P1",), ())
    (said,) = [one.message for one in found.flagged if one.code == "known_patient"]
    assert "the same files of him as before" in said  # the outlined series stays the index series
    accept_images(study, token)
    assert check(study).accepted == ("P1",)


def test_an_upload_that_would_make_a_patient_of_the_study_unreadable_is_refused(study, packed, tmp_path):
    accept_images(study, stage_archive(study, packed))
    write_series(tmp_path / "more" / "a", patient="P2")
    write_series(tmp_path / "more" / "b", lambda n, ds: delattr(ds, "SeriesInstanceUID"), numbers=range(1))  # of P1
    token = stage_archive(study, zipped(tmp_path / "more"))
    found = check_upload(study, token)
    assert found.accepted == ("P2",)
    assert [(one.case, one.code) for one in found.refused] == [("P1", "known_patient")]
    assert check(study).accepted == ("P1",)


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


def test_a_table_that_is_no_csv_leaves_nothing_behind(study):
    with pytest.raises(RefusedError, match="malformed_csv"):
        stage_table(study, b"id,days,event," + b"x" * 200_000 + b"\nA,1,1,1\n")
    assert held(study) == []


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


def test_an_upload_that_breaks_off_for_any_reason_leaves_nothing(study):
    class BrokenStream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionError

    stages = (
        lambda: stage_archive(study, BrokenStream()),
        lambda: stage_files(study, [("a.dcm", BrokenStream(), 3)]),
        lambda: stage_table(study, f"id,{'x' * 200_000}\nP1,1\n".encode()),
    )
    for stage in stages:
        with pytest.raises((ConnectionError, RefusedError, csv.Error)):
            stage()
    assert held(study) == []
    assert list((study / "private" / "uploads").iterdir()) == []


def test_what_a_killed_import_left_is_swept_and_one_that_goes_on_is_not(study):
    killed = study / "images" / ".unpacking-old" / "content"
    killed.mkdir(parents=True)
    (killed / "slice.dcm").write_bytes(b"MUELLER")
    with appearing(study / "images" / "site" / "new") as place:
        (place / "slice.dcm").write_bytes(b"OTTO")
        assert sweep_unpacking(study / "images") == 1
    assert held(study) == ["images/site/new/slice.dcm"]
    assert not killed.parent.exists()


@pytest.mark.parametrize("large", [False, True])
def test_a_zip_that_names_millions_of_entries_is_refused_before_they_are_read(tmp_path, monkeypatch, large):
    """The table of contents alone: 30,000 entries a megabyte, of which zipfile makes eight megabytes."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, 0, 0, 0, 0, 33, *[0] * 3, 1, *[0] * 6) + b"a"
    count = 250_000
    contents, start = entry * count, 30
    zip64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(contents), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(contents), 1)
    said = 5 if large else len(contents)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, said, start, 0)
    path = tmp_path / "many.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(26) + contents + (zip64 + locator if large else b"") + end)
    assert zipfile.is_zipfile(path)
    monkeypatch.setattr(zipfile, "ZipFile", None)  # nothing is read of it
    with pytest.raises(RefusedError, match="table of contents"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
