"""Texture counts against PyRadiomics' own C code."""

import numpy as np
import pytest

from engine.measure.levels import Binning, padded_bins
from engine.measure.neighbourhood import frame_of, image_neighbours, mask_groups
from engine.measure.textures import Buffers, core_textures, texture_matrices

ROIS = [
    ((12, 14, 15), 0.8, 8),
    ((12, 14, 15), 0.02, 3),
    ((12, 14, 15), 0.004, 2),
    ((1, 20, 20), 0.7, 4),
    ((20, 1, 1), 0.9, 3),
    ((14, 14, 14), 1.0, 1),
    ((14, 14, 14), 1.0, 3),
]


def textures_of(roi, others=()):
    """Matrices of an array of grey levels from 1, 0 outside the mask; other masks make its group."""
    mask = roi > 0
    masks = [mask, *others]
    frame = frame_of(masks)
    bins = padded_bins(roi[frame.box].astype(np.int16), frame, Binning(1.0, 1.0))
    buffers = Buffers.of(bins.size)
    image = image_neighbours(bins, frame)
    voxels = mask_groups(masks, frame)[0][1][0]
    count = int(roi.max())
    core = core_textures(voxels.core, image, frame.jumps, (0, count), max(roi.shape), buffers)
    return texture_matrices(voxels, core, (0, count), buffers)


def by_direction(counts):
    """Directions (last axis) in an order of their own, those without a count left out."""
    found = sorted(counts[..., angle].astype(np.float64).tobytes() for angle in range(counts.shape[-1]))
    return [table for table in found if any(table)]


@pytest.mark.parametrize(("shape", "filling", "levels"), ROIS)
def test_counts_equal_pyradiomics(shape, filling, levels):
    from radiomics import cMatrices

    rng = np.random.default_rng(0)
    roi = rng.integers(1, levels + 1, shape) * (rng.random(shape) < filling)
    z, y, x = np.nonzero(roi)
    roi = np.ascontiguousarray(roi[z.min() : z.max() + 1, y.min() : y.max() + 1, x.min() : x.max() + 1])
    mask, count, near = roi > 0, int(roi.max()), np.array([1])
    found = textures_of(roi)
    joint = cMatrices.calculate_glcm(roi, mask, near, count, False, 0)[0][0]
    ours = np.moveaxis(found.co_occurrence, 0, -1)
    assert by_direction(joint + joint.transpose(1, 0, 2)) == by_direction(ours + ours.transpose(1, 0, 2))
    runs = cMatrices.calculate_glrlm(roi, mask, count, max(roi.shape), False, 0)[0][0]
    assert by_direction(runs) == by_direction(np.moveaxis(found.run_length, 0, -1))
    theirs = cMatrices.calculate_glszm(roi, mask, count, int(mask.sum()), False, 0)[0]
    zones = np.zeros_like(theirs)
    np.add.at(zones, (found.zones[:, 0] - 1, found.zones[:, 1] - 1), 1)
    assert np.array_equal(zones, theirs)
    dependence = cMatrices.calculate_gldm(roi, mask, near, count, 0, False, 0)[0]
    width = min(dependence.shape[1], found.dependence.shape[1])
    assert np.array_equal(dependence[:, :width], found.dependence[:, :width])
    assert not dependence[:, width:].any()
    assert not found.dependence[:, width:].any()
    tones = cMatrices.calculate_ngtdm(roi, mask, near, count, False, 0)[0]
    assert np.allclose(tones[:, :2], found.tone_difference, rtol=1e-12)


def test_a_core_shared_with_other_masks_changes_no_count():
    rng = np.random.default_rng(1)
    roi = np.zeros((16, 16, 16), dtype=np.int64)
    roi[2:14, 2:14, 2:14] = rng.integers(1, 4, (12, 12, 12))
    shifted, eaten = np.roll(roi > 0, 1, axis=1), (roi > 0) & (rng.random(roi.shape) < 0.97)
    alone, shared = textures_of(roi), textures_of(roi, (shifted & (roi > 0), eaten))
    for matrix in ("co_occurrence", "run_length", "dependence"):
        assert np.array_equal(getattr(alone, matrix), getattr(shared, matrix)), matrix
    assert np.allclose(alone.tone_difference, shared.tone_difference, rtol=1e-12)
    assert sorted(map(tuple, alone.zones)) == sorted(map(tuple, shared.zones))
