"""An earlier CT: which series it is, where it lies on the index series, and that it changes nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from engine.acquire.check import check
from engine.acquire.discover import discover
from engine.acquire.prior import align_lungs, read_prior
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import acquire
from engine.geometry import cropped_grid
from engine.phantom.cohort import draw_cohort
from engine.phantom.earlier import earlier_of, make_earlier
from engine.phantom.thorax import make_phantom
from engine.protocol import Images, Protocol, Study, read_protocol, write_protocol
from engine.run.review_volumes import Extent, matching_slice, prior_extent
from engine.run.sources import case_identity
from store.records import PriorScan
from store.source_list import Sources, forget_source, read_case_source, read_sources, write_sources
from store.sources import PriorSource, SourceFile
from store.volumes import CtSeries, Grid

COARSE_MM = 4.0


def found_in(study: Path):
    protocol = read_protocol(study)
    return discover(study, protocol, Pseudonyms(study, public_ids=True)).cases


def scan(shift, days=100):
    x, y, z = shift
    return PriorScan(days, "B31f", "soft", "no", 5.0, 1.0, 1.0, 5.0, x, y, z, 0.9)


def write(path: Path, array) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 2.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def noise(slices=16):
    return np.random.default_rng(slices).integers(-900, 100, (slices, 20, 20)).astype(np.int16)


def file_study(folder: Path, prior=None, table: str = "") -> Path:
    write(folder / "images" / "P1" / "image.nii.gz", noise())
    if prior is not None:
        write(folder / "images" / "P1" / "prior.nii.gz", prior)
    if table:
        (folder / "images" / "images.csv").write_text(table)
    images = Images(root="images", reference=("tumour",))
    write_protocol(folder, Protocol(study=Study(public_ids=True), images=images))
    return folder


def copied_series(series: Path, to: Path, day: str, shift_mm: float) -> None:
    """The same slices as another series of another day, moved along z."""
    to.mkdir(parents=True)
    uid, frame = generate_uid(), generate_uid()
    for path in sorted(series.rglob("*.dcm")):
        slice_ = pydicom.dcmread(path)
        if slice_.Modality != "CT":
            continue
        slice_.SeriesInstanceUID, slice_.SOPInstanceUID = uid, generate_uid()
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID
        slice_.FrameOfReferenceUID, slice_.StudyDate = frame, day
        x, y, z = slice_.ImagePositionPatient
        slice_.ImagePositionPatient = [x, y, float(z) + shift_mm]
        slice_.save_as(to / path.name)


@pytest.fixture(scope="module")
def lung1(real_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, date]:
    """LUNG1-001 with the same chest a second time: 200 days earlier, and 35 mm lower on the table."""
    root = tmp_path_factory.mktemp("prior")
    shutil.copytree(real_tree / "lung1", root / "images")
    first = next(
        found
        for path in sorted((root / "images").rglob("*.dcm"))
        if (found := pydicom.dcmread(path, stop_before_pixels=True)).Modality == "CT"
    )
    day = date.fromisoformat(first.StudyDate)
    copied_series(root / "images", root / "images" / "older", (day - timedelta(400)).strftime("%Y%m%d"), -10.0)
    copied_series(root / "images" / "older", root / "images" / "old", (day - timedelta(200)).strftime("%Y%m%d"), -25.0)
    images = Images(root="images", reference=("GTV-1",))
    write_protocol(root, Protocol(study=Study(public_ids=True), images=images))
    return root, day


def test_the_latest_earlier_series_of_a_patient_is_shown_where_it_lies_on_the_index_series(lung1):
    root, _ = lung1
    (source,) = found_in(root)
    assert source.prior is not None
    assert source.prior.days_before == 200
    assert [{Path(file.path).parent.name for file in one.files} for one in (source.prior, *source.prior.others)] == [
        {"old"},
        {"older"},
    ]
    rules = read_protocol(root).acquire
    case = acquire(source, read_protocol(root).images, rules)
    found = read_prior(source.prior, case.ct, rules)
    assert not found.flags
    assert found.image.ct is not None
    assert np.array_equal(found.image.ct.intensity_hu, case.ct.intensity_hu)
    (made,) = found.scan
    assert (made.shift_x_mm, made.shift_y_mm, made.shift_z_mm) == pytest.approx((0.0, 0.0, 35.0), abs=COARSE_MM)
    assert made.lung_overlap == pytest.approx(1.0, abs=0.02)


def test_a_later_head_ct_gives_way_to_the_chest_before_it(lung1):
    root, _ = lung1
    (source,) = found_in(root)
    rules = read_protocol(root).acquire
    case = acquire(source, read_protocol(root).images, rules)
    head = root / "head"
    head.mkdir()
    for file in source.prior.files:
        slice_ = pydicom.dcmread(file.path)
        slice_.PixelData = np.full(slice_.pixel_array.shape, 1064, slice_.pixel_array.dtype).tobytes()  # no air in it
        slice_.save_as(head / Path(file.path).name)
    files = tuple(SourceFile("prior CT slice", str(path), "") for path in sorted(head.glob("*.dcm")))
    later = PriorSource("dicom", files, 12, "", (source.prior,))
    assert read_prior(later, case.ct, rules).scan[0].days_before == 200
    alone = read_prior(replace(later, others=()), case.ct, rules)
    assert (alone.scan[0].days_before, alone.scan[0].shift_z_mm) == (12, None)
    refused = PriorSource("dicom", files[:2], 5, "", (source.prior,))
    assert read_prior(refused, case.ct, rules).scan[0].days_before == 200


def test_an_earlier_series_changes_neither_the_index_series_nor_any_other_key(lung1, real_tree, make_study):
    root, _ = lung1
    (with_prior,) = found_in(root)
    (alone,) = found_in(make_study(real_tree / "lung1", "GTV-1"))
    assert alone.prior is None
    assert [file.sha256 for file in with_prior.files] == [file.sha256 for file in alone.files]
    same_words = {"choice": alone.choice, "alternatives": alone.alternatives}
    assert case_identity(replace(with_prior, **same_words)) == case_identity(alone)


def test_a_series_of_the_same_day_is_no_earlier_one(real_tree, tmp_path, lung1):
    _, day = lung1
    shutil.copytree(real_tree / "lung1", tmp_path / "images")
    copied_series(tmp_path / "images", tmp_path / "images" / "again", day.strftime("%Y%m%d"), 0.0)
    images = Images(root="images", reference=("GTV-1",))
    write_protocol(tmp_path, Protocol(study=Study(public_ids=True), images=images))
    (source,) = found_in(tmp_path)
    assert source.alternatives == 1
    assert source.prior is None


@pytest.mark.parametrize("number", range(3))
def test_lungs_are_laid_on_each_other_where_a_phantom_was_moved(number):
    case = draw_cohort(3, 7)[number].phantom
    now = make_phantom(case)
    array, grid = make_earlier(case)
    cut = (slice(6, -4), slice(2, None), slice(None, -3))
    box = tuple(slice(*part.indices(n)[:2]) for part, n in zip(cut, array.shape, strict=True))
    part = CtSeries(array[cut], cropped_grid(grid, box))
    found = align_lungs(part, CtSeries(now.intensity_hu, now.grid))
    assert found is not None
    assert found.shift_mm == pytest.approx(earlier_of(case).shift_mm, abs=COARSE_MM)
    assert found.overlap > 0.9


def test_images_without_lungs_are_not_linked(tmp_path):
    study = file_study(tmp_path, noise(18))
    (source,) = found_in(study)
    rules = read_protocol(study).acquire
    found = read_prior(source.prior, acquire(source, read_protocol(study).images, rules).ct, rules)
    assert found.scan[0].shift_z_mm is None
    assert found.image.ct is not None


def test_an_earlier_image_that_the_gate_refuses_is_flagged_and_its_case_goes_on(tmp_path):
    study = file_study(tmp_path, noise(1))
    result = check(study)
    assert result.accepted == ("P1",)
    assert not result.refused
    (flag,) = [flag for flag in result.flagged if flag.code == "prior_refused"]
    assert "1 slices" in flag.message
    (source,) = found_in(study)
    rules = read_protocol(study).acquire
    found = read_prior(source.prior, acquire(source, read_protocol(study).images, rules).ct, rules)
    assert found.image.ct is None
    assert found.scan == ()


@pytest.mark.parametrize(("cell", "days"), [("120", 120), ("", None), ("NA", None)])
def test_a_table_of_images_says_how_many_days_before(tmp_path, cell, days):
    table = f"case_id,image,prior,prior_days\nP1,P1/image.nii.gz,P1/prior.nii.gz,{cell}\n"
    (source,) = found_in(file_study(tmp_path, noise(18), table))
    assert source.prior.days_before == days
    assert [file.role for file in source.prior.files] == ["prior CT image"]


TABLE = "case_id,image,prior,prior_days\nP1,P1/image.nii.gz,{prior},{days}\n"


@pytest.mark.parametrize(
    ("prior", "days", "shown"),
    [
        ("P1/prior.nii.gz", "-3", True),
        ("P1/prior.nii.gz", "soon", True),
        ("P1/prior.nii.gz", "\u00b2", True),
        ("P1/nowhere.nii.gz", "30", False),
    ],
)
def test_an_earlier_ct_that_is_named_wrongly_is_flagged_and_no_patient_is_lost_for_it(tmp_path, prior, days, shown):
    study = file_study(tmp_path, noise(18), TABLE.format(prior=prior, days=days))
    result = check(study)
    assert (result.accepted, result.refused) == (("P1",), ())
    assert "prior_note" in [flag.code for flag in result.flagged]
    (source,) = found_in(study)
    assert (bool(source.prior.files), source.prior.days_before) == (shown, None)


def test_two_files_named_as_the_earlier_ct_are_none(tmp_path):
    study = file_study(tmp_path, noise(18))
    write(study / "images" / "P1" / "prior.nrrd", noise(18))
    result = check(study)
    assert (result.accepted, result.refused) == (("P1",), ())
    assert "prior_note" in [flag.code for flag in result.flagged]


def test_the_list_of_sources_keeps_the_earlier_files_and_a_withdrawal_names_them(tmp_path):
    study = file_study(tmp_path, noise(18))
    (source,) = found_in(study)
    write_sources(study, Sources((source,)))
    assert read_case_source(study, "P1") == source
    assert read_sources(study).cases == (source,)
    assert set(forget_source(study, "P1")) == {file.path for file in source.every_file}
    assert any(path.endswith("prior.nii.gz") for path in (file.path for file in source.every_file))


GRID = Grid((100, 90, 60), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
EARLIER = Grid((80, 80, 30), (1.5, 1.5, 5.0), (-10.0, 5.0, 20.0))


def test_the_box_beside_a_tumour_holds_the_same_place_and_a_margin():
    box = (20, 30, 40, 50, 30, 60)
    found = prior_extent(EARLIER, GRID, scan((5.0, -5.5, -30.0)), Extent(box, (1, 1, 1)))
    # z 40..58 mm and 30 more is 70..88: slices (70-20-10)/5 = 8 to (88-20+10)/5 = 15.6
    assert found.box[:2] == (8, 17)
    # y 40..49 and 5.5 more is 45.5..54.5: rows (45.5-5-10)/1.5 = 20.3 to (54.5-5+10)/1.5 = 39.7
    assert found.box[2:4] == (20, 41)
    # x 30..59 less 5 is 25..54: columns (25+10-10)/1.5 = 16.7 to (54+10+10)/1.5 = 49.3
    assert found.box[4:] == (16, 51)
    assert found.stride == (1, 1, 1)


def test_the_whole_series_goes_with_the_whole_series_and_a_preview_with_a_preview():
    whole = Extent((0, 60, 0, 90, 0, 100), (1, 1, 1))
    large = Grid((512, 512, 300), (0.7, 0.7, 1.0), (0.0, 0.0, 0.0))
    assert prior_extent(large, GRID, scan((0.0, 0.0, 0.0)), whole) == Extent((0, 300, 0, 512, 0, 512), (1, 1, 1))
    preview = prior_extent(large, GRID, scan((0.0, 0.0, 0.0)), Extent((0, 60, 0, 90, 0, 100), (1, 2, 2)))
    assert preview == Extent((0, 300, 0, 512, 0, 512), (2, 2, 2))
    not_linked = prior_extent(large, GRID, scan((None, None, None)), Extent((0, 5, 0, 9, 0, 9), (1, 1, 1)))
    assert not_linked == preview


def test_slices_are_matched_by_their_place():
    # slice 10 lies at 20 mm, 30 mm further is 50: (50 - 20) / 5 = 6
    assert matching_slice(GRID, EARLIER, scan((0.0, 0.0, -30.0)), 10) == 6
    # 480 mm lower is 500 mm below its first slice: 100 slices
    assert matching_slice(GRID, EARLIER, scan((0.0, 0.0, 500.0)), 10) == -100
    assert matching_slice(GRID, EARLIER, scan((None, None, None)), 10) is None
