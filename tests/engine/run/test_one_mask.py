"""One mask without a study."""

import csv
import io

import numpy as np
import pytest
import SimpleITK as sitk

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


def test_an_absent_image_is_said_without_its_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="the image file does not exist"):
        extract_one(tmp_path / "none.nii.gz", tmp_path / "mask.nii.gz", 1, SHORT)


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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(files, tmp_path, value):
    image, mask = files
    whole = sitk.ReadImage(str(image))
    array = sitk.GetArrayFromImage(whole).astype(np.float32)
    array[0, 0, 0] = value
    broken = sitk.GetImageFromArray(array)
    broken.CopyInformation(whole)
    sitk.WriteImage(broken, str(tmp_path / "broken.nrrd"))
    with pytest.raises(RefusedError) as refused:
        extract_one(tmp_path / "broken.nrrd", mask, 2, SHORT)
    assert refused.value.code == "not_finite"
