"""Texture counts against PyRadiomics' own C code."""

import numpy as np
import pytest

from engine.measure.textures import texture_matrices

ROIS = [((12, 14, 15), 0.8, 8), ((12, 14, 15), 0.02, 3), ((1, 20, 20), 0.7, 4), ((20, 1, 1), 0.9, 3)]


def by_direction(counts):
    """Directions in an order of their own: PyRadiomics numbers them differently."""
    return sorted(counts[..., angle].astype(np.float64).tobytes() for angle in range(counts.shape[-1]))


@pytest.mark.parametrize(("shape", "filling", "levels"), ROIS)
def test_counts_equal_pyradiomics(shape, filling, levels):
    from radiomics import cMatrices

    rng = np.random.default_rng(0)
    roi = rng.integers(1, levels + 1, shape) * (rng.random(shape) < filling)
    mask, count, near = roi > 0, int(roi.max()), np.array([1])
    found = texture_matrices(roi.astype(np.int32))
    joint = cMatrices.calculate_glcm(roi, mask, near, count, False, 0)[0][0]
    assert by_direction(joint + joint.transpose(1, 0, 2)) == by_direction(
        found.co_occurrence + found.co_occurrence.transpose(1, 0, 2)
    )
    if not found.all_runs_single:
        runs = cMatrices.calculate_glrlm(roi, mask, count, max(shape), False, 0)[0][0]
        assert by_direction(runs) == by_direction(found.run_length)
    zones = np.zeros_like(cMatrices.calculate_glszm(roi, mask, count, int(mask.sum()), False, 0)[0])
    np.add.at(zones, (found.zones[:, 0] - 1, found.zones[:, 1] - 1), 1)
    assert np.array_equal(zones, cMatrices.calculate_glszm(roi, mask, count, int(mask.sum()), False, 0)[0])
    dependence = cMatrices.calculate_gldm(roi, mask, near, count, 0, False, 0)[0]
    width = found.dependence.shape[1]
    assert np.array_equal(dependence[:, :width], found.dependence)
    assert not dependence[:, width:].any()
    tones = cMatrices.calculate_ngtdm(roi, mask, near, count, False, 0)[0]
    assert np.allclose(tones, found.tone_difference, rtol=1e-12)


def test_scattered_voxels_have_no_runs_of_two():
    """There PyRadiomics drops directions by a rule of its own, so its own code is asked."""
    roi = np.zeros((7, 7, 7), dtype=np.int32)
    roi[::3, ::3, ::3] = 1
    assert texture_matrices(roi).all_runs_single
