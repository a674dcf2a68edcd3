"""An earlier CT of some of the demo's patients: a smaller tumour in the same chest, which lies elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.phantom.case import KERNELS, SMALLEST_DIAMETER_MM, PhantomCase
from engine.phantom.thorax import make_phantom
from store.volumes import Grid, Triple

EARLIER_EVERY = 25  # every so many patients was scanned before
DAYS_BETWEEN, LARGEST_SHIFT_MM = (90, 540), 40.0
GROWTH_SHARE = 0.6  # of its diameter now
EARLIER_STREAM = 6


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of an earlier CT: days before the index scan; what brings its points onto those of now."""

    days_before: int
    shift_mm: Triple


def earlier_of(case: PhantomCase) -> Earlier:
    """When the earlier CT of a patient was made and how the patient lay, drawn from his own stream."""
    rng = np.random.default_rng([case.seed, EARLIER_STREAM])
    days = int(rng.integers(*DAYS_BETWEEN))
    x, y, z = (float(round(value)) for value in rng.uniform(-LARGEST_SHIFT_MM, LARGEST_SHIFT_MM, 3))
    return Earlier(days, (x, y, z))


def make_earlier(case: PhantomCase) -> tuple[NDArray[np.int16], Grid]:
    """The earlier CT (z, y, x, HU) and where it lies: the tumour 0.6 times as wide, the other kernel, moved."""
    tumour = case.tumour
    if tumour is not None:
        tumour = replace(tumour, diameter_mm=max(SMALLEST_DIAMETER_MM, GROWTH_SHARE * tumour.diameter_mm))
    other = next(kernel for kernel in KERNELS if kernel != case.kernel)
    phantom = make_phantom(replace(case, tumour=tumour, kernel=other))
    origin, shift = phantom.grid.origin_mm, earlier_of(case).shift_mm
    x, y, z = (a - b for a, b in zip(origin, shift, strict=True))
    return phantom.intensity_hu, replace(phantom.grid, origin_mm=(x, y, z))
