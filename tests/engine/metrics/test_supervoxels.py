"""Supervoxels follow edges, are connected, of the size asked for, and repeat."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import slic

from engine.metrics.supervoxels import Clustering, supervoxels

SHAPE, SPACING = (24, 30, 36), (3.0, 1.0, 1.0)
CHOICES = Clustering(200.0, 0.05)


@pytest.fixture(scope="module")
def step():
    """Two halves, 0 and 1, whose border lies between columns 17 and 18, with a little noise."""
    values = np.zeros(SHAPE)
    values[:, :, 18:] = 1.0
    return values + np.random.default_rng(1).normal(0, 0.02, SHAPE)


def test_no_supervoxel_crosses_a_strong_edge(step):
    labels = supervoxels(step, np.ones(SHAPE, dtype=bool), SPACING, CHOICES)
    left, right = set(labels[:, :, :18].ravel().tolist()), set(labels[:, :, 18:].ravel().tolist())
    assert not left & right


def test_every_label_is_one_connected_piece_and_all_of_where_is_labelled(step):
    where = np.ones(SHAPE, dtype=bool)
    where[:4] = False
    labels = supervoxels(step, where, SPACING, CHOICES)
    assert np.array_equal(labels >= 0, where)
    for label in range(labels.max() + 1):
        assert ndimage.label(labels == label)[1] == 1


def test_supervoxels_have_about_the_volume_asked_for_in_mm3(step):
    labels = supervoxels(step, np.ones(SHAPE, dtype=bool), SPACING, CHOICES)
    assert np.median(np.bincount(labels.ravel())) * 3.0 == pytest.approx(200.0, rel=0.35)
    assert np.bincount(labels.ravel()).min() * 3.0 >= 0.5 * 200.0 - 3.0


def test_the_same_image_gives_the_same_supervoxels(step):
    where = np.ones(SHAPE, dtype=bool)
    assert np.array_equal(supervoxels(step, where, SPACING, CHOICES), supervoxels(step, where, SPACING, CHOICES))


def test_it_agrees_with_scikit_image_on_where_the_edges_are(step):
    # scikit-image 0.26 (installed with nnU-Net): another seeding, so labels differ; both must find the same border
    theirs = slic(step, n_segments=390, compactness=0.05, spacing=SPACING, channel_axis=None)
    ours = supervoxels(step, np.ones(SHAPE, dtype=bool), SPACING, CHOICES)
    for labels in (ours, theirs):
        assert (labels[:, :, 17] != labels[:, :, 18]).all()
