"""Facts of one phantom, from geometry and from what the plan asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from engine.phantom.case import ANATOMY_LABELS, SPACING_MM, Phantom, PhantomCase, TumourPlan
from engine.phantom.sampling import draw_case, make_phantom_from_seed
from engine.phantom.thorax import make_phantom

SPHERE = TumourPlan(30.0, (1.0, 1.0), 0.0, 10.0, 4.0, 35.0, "right", "middle", "free")
CASE = PhantomCase(11, "soft", 10.0, False, SPHERE)
SEEDS = tuple(range(100, 118))


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom_from_seed(seed, tumour=True) for seed in SEEDS]


@pytest.fixture(scope="module")
def sphere() -> Phantom:
    return make_phantom(CASE)


def test_same_case_gives_the_same_arrays(sphere: Phantom) -> None:
    again = make_phantom(CASE)
    assert np.array_equal(again.intensity_hu, sphere.intensity_hu)
    assert np.array_equal(again.tumour, sphere.tumour)
    assert np.array_equal(again.anatomy, sphere.anatomy)


def test_another_seed_gives_another_patient(sphere: Phantom) -> None:
    assert not np.array_equal(make_phantom(replace(CASE, seed=12)).lung_left, sphere.lung_left)


def test_without_its_tumour_it_is_the_same_patient(sphere: Phantom) -> None:
    healthy = make_phantom(replace(CASE, tumour=None))
    assert healthy.truth is None
    assert not healthy.tumour.any()
    far = ~ndimage.binary_dilation(sphere.tumour, iterations=8)  # beyond the point spread
    assert np.array_equal(healthy.intensity_hu[far], sphere.intensity_hu[far])
    assert np.array_equal(healthy.lung_left, sphere.lung_left)


def test_free_sphere_has_the_volume_and_diameter_of_a_sphere(sphere: Phantom) -> None:
    assert sphere.truth is not None
    assert sphere.truth.volume_ml == pytest.approx(4 / 3 * np.pi * 15**3 / 1000, rel=0.05)
    assert sphere.truth.longest_diameter_mm == pytest.approx(30.0, abs=SPACING_MM)


def test_texture_inside_the_tumour_has_the_planned_mean_and_sd() -> None:
    plan = replace(SPHERE, diameter_mm=42.0, heterogeneity_hu=50.0, texture_scale_mm=6.0)
    phantom = make_phantom(replace(CASE, kernel="sharp", noise_sd_hu=0.0, tumour=plan))
    core = ndimage.binary_erosion(phantom.tumour, iterations=2)
    inside = phantom.intensity_hu[core].astype(float)
    assert inside.mean() == pytest.approx(35, abs=25)
    assert 30 < inside.std() < 60  # the point spread takes some of the 50


def test_lungs_are_apart_and_each_is_one_piece_on_its_side(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert not (ndimage.binary_dilation(phantom.lung_left, iterations=2) & phantom.lung_right).any()
        assert ndimage.label(phantom.lung_left)[1] == ndimage.label(phantom.lung_right)[1] == 1
        middle = phantom.grid.size_xyz[0] / 2
        assert ndimage.center_of_mass(phantom.lung_left)[2] > middle > ndimage.center_of_mass(phantom.lung_right)[2]
        for lung in (phantom.lung_left, phantom.lung_right):
            assert 700 < lung.sum() * phantom.grid.voxel_ml < 3500


def test_left_lung_gives_way_to_the_heart(phantoms: list[Phantom]) -> None:
    left = np.mean([p.lung_left.sum() for p in phantoms])
    assert left < np.mean([p.lung_right.sum() for p in phantoms])


def test_costal_tumours_touch_the_wall_and_others_do_not(phantoms: list[Phantom]) -> None:
    kinds = set()
    for phantom in phantoms:
        assert phantom.case.tumour is not None
        assert phantom.truth is not None
        kind = phantom.case.tumour.kind
        wall = phantom.anatomy == ANATOMY_LABELS["wall"]
        assert bool((ndimage.binary_dilation(phantom.tumour) & wall).any()) == (kind == "costal")
        assert phantom.truth.touches_wall == (kind == "costal")
        kinds.add(kind)
    assert kinds == {"free", "costal", "hilar"}


def test_free_tumours_lie_in_lung_and_hilar_ones_reach_the_mediastinum(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert phantom.case.tumour is not None
        lungs = phantom.lung_left | phantom.lung_right
        beside = ndimage.binary_dilation(phantom.tumour, iterations=2) & ~lungs
        beside &= phantom.anatomy != ANATOMY_LABELS["wall"]
        lumen = phantom.intensity_hu < -800
        if phantom.case.tumour.kind == "free":
            assert not (beside & ~lumen).any()
        if phantom.case.tumour.kind == "hilar":
            assert beside.any()


def test_diameters_come_out_as_planned_within_a_voxel_and_a_tenth(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert phantom.case.tumour is not None
        assert phantom.truth is not None
        planned = phantom.case.tumour.diameter_mm
        assert 6 <= planned <= 60
        assert phantom.truth.longest_diameter_mm == pytest.approx(planned, abs=1.5 * SPACING_MM + 0.1 * planned)


@pytest.mark.parametrize("diameter", [6.0, 60.0])
def test_smallest_and_largest_tumours_exist_at_the_wall(diameter: float) -> None:
    plan = replace(SPHERE, diameter_mm=diameter, kind="costal", third="upper", side="left")
    phantom = make_phantom(replace(CASE, tumour=plan))
    assert phantom.truth is not None
    assert phantom.truth.touches_wall
    assert phantom.truth.volume_ml > 0


def test_invading_tumour_grows_into_the_wall_and_abutting_one_does_not() -> None:
    plan = replace(SPHERE, diameter_mm=40.0, kind="costal")
    wall = make_phantom(replace(CASE, tumour=None)).anatomy == ANATOMY_LABELS["wall"]
    abutting = make_phantom(replace(CASE, tumour=plan)).tumour
    invading = make_phantom(replace(CASE, tumour=replace(plan, wall_invasion_mm=9.0))).tumour
    assert not (abutting & wall).any()
    assert (invading & wall).sum() > 10


def test_lungs_hold_the_tumour_and_the_bare_ones_do_not(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        assert phantom.case.tumour is not None
        left = phantom.case.tumour.side == "left"
        own, bare = (
            (phantom.lung_left, phantom.lung_left_without_tumour)
            if left
            else (phantom.lung_right, phantom.lung_right_without_tumour)
        )
        assert (own[phantom.tumour]).all()
        assert not (bare & phantom.tumour).any()
        assert np.array_equal(bare | phantom.tumour, own)


def test_tissues_have_the_hounsfield_units_of_a_chest(sphere: Phantom) -> None:
    hu, lungs = sphere.intensity_hu, ndimage.binary_erosion(sphere.lung_left, iterations=2)
    wall = sphere.anatomy == ANATOMY_LABELS["wall"]
    assert -920 < np.median(hu[lungs]) < -780
    assert 20 < np.median(hu[sphere.anatomy == ANATOMY_LABELS["heart"]]) < 70
    assert np.quantile(hu[wall], 0.02) < -60  # fat
    assert np.quantile(hu[wall], 0.98) > 200  # ribs
    assert hu[0, 0, 0] < -950


def test_contrast_brightens_blood_but_not_the_step_from_tumour_to_muscle() -> None:
    native = make_phantom(replace(CASE, noise_sd_hu=0.0))
    lifted = replace(SPHERE, mean_hu=SPHERE.mean_hu + 12)  # as draw_tumour lifts it
    enhanced = make_phantom(replace(CASE, noise_sd_hu=0.0, contrast=True, tumour=lifted))
    vessels, core = native.anatomy == ANATOMY_LABELS["heart"], ndimage.binary_erosion(native.tumour, iterations=2)
    gain = enhanced.intensity_hu.astype(float) - native.intensity_hu
    assert np.median(gain[vessels]) > 50
    assert np.median(gain[core]) == pytest.approx(12, abs=1)


def test_sharp_noise_is_whiter_than_soft_noise() -> None:
    sharp, soft = (make_phantom(replace(CASE, kernel=kernel, noise_sd_hu=20.0)) for kernel in ("sharp", "soft"))
    quiet = [make_phantom(replace(CASE, kernel=kernel, noise_sd_hu=0.0)) for kernel in ("sharp", "soft")]
    neighbour = []
    for noisy, clean in zip((sharp, soft), quiet, strict=True):
        noise = noisy.intensity_hu.astype(float) - clean.intensity_hu
        inner = noise[20:60, 30:60, 30:90]
        assert inner.std() == pytest.approx(20, rel=0.05)
        neighbour.append(np.corrcoef(inner[..., 1:].ravel(), inner[..., :-1].ravel())[0, 1])
    assert neighbour[0] < 0.0 < 0.4 < neighbour[1]


def test_plan_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"diameter_mm must lie in 6\.\.60"):
        replace(SPHERE, diameter_mm=61.0)
    with pytest.raises(ValueError, match="kind must be one of"):
        replace(SPHERE, kind="floating")
    with pytest.raises(ValueError, match="kernel must be one of"):
        replace(CASE, kernel="B30f")


def test_drawn_cases_depend_on_the_seed_alone() -> None:
    assert draw_case(5, tumour=True) == draw_case(5, tumour=True)
    assert draw_case(5, tumour=False) == replace(draw_case(5, tumour=True), tumour=None)
