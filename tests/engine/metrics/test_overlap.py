"""Surface distances against google-deepmind/surface-distance (values in stats_reference) and closed-form spheres."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from engine.bench.overlap import shifted_spheres
from engine.metrics import overlap
from engine.metrics.overlap import detect, on_index_lesion, volumetric_dsc

UNIT = (1.0, 1.0, 1.0)


def ball(shape, centre, radius, spacing=UNIT):
    steps = [(np.arange(n) * s - c) ** 2 for n, s, c in zip(shape, spacing, centre, strict=True)]
    return steps[0][:, None, None] + steps[1][None, :, None] + steps[2][None, None, :] <= radius**2


def points(shape, where):
    mask = np.zeros(shape, dtype=bool)
    for point in where:
        mask[tuple(point)] = True
    return mask


def unit_case(case):
    if "gt_slice" in case:
        masks = np.zeros((2, *case["shape"]), dtype=bool)
        masks[0, 0:50], masks[1, 0:51] = True, True
        return masks
    return points(case["shape"], case["gt"]), points(case["shape"], case["pred"])


def test_unit_vectors_of_surface_distance_are_reproduced(shared):
    cases = json.loads((shared / "data/stats_reference/surface_distance_unit_vectors.json").read_text())["cases"]
    solid = [c for c in cases if len(c["shape"]) == 3]
    assert len(solid) == 5
    for case in solid:
        reference, predicted = unit_case(case)
        distances = overlap.surface_distances(reference, predicted, tuple(case["spacing"]))
        dsc = overlap.volumetric_dsc(reference, predicted)
        if case["vdsc"] == "nan":
            assert dsc is None
            continue
        places = 10.0 ** -case.get("places", 9)
        assert dsc == pytest.approx(case["vdsc"], abs=max(places, 1e-2 if "gt_slice" in case else 0))
        assert overlap.surface_dsc(distances, 1.0) == pytest.approx(case["sdsc_1mm"], abs=places)
        if case["hd95"] == "inf":  # they say infinite where we say there is none
            assert overlap.hausdorff_mm(distances) is None
            assert overlap.directed_means_mm(distances) is None
            continue
        assert overlap.hausdorff_mm(distances) == case["hd95"]
        assert overlap.hausdorff_mm(distances, 1.0) == case["hd100"]
        assert overlap.directed_means_mm(distances) == pytest.approx(case["asd"], abs=places)


PERTURBATIONS = {
    "identity": lambda m: m,
    "shift_x_plus1_voxel": lambda m: np.roll(m, 1, axis=2),
    "shift_y_plus1_voxel": lambda m: np.roll(m, 1, axis=1),
    "shift_z_plus1_voxel": lambda m: np.roll(m, 1, axis=0),
    "erode_6conn_1": ndimage.binary_erosion,
    "dilate_6conn_1": ndimage.binary_dilation,
}


def drop_last_slices(mask):
    cut = mask.copy()
    cut[np.flatnonzero(mask.any(axis=(1, 2)))[-3:]] = False
    return cut


@pytest.mark.parametrize("name", ["ibsi1_ct_phantom", "STS_003", "STS_019", "STS_042"])
def test_real_masks_of_surface_distance_are_reproduced(shared, name):
    expected = json.loads((shared / "data/stats_reference/surface_distance_real_masks.json").read_text())[name]
    file = "ibsi1_ct_phantom/mask.nii.gz" if name.startswith("ibsi") else f"sts_ct/{name}_CT_mask.nii.gz"
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(shared / "data" / file))) > 0
    changes = {**PERTURBATIONS, "drop_last_3_slices_z": drop_last_slices}
    for change, values in expected["perturbations"].items():
        predicted = changes[change](mask)
        assert (mask.sum(), predicted.sum()) == (values["vox_gt"], values["vox_pred"])
        distances = overlap.surface_distances(mask, predicted, tuple(expected["spacing_zyx"]))
        for tolerance in (0, 1, 2, 3, 5):
            assert overlap.surface_dsc(distances, tolerance) == pytest.approx(values[f"sdsc_{tolerance}mm"], rel=1e-9)
        assert overlap.volumetric_dsc(mask, predicted) == pytest.approx(values["vdsc"], rel=1e-12)
        assert overlap.hausdorff_mm(distances) == pytest.approx(values["hd95"], rel=1e-9)
        assert overlap.hausdorff_mm(distances, 1.0) == pytest.approx(values["hd100"], rel=1e-9)
        means = (values["asd_gt_to_pred"], values["asd_pred_to_gt"])
        assert overlap.directed_means_mm(distances) == pytest.approx(means, rel=1e-9)
        assert distances.predicted_areas_mm2.sum() == pytest.approx(values["surface_area_pred_mm2"], rel=1e-12)


@pytest.mark.parametrize(("spacing", "expected"), [((1.0, 1.0, 1.0), 0.6139), ((3.0, 0.75, 0.75), 0.6057)])
def test_shifted_spheres_give_the_published_voxel_value(spacing, expected):
    """R = 20 mm shifted by 4 mm in x: exact 0.5; voxel definition by two implementations (notes/statistics.md 4)."""
    shape = tuple(int(60 / s) + 1 for s in spacing)
    one, other = (ball(shape, (30.0, 30.0, 28.0 + shift), 20.0, spacing) for shift in (0.0, 4.0))
    distances = overlap.surface_distances(one, other, spacing)
    assert overlap.surface_dsc(distances, 2.0) == pytest.approx(expected, abs=0.02)
    assert overlap.centroid_distance_mm(one, other, spacing) == pytest.approx(4.0, abs=0.1)


# MONAI 1.6.1, compute_surface_dice(use_subvoxels=True), by `bench overlap`
MONAI = {
    (1.0, 1.0, 1.0): 0.6139461994171143,
    (0.7, 0.7, 0.7): 0.6006941199302673,
    (2.5, 0.8, 0.8): 0.6072124242782593,
    (3.0, 0.75, 0.75): 0.6051279902458191,
    (5.0, 0.7, 0.7): 0.7023981213569641,
}


@pytest.mark.parametrize("spacing", MONAI)
def test_shifted_spheres_give_monais_value(spacing):
    pair = shifted_spheres(spacing)
    distances = overlap.surface_distances(pair.one, pair.other, spacing)
    assert overlap.surface_dsc(distances, 2.0) == pytest.approx(MONAI[spacing], abs=1e-6)  # MONAI works in float32


def test_finer_grid_comes_closer_to_the_exact_surface_dice():
    errors = []
    for step in (1.0, 0.5):
        shape = tuple(int(52 / step) for _ in range(3))
        masks = [ball(shape, (25.0, 25.0, 23.0 + d), 20.0, (step,) * 3) for d in (0.0, 4.0)]
        errors.append(overlap.surface_dsc(overlap.surface_distances(*masks, (step,) * 3), 2.0) - 0.5)
    assert 0 < errors[1] < errors[0]


def test_empty_prediction_has_zero_dice_and_no_distance():
    lesion, nothing = points((5, 5, 5), [(2, 2, 2)]), np.zeros((5, 5, 5), dtype=bool)
    distances = overlap.surface_distances(lesion, nothing, UNIT)
    assert overlap.volumetric_dsc(lesion, nothing) == 0.0
    assert overlap.surface_dsc(distances, 2.0) == 0.0
    assert overlap.mean_surface_distance_mm(distances) is None
    assert overlap.centroid_distance_mm(lesion, nothing, UNIT) is None
    assert overlap.detect(lesion, nothing) == overlap.Detection("empty", 0)


def test_wrong_place_is_missed_and_its_components_are_extra():
    lesion = points((9, 9, 9), [(2, 2, 2)])
    elsewhere = points((9, 9, 9), [(6, 6, 6), (6, 6, 7), (0, 8, 8)])
    assert overlap.detect(lesion, elsewhere) == overlap.Detection("wrong_place", 2)
    assert overlap.detect(lesion, elsewhere).missed


def test_one_overlapping_voxel_finds_the_lesion():
    lesion = ball((9, 9, 9), (4, 4, 4), 2)
    touching = points((9, 9, 9), [(4, 4, 6), (4, 4, 7), (8, 8, 0)])
    assert overlap.detect(lesion, touching) == overlap.Detection("found", 1)


def test_masks_on_different_grids_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        overlap.volumetric_dsc(np.zeros((2, 2, 2), dtype=bool), np.zeros((2, 2, 3), dtype=bool))


def boxes(*starts: int):
    """Cubes of 4 voxels along x."""
    voxels = np.zeros((8, 8, 40), dtype=np.bool_)
    for start in starts:
        voxels[2:6, 2:6, start : start + 4] = True
    return voxels


def test_a_component_on_another_lesion_alone_is_not_held_against_the_index_lesion():
    index, other, predicted = boxes(2), boxes(14), boxes(2, 14)
    assert volumetric_dsc(index, predicted) == pytest.approx(2 / 3)
    assert volumetric_dsc(index, on_index_lesion(predicted, index, other)) == 1.0


def test_a_component_on_no_lesion_or_on_both_stays():
    index, other = boxes(2), boxes(14)
    nowhere, bridge = boxes(2, 26), boxes(2, 6, 10, 14)
    assert np.array_equal(on_index_lesion(nowhere, index, other), nowhere)
    assert np.array_equal(on_index_lesion(bridge, index, other), bridge)


def test_finding_only_another_lesion_misses_the_index_lesion():
    found = on_index_lesion(boxes(14), boxes(2), boxes(14))
    assert detect(boxes(2), found).missed
    assert not found.any()
