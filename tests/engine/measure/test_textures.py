"""Texture counts against PyRadiomics' own C code."""

import numpy as np
import pytest

from engine.measure.levels import Binning, padded_bins
from engine.measure.neighbourhood import frame_of, image_neighbours, mask_voxels
from engine.measure.textures import Buffers, texture_matrices

ROIS = [
    ((12, 14, 15), 0.8, 8),
    ((12, 14, 15), 0.02, 3),
    ((12, 14, 15), 0.004, 2),
    ((1, 20, 20), 0.7, 4),
    ((20, 1, 1), 0.9, 3),
    ((14, 14, 14), 1.0, 1),
]


def textures_of(roi):
    """Matrices of an array of grey levels from 1, 0 outside the mask."""
    mask = roi > 0
    frame = frame_of([mask])
    bins = padded_bins(roi[frame.box].astype(np.int16), frame, Binning(1.0, 1.0))
    buffers = Buffers.of(bins.size)
    image = image_neighbours(bins, frame)
    return texture_matrices(mask_voxels(mask, frame), image, frame.jumps, 0, int(roi.max()), buffers)


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
