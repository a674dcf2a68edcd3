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


def test_an_empty_reference_holds_no_lesion_to_find():
    assert agreement(mask(cube(), "independent", "reader"), mask(cube(LESION), "automatic", "abc")) == ()


def test_a_lesion_touched_by_a_corner_is_also_counted_as_missed():
    touch = cube((slice(15, 25), slice(19, 29), slice(19, 29)))  # one voxel in common of 600 and 1000
    (row,) = agreement(mask(cube(LESION), "independent", "reader"), mask(touch, "automatic", "abc"))
    assert (row.missed, row.missed_at_low_dsc) == (False, True)
    assert row.lesion_dsc == row.dsc == pytest.approx(2 / 1600)


def test_extra_components_lower_the_dsc_and_not_that_of_the_lesion():
    found = mask(cube(LESION, (slice(25, 29), slice(0, 5), slice(0, 5))), "automatic", "abc")
    (row,) = agreement(mask(cube(LESION), "independent", "reader"), found)
    assert (row.lesion_dsc, row.extra_components) == (1.0, 1)
    assert row.dsc == pytest.approx(1200 / 1300)


def test_readers_and_programs_are_compared_by_what_they_are():
    voxels = cube(LESION)
    second = mask(voxels, "independent", "reader-b")
    program = mask(voxels, "automatic", "other-program")
    rows = agreement(mask(voxels, "independent", "reader"), mask(voxels, "automatic", "abc"), further=(second, program))
    kinds = {(r.from_source, r.to_source): r.comparison for r in rows}
    assert kinds == {
        ("reader", "abc"): "agreement",
        ("reader", "other-program"): "agreement",
        ("reader-b", "abc"): "agreement",
        ("reader-b", "other-program"): "agreement",
        ("reader", "reader-b"): "readers",
        ("abc", "other-program"): "models",
    }


def test_a_mask_that_was_edited_is_an_edit_distance_from_a_reader_too():
    rows = agreement(
        mask(cube(LESION), "accepted", "reader"),
        mask(cube(LESION), "automatic", "abc"),
        further=(mask(cube(LESION), "independent", "reader-b"),),
    )
    assert {(r.from_source, r.to_source): r.comparison for r in rows}[("reader", "reader-b")] == "edit_distance"


def test_the_curve_rises_with_the_tolerance_and_holds_the_headline():
    moved = cube((slice(10, 16), slice(10, 20), slice(13, 23)))
    masks = ReferenceMasks((mask(cube(LESION), "independent", "reader"),))
    found = measure_agreement(masks, AutomaticMasks((mask(moved, "automatic", "abc"),)), None, Agreement())
    values = [point.surface_dsc for point in found.curve]
    assert values == sorted(values)
    assert [p.tolerance_mm for p in found.curve] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    assert found.curve[3].surface_dsc == found.overlaps[0].surface_dsc
