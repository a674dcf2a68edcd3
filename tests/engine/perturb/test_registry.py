"""What every perturbation must do, on a sphere of 20 mm radius at 2 mm."""

import numpy as np
import pytest

from engine.metrics.overlap import volumetric_dsc
from engine.perturb.plan import Context
from engine.perturb.registry import planned
from engine.protocol import Perturb
from store.volumes import CtSeries, Grid

GRID = Grid((40, 42, 44), (2.0, 2.0, 2.0), (-10.0, 5.0, 100.0))
CHOICES = Perturb()
PLANS = {plan.name: plan for plan in planned(CHOICES)}


def sphere():
    z, y, x = np.indices(GRID.shape_zyx)
    return (z - 22) ** 2 + (y - 21) ** 2 + (x - 20) ** 2 <= 100


@pytest.fixture(scope="module")
def context():
    noise = np.random.default_rng(7).normal(20.0, 12.0, GRID.shape_zyx)
    return Context(CtSeries(noise.astype(np.float32), GRID), sphere(), CHOICES)


def apply(name, context, seed=3):
    drawn = PLANS[name].draw(np.random.default_rng(seed), context)
    return drawn, drawn.apply(sphere(), GRID)


def test_quick_preset_has_ten_named_perturbations_in_two_families():
    assert list(PLANS) == [
        *("rotation-1", "rotation-2", "translation-1", "translation-2", "noise-1", "noise-2"),
        *("contour-1", "contour-2", "volume+10", "volume-10"),
    ]
    assert [p.name for p in PLANS.values() if p.family == "fixed"] == ["volume+10", "volume-10"]
    assert planned(Perturb(preset="none")) == ()


@pytest.mark.parametrize("name", PLANS)
def test_every_perturbation_keeps_the_shape_of_the_array_and_most_of_the_mask(name, context):
    _, mask = apply(name, context)
    assert mask.shape == GRID.shape_zyx
    assert mask.dtype == np.bool_
    assert volumetric_dsc(sphere(), mask) > 0.85


@pytest.mark.parametrize("name", PLANS)
def test_the_same_seed_repeats_and_the_drawn_parameters_decide(name, context):
    drawn, mask = apply(name, context)
    again, repeated = apply(name, context)
    assert drawn == again
    assert np.array_equal(mask, repeated)
    assert np.array_equal(drawn.apply(sphere(), GRID), mask)


@pytest.mark.parametrize("method", ["rotation", "translation", "noise", "contour"])
def test_another_seed_draws_other_parameters(method, context):
    assert apply(f"{method}-1", context, seed=3)[0] != apply(f"{method}-1", context, seed=4)[0]


@pytest.mark.parametrize(("name", "share"), [("volume+10", 1.10), ("volume-10", 0.90)])
def test_volume_reaches_its_target_within_one_voxel(name, share, context):
    _, mask = apply(name, context)
    assert abs(mask.sum() - share * sphere().sum()) <= 1
    assert (mask >= sphere()).all() if share > 1 else (mask <= sphere()).all()


@pytest.mark.parametrize("name", ["rotation-1", "translation-1"])
def test_rigid_motion_keeps_the_volume(name, context):
    _, mask = apply(name, context)
    assert mask.sum() == pytest.approx(sphere().sum(), rel=0.02)


def test_rotation_turns_a_rod_by_its_angle(context):
    rod = np.zeros(GRID.shape_zyx, dtype=bool)
    rod[20:24, 19:22, 5:36] = True
    drawn = apply("rotation-1", context)[0]
    _, y, x = np.nonzero(drawn.apply(rod, GRID))
    angle = np.degrees(np.arctan(np.polyfit(x, y, 1)[0]))
    assert angle == pytest.approx(drawn.degrees, abs=1.0)
    assert 2.5 <= abs(drawn.degrees) <= 5.0


def test_translation_moves_the_centre_by_its_vector(context):
    drawn, mask = apply("translation-1", context)
    moved = np.argwhere(mask).mean(axis=0) - np.argwhere(sphere()).mean(axis=0)
    assert moved == pytest.approx([drawn.z_voxels, drawn.y_voxels, drawn.x_voxels], abs=0.15)


def test_noise_leaves_the_mask_and_finds_the_level_of_the_image(context):
    drawn, mask = apply("noise-1", context)
    assert np.array_equal(mask, sphere())
    assert drawn.sd_hu == pytest.approx(12.0, rel=0.05)


def test_a_mask_at_the_border_of_the_image_is_not_an_error(context):
    edge = np.zeros(GRID.shape_zyx, dtype=bool)
    edge[:6, :8, :8] = True
    for plan in PLANS.values():
        assert plan.draw(np.random.default_rng(1), context).apply(edge, GRID).any()
