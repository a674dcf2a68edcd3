"""Which masks are compared and as what."""

import numpy as np
import pytest

from engine.measure.agreement import measure_agreement
from engine.protocol import Agreement
from store.volumes import AutomaticMasks, FurtherMasks, Grid, Mask, ReferenceMasks

GRID = Grid((30, 30, 30), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
LESION = (slice(10, 16), slice(10, 20), slice(10, 20))


def cube(*boxes):
    voxels = np.zeros(GRID.shape_zyx, dtype=bool)
    for one in boxes:
        voxels[one] = True
    return voxels


def mask(voxels, origin, source, structure="tumour", lesion=0):
    return Mask(structure, origin, source, voxels, GRID, lesion)


def agreement(reference, predicted, *more, further=()):
    found = measure_agreement(
        ReferenceMasks((reference, *more)), AutomaticMasks((predicted,)), FurtherMasks(tuple(further)), Agreement()
    )
    return found.overlaps


def test_one_voxel_shift_has_the_dice_of_the_cubes():
    moved = cube((slice(10, 16), slice(10, 20), slice(11, 21)))
    (row,) = agreement(mask(cube(LESION), "independent", "reader"), mask(moved, "automatic", "abc"))
    assert row.dsc == pytest.approx(0.9)
    assert row.surface_dsc == row.surface_dsc_1mm == row.surface_dsc_3mm == 1.0
    assert row.centroid_distance_mm == pytest.approx(1.0)
    assert (row.comparison, row.from_source, row.to_source) == ("agreement", "reader", "abc")
    assert (row.missed, row.volume_error_ml) == (False, 0.0)


def test_empty_prediction_is_a_miss_at_zero():
    (row,) = agreement(mask(cube(LESION), "independent", "reader"), mask(cube(), "automatic", "abc"))
    assert (row.dsc, row.surface_dsc, row.missed, row.missed_kind) == (0.0, 0.0, True, "empty")
    assert row.hd95_mm is None
    assert row.volume_error_ml == pytest.approx(-1.2)


def test_both_empty_is_excluded():
    assert agreement(mask(cube(), "independent", "reader"), mask(cube(), "automatic", "abc")) == ()


def test_an_edited_mask_gives_an_edit_distance_only():
    (row,) = agreement(mask(cube(LESION), "corrected", "reader"), mask(cube(LESION), "automatic", "abc"))
    assert row.comparison == "edit_distance"


def test_outlined_lungs_are_not_compared_with_themselves():
    lung = mask(cube(LESION), "independent", "reader", "lung_left")
    assert agreement(lung, lung) == ()


def test_a_component_on_another_outlined_lesion_is_not_extra():
    satellite, stray = (slice(2, 4),) * 3, (slice(25, 27),) * 3
    found = mask(cube(LESION, satellite, stray), "automatic", "abc")
    index = mask(cube(LESION), "independent", "reader")
    other = mask(cube(satellite), "independent", "reader", lesion=1)
    assert agreement(index, found)[0].extra_components == 2
    assert agreement(index, found, other)[0].extra_components == 1


def test_masks_on_different_grids_are_refused():
    other = Grid((30, 30, 30), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    predicted = Mask("tumour", "automatic", "abc", cube(LESION), other)
    with pytest.raises(ValueError, match="one grid"):
        agreement(mask(cube(LESION), "independent", "reader"), predicted)
