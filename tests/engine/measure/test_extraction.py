"""Stages 8 and 10 on a small block: statuses, names, noise."""

from threading import Thread

import numpy as np
import pytest

from engine.geometry import cropped_grid
from engine.measure import extraction
from engine.measure.extraction import extract_features, extract_perturbed, name_features
from engine.metrics.image_changes import perturbed_grid
from engine.protocol import FeatureGrid, Features, Rois
from store.records import STATUSES, PerturbedImage, PerturbedMask, RoiMask
from store.sources import Sharing
from store.volumes import CtSeries, Grid, Mask, PerturbedMasks, RoiMasks

GRID = Grid((22, 22, 22), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
CHOICES, RECIPE = FeatureGrid(spacing_mm=2.0), Features()


def ct():
    hu = np.random.default_rng(2).normal(-200, 150, GRID.shape_zyx)
    return CtSeries(hu.astype(np.int16), GRID)


def cube(width):
    voxels = np.zeros(GRID.shape_zyx, dtype=bool)
    voxels[6 : 6 + width, 6 : 6 + width, 6 : 6 + width] = True
    return voxels


def region(roi, status, voxels):
    return RoiMask(roi, status, "reference", None, int(voxels.sum()), 0.0, None, False, "none", 0.0, 0)


@pytest.fixture(scope="module")
def vectors():
    rois = {
        "intratumoural": ("ok", cube(6)),
        "peritumoural": ("too_small", cube(2)),
        "whole_lung": ("no_lungs", cube(0)),
    }
    masks = RoiMasks(tuple(Mask(roi, "independent", "r", v, GRID) for roi, (_, v) in rois.items()))
    regions = tuple(region(roi, status, v) for roi, (status, v) in rois.items())
    return extract_features(ct(), masks, regions, CHOICES, RECIPE, Rois()).vectors


def test_every_region_has_a_vector_in_the_order_of_the_names(vectors):
    names = name_features(RECIPE).names
    assert [v.roi for v in vectors] == ["intratumoural", "peritumoural", "whole_lung"]
    assert {(len(v.values), v.feature_set, v.perturbation) for v in vectors} == {(1967, names[0].feature_set, "none")}
    place = next(n.place for n in names if n.feature == "VoxelVolume")
    assert vectors[0].values[place] == 216 * 8.0


def test_a_region_without_features_says_why(vectors):
    for vector, status in zip(vectors[1:], ("too_small", "no_lungs"), strict=True):
        assert np.isnan(vector.values).all()
        assert set(vector.statuses) == {STATUSES.index(status)}


def perturbed(name, tested=True):
    return PerturbedMask("intratumoural", name, "random", name, "{}", 1.0, 0.0, tested)


def unchanged(records):
    return tuple(PerturbedImage(record.perturbation) for record in records)


@pytest.fixture(scope="module")
def perturbed_vectors():
    shifted = np.roll(cube(6), 1, axis=2)
    drawn = {"noise-1": cube(6), "contour-1": shifted, "volume-10": cube(2), "rotation-1": cube(6)}
    masks = PerturbedMasks(tuple(Mask("intratumoural", "perturbed", n, v, GRID) for n, v in drawn.items()))
    records = (
        perturbed("noise-1"),
        perturbed("contour-1"),
        perturbed("volume-10"),
        perturbed("rotation-1", tested=False),
    )
    noisy = PerturbedImage("noise-1", noise_sd_hu=20.0, noise_seed=9)
    changes = (noisy, *unchanged(records[1:]))
    return extract_perturbed(ct(), masks, records, changes, CHOICES, RECIPE, Rois()).vectors


def test_untested_perturbations_have_no_vector(perturbed_vectors):
    assert {v.perturbation for v in perturbed_vectors} == {"noise-1", "contour-1", "volume-10"}


def test_noise_changes_intensities_and_not_the_shape(vectors, perturbed_vectors):
    names = name_features(RECIPE).names
    noisy = next(v for v in perturbed_vectors if v.perturbation == "noise-1")
    is_shape = np.array([n.feature_class == "shape" for n in names])
    assert np.array_equal(noisy.values[is_shape], vectors[0].values[is_shape])
    variance = next(n.place for n in names if (n.image_type, n.feature) == ("original", "Variance"))
    assert noisy.values[variance] != vectors[0].values[variance]


def test_a_perturbed_mask_that_got_too_small_says_so(perturbed_vectors):
    small = next(v for v in perturbed_vectors if v.perturbation == "volume-10")
    assert set(small.statuses) == {STATUSES.index("too_small")}


def test_masks_in_their_boxes_and_in_turns_give_the_values_of_whole_masks_at_once(monkeypatch):
    shifted = {f"contour-{n}": np.roll(cube(6), n, axis=2) for n in range(3)}
    records = tuple(perturbed(name) for name in shifted)
    whole = [Mask("intratumoural", "perturbed", n, v, GRID) for n, v in shifted.items()]
    box = (slice(6, 12), slice(5, 13), slice(6, 15))
    boxed = [Mask(m.structure, m.origin, m.source, m.voxels[box], cropped_grid(GRID, box)) for m in whole]
    together = extract_perturbed(
        ct(), PerturbedMasks(tuple(whole)), records, unchanged(records), CHOICES, RECIPE, Rois()
    ).vectors
    monkeypatch.setattr(extraction, "MOST_MASKS", 2)
    in_turns = extract_perturbed(
        ct(), PerturbedMasks(tuple(boxed)), records, unchanged(records), CHOICES, RECIPE, Rois()
    ).vectors
    assert [v.perturbation for v in in_turns] == [v.perturbation for v in together]
    for one, other in zip(in_turns, together, strict=True):
        assert np.allclose(one.values, other.values, rtol=1e-9, atol=1e-11, equal_nan=True)
        assert np.array_equal(one.statuses, other.statuses)


def test_a_mask_on_a_turned_grid_is_measured_in_the_image_on_that_grid():
    # the image is one slope along x; turned by 90 degrees about the cube's centre it is the same slope along y, so
    # intensities stay as they are and the cube's shape does too
    slope = np.tile(np.arange(22, dtype=np.int16) * 10, (22, 22, 1))
    image = CtSeries(slope, GRID)
    turn = PerturbedImage("turned", rotation_degrees=90.0, pivot_x_mm=21.0, pivot_y_mm=21.0)
    grid = perturbed_grid(GRID, 2.0, turn)
    voxels = np.zeros(GRID.shape_zyx, dtype=bool)
    voxels[8:14, 8:14, 8:14] = True
    records = (perturbed("none"), perturbed("turned"))
    masks = PerturbedMasks(
        tuple(Mask("intratumoural", "perturbed", n, voxels, g) for n, g in (("none", GRID), ("turned", grid)))
    )
    changes = (PerturbedImage("none"), turn)
    recipe = Features(recipe="original-107")
    plain, turned = extract_perturbed(image, masks, records, changes, CHOICES, recipe, Rois()).vectors
    assert np.allclose(plain.values, turned.values, rtol=1e-6, atol=1e-8, equal_nan=True)
    unturned = PerturbedMasks((Mask("intratumoural", "perturbed", "turned", voxels, GRID),))
    with pytest.raises(ValueError, match="box of the target grid"):
        extract_perturbed(image, unturned, records[1:], changes, CHOICES, recipe, Rois())


class Backwards(Sharing):
    """Parts from the last to the first, in threads that all run at once: as unlike one by one as can be."""

    def map(self, function, parts):
        found = {}
        threads = [Thread(target=lambda p=p: found.update({p: function(p)})) for p in reversed(parts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[part] for part in parts]


def test_the_images_of_a_case_may_be_measured_at_once_and_in_any_order():
    noises = tuple(PerturbedImage(f"noise-{n}", noise_sd_hu=20.0, noise_seed=n) for n in range(5))
    records = tuple(perturbed(change.perturbation) for change in noises)
    masks = PerturbedMasks(tuple(Mask("intratumoural", "perturbed", c.perturbation, cube(6), GRID) for c in noises))
    given = (ct(), masks, records, noises, CHOICES, RECIPE, Rois())
    one_by_one, at_once = extract_perturbed(*given).vectors, extract_perturbed(*given, Backwards()).vectors
    assert len({vector.values.tobytes() for vector in one_by_one}) == len(noises)
    for one, other in zip(one_by_one, at_once, strict=True):
        assert one.perturbation == other.perturbation
        assert one.values.tobytes() == other.values.tobytes()
        assert np.array_equal(one.statuses, other.statuses)
