"""The phantoms that the shipped segmentation model learned from, and those that it is judged on: disjoint seeds."""

from __future__ import annotations

from collections.abc import Iterator

from engine.phantom.case import KINDS, Phantom, PhantomCase
from engine.phantom.sampling import draw_case
from engine.phantom.thorax import make_phantom
from store.volumes import CtSeries, Mask, MaskSet

TRAINING_TUMOURS = {"free": 48, "costal": 56, "hilar": 40}  # small costal and hilar ones are the hard ones
TRAINING_WITHOUT_TUMOUR = 12
FIRST_TRAINING_SEED, FIRST_UNSEEN_SEED = 0, 1_000_000  # a cohort's seeds begin at 2**32


def training_cases(
    tumours: dict[str, int] | None = None, without: int = TRAINING_WITHOUT_TUMOUR
) -> Iterator[tuple[CtSeries, MaskSet]]:
    """CT and masks (lungs without the tumour, tumour) of the training phantoms, so many of each kind."""
    wanted = TRAINING_TUMOURS if tumours is None else tumours
    for case in training_plan(wanted, without):
        yield as_case(make_phantom(case))


def training_plan(tumours: dict[str, int], without: int) -> tuple[PhantomCase, ...]:
    """The training cases: seeds are tried from FIRST_TRAINING_SEED until each kind is full, then tumour-free ones."""
    left = {kind: tumours.get(kind, 0) for kind in KINDS}
    chosen: list[PhantomCase] = []
    seed = FIRST_TRAINING_SEED
    while any(left.values()):
        case = draw_case(seed, True)
        kind = case.tumour.kind if case.tumour is not None else ""
        if left.get(kind, 0):
            left[kind] -= 1
            chosen.append(case)
        seed += 1
    return (*chosen, *(draw_case(seed + i, False) for i in range(without)))


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
