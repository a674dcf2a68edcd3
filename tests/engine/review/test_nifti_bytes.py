"""The viewer's files are read back by ITK voxel by voxel and place by place."""

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import grid_of, same_grid
from engine.review.nifti_bytes import nifti_gz
from store.volumes import Grid

TURN = np.deg2rad(12)
OBLIQUE = (1, 0, 0, 0, np.cos(TURN), -np.sin(TURN), 0, np.sin(TURN), np.cos(TURN))
GRIDS = [
    Grid((4, 3, 2), (0.7, 0.8, 2.5), (-120.25, 33.5, 700.125)),
    Grid((4, 3, 2), (0.7, 0.8, 2.5), (1, 2, 3), (-1, 0, 0, 0, 1, 0, 0, 0, -1)),
    Grid((4, 3, 2), (0.7, 0.8, 2.5), (1, 2, 3), (0, 0, 1, 1, 0, 0, 0, 1, 0)),
    Grid((4, 3, 2), (0.7, 0.8, 2.5), (1, 2, 3), OBLIQUE),
]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_itk_reads_back_what_was_written(tmp_path, grid, kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    (tmp_path / "v.nii.gz").write_bytes(nifti_gz(array, grid))
    image = sitk.ReadImage(str(tmp_path / "v.nii.gz"))
    assert (sitk.GetArrayFromImage(image) == array).all()
    assert same_grid(grid_of(image), grid)


def test_the_same_volume_gives_the_same_bytes():
    array = np.ones((2, 3, 4), np.uint8)
    assert nifti_gz(array, GRIDS[0]) == nifti_gz(array, GRIDS[0])


def test_what_the_viewer_cannot_show_is_refused():
    with pytest.raises(TypeError, match="uint8, int16 or float32"):
        nifti_gz(np.ones((2, 3, 4), np.float64), GRIDS[0])
    with pytest.raises(ValueError, match="does not fill"):
        nifti_gz(np.ones((2, 3, 3), np.uint8), GRIDS[0])
