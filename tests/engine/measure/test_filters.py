"""Every filter against PyRadiomics' own image, in a box of the image."""

import numpy as np
import pytest
import SimpleITK as sitk
from radiomics import imageoperations

from engine.measure.filters.lbp3d import local_patterns
from engine.measure.filters.registry import FILTERS, filtered_images
from engine.measure.filters.source import FilterSource
from engine.metrics.recipe import PAPER_1967, RECIPES, Recipe, recipe_named

SHAPE, SPACING = (33, 30, 37), (0.9, 1.1, 1.3)
BOX = (slice(4, 20), slice(0, 30), slice(20, 37))
POINTWISE = ("Square", "SquareRoot", "Logarithm", "Exponential", "Gradient")


def image():
    return np.random.default_rng(3).integers(-1000, 400, SHAPE).astype(np.int16)


def source(recipe=PAPER_1967):
    union = np.zeros(tuple(side.stop - side.start for side in BOX), dtype=bool)
    union[2:6, 2:6, 2:6] = True
    return FilterSource(image(), SPACING, BOX, union, recipe)


@pytest.fixture(scope="module")
def theirs():
    whole = sitk.GetImageFromArray(image())
    whole.SetSpacing(SPACING)
    found = {}
    steps = [(getattr(imageoperations, f"get{name}Image"), {}) for name in POINTWISE]
    steps.append((imageoperations.getLoGImage, {"sigma": list(PAPER_1967.log_sigma_mm)}))
    steps.append((imageoperations.getWaveletImage, {"wavelet": "coif1"}))
    for step, settings in steps:
        found |= {name: sitk.GetArrayFromImage(made)[BOX] for made, name, _ in step(whole, None, **settings)}
    return found


def test_filtered_images_are_those_of_pyradiomics(theirs):
    ours = dict(filtered_images(source()))
    assert set(theirs) | {"original", "lbp-3D-m1", "lbp-3D-m2", "lbp-3D-k"} == set(ours)
    for name, expected in theirs.items():
        assert np.allclose(ours[name], expected, rtol=1e-7, atol=1e-4 if "log-" in name else 1e-10), name


def test_pointwise_gradient_and_wavelet_are_equal_to_the_last_digits(theirs):
    for name, values in filtered_images(source()):
        if name in theirs and not name.startswith("log-"):
            assert np.allclose(values, theirs[name], rtol=1e-14, atol=1e-12), name


def test_recursive_laplacian_is_that_of_itk_where_nothing_is_cut(theirs):
    whole = (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    everything = FilterSource(image(), SPACING, whole, np.ones(SHAPE, dtype=bool), PAPER_1967)
    ours = {n: v[BOX] for n, v in filtered_images(everything) if n.startswith("log-")}
    for name, values in ours.items():
        assert np.allclose(values, theirs[name], rtol=0, atol=2e-4), name
        assert (values == theirs[name]).mean() > 0.99, name


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_gets_each_of_its_images_once_and_in_the_shape_of_the_box(recipe):
    found = [(name, values.shape) for name, values in filtered_images(source(recipe))]
    assert sorted(name for name, _ in found) == sorted(recipe.image_types)
    assert {shape for _, shape in found} == {(16, 30, 17)}


def test_every_filter_belongs_to_the_recipe_of_all_image_types():
    for begins, _ in FILTERS:
        assert any(name.startswith(begins) for name in recipe_named("paper-1967-all").image_types), begins


@pytest.mark.parametrize(("level", "start"), [(2, 0), (1, 1), (2, 1), (3, 0)])
def test_wavelet_levels_are_those_of_pyradiomics(level, start):
    """Odd and even axes; start levels pass over images without naming them (wavelet-* is then a coarser scale)."""
    whole = sitk.GetImageFromArray(image())
    made = imageoperations.getWaveletImage(whole, None, wavelet="coif1", level=level, start_level=start)
    expected = {name: sitk.GetArrayFromImage(values)[BOX] for values, name, _ in made}
    names = ("original", *expected)
    recipe = Recipe("levels", 107 + 93 * len(expected), names, (), "coif1", level, start)
    ours = dict(filtered_images(source(recipe)))
    assert set(ours) == set(names)
    for name, values in expected.items():
        assert np.allclose(ours[name], values, rtol=1e-13, atol=1e-9), name


@pytest.mark.parametrize(("radius", "samples"), [(1.0, 8), (2.5, 12)])
def test_local_binary_patterns_of_slices_are_those_of_pyradiomics_even_in_clipped_air(radius, samples):
    """In flat air the last digits of scikit-image's interpolation decide: whole slices have to go in."""
    air = image()
    air[:, 5:25, 5:30] = -1000
    whole = sitk.GetImageFromArray(air)
    ((expected, name, _),) = imageoperations.getLBP2DImage(whole, None, lbp2DRadius=radius, lbp2DSamples=samples)
    recipe = Recipe("lbp", 200, ("original", name), (), "", lbp2d_radius=radius, lbp2d_samples=samples)
    ours = dict(filtered_images(FilterSource(air, SPACING, BOX, source().union, recipe)))
    assert np.array_equal(ours[name], sitk.GetArrayFromImage(expected)[BOX])


def test_recipes_with_settings_out_of_range_are_refused():
    for wrong in ({"wavelet_level": 0}, {"wavelet_start_level": -1}, {"lbp2d_radius": 0.0}, {"lbp2d_samples": 0}):
        with pytest.raises(ValueError, match=r"at least|above"):
            Recipe("wrong", 107, ("original",), (), "", **wrong)


def test_patterns_of_a_voxel_are_the_same_to_the_last_bit_whatever_else_is_measured():
    """Many voxels tie in m2; last digits that depend on a voxel's place in the list would part them at a percentile."""
    image = np.random.default_rng(3).integers(-900, 300, (20, 20, 20)).astype(np.int16)
    every = np.ones(image.shape, dtype=bool)
    some = np.random.default_rng(4).random(image.shape) < 0.3
    whole, part = local_patterns(image, every), local_patterns(image, some)
    inside = some[every]
    assert np.array_equal(whole.m1[inside], part.m1)
    assert np.array_equal(whole.m2[inside], part.m2)


def test_voxels_with_one_energy_are_exact_ties():
    image = np.random.default_rng(3).integers(-900, 300, (20, 20, 20)).astype(np.int16)
    m2 = local_patterns(image, np.ones(image.shape, dtype=bool)).m2
    assert np.diff(np.unique(m2)).min() > 1e-9
