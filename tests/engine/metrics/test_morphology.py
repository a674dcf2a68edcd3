"""Shape against closed forms and against PyRadiomics 3.0.1 itself."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from engine.metrics import morphology

UNIT = (1.0, 1.0, 1.0)


def ball(shape, centre, radius, spacing):
    steps = [(np.arange(n) * s - c) ** 2 for n, s, c in zip(shape, spacing, centre, strict=True)]
    return steps[0][:, None, None] + steps[1][None, :, None] + steps[2][None, None, :] <= radius**2


def test_one_voxel_is_an_octahedron():
    """Half-voxel mid-edges: volume 1/6, area 8 * sqrt(3)/8, diameter 1."""
    shape = morphology.describe_shape(np.ones((1, 1, 1), dtype=bool), UNIT)
    assert shape.volume_ml == pytest.approx(1 / 6000)
    assert shape.surface_mm2 == pytest.approx(np.sqrt(3))
    assert shape.maximum_3d_diameter_mm == pytest.approx(1.0)
    assert (shape.slices, shape.small, shape.elongation) == (1, True, 0.0)


def test_sphere_comes_close_to_the_closed_form():
    spacing = (3.0, 1.0, 1.0)
    mask = ball((25, 60, 60), (36.0, 30.0, 30.0), 20.0, spacing)
    shape = morphology.describe_shape(mask, spacing)
    assert shape.volume_ml == pytest.approx(4 / 3 * np.pi * 8, rel=0.02)
    assert shape.maximum_3d_diameter_mm == pytest.approx(40.0, abs=3.0)  # mesh: half a voxel outwards
    assert shape.elongation == pytest.approx(1.0, abs=0.02)
    assert 0.85 < shape.sphericity < 1.0
    assert not shape.small


def test_ellipsoid_has_its_ratio_of_axes_as_elongation():
    z, y, x = np.ogrid[-30:31, -30:31, -30:31]
    mask = (z / 8) ** 2 + (y / 14) ** 2 + (x / 28) ** 2 <= 1
    assert morphology.describe_shape(mask, UNIT).elongation == pytest.approx(0.5, abs=0.01)


def test_empty_mask_has_no_shape():
    with pytest.raises(ValueError, match="empty"):
        morphology.describe_shape(np.zeros((3, 3, 3), dtype=bool), UNIT)


def test_real_tumour_has_the_values_of_pyradiomics(shared):
    """reference_features.json: PyRadiomics 3.0.1 on the native grid."""
    folder = shared / "data/lung1_001"
    image = sitk.ReadImage(str(folder / "labels_native.nii.gz"))
    mask = sitk.GetArrayFromImage(image) == 1
    shape = morphology.describe_shape(mask, tuple(image.GetSpacing()[::-1]))
    values = json.loads((folder / "reference_features.json").read_text())["native_mm"]
    expected = {name.removeprefix("original_shape_"): value for name, value in values.items()}
    assert shape.volume_ml == pytest.approx(expected["MeshVolume"] / 1000, rel=1e-9)
    assert shape.surface_mm2 == pytest.approx(expected["SurfaceArea"], rel=1e-9)
    assert shape.sphericity == pytest.approx(expected["Sphericity"], rel=1e-9)
    assert shape.maximum_3d_diameter_mm == pytest.approx(expected["Maximum3DDiameter"], rel=1e-9)
    assert shape.surface_to_volume_per_mm == pytest.approx(expected["SurfaceVolumeRatio"], rel=1e-9)
    assert shape.elongation == pytest.approx(expected["Elongation"], rel=1e-9)
