"""Image files that today's readers accept with wrong content or geometry (notes/storage.md 4)."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.acquire.nifti import (
    grid_of_file,
    read_ct_file,
    read_header,
    read_label_map,
    read_lungs_file,
    read_mask_file,
)
from engine.acquire.orientation import turn_of, turned_array, turned_grid
from engine.geometry import corners_mm, same_grid
from engine.protocol import Acquire
from store.records import RefusedError
from store.volumes import Grid

GRID = Grid((12, 14, 16), (1.0, 1.5, 2.0), (-5.0, 3.0, 10.0))


def write(path: Path, array: np.ndarray, grid: Grid = GRID) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path))
    return path


def ct_array() -> np.ndarray:
    return np.random.default_rng(1).integers(-1000, 400, GRID.shape_zyx).astype(np.int16)


def mask_array(dtype=np.uint8, value=1) -> np.ndarray:
    mask = np.zeros(GRID.shape_zyx, dtype)
    mask[4:8, 5:9, 3:7] = value
    return mask


def read(path: Path):
    return read_ct_file(path, "CT image", Acquire())


def read_mask(path: Path, label: int | None = None):
    return read_mask_file(path, "reference mask", GRID, label, Acquire())


def patch(path: Path, offset: int, raw: bytes) -> Path:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[offset : offset + len(raw)] = raw
    path.write_bytes(gzip.compress(bytes(content)))
    return path


def code_of(action) -> str:
    with pytest.raises(RefusedError) as caught:
        action()
    assert caught.value.remedy
    return caught.value.code


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_values_and_grid_survive(tmp_path, name):
    found = read(write(tmp_path / name, ct_array()))
    assert (found.ct.intensity_hu == ct_array()).all()
    assert found.ct.intensity_hu.dtype == np.int16
    assert found.ct.grid == GRID


def test_whole_floats_become_int16_and_fractions_stay_float(tmp_path):
    assert read(write(tmp_path / "a.nii.gz", ct_array().astype(np.float32))).ct.intensity_hu.dtype == np.int16
    assert read(write(tmp_path / "b.nii.gz", ct_array() + np.float32(0.5))).ct.intensity_hu.dtype == np.float32


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_half_a_file_is_refused(tmp_path, name):
    path = write(tmp_path / name, ct_array())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert code_of(lambda: read(path)) in ("truncated", "undecodable")


def test_one_flipped_bit_in_a_compressed_file_is_refused(tmp_path):
    path = write(tmp_path / "a.nii.gz", ct_array())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert code_of(lambda: read(path)) == "truncated"


def test_text_with_an_image_suffix_is_refused(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_text("patient withdrew consent")
    assert code_of(lambda: read(path)) == "undecodable"


def test_sform_against_qform_is_refused(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 280 + 12, struct.pack("<f", 7.0))
    assert code_of(lambda: read(path)) == "forms_differ"


def test_pixdim_against_sform_is_refused(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 80, struct.pack("<3f", 3, 3, 3))
    assert code_of(lambda: read(patch(path, 252, struct.pack("<h", 0)))) == "forms_differ"


def test_no_orientation_is_refused(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 252, struct.pack("<2h", 0, 0))
    assert code_of(lambda: read(path)) == "no_orientation"


def test_sheared_axes_are_refused(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 280 + 4, struct.pack("<f", 0.4))
    assert code_of(lambda: read(path)) == "sheared"


def test_a_header_that_claims_too_much_is_refused_before_reading(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 40, struct.pack("<4h", 3, 30000, 30000, 30000))
    assert code_of(lambda: read(path)) == "too_large"


def test_several_volumes_are_refused_and_a_single_one_is_squeezed(tmp_path):
    image = sitk.JoinSeries([sitk.GetImageFromArray(ct_array())] * 3)
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    assert code_of(lambda: read(tmp_path / "a.nii.gz")) == "several_volumes"
    one = write(tmp_path / "b.nii.gz", ct_array())
    patch(one, 40, struct.pack("<5h", 4, *GRID.size_xyz, 1))
    assert read(one).ct.grid.size_xyz == GRID.size_xyz


def test_values_that_are_not_finite_are_refused(tmp_path):
    array = ct_array().astype(np.float32)
    array[3, 3, 3] = np.nan
    assert code_of(lambda: read(write(tmp_path / "a.nii.gz", array))) == "not_finite"


@pytest.mark.parametrize(("slope", "intercept"), [(np.nan, 0), (np.inf, 0), (-np.inf, 0), (1, np.nan), (1, np.inf)])
def test_a_rescale_that_is_no_number_is_refused(tmp_path, slope, intercept):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 112, struct.pack("<2f", slope, intercept))
    assert code_of(lambda: read(path)) == "undecodable"


def test_a_slope_of_zero_stands_for_stored_values_as_they_are(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 112, struct.pack("<2f", 0, 0))
    assert (read(path).ct.intensity_hu == ct_array()).all()


def test_too_few_slices_are_refused(tmp_path):
    grid = Grid((12, 14, 4), GRID.spacing_mm, GRID.origin_mm)
    assert code_of(lambda: read(write(tmp_path / "a.nii.gz", ct_array()[:4], grid))) == "few_slices"


def test_qform_of_a_turned_image_agrees_with_its_sform(tmp_path):
    turn = tuple(np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]]).ravel())
    grid = Grid(GRID.size_xyz, GRID.spacing_mm, GRID.origin_mm, turn)
    found = read(write(tmp_path / "a.nii.gz", ct_array(), grid)).ct.grid
    ends = [np.array(sorted(corners_mm(one).tolist())) for one in (found, grid)]
    assert np.allclose(*ends, atol=1e-4)


def test_header_sizes_and_spacing_are_read(tmp_path):
    header = read_header(write(tmp_path / "a.nii.gz", ct_array()))
    assert header.sizes == GRID.size_xyz
    assert header.spacing_mm == GRID.spacing_mm


def test_mask_voxels_are_kept(tmp_path):
    mask = read_mask(write(tmp_path / "m.nii.gz", mask_array()))
    assert (mask.voxels == (mask_array() > 0)).all()
    assert mask.flags == ()


def test_a_mask_of_255_is_read_and_flagged(tmp_path):
    mask = read_mask(write(tmp_path / "m.nii.gz", mask_array(value=255)))
    assert mask.voxels.sum() == 64
    assert [flag.code for flag in mask.flags] == ["mask_label"]


def test_an_empty_mask_is_flagged_not_refused(tmp_path):
    mask = read_mask(write(tmp_path / "m.nii.gz", mask_array(value=0)))
    assert not mask.voxels.any()
    assert [flag.code for flag in mask.flags] == ["empty_reference"]


def test_several_labels_need_a_named_one(tmp_path):
    array = mask_array()
    array[0, 0, 0] = 2
    path = write(tmp_path / "m.nii.gz", array)
    assert code_of(lambda: read_mask(path)) == "several_labels"
    assert read_mask(path, label=1).voxels.sum() == 64
    assert code_of(lambda: read_mask(path, label=3)) == "no_label"


def test_soft_masks_are_refused(tmp_path):
    path = write(tmp_path / "m.nii.gz", mask_array(np.float32, 0.99))
    assert code_of(lambda: read_mask(path)) == "soft_mask"


@pytest.mark.parametrize(
    "grid",
    [
        Grid(GRID.size_xyz, GRID.spacing_mm, (-5.01, 3.0, 10.0)),
        Grid(GRID.size_xyz, GRID.spacing_mm, (0.0, 3.0, 10.0)),
        Grid(GRID.size_xyz, (1.0, 1.5, 2.01), GRID.origin_mm),
        Grid(GRID.size_xyz, GRID.spacing_mm, GRID.origin_mm, (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)),
    ],
)
def test_a_mask_with_another_geometry_is_refused(tmp_path, grid):
    path = write(tmp_path / "m.nii.gz", mask_array(), grid)
    assert code_of(lambda: read_mask(path)) == "geometry_differs"


def test_a_mask_with_a_slice_less_is_refused(tmp_path):
    grid = Grid((12, 14, 15), GRID.spacing_mm, GRID.origin_mm)
    path = write(tmp_path / "m.nii.gz", mask_array()[:-1], grid)
    assert code_of(lambda: read_mask(path)) == "geometry_differs"


def test_every_label_of_a_lungs_mask_counts(tmp_path):
    array = mask_array()
    array[0, 0, 0] = 2
    lungs = read_lungs_file(write(tmp_path / "m.nii.gz", array), "lungs mask", GRID, Acquire())
    assert lungs.voxels.sum() == 65


TURNED = (0.0, -1.0, 0.0, 0.8, 0.0, -0.6, 0.6, 0.0, 0.8)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii", "nii.gz", "NII", "NII.GZ", "NRRD", "MHA"])
def test_what_the_gate_lets_through_is_what_simpleitk_wrote(tmp_path, suffix, dtype, packed):
    """Headers are written anew (NRRD, MetaImage), so each voxel type and its byte order must survive it."""
    values = np.random.default_rng(3).integers(0, 100, GRID.shape_zyx).astype(dtype)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(GRID.spacing_mm)
    image.SetOrigin(GRID.origin_mm)
    image.SetDirection(TURNED)
    image.SetMetaData("Comment", "ElementDataFile = other.raw")
    sitk.WriteImage(image, str(tmp_path / f"a.{suffix.lower()}"), packed)
    path = (tmp_path / f"a.{suffix.lower()}").rename(tmp_path / f"b.{suffix}")
    grid = Grid(GRID.size_xyz, GRID.spacing_mm, GRID.origin_mm, TURNED)
    turn = turn_of(grid)
    found = grid_of_file(path, "image", Acquire())
    assert same_grid(found, turned_grid(grid, turn))
    labels = read_label_map(path, "image", found, Acquire())
    assert (labels == turned_array(values, turn)).all()


def test_a_file_that_lies_beside_is_not_read_in_its_place(tmp_path):
    """niftilib takes the header of a.nii.gz and the voxels of a.nii (SimpleITK 2.5.7: 0 for every voxel here)."""
    path = write(tmp_path / "a.nii.gz", ct_array())
    write(tmp_path / "a.nii", np.zeros_like(ct_array()))
    assert not sitk.GetArrayFromImage(sitk.ReadImage(str(path))).any()
    assert (read(path).ct.intensity_hu == read(write(tmp_path / "b.nii.gz", ct_array())).ct.intensity_hu).all()


@pytest.mark.parametrize("line", ["data file: {}", "datafile: {}", "DATA FILE: {}"])
def test_voxels_of_another_file_are_never_read_through_an_nrrd(tmp_path, line):
    secret = tmp_path / "links.json"
    secret.write_bytes(b"MRN-0007 " * 4000)
    header = write(tmp_path / "a.nrrd", ct_array()).read_bytes().split(b"\n\n")[0]
    path = tmp_path / "evil.nrrd"
    path.write_bytes(header + b"\n" + line.format(secret).encode() + b"\n\n")
    assert code_of(lambda: read(path)) == "detached_data"


@pytest.mark.parametrize("last", ["ElementDataFile = {}", "ElementDataFile: {}", "ElementDataFile = LIST\n{}"])
def test_voxels_of_another_file_are_never_read_through_a_metaimage(tmp_path, last):
    secret = tmp_path / "links.json"
    secret.write_bytes(b"MRN-0007 " * 4000)
    raw = write(tmp_path / "a.mha", ct_array()).read_bytes()
    header, voxels = raw.split(b"ElementDataFile = LOCAL\n", 1)
    path = tmp_path / "evil.mha"
    path.write_bytes(header + last.format(secret).encode() + b"\nElementDataFile = LOCAL\n" + voxels)
    assert code_of(lambda: read(path)) in ("detached_data", "undecodable")


def test_a_magic_without_its_end_is_not_read_as_an_analyze_file(tmp_path):
    path = patch(write(tmp_path / "a.nii.gz", ct_array()), 347, b"x")
    assert code_of(lambda: read(path)) == "undecodable"
