"""Compiles every numba kernel once, before a run: numba keeps the machine code beside the sources."""

from __future__ import annotations

import numpy as np

from engine.measure.directions import TextureChoices
from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.levels import Binning
from engine.metrics.distance import distance_to_mm
from engine.metrics.overlap import surface_distances
from engine.metrics.recipe import PAPER_1967
from engine.metrics.supervoxels import Clustering, supervoxels
from engine.phantom.branches import Tube, occupancy
from engine.spline import resample_spline, resample_turned
from engine.statistics.rank_forest import fit_forest, predict
from store.volumes import Grid

SIZE = 24
WARM_UP_LEVELS = 25.0


def compile_kernels() -> None:
    """Call each kernel with a small input of the types that a study has; seconds when nothing changed since."""
    rng = np.random.default_rng(0)
    shape = (SIZE, SIZE, SIZE)
    noise = rng.integers(-900, 300, shape).astype(np.int16)
    mask = np.zeros(shape, dtype=np.bool_)
    mask[8:16, 8:16, 8:16] = True
    image = FeatureImage(noise, mask, Grid(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    measure_rois(image, [mask, mask], PAPER_1967, Binning(WARM_UP_LEVELS))
    for choices in (TextureChoices(weighting="merged"), TextureChoices(in_plane=True)):  # conform's and [features]'
        measure_rois(image, [mask], PAPER_1967, Binning(WARM_UP_LEVELS), choices)
    resample_spline(noise, (np.arange(3.0), np.arange(3.0), np.arange(3.0)), 0.0)
    resample_turned(noise, np.arange(3.0), np.ones((3, 3)), np.ones((3, 3)), 0.0)
    supervoxels(noise / 1000.0, mask, (1.0, 1.0, 1.0), Clustering(50.0, 0.05))
    distance_to_mm(mask, (1.0, 1.0, 1.0))
    occupancy(Tube(np.zeros((1, 3)), np.ones(1)))
    surface_distances(mask, mask, (1.0, 1.0, 1.0))
    table, outcome = rng.normal(size=(SIZE, 4)), np.arange(SIZE) % 2
    predict(fit_forest(table, outcome, None, 2, 0), table)
