"""The phantoms that the shipped segmentation model learned from, and those that it is judged on: disjoint seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from engine.phantom.case import KINDS, Phantom, PhantomCase
from engine.phantom.cohort import draw_cohort_tumour
from engine.phantom.sampling import draw_case
from engine.phantom.thorax import make_phantom
from store.volumes import CtSeries, Mask, MaskSet

TRAINING_TUMOURS = {"free": 140, "costal": 130, "hilar": 180}  # hilar ones are the hard ones
TRAINING_WITHOUT_TUMOUR = 20
TRAINING_SMALL = 200  # further tumours of any kind, of the size of a vessel or little more
SMALL_DIAMETER_MM = (7.0, 20.0)
TUMOUR_STREAM = 5
FIRST_TRAINING_SEED, FIRST_UNSEEN_SEED = 0, 1_000_000  # a cohort's seeds begin at 2**32


def training_cases() -> Iterator[tuple[CtSeries, MaskSet]]:
    """CT and masks (lungs without the tumour, tumour) of the training phantoms."""
    for case in training_plan(TRAINING_TUMOURS, TRAINING_WITHOUT_TUMOUR, TRAINING_SMALL):
        yield as_case(make_phantom(case))


def training_plan(tumours: dict[str, int], without: int, small: int) -> tuple[PhantomCase, ...]:
    """The training cases: so many tumours of each kind, so many cases without one, so many small tumours.

    Seeds are tried from FIRST_TRAINING_SEED until each kind is full; the other cases follow. Every second tumour has
    the size and texture of a cohort's patients: larger and more varied.
    """
    left = {kind: tumours.get(kind, 0) for kind in KINDS}
    chosen: list[PhantomCase] = []
    seed = FIRST_TRAINING_SEED
    while any(left.values()):
        case = _with_tumour(seed)
        kind = case.tumour.kind if case.tumour is not None else ""
        if left.get(kind, 0):
            left[kind] -= 1
            chosen.append(case)
        seed += 1
    chosen.extend(draw_case(seed + i, False) for i in range(without))
    return (*chosen, *(_with_small_tumour(seed + without + i) for i in range(small)))


def _with_small_tumour(seed: int) -> PhantomCase:
    """The case of a seed with its tumour made small; it then abuts the wall at most."""
    case = draw_case(seed, True)
    if case.tumour is None:
        raise ValueError(f"the case of seed {seed} must have a tumour")
    diameter = float(np.random.default_rng([seed, TUMOUR_STREAM]).uniform(*SMALL_DIAMETER_MM))
    return replace(case, tumour=replace(case.tumour, diameter_mm=diameter, wall_invasion_mm=0.0))


def _with_tumour(seed: int) -> PhantomCase:
    """The case of a seed; an even seed's tumour is drawn as a cohort draws it."""
    case = draw_case(seed, True)
    if seed % 2:
        return case
    rng = np.random.default_rng([seed, TUMOUR_STREAM])
    return replace(case, tumour=draw_cohort_tumour(rng, case.contrast, float(rng.uniform(0.001, 0.999))))


def unseen_phantom(number: int, tumour: bool = True) -> Phantom:
    """The n-th phantom that no training saw, drawn as a cohort draws its patients."""
    return make_phantom(draw_case(FIRST_UNSEEN_SEED + number, tumour))


def as_case(phantom: Phantom) -> tuple[CtSeries, MaskSet]:
    """CT and masks of a phantom as an outlined case: lungs without the tumour, and the tumour if there is one."""
    structures = {
        "lung_left": phantom.lung_left_without_tumour,
        "lung_right": phantom.lung_right_without_tumour,
        "tumour": phantom.tumour,
    }
    masks = [
        Mask(name, "independent", "phantom", voxels, phantom.grid)
        for name, voxels in structures.items()
        if voxels.any()
    ]
    return CtSeries(phantom.intensity_hu, phantom.grid), MaskSet(tuple(masks))
