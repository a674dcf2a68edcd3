"""Artifacts come back as they went in, and the same value always makes the same bytes."""

import dataclasses

import numpy as np
import pytest

from store.artifacts import read_value, sha256_of_file, store_value, suffix_of, write_value
from store.layout import StudyFolder
from store.matrices import ImportedTable
from store.records import FeatureVector, Flag, Overlap, PerturbedFeatureVector
from store.volumes import CtSeries, Grid, Mask, ReferenceMasks

OBLIQUE = (0.0, 1.0, 0.0, 0.8, 0.0, -0.6, 0.6, 0.0, 0.8)


def small_grid():
    return Grid((5, 4, 3), (0.7, 0.9, 2.5), (-12.5, 30.25, 7.0), OBLIQUE)


def test_ct_series_keeps_every_voxel_and_its_geometry(tmp_path):
    series = CtSeries(np.arange(60, dtype=np.int16).reshape(3, 4, 5) - 1000, small_grid())
    write_value(tmp_path / "ct.nii.gz", CtSeries, series)
    back = read_value(tmp_path / "ct.nii.gz", CtSeries)
    assert np.array_equal(back.intensity_hu, series.intensity_hu)
    assert back.intensity_hu.dtype == np.int16
    assert np.allclose(back.grid.origin_mm, series.grid.origin_mm)
    assert np.allclose(back.grid.direction, OBLIQUE, atol=1e-6)


def test_masks_keep_who_drew_them_and_empty_masks_stay_empty(tmp_path):
    grid = small_grid()
    voxels = np.zeros(grid.shape_zyx, bool)
    voxels[1:3, 2, 1:4] = True
    masks = ReferenceMasks(
        (
            Mask("tumour", "independent", "reference", voxels, grid, 0, "GTV-1"),
            Mask("lung_left", "independent", "reference", np.zeros_like(voxels), grid),
        )
    )
    write_value(tmp_path / "m.npz", ReferenceMasks, masks)
    back = read_value(tmp_path / "m.npz", ReferenceMasks)
    assert isinstance(back, ReferenceMasks)
    assert back.masks[0].name == "GTV-1"
    assert np.array_equal(back.masks[0].voxels, voxels)
    assert not back.masks[1].voxels.any()
    assert back.masks[0].grid == grid


def test_nan_features_are_stored_as_null_and_read_as_nan(tmp_path):
    values = np.array([1.5, np.nan, -0.0])
    vector = FeatureVector("intratumoural", "none", "f" * 64, values, np.array([0, 4, 0], np.uint8))
    write_value(tmp_path / "v.parquet", FeatureVector, (vector,))
    (back,) = read_value(tmp_path / "v.parquet", FeatureVector)
    assert np.array_equal(back.values, values, equal_nan=True)
    assert back.statuses.tolist() == [0, 4, 0]
    assert back.statuses.dtype == np.uint8


def test_no_records_are_a_table_without_rows(tmp_path):
    write_value(tmp_path / "f.parquet", Flag, ())
    assert read_value(tmp_path / "f.parquet", Flag) == ()


def test_array_record_keeps_texts_and_arrays(tmp_path):
    table = ImportedTable(("a", "b"), ("", ""), ("roi",), ("original",), ("glcm",), ("x",), np.eye(2)[:, :1], (), 3)
    write_value(tmp_path / "t.npz", ImportedTable, table)
    back = read_value(tmp_path / "t.npz", ImportedTable)
    assert back.case_ids == ("a", "b")
    assert back.dropped == ()
    assert back.unmatched == 3
    assert np.array_equal(back.values, table.values)


@pytest.mark.parametrize("record_type", [CtSeries, ReferenceMasks, FeatureVector, ImportedTable])
def test_same_value_makes_same_bytes(tmp_path, record_type):
    grid = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0))
    value = {
        CtSeries: CtSeries(np.zeros((4, 4, 4), np.int16), grid),
        ReferenceMasks: ReferenceMasks((Mask("tumour", "independent", "r", np.ones((4, 4, 4), bool), grid),)),
        FeatureVector: (FeatureVector("whole_lung", "none", "s", np.ones(3), np.zeros(3, np.uint8)),),
        ImportedTable: ImportedTable(("a",), ("",), ("r",), ("o",), ("g",), ("x",), np.ones((1, 1)), (), 0),
    }[record_type]
    folder = StudyFolder(tmp_path)
    first = store_value(folder, "k.a", "00aa", record_type, value)
    second = store_value(folder, "k.b", "00aa", record_type, value)
    assert first.sha256 == second.sha256
    assert sha256_of_file(folder.artifact("k.a", "00aa", suffix_of(record_type))) == first.sha256
    assert not list(folder.unfinished.iterdir())


def test_perturbed_vectors_are_feature_vectors():
    assert issubclass(PerturbedFeatureVector, FeatureVector)


def test_impossible_overlap_is_refused():
    fields = {f.name: 0 for f in dataclasses.fields(Overlap)} | {"structure": "tumour", "dsc": 1.2, "surface_dsc": 0.5}
    with pytest.raises(ValueError, match=r"dsc must lie in 0\.\.1"):
        Overlap(**fields)
