"""One mask without a study."""

import csv
import io

import numpy as np
import pytest
import SimpleITK as sitk

from engine.bench.malformed.made_dicom import SIDE, SLICES, write_directory, write_rtstruct, write_series
from engine.protocol import Features
from engine.run.one_mask import as_csv, extract_one
from store.records import RefusedError

SHORT = Features(recipe="original-107")


@pytest.fixture
def files(tmp_path):
    values = np.random.default_rng(0).integers(-300, 200, (16, 18, 20)).astype(np.int16)
    mask = np.zeros(values.shape, dtype=np.uint8)
    mask[4:12, 5:12, 5:13] = 2
    for array, name in ((values, "image"), (mask, "mask")):
        image = sitk.GetImageFromArray(array)
        image.SetOrigin((1.0, 2.0, 3.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    return tmp_path / "image.nrrd", tmp_path / "mask.nrrd"


def test_every_feature_is_a_row_with_its_status(files):
    rows = extract_one(*files, 2, SHORT)
    assert len(rows) == 107
    assert {row.status for row in rows} == {"ok"}
    volume = next(row.value for row in rows if row.feature == "VoxelVolume")
    assert volume == 8 * 7 * 8


def test_the_csv_reads_back_to_the_last_digit(files):
    rows = extract_one(*files, 2, SHORT)
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [float(row["value"]) for row in read] == [row.value for row in rows]
    assert list(read[0]) == ["image_type", "feature_class", "feature", "value", "status"]


def test_a_mask_under_27_voxels_is_too_small(files):
    image, mask = files
    array = sitk.ReadImage(str(mask))
    few = sitk.GetArrayFromImage(array)
    few[few > 0] = 0
    few[5:7, 5:7, 5:7] = 2
    small = sitk.GetImageFromArray(few)
    small.CopyInformation(array)
    sitk.WriteImage(small, str(mask))
    rows = extract_one(image, mask, 2, SHORT)
    assert {(row.value, row.status) for row in rows} == {(None, "too_small")}


def test_an_absent_image_is_said_without_its_path(files, tmp_path):
    with pytest.raises(FileNotFoundError, match="the image file does not exist"):
        extract_one(tmp_path / "none.nii.gz", files[1], 1, SHORT)


def test_an_absent_mask_is_said_without_its_path(files, tmp_path):
    with pytest.raises(FileNotFoundError, match="the mask file does not exist"):
        extract_one(files[0], tmp_path / "none.nrrd", 1, SHORT)


@pytest.fixture
def dicom(tmp_path):
    """A series of noise with a structure set and a DICOMDIR beside it, and a mask of labels 1 and 3 on its grid."""
    rng = np.random.default_rng(1)

    def noise(number, ds):
        ds.PixelData = rng.integers(0, 1500, (SIDE, SIDE)).astype(np.uint16).tobytes()

    write_series(tmp_path / "ct", noise)
    write_rtstruct(tmp_path / "ct" / "rs.dcm", [("GTV-1", [])])
    write_directory(tmp_path / "ct" / "DICOMDIR", "P1")
    labels = np.zeros((SLICES, SIDE, SIDE), dtype=np.uint8)
    labels[3:8, 4:10, 5:12] = 1
    labels[3:8, 4:10, 12:15] = 3
    return tmp_path / "ct", written(labels, tmp_path / "labels.nii.gz", (-8.0, -8.0, 0.0), (1.0, 1.0, 2.0))


def written(array, path, origin, spacing=(1.0, 1.0, 1.0)):
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def value(rows, name):
    return next(row.value for row in rows if row.feature == name)


def test_a_dicom_folder_is_measured_in_hu_within_the_mask_of_each_label(dicom):
    """5 slices of 2 mm, 6 x 7 and 6 x 3 pixels of 1 mm; the nearest of 1 mm slices cover the same volume."""
    one, three = (extract_one(*dicom, label, SHORT) for label in (1, 3))
    assert value(one, "VoxelVolume") == 5 * 2 * 6 * 7
    assert value(three, "VoxelVolume") == 5 * 2 * 6 * 3
    assert -1000 <= value(one, "Minimum") < value(one, "Maximum") <= 400


def test_nifti_and_nrrd_of_one_image_give_the_same_values(files, tmp_path):
    image, mask = (sitk.ReadImage(str(file)) for file in files)
    for one, name in ((image, "i.nii.gz"), (mask, "m.nii.gz")):
        sitk.WriteImage(one, str(tmp_path / name))
    assert extract_one(tmp_path / "i.nii.gz", tmp_path / "m.nii.gz", 2, SHORT) == extract_one(*files, 2, SHORT)


def refusal(*arguments):
    with pytest.raises(RefusedError) as caught:
        extract_one(*arguments, SHORT)
    assert str(arguments[0].parent) not in str(caught.value)
    return caught.value.code, caught.value.file, caught.value.message


def test_a_label_that_the_mask_lacks_is_refused(dicom):
    assert refusal(*dicom, 2) == ("no_label", "mask", "label 2 is absent; the mask holds [1, 3].")


def test_a_mask_off_the_grid_of_the_image_is_refused(files, tmp_path):
    half = written(np.ones((16, 18, 20), np.uint8), tmp_path / "half.nrrd", (1.5, 2.0, 3.0))
    code, file, message = refusal(files[0], half, 1)
    assert (code, file) == ("geometry_differs", "mask")
    assert "origin (1.5, 2.0, 3.0) against (1.0, 2.0, 3.0)" in message


def test_a_folder_with_two_ct_series_is_refused(dicom):
    write_series(dicom[0] / "other", series_uid="1.2.3.5")
    assert refusal(*dicom, 1) == ("several_series", "image folder", "it holds 2 CT series.")


def test_a_folder_without_ct_is_refused(dicom, tmp_path):
    write_rtstruct(tmp_path / "only" / "rs.dcm", [("GTV-1", [])])
    assert refusal(tmp_path / "only", dicom[1], 1)[0] == "no_ct"


@pytest.mark.parametrize("suffix", ["nrrd", "nii.gz"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_with_a_voxel_that_is_no_number_is_refused(files, tmp_path, suffix, bad):
    values = np.zeros((16, 18, 20), dtype=np.float32)
    values[0, 0, 0] = bad
    image = written(values, tmp_path / f"bad.{suffix}", (1.0, 2.0, 3.0))
    assert refusal(image, files[1], 2)[:2] == ("not_finite", "image")


def test_a_soft_mask_is_refused(files, tmp_path):
    soft = written(np.full((16, 18, 20), 0.5, np.float32), tmp_path / "soft.nrrd", (1.0, 2.0, 3.0))
    assert refusal(files[0], soft, 1)[:2] == ("soft_mask", "mask")


def test_the_label_of_a_mask_and_other_labels_beside_it_change_nothing(files, tmp_path):
    image, mask = files
    first = extract_one(image, mask, 2, SHORT)
    labels = sitk.ReadImage(str(mask))
    array = sitk.GetArrayFromImage(labels)
    array[array == 2] = 200
    array[14:, 14:, 14:] = 2
    relabelled = sitk.GetImageFromArray(array)
    relabelled.CopyInformation(labels)
    sitk.WriteImage(relabelled, str(tmp_path / "other.nrrd"))
    assert extract_one(image, tmp_path / "other.nrrd", 200, SHORT) == first
