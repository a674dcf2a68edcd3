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

TRAINING_TUMOURS = {"free": 90, "costal": 100, "hilar": 150}  # hilar ones are the hard ones
TRAINING_WITHOUT_TUMOUR = 20
TUMOUR_STREAM = 5
FIRST_TRAINING_SEED, FIRST_UNSEEN_SEED = 0, 1_000_000  # a cohort's seeds begin at 2**32


def training_cases(
    tumours: dict[str, int] | None = None, without: int = TRAINING_WITHOUT_TUMOUR
) -> Iterator[tuple[CtSeries, MaskSet]]:
    """CT and masks (lungs without the tumour, tumour) of the training phantoms, so many of each kind."""
    wanted = TRAINING_TUMOURS if tumours is None else tumours
    for case in training_plan(wanted, without):
        yield as_case(make_phantom(case))


def training_plan(tumours: dict[str, int], without: int) -> tuple[PhantomCase, ...]:
    """The training cases: seeds are tried from FIRST_TRAINING_SEED until each kind is full, then tumour-free ones.

    Every second tumour has the size and texture of a cohort's patients: larger and more varied.
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
    return (*chosen, *(draw_case(seed + i, False) for i in range(without)))


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
