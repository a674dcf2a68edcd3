"""Matrices an axis against scikit-image, nnU-Net and ITK; logits back to the CT's grid against the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet
from scipy import ndimage
from skimage.transform import resize

from engine.geometry import grid_of, to_image
from engine.segment.export import LabelMap
from engine.segment.model import Manifest, find_model, read_manifest
from engine.segment.resampling import facing, facing_grid, passage, to_model
from engine.segment.sliding_window import model_grid, to_model_grid
from store.volumes import CtSeries, Grid

FINE = Grid((60, 50, 40), (0.9, 0.9, 1.3), (10.0, -20.0, 5.0))
THICK = Grid((60, 50, 12), (0.9, 0.9, 5.0), (10.0, -20.0, 5.0))


def manifest(resampling: str) -> Manifest:
    shipped = read_manifest(Path(find_model("demo").manifest_path))
    return shipped.model_copy(update={"resampling": resampling})


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(shape)
    return ndimage.gaussian_filter(noise, [0] * (len(shape) - 3) + [1.5] * 3).astype(np.float32)


def whole(grid: Grid) -> tuple[slice, slice, slice]:
    z, y, x = (slice(0, n) for n in grid.shape_zyx)
    return (z, y, x)


@pytest.mark.parametrize("grid", [FINE, THICK])
def test_nnunets_way_is_nnunets_resampling_of_the_normalised_image(grid):
    ct = (4000 * smooth(grid.shape_zyx) - 300).astype(np.int16)
    plans = manifest("nnunet")
    way = passage(grid, plans)
    shape = way.model.shape_zyx
    expected = resample_data_or_seg_to_shape(
        plans.normalised(ct.astype(np.float32))[None],
        shape,
        grid.spacing_zyx_mm,
        plans.spacing_mm[::-1],
        order=3,
        force_separate_z=None,
    )[0]
    assert shape == tuple(round(n * s / 3) for n, s in zip(grid.shape_zyx, grid.spacing_zyx_mm, strict=True))
    assert (way.coarse_axis == 0) == (grid is THICK)
    if grid is FINE:
        assert np.allclose(to_model(ct, way, whole(way.model), plans), expected, atol=1e-4)
    else:  # nnU-Net cuts each slice to its own range, we the image to its
        off = np.abs(to_model(ct, way, whole(way.model), plans) - expected)
        assert np.quantile(off, 0.99) < 1e-4


def test_blocks_then_linear_is_itks():
    ct = (4000 * smooth(FINE.shape_zyx) - 300).astype(np.int16)
    own = manifest("block_linear")
    way = passage(FINE, own)
    assert way.model == model_grid(FINE, own.spacing_mm)
    expected = own.normalised(to_model_grid(CtSeries(ct, FINE), way.model))
    inner = tuple(slice(1, -1) for _ in range(3))
    assert np.allclose(to_model(ct, way, whole(way.model), own)[inner], expected[inner], atol=1e-3)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("grid", [FINE, THICK])
def test_the_linear_way_is_nnunets_torch_resampling_of_the_normalised_image(grid, apart):
    ct = (4000 * smooth(grid.shape_zyx) - 300).astype(np.int16)
    plans = manifest("nnunet_linear").model_copy(update={"coarse_axis_apart": apart})
    way = passage(grid, plans)
    expected = resample_torch_fornnunet(
        plans.normalised(ct.astype(np.float32))[None],
        way.model.shape_zyx,
        grid.spacing_zyx_mm,
        plans.spacing_mm[::-1],
        force_separate_z=None if apart else False,
    )[0]
    assert (way.coarse_axis == 0) == (grid is THICK and apart)
    assert np.allclose(to_model(ct, way, whole(way.model), plans), expected, atol=1e-4)


@pytest.mark.parametrize("resampling", ["nnunet", "nnunet_linear", "block_linear"])
def test_a_box_is_cut_from_the_whole(resampling):
    ct = (4000 * smooth(FINE.shape_zyx) - 300).astype(np.int16)
    way = passage(FINE, manifest(resampling))
    box = (slice(3, 11), slice(2, 13), slice(5, 17))
    everything = to_model(ct, way, whole(way.model), manifest(resampling))
    assert np.allclose(to_model(ct, way, box, manifest(resampling)), everything[box], atol=1e-4)


@pytest.mark.parametrize("code", ["LPS", "RAI", "PIR", "SAL", "LIP"])
def test_facing_turns_as_itk_does(code):
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    image = sitk.DICOMOrient(to_image(array, Grid((6, 5, 4), (1.0, 2.0, 3.0), (7.0, 8.0, 9.0))), code)
    expected = sitk.DICOMOrient(image, "LPS")
    turned, grid = sitk.GetArrayFromImage(image), grid_of(image)
    assert np.array_equal(facing(turned, grid), sitk.GetArrayFromImage(expected))
    assert np.shares_memory(facing(turned, grid), turned)
    found, wanted = facing_grid(grid), grid_of(expected)
    assert found.size_xyz == wanted.size_xyz
    assert np.allclose(found.origin_mm, wanted.origin_mm)
    assert np.allclose(found.direction, wanted.direction)
    assert np.allclose(found.spacing_mm, wanted.spacing_mm)


def logits_for(grid: Grid) -> np.ndarray:
    values = smooth((3, *grid.shape_zyx), 1)
    values[0] += 0.05
    return values


def test_labels_are_the_highest_of_interpolated_logits():
    way = passage(FINE, manifest("nnunet"))
    logits = logits_for(way.model)
    expected = np.stack([resize(c, FINE.shape_zyx, order=1, mode="edge", anti_aliasing=False) for c in logits])
    found = LabelMap(way, whole(way.model))
    for part in (slice(0, 1), slice(1, 7), slice(7, None)):
        found.add(logits[:, part])
    assert np.array_equal(found.labels, expected.argmax(axis=0))
    assert set(np.unique(found.labels)) == {0, 1, 2}


def test_outside_the_swept_box_is_background():
    way = passage(FINE, manifest("nnunet"))
    logits, box = logits_for(way.model), (slice(4, 13), slice(3, 12), slice(2, 15))
    full, part = LabelMap(way, whole(way.model)), LabelMap(way, box)
    full.add(logits)
    part.add(logits[(slice(None), *box)])
    inner = (slice(12, 28), slice(14, 38), slice(10, 46))
    assert np.array_equal(part.labels[inner], full.labels[inner])
    assert not part.labels[:8].any()


def test_background_everywhere_gives_an_empty_label_map():
    way = passage(FINE, manifest("nnunet"))
    found = LabelMap(way, whole(way.model))
    found.add(np.stack([np.ones(way.model.shape_zyx), np.zeros(way.model.shape_zyx)]).astype(np.float32))
    assert not found.labels.any()
