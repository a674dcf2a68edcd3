"""Which image a CT is, however it was written down: what `saw` lists of models and the split of cases go by."""

from __future__ import annotations

import hashlib

import numpy as np

from engine.segment.resampling import facing
from store.volumes import CtSeries, ct_key

HU_RANGE = (-32768, 32767)


def image_key(ct: CtSeries) -> str:
    """sha256 (hex) of a CT's voxels in whole HU, axes turned to left, posterior, superior.

    The same for DICOM and NIfTI, int16 and float32, LPS and RAS. Spacing and origin do not enter: a file format rounds
    them, a number at the edge of any rounding falls to either side, and equal voxels are the same patient anyway.
    """
    turned = facing(ct.intensity_hu, ct.grid)
    state = hashlib.sha256(repr(turned.shape).encode())
    for section in turned:  # one at a time: a whole series in float would be a gigabyte
        state.update(np.rint(np.clip(section, *HU_RANGE)).astype("<i2").tobytes())
    return state.hexdigest()


def known_keys(ct: CtSeries) -> frozenset[str]:
    """Every name under which a model may list a CT: its image key, and the exact key that older manifests hold."""
    return frozenset((image_key(ct), ct_key(ct)))
