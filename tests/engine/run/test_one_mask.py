"""One mask without a study."""

import csv
import io

import numpy as np
import pytest
import SimpleITK as sitk

from engine.protocol import Features
from engine.run.one_mask import as_csv, extract_one

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
