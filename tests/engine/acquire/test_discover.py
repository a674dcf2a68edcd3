"""What is found in a tree, under which case id, and what is refused before reading."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from engine.acquire.check import check
from engine.acquire.discover import discover
from engine.acquire.pseudonyms import PSEUDONYM, Pseudonyms
from engine.acquire.read import acquire
from engine.bench.malformed.made_dicom import SLICES, square, write_directory, write_rtstruct, write_series
from engine.protocol import Images, Protocol

GTV = ("GTV-1", [square(8.0), square(10.0)])


def find(root, study, reference=("GTV-1", "tumour"), public_ids=True):
    study.mkdir(exist_ok=True)
    protocol = Protocol(images=Images(root=str(root), reference=reference))
    return discover(study, protocol, Pseudonyms(study, public_ids=public_ids))


def read(source, reference=("GTV-1", "tumour")):
    protocol = Protocol(images=Images(reference=reference))
    return acquire(source, protocol.images, protocol.acquire)


def dicom_case(root, rois=(GTV,), **series):
    write_series(root / "ct", **series)
    write_rtstruct(root / "rs.dcm", rois)
    return root


def image_file(path, values=None):
    array = np.full((12, 16, 16), -700, np.int16) if values is None else values
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


def mask_file(path, where=np.s_[4:8, 5:9, 3:7]):
    array = np.zeros((12, 16, 16), np.uint8)
    array[where] = 1
    return image_file(path, array)


def test_a_dicom_patient_is_one_case_with_its_structure_set(tmp_path):
    found = find(dicom_case(tmp_path / "in"), tmp_path / "study")
    (source,) = found.cases
    assert source.case_id == "P1"
    assert [f.role for f in source.files] == [f"CT slice {k}" for k in range(SLICES)] + ["RTSTRUCT 1"]
    case = read(source)
    assert [(m.structure, m.voxels) for m in case.masks] == [("tumour", 72)]
    assert case.lesions[0].name == "GTV-1"
    assert (case.lesions[0].centroid_x_mm, case.lesions[0].centroid_z_mm) == pytest.approx((-1.5, 9.0))


NO_SLICES = {
    "projection": ["DERIVED", "SECONDARY", "REFORMATTED", "MIP"],
    "map": ["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"],
}


@pytest.mark.parametrize("image_type", NO_SLICES.values(), ids=NO_SLICES)
def test_a_series_that_is_no_slices_is_not_chosen_over_one_that_is(tmp_path, image_type):
    """The other is thinner, and its UID the first: by the rules of the choice it would be read, and refused."""

    def average(number, ds):
        ds.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]

    def other(number, ds):
        ds.ImageType, ds.SliceThickness = image_type, 1.0

    write_series(tmp_path / "in/av", average, series_uid="1.2.3.9")
    write_series(tmp_path / "in/other", other, series_uid="1.2.3.1")
    (source,) = find(tmp_path / "in", tmp_path / "study").cases
    assert {Path(file.path).parent.name for file in source.files} == {"av"}
    assert source.choice.startswith(f"the only CT series; left out: {SLICES} images")
    assert read(source).ct.grid.size_xyz[2] == SLICES


def test_a_screen_in_a_series_of_slices_is_left_out(tmp_path):
    def screen(number, ds):
        ds.ImageType, ds.SOPInstanceUID = ["DERIVED", "SECONDARY", "SCREEN SAVE"], "1.2.3.5"

    root = dicom_case(tmp_path / "in")
    write_series(root / "screen", screen, numbers=[0])
    (source,) = find(root, tmp_path / "study").cases
    assert source.choice.endswith("left out: 1 images that ImageType calls screen, projection, rendering or map")
    assert read(source).ct.grid.size_xyz[2] == SLICES


def test_slices_with_a_frame_of_reference_each_are_read_with_the_outlines_of_their_series(tmp_path):
    root = dicom_case(tmp_path / "in", edit=lambda number, ds: ds.update({"FrameOfReferenceUID": f"1.2.3.{number}.9"}))
    case = read(find(root, tmp_path / "study").cases[0])
    assert [(mask.structure, mask.voxels) for mask in case.masks] == [("tumour", 72)]
    assert "frame_per_slice" in {flag.code for flag in case.flags}


def test_file_names_do_not_enter_roles_or_hashes(tmp_path):
    first = find(dicom_case(tmp_path / "a"), tmp_path / "one").cases[0]
    for number, path in enumerate(sorted((tmp_path / "a/ct").iterdir())):
        path.rename(tmp_path / "a" / f"{99 - number}.dcm")
    second = find(tmp_path / "a", tmp_path / "two").cases[0]
    assert [(f.role, f.sha256) for f in first.files] == [(f.role, f.sha256) for f in second.files]


def test_lungs_and_other_lesions_are_read_beside_the_index_lesion(tmp_path):
    rois = (
        ("GTV-2", [square(4.0)]),
        GTV,
        ("Lung-Left", [square(6.0, 2.5, 5.5)]),
        ("lung_r", [square(6.0, -6.5, -3.5)]),
        ("PTV", [square(6.0)]),
        ("Spinal-Cord", [square(6.0)]),
    )
    case = read(find(dicom_case(tmp_path / "in", rois), tmp_path / "study").cases[0])
    assert [(m.structure, m.lesion, m.voxels) for m in case.masks] == [
        ("tumour", 0, 72),
        ("tumour", 1, 36),
        ("lung_left", 0, 9),
        ("lung_right", 0, 9),
    ]
    assert [(one.name, one.role) for one in case.lesions] == [("GTV-1", "index"), ("GTV-2", "other")]


def test_an_unknown_roi_name_is_refused_with_what_is_near(tmp_path, make_study):
    root = dicom_case(tmp_path / "in", (("GTV1", [square(8.0)]), ("Heart", [square(8.0)])))
    (refused,) = check(make_study(root, "GTV-1")).refused
    assert refused.code == "no_reference_roi"
    assert "'GTV1'" in refused.remedy


def test_a_reference_on_another_series_is_refused(tmp_path):
    root = tmp_path / "in"
    write_series(root / "ct", series_uid="1.2.3.77")
    write_rtstruct(root / "rs.dcm", (GTV,))
    assert [r.code for r in find(root, tmp_path / "study").refusals] == ["other_series"]


def test_text_in_place_of_a_slice_refuses_the_series(tmp_path):
    root = dicom_case(tmp_path / "in")
    next((root / "ct").iterdir()).write_text("not found")
    found = find(root, tmp_path / "study")
    assert found.cases == ()
    assert [r.code for r in found.refusals] == ["undecodable"]


def test_a_licence_beside_the_slices_does_no_harm(tmp_path):
    root = dicom_case(tmp_path / "in")
    (root / "ct" / "LICENSE").write_text("free")
    assert len(find(root, tmp_path / "study").cases) == 1


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", "notes.docx", "IM001.jpeg", "md5sums", "viewer.exe"])
def test_what_file_browsers_and_discs_leave_beside_slices_does_no_harm_unless_it_may_be_a_slice(tmp_path, name):
    root = dicom_case(tmp_path / "in")
    (root / "ct" / name).write_bytes(b"\xd0\xcf\x11\xe0" * 64)
    assert len(find(root, tmp_path / "study").cases) == 1
    bare = next((root / "ct").glob("*_11.dcm"))
    (root / "ct" / name).write_bytes(bare.read_bytes()[132:])  # a slice without its preamble
    bare.unlink()
    assert [r.code for r in find(root, tmp_path / "study").refusals] == ["undecodable"]


@pytest.mark.parametrize("name", ["DICOMDIR", "ct/DICOMDIR", "ct/dir.dcm"])
def test_the_directory_of_a_disc_is_no_image_and_refuses_nobody(tmp_path, name):
    root = dicom_case(tmp_path / "in")
    dicom_case(tmp_path / "in/second", patient="P2", series_uid="1.2.3.5", rois=(GTV,))
    write_rtstruct(root / "second/rs.dcm", (GTV,), series_uid="1.2.3.5", patient="P2")
    write_directory(root / name, "P1", "P2")
    found = find(root, tmp_path / "study")
    assert [one.case_id for one in found.cases] == ["P1", "P2"]
    assert found.refusals == ()


@pytest.mark.parametrize("name", ["DICOMDIR", "Thumbs.db", "LICENSE"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_slice_is_read_or_refused_though_its_name_is_that_of_a_file_without_image(tmp_path, name, whole):
    root = dicom_case(tmp_path / "in")
    path = next((root / "ct").glob("*_11.dcm")).rename(root / "ct" / name)
    if not whole:
        path.write_bytes(path.read_bytes()[:400])
    found = find(root, tmp_path / "study")
    assert [sum(file.role.startswith("CT slice") for file in one.files) for one in found.cases] == [SLICES] * whole
    assert [r.code for r in found.refusals] == ["undecodable"] * (not whole)


def moved(root, place):
    """The last two of twelve slices under another name; `place` gets each file."""
    for path in [one for one in (root / "ct").iterdir() if one.stem.endswith(("_10", "_11"))]:
        target = place(path)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)


@pytest.mark.parametrize("suffix", [".gz", ".xml", ".nii", ".txt"])
def test_a_slice_is_known_by_its_content_whatever_its_name_says(tmp_path, suffix):
    root = dicom_case(tmp_path / "in")
    moved(root, lambda path: path.with_name(path.name + suffix))
    (source,) = find(root, tmp_path / "study").cases
    assert sum(file.role.startswith("CT slice") for file in source.files) == SLICES


@pytest.mark.parametrize("folder", ["artifacts", "private", "snapshots"])
def test_a_folder_named_like_one_of_the_studys_is_read_unless_the_study_wrote_it(tmp_path, folder):
    study = tmp_path / "study"
    root = dicom_case(study / "in")
    moved(root, lambda path: path.parent / folder / path.name)
    write_series(study / folder, patient="P2", series_uid="1.2.9")
    for images in (root, study):
        (source,) = find(images, study).cases
        assert source.case_id == "P1"
        assert sum(file.role.startswith("CT slice") for file in source.files) == SLICES


@pytest.mark.parametrize("alone", [True, False])
def test_packed_slices_refuse_who_lies_beside_them_or_the_study(tmp_path, alone):
    root = dicom_case(tmp_path / "in")
    packed = write_series(tmp_path / "x", patient="P2", series_uid="1.2.9")[0].read_bytes()
    target = (root / "packed" if alone else root / "ct") / "1.dcm.gz"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(gzip.compress(packed))
    refusals = find(root, tmp_path / "study").refusals
    assert [(r.case_id, r.code) for r in refusals] == [("" if alone else "P1", "undecodable")]


@pytest.mark.parametrize("name", [".part/{}", ".{}", ".rsync/deep/{}"])
def test_images_under_hidden_names_are_said_aloud(tmp_path, name):
    root = dicom_case(tmp_path / "in")
    (root / "ct/.rsync").mkdir()
    moved(root, lambda path: path.parent / name.format(path.name))
    (refusal,) = find(root, tmp_path / "study").refusals
    assert (refusal.case_id, refusal.code) == ("", "hidden_images")
    assert refusal.message.startswith("2 images")


def test_a_folder_that_cannot_be_listed_is_said_aloud_and_the_others_are_read(tmp_path, monkeypatch):
    root = dicom_case(tmp_path / "in")
    closed = root / "another"
    closed.mkdir()
    (root / "lost+found").mkdir()
    scan = os.scandir

    def refused(path):
        if Path(path) in (closed, root / "lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = find(root, tmp_path / "study")
    assert [one.case_id for one in found.cases] == ["P1"]
    (refusal,) = found.refusals
    assert (refusal.case_id, refusal.code) == ("", "closed_folder")
    assert refusal.message.startswith("1 folders")
    assert "another" not in refusal.message


NOT_OF_USERS = (".snapshot/daily.0", ".snapshots/1", ".zfs/snapshot", ".Trash-1000/files", ".Trashes/501")


@pytest.mark.parametrize("folder", [*NOT_OF_USERS, ".unpacking-x1/content", ".git/.snapshot"])
def test_what_servers_desktops_and_an_import_keep_is_nothing_to_say_and_not_looked_into(tmp_path, monkeypatch, folder):
    root = dicom_case(tmp_path / "in")
    image_file(root / folder / "1.nii.gz")
    image_file(root / ".nfs1.nii.gz").rename(root / ".nfs00000000018a")
    walked, walk = [], os.walk
    noted = lambda *top, **kept: (walked.append(Path(one[0])) or one for one in walk(*top, **kept))  # noqa: E731
    monkeypatch.setattr(os, "walk", noted)
    found = find(root, tmp_path / "study")
    assert ([one.case_id for one in found.cases], found.refusals) == (["P1"], ())
    assert root / "ct" in walked
    assert root / folder not in walked


def test_hidden_files_that_are_no_images_or_have_a_name_elsewhere_are_nothing_to_say(tmp_path):
    root = tmp_path / "in"
    image_file(root / ".git/annex/1.nii.gz")
    (root / "P1").mkdir()
    (root / "P1/image.nii.gz").symlink_to(root / ".git/annex/1.nii.gz")
    (root / "P1/._image.nii.gz").write_bytes(bytes(200))
    (root / "P1/.DS_Store").write_bytes(bytes(200))
    found = find(root, tmp_path / "study")
    assert ([one.case_id for one in found.cases], found.refusals) == (["P1"], ())


NO_FILE = {
    "link to nowhere": lambda path: path.symlink_to("/nowhere/image.nii.gz"),
    "link to itself": lambda path: path.symlink_to(path),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("make", NO_FILE.values(), ids=NO_FILE)
@pytest.mark.parametrize("name", ["image", "tumour"])
def test_a_name_that_leads_to_no_file_refuses_its_case_and_the_cohort_goes_on(tmp_path, make, name):
    root = tmp_path / "in"
    for patient in ("P1", "P2"):
        image_file(root / patient / "image.nii.gz")
        mask_file(root / patient / "tumour.nii.gz")
    path = root / "P1" / f"{name}.nii.gz"
    path.unlink()
    make(path)
    found = find(root, tmp_path / "study")
    assert [one.case_id for one in found.cases] == ["P2"]
    assert [(r.case_id, r.code) for r in found.refusals] == [("P1", "no_file")]
    assert "nowhere/" not in str(found.refusals)


def test_a_pipe_among_slices_refuses_the_series(tmp_path):
    root = dicom_case(tmp_path / "in")
    os.mkfifo(root / "ct" / "slice.dcm")
    assert [(r.case_id, r.code) for r in find(root, tmp_path / "study").refusals] == [("P1", "undecodable")]


def test_an_earlier_ct_that_is_no_file_is_noted(tmp_path):
    root = tmp_path / "in"
    image_file(root / "P1" / "image.nii.gz")
    (root / "P1" / "prior.nii.gz").symlink_to("/nowhere")
    (source,) = find(root, tmp_path / "study").cases
    assert source.prior.note == "the earlier CT is no file that can be read."


def test_a_file_in_a_folder_of_its_own_name_is_one_case(tmp_path):
    image_file(tmp_path / "in" / "P1_image.nii" / "P1_image.nii")
    found = find(tmp_path / "in", tmp_path / "study")
    assert ([one.case_id for one in found.cases], found.refusals) == (["P1"], ())


def test_a_patient_without_an_id_is_refused(tmp_path):
    write_series(tmp_path / "in", patient="")
    assert [r.code for r in find(tmp_path / "in", tmp_path / "study").refusals] == ["no_patient_id"]


@pytest.mark.parametrize("other", ["P2", "p1", ""])
def test_a_series_under_two_patient_ids_refuses_both(tmp_path, other):
    def edit(number, ds):
        if number >= 10:
            ds.PatientID = other

    found = find(dicom_case(tmp_path / "in", edit=edit), tmp_path / "study")
    assert found.cases == ()
    refused = {r.case_id: r for r in found.refusals}
    assert refused["P1"].code == "shared_series"
    assert len(refused) == 2
    assert "P1" not in refused["P1"].message


@pytest.mark.parametrize(
    ("of", "ours", "theirs", "two"),
    [
        ("PatientBirthDate", "19500101", "19600101", True),
        ("PatientSex", "M", "F", True),
        ("IssuerOfPatientID", "HOSPITAL A", "HOSPITAL B", True),
        ("PatientSex", "O", "F", False),
        ("PatientBirthDate", "19500101", "", False),
        ("PatientName", "A^B", "A^Smith", False),
    ],
)
def test_two_people_under_one_patient_id_are_not_one_patient(tmp_path, of, ours, theirs, two):
    write_series(tmp_path / "in/1", lambda _, ds: setattr(ds, of, ours))
    write_series(tmp_path / "in/2", lambda _, ds: setattr(ds, of, theirs), series_uid="1.2.3.5")
    found = find(tmp_path / "in", tmp_path / "study")
    assert [r.code for r in found.refusals] == (["two_people"] if two else [])
    assert not any(ours in r.message or (theirs and theirs in r.message) for r in found.refusals)


def set_tags(path, **tags):
    ds = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(ds, name, value)
    ds.save_as(path)


OF_PLANNING = {
    "birth date": {"PatientBirthDate": "19500101"},
    "issuer of the id": {"IssuerOfPatientID": "PLANNING"},
    "birth date, sex, issuer of the id": {
        "PatientBirthDate": "19000101",
        "PatientSex": "M",
        "IssuerOfPatientID": "PLANNING",
    },
}


@pytest.mark.parametrize("traits", OF_PLANNING)
def test_outlines_that_name_the_series_are_read_and_flagged_whatever_the_planning_system_says(tmp_path, traits):
    def person(number, ds):
        ds.PatientBirthDate, ds.PatientSex, ds.IssuerOfPatientID = "19500304", "F", "HOSPITAL"

    root = dicom_case(tmp_path / "in", edit=person)
    set_tags(root / "rs.dcm", **OF_PLANNING[traits])
    (source,) = find(root, tmp_path / "study").cases
    (flag,) = [flag for flag in read(source).flags if flag.code == "two_people"]
    assert flag.message.startswith(f"files of one PatientID differ in {traits}, though")
    assert not any(value in flag.message for value in OF_PLANNING[traits].values())
    write_rtstruct(root / "other.dcm", [("Heart", [])], series_uid="1.2.9")
    set_tags(root / "other.dcm", PatientBirthDate="19600101")
    assert [r.code for r in find(root, tmp_path / "study").refusals] == ["two_people"]


@pytest.mark.parametrize(("theirs", "two"), [("19500304", False), ("19500305", True), ("", True)])
def test_series_of_two_issuers_are_of_one_person_if_all_say_one_birth_date(tmp_path, theirs, two):
    root = tmp_path / "in"
    for uid, issuer, born in (("1.2.3.4", "A", "19500304"), ("1.2.3.5", "B", theirs)):
        write_series(root / uid, series_uid=uid)
        for path in (root / uid).iterdir():
            set_tags(path, IssuerOfPatientID=issuer, PatientBirthDate=born)
    found = find(root, tmp_path / "study", reference=())
    assert [r.code for r in found.refusals] == ["two_people"] * two
    assert ["two_people" in {flag.code for flag in read(one, ()).flags} for one in found.cases] == [True] * (not two)


def test_a_folder_whose_name_is_no_utf_8_stops_nobody(tmp_path, make_study):
    """As on disks written under Latin-1; the case is named by the bytes of its folder."""
    root = tmp_path / "in"
    for patient in ("P1", "P2"):
        image_file(root / patient / "image.nii.gz")
        mask_file(root / patient / "tumour.nii.gz")
    os.rename(root / "P2", os.path.join(os.fsencode(root), b"M\xfcller"))
    found = find(root, tmp_path / "study")
    assert len(found.cases) == 2
    assert "P1" in {case.case_id for case in found.cases}
    assert all(PSEUDONYM.fullmatch(case.case_id) for case in found.cases if case.case_id != "P1")
    assert len(check(make_study(root)).accepted) == 2


def test_one_image_file_under_two_patient_ids_is_flagged_in_both_without_naming_either(tmp_path, make_study):
    root = tmp_path / "in"
    for patient, low in (("P1", -700), ("P2", -700), ("P3", -701)):
        image_file(root / patient / "image.nii.gz", np.full((12, 16, 16), low, np.int16))
        mask_file(root / patient / "tumour.nii.gz")
    found = [one for one in check(make_study(root)).flagged if one.code == "same_image"]
    assert [one.case for one in found] == ["P1", "P2"]
    assert found[0].message == found[1].message
    assert not any(patient in found[0].message for patient in ("P1", "P2"))


def test_a_patient_without_ct_is_refused(tmp_path):
    def magnetic(number, ds):
        ds.Modality, ds.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"

    write_series(tmp_path / "in", magnetic)
    assert [r.code for r in find(tmp_path / "in", tmp_path / "study").refusals] == ["no_ct"]


def test_a_patient_in_two_places_is_refused(tmp_path):
    root = dicom_case(tmp_path / "in")
    image_file(root / "P1" / "image.nii.gz")
    found = find(root, tmp_path / "study")
    assert found.cases == ()
    assert [r.code for r in found.refusals] == ["duplicate_case"]


def test_the_outlined_series_is_the_index_series(tmp_path):
    root = dicom_case(tmp_path / "in")
    write_series(root / "other", lambda n, ds: setattr(ds, "SliceThickness", 1.0), series_uid="1.2.3.1")
    (source,) = find(root, tmp_path / "study").cases
    assert source.alternatives == 1
    assert source.choice == "of 2 CT series, decided by: outlined"
    assert read(source).acquisition[0].slice_thickness_mm == 2.0


@pytest.mark.parametrize(("later", "thickness"), [("20210601", 2.0), ("20200101", 1.0)], ids=["follow-up", "thin"])
def test_lungs_outlined_on_another_series_do_not_draw_the_choice_off_the_tumour(tmp_path, later, thickness):
    def other(number, ds):
        ds.StudyDate, ds.SliceThickness = later, thickness

    root = dicom_case(tmp_path / "in", edit=lambda n, ds: setattr(ds, "StudyDate", "20200101"))
    write_series(root / "other", other, series_uid="1.2.3.5")
    write_rtstruct(root / "lungs.dcm", [("Lung_L", [square(8.0)]), ("Heart", [square(8.0)])], series_uid="1.2.3.5")
    (source,) = find(root, tmp_path / "study").cases
    assert source.choice == "of 2 CT series, decided by: the reference outlined"
    assert [(mask.structure, mask.voxels) for mask in read(source).masks] == [("tumour", 72)]
    (source,) = find(root, tmp_path / "unnamed", reference=()).cases
    assert "the reference outlined" not in source.choice


def test_a_reference_on_a_part_of_a_series_is_refused_by_the_series_that_was_chosen(tmp_path):
    root = dicom_case(tmp_path / "in", numbers=range(3))
    write_series(root / "other", series_uid="1.2.3.5")
    (refusal,) = find(root, tmp_path / "study").refusals
    assert (refusal.code, refusal.message) == (
        "other_series",
        "the reference was outlined on another series than the one chosen (of 2 CT series, decided by: enough slices).",
    )


def test_a_scout_is_no_alternative(tmp_path):
    def scout(number, ds):
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    root = dicom_case(tmp_path / "in")
    write_series(root / "scout", scout, series_uid="1.2.3.1", numbers=range(2))
    assert find(root, tmp_path / "study").cases[0].alternatives == 0


def test_folders_and_flat_files_are_cases(tmp_path):
    root = tmp_path / "in"
    image_file(root / "A-1" / "image.nii.gz")
    mask_file(root / "A-1" / "tumour.nii.gz")
    mask_file(root / "A-1" / "lung_left.nii.gz", np.s_[:, :, 8:])
    image_file(root / "flat" / "B_CT_image.nii.gz")
    mask_file(root / "flat" / "B_CT_Tumour.nii.gz")
    image_file(root / "flat" / "C_image.nrrd")
    mask_file(root / "flat" / "C_lungs.nrrd", np.s_[:, :, :])
    cases = {source.case_id: source for source in find(root, tmp_path / "study").cases}
    roles = {case: [f.role for f in source.files] for case, source in cases.items()}
    assert roles == {
        "A-1": ["CT image", "reference mask", "left lung mask"],
        "B": ["CT image", "reference mask"],
        "C": ["CT image", "lungs mask"],
    }
    assert [(m.structure, m.voxels) for m in read(cases["A-1"]).masks] == [("tumour", 64), ("lung_left", 1536)]
    assert "no_reference" in [flag.code for flag in read(cases["C"]).flags]


def test_two_patients_whose_ids_differ_by_case_keep_each_his_own_mask(tmp_path):
    root = tmp_path / "in"
    for patient in ("p1", "P1"):
        image_file(root / f"{patient}_image.nii.gz")
        mask_file(root / f"{patient}_Tumour.nii.gz")
        mask_file(root / f"{patient}_ct_lungs.nii.gz", np.s_[:, :, :])
    cases = find(root, tmp_path / "study").cases
    assert {one.case_id: [Path(f.path).name for f in one.files] for one in cases} == {
        patient: [f"{patient}_{name}.nii.gz" for name in ("image", "Tumour", "ct_lungs")] for patient in ("P1", "p1")
    }


@pytest.mark.parametrize("second", ["tumour.nrrd", "TUMOUR.nii.gz"])
def test_two_masks_of_one_name_are_refused_and_neither_is_chosen(tmp_path, second):
    root = tmp_path / "in"
    image_file(root / "A" / "image.nii.gz")
    mask_file(root / "A" / "tumour.nii.gz")
    mask_file(root / "A" / second, np.s_[5:6, 5:9, 3:7])
    assert [r.code for r in find(root, tmp_path / "study").refusals] == ["duplicate_mask"]


def test_a_flipped_bit_in_a_date_costs_one_series_its_date_and_nobody_else_his_study(tmp_path):
    root = tmp_path / "in"
    for name, uid, day in (("old", "1.2.3.1", "20200101"), ("new", "1.2.3.2", "20210101")):
        write_series(root / name, lambda n, ds, day=day: setattr(ds, "StudyDate", day), series_uid=uid)
    for path in (root / "new").iterdir():
        path.write_bytes(path.read_bytes().replace(b"20210101", b"\xb20210101"))
    write_series(root / "other", patient="P2")
    cases = {one.case_id: one for one in find(root, tmp_path / "study").cases}
    assert sorted(cases) == ["P1", "P2"]
    assert Path(cases["P1"].files[0].path).parent.name == "old"


def test_a_single_lungs_mask_is_split_by_side(tmp_path):
    root = tmp_path / "in"
    image_file(root / "A" / "image.nii.gz")
    mask_file(root / "A" / "lungs.nii.gz", np.s_[:, :, [1, 2, 9, 10, 11]])
    masks = {m.structure: m.voxels for m in read(find(root, tmp_path / "study").cases[0]).references.masks}
    # SimpleITK images are LPS: x grows to the patient's left
    assert np.flatnonzero(masks["lung_left"].any(axis=(0, 1))).tolist() == [9, 10, 11]
    assert np.flatnonzero(masks["lung_right"].any(axis=(0, 1))).tolist() == [1, 2]


def test_an_image_table_names_files_and_acquisition(tmp_path):
    root = tmp_path / "in"
    image_file(root / "x" / "one.nii.gz")
    mask_file(root / "x" / "seg.nii.gz")
    (root / "images.csv").write_text(
        "case_id,image,reference,lungs,convolution_kernel,contrast,manufacturer,slice_thickness_mm,kvp,scan_days\n"
        "007,x/one.nii.gz,x/seg.nii.gz:1,,B60f,yes,SIEMENS,1.5,120,-12\n"
        "008,x/two.nii.gz,,,,,,,,\n"
    )
    found = find(root, tmp_path / "study", reference=("tumour",))
    assert [(r.case_id, r.code) for r in found.refusals] == [("008", "missing_file")]
    case = read(found.cases[0])
    assert found.cases[0].case_id == "007"
    (acquisition,) = case.acquisition
    assert (acquisition.kernel_group, acquisition.contrast, acquisition.scan_days) == ("sharp", "yes", -12)
    assert (acquisition.slice_thickness_mm, acquisition.kvp) == (1.5, 120.0)
    assert case.lesions[0].volume_ml == pytest.approx(0.064)


def test_a_table_of_the_studys_holder_may_look_beside_its_folder_by_a_relative_path_only(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    image_file(tmp_path / "beside" / "one.nii.gz")
    rows = f"A,../beside/one.nii.gz\nB,{tmp_path / 'beside/one.nii.gz'}\n"
    (root / "images.csv").write_text("case_id,image\n" + rows)
    found = find(root, tmp_path / "study")
    assert [one.case_id for one in found.cases] == ["A"]
    assert [(r.case_id, r.code) for r in found.refusals] == [("B", "outside_folder")]
    assert str(tmp_path) not in str(found.refusals)


@pytest.mark.parametrize("days", ["\N{SUPERSCRIPT TWO}", "9" * 5000, "-3", "1.5"])
def test_days_of_an_earlier_ct_that_are_no_whole_number_are_noted(tmp_path, days):
    root = tmp_path / "in"
    image_file(root / "one.nii.gz")
    (root / "images.csv").write_text(f"case_id,image,prior,prior_days\nA,one.nii.gz,one.nii.gz,{days}\n")
    (source,) = find(root, tmp_path / "study").cases
    assert source.prior.days_before is None
    assert "whole number" in source.prior.note


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ((), "reference"),
        (("tumour",), "tumour"),
        (("GTV-1", "tumour"), "reference"),
        (("GTV-1", "doe_jane"), "doe_jane"),
    ],
)
def test_a_listed_lesion_is_never_called_by_its_file(tmp_path, wanted, name):
    root = tmp_path / "in"
    image_file(root / "x" / "one.nii.gz")
    mask_file(root / "x" / "Doe_Jane.nii.gz")
    (root / "images.csv").write_text("case_id,image,reference\n007,x/one.nii.gz,x/Doe_Jane.nii.gz\n")
    (source,) = find(root, tmp_path / "study", reference=wanted).cases
    assert [lesion.name for lesion in read(source).lesions] == [name]


def test_ids_become_pseudonyms_and_stay_in_the_private_folder(tmp_path):
    root, study = dicom_case(tmp_path / "in", patient="Doe^Jane"), tmp_path / "study"
    shutil.copytree(root / "ct", root / "again")
    (root / "rs.dcm").unlink()
    (source,) = find(root, study, reference=(), public_ids=False).cases
    assert PSEUDONYM.fullmatch(source.case_id)
    pseudonyms = Pseudonyms(study, public_ids=False)
    assert pseudonyms.patient_id(source.case_id) == "Doe^Jane"
    assert pseudonyms.case_id("Doe^Jane") == source.case_id
    for path in (study / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((study / "private").stat().st_mode) == 0o700


def test_another_study_gives_another_pseudonym(tmp_path):
    ids = {Pseudonyms(tmp_path / name, public_ids=False).case_id("Doe^Jane") for name in ("a", "b")}
    assert len(ids) == 2


@pytest.mark.parametrize("patient", ["../x", "a b", "Doe^Jane", "", "x" * 65, ".hidden", "Ünal"])
def test_ids_that_are_not_plain_are_never_public(tmp_path, patient):
    assert PSEUDONYM.fullmatch(Pseudonyms(tmp_path, public_ids=True).case_id(patient))


def test_refusals_never_name_the_patient_or_a_path(tmp_path, make_study):
    root = dicom_case(tmp_path / "Doe_Jane", patient="DoeJane77", edit=lambda n, ds: delattr(ds, "RescaleSlope"))
    (refused,) = find_and_read(root, tmp_path / "study")
    assert refused.code == "no_rescale"
    assert "Doe" not in f"{refused.message}{refused.remedy}{refused.file}"


def find_and_read(root, study):
    from engine.protocol import write_protocol

    study.mkdir()
    (root / "rs.dcm").unlink()
    write_protocol(study, Protocol(images=Images(root=str(root))))
    return check(study).refused
