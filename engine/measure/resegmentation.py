"""Which voxels of a mask count for intensities: those within a range of HU, and not outliers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.volumes import BoolZyx


def resegmented(
    intensity_hu: NDArray[np.int16], mask: BoolZyx, range_hu: tuple[float, ...], outlier_sd: float
) -> BoolZyx:
    """The intensity mask of a mask, both z, y, x: voxels in a closed range of HU, then those near the mean of these.

    range_hu: lowest and highest HU kept, or empty; outlier_sd: more than so many (population) standard deviations from
    the mean of what the range left is dropped, 0 for none. What is left may be empty. IBSI 1, section 2.6; the same as
    PyRadiomics' resegmentRange, modes absolute and sigma. Shape features are not meant to see it.
    """
    if not range_hu and not outlier_sd:
        return mask
    where = np.nonzero(mask)
    values = intensity_hu[where].astype(np.float64)
    kept = np.ones(len(values), dtype=np.bool_)
    if range_hu:
        kept &= (values >= range_hu[0]) & (values <= range_hu[1])
    if outlier_sd and kept.any():
        mean, reach = values[kept].mean(), outlier_sd * values[kept].std()
        kept &= (values >= mean - reach) & (values <= mean + reach)
    result = np.zeros_like(mask)
    result[tuple(axis[kept] for axis in where)] = True
    return result
