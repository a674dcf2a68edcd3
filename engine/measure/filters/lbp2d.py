"""Local binary patterns of each slice, by scikit-image as in PyRadiomics 3.0.1: the door to skimage.feature.

Whole slices go in: in flat regions, such as clipped air, the last digits of scikit-image's interpolation decide
between "darker" and "not darker", and those depend on where in the slice a voxel lies.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx


def lbp2d(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """Image lbp-2D, whole numbers: uniform patterns by their number of ones (0..samples), samples + 1 for all others.

    The recipe says how many samples are taken on a circle of which radius (voxels) in the plane of x and y.
    """
    from skimage.feature import local_binary_pattern  # two seconds, and no recipe of the paper asks for it

    recipe, (z, y, x) = source.recipe, source.box
    patterns = np.empty(source.union.shape, dtype=np.int16)
    for place, plane in enumerate(source.intensity_hu[z]):
        whole = local_binary_pattern(plane, P=recipe.lbp2d_samples, R=recipe.lbp2d_radius, method="uniform")
        patterns[place] = whole[y, x]
    yield "lbp-2D", patterns
