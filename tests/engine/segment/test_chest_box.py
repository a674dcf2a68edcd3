"""No tumour is lost to the crop; where there are no two lungs the body is kept."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import box_of, grid_of
from engine.phantom.training_set import as_case, unseen_phantom
from engine.segment.chest_box import find_chest
from engine.segment.resampling import facing, facing_grid
from store.volumes import BoolZyx, Grid

MARGIN_MM = 40.0


def holds(box: tuple[slice, slice, slice], mask: BoolZyx) -> bool:
    return bool(mask[box].sum() == mask.sum())


@pytest.mark.parametrize("number", [0, 3, 4, 8, 9, 13])  # costal 0, 3, 13; hilar 4, 8, 9
def test_the_tumour_of_a_phantom_lies_well_inside(number):
    phantom = unseen_phantom(number)
    ct, _ = as_case(phantom)
    chest = find_chest(ct.intensity_hu, ct.grid, MARGIN_MM)
    assert chest.drawn_around == "lungs"
    assert holds(chest.box, phantom.tumour | phantom.lung_left | phantom.lung_right)
    assert holds(find_chest(ct.intensity_hu, ct.grid, 10).box, phantom.tumour)


def test_a_real_tumour_at_the_mediastinum_lies_inside(shared):
    folder = shared / "data" / "lung1_001"
    image, labels = (sitk.ReadImage(str(folder / f"{name}_3mm.nii.gz")) for name in ("ct", "labels"))
    grid, outlined = grid_of(image), sitk.GetArrayFromImage(labels)
    chest = find_chest(facing(sitk.GetArrayFromImage(image), grid), facing_grid(grid), MARGIN_MM)
    assert chest.drawn_around == "lungs"
    assert holds(chest.box, facing(np.isin(outlined, (1, 2, 3)), grid))
    assert chest.voxels < 0.6 * outlined.size


def test_one_lung_full_of_fluid_keeps_the_body():
    phantom = unseen_phantom(2)
    ct, _ = as_case(phantom)
    filled = np.where(phantom.lung_left, 20, ct.intensity_hu).astype(np.int16)
    chest = find_chest(filled, ct.grid, MARGIN_MM)
    assert chest.drawn_around == "body"
    assert holds(chest.box, phantom.lung_left | phantom.tumour)


def test_air_alone_and_water_alone_are_kept_whole():
    grid = Grid((40, 30, 20), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    for value in (-1000, 0):
        chest = find_chest(np.full(grid.shape_zyx, value, dtype=np.int16), grid, MARGIN_MM)
        assert chest.box == box_of(np.ones(grid.shape_zyx, dtype=np.bool_))
