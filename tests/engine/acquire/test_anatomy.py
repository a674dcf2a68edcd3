"""The label map beside an image: named values, one geometry, nothing guessed."""

import numpy as np
import pytest
import SimpleITK as sitk

from engine.acquire.anatomy import read_label_maps
from engine.acquire.content_index import ContentIndex
from engine.acquire.file_cases import listed_cases, named_cases
from engine.geometry import to_image
from engine.protocol import Acquire, Images
from engine.training_protocol import Anatomy
from store.records import RefusedError
from store.sources import CaseSource, SourceFile
from store.volumes import CtSeries, Grid

GRID = Grid((6, 5, 12), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
CT = CtSeries(np.zeros(GRID.shape_zyx, dtype=np.int16), GRID)


def labels(values: dict[int, int]) -> np.ndarray:
    """A map that is 0 but for the given number of voxels of each value."""
    flat = np.zeros(int(np.prod(GRID.shape_zyx)), dtype=np.int16)
    start = 0
    for value, count in values.items():
        flat[start : start + count] = value
        start += count
    return flat.reshape(GRID.shape_zyx)


def source(folder, array, grid=GRID) -> CaseSource:
    path = folder / "anatomy.nii.gz"
    sitk.WriteImage(to_image(array, grid), str(path))
    return CaseSource("A", "files", (SourceFile("anatomy label map", str(path), "a" * 64),))


def test_every_named_value_becomes_a_mask(tmp_path):
    found = read_label_maps(source(tmp_path, labels({1: 3, 3: 4})), CT, Acquire(), Anatomy(labels=("a", "b", "c")))
    assert [(m.name, m.lesion, int(m.voxels.sum())) for m in found.maps.masks] == [("a", 1, 3), ("c", 3, 4)]


def test_a_value_without_a_name_is_refused(tmp_path):
    with pytest.raises(RefusedError, match=r"holds the value 3, and anatomy\.labels names 2"):
        read_label_maps(source(tmp_path, labels({3: 1})), CT, Acquire(), Anatomy(labels=("a", "b")))


def test_another_geometry_is_refused(tmp_path):
    shifted = Grid(GRID.size_xyz, GRID.spacing_mm, (5.0, 0.0, 0.0))
    with pytest.raises(RefusedError, match="geometry"):
        read_label_maps(source(tmp_path, labels({1: 1}), shifted), CT, Acquire(), Anatomy(labels=("a",)))


def test_without_a_map_or_with_another_source_there_are_no_masks(tmp_path):
    assert read_label_maps(CaseSource("A", "files", ()), CT, Acquire(), Anatomy()).maps.masks == ()
    other = Anatomy(source="lungs", labels=("a",))
    assert read_label_maps(source(tmp_path, labels({1: 1})), CT, Acquire(), other).maps.masks == ()


def test_the_map_is_found_beside_the_image_and_in_the_table(tmp_path):
    case = tmp_path / "images" / "A"
    case.mkdir(parents=True)
    for name in ("image", "tumour", "anatomy"):
        sitk.WriteImage(to_image(labels({1: 2}), GRID), str(case / f"{name}.nii.gz"))
    wanted, index = Images(reference=("tumour",)), ContentIndex(tmp_path)
    (by_name,) = named_cases(sorted(case.iterdir()), wanted, index)
    table = tmp_path / "images" / "images.csv"
    table.write_text("case_id,image,reference,anatomy\nA,A/image.nii.gz,A/tumour.nii.gz,A/anatomy.nii.gz\n")
    (by_table,) = listed_cases(table, wanted, index)
    for found in (by_name, by_table):
        assert [file.role for file in found.files] == ["CT image", "reference mask", "anatomy label map"]
