"""Small chests for real trainings: two air blocks as lungs in tissue and, where wanted, a bright block as tumour."""

from __future__ import annotations

import numpy as np

from engine.segment.anatomy import Labelled, label_anatomy
from engine.segment.membership import Planned, plan_training
from engine.training_protocol import Anatomy, Train
from store.records import Cohort
from store.sources import AnatomyProgram, Lookup
from store.volumes import CtSeries, Grid, LabelMaps, Mask, ReferenceMasks

GRID = Grid((32, 24, 24), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
TINY = Train(
    features=(4, 8, 8),
    patch_zyx=(16, 16, 16),
    batch=2,
    epochs=3,
    pretraining_epochs=1,
    iterations=2,
    monitoring_iterations=1,
    monitored_cases=1,
    held_out_share=0.4,
    optimiser="adamw",
    learning_rate=3e-3,
    augmentation="light",
    loader_processes=0,
    device="cpu",
)
FREE = ("F1", "F2", "F3")
WITH_TUMOUR = ("T1", "T2", "T3", "T4", "T5", "T6")


def box(z: slice, y: slice, x: slice) -> np.ndarray:
    voxels = np.zeros(GRID.shape_zyx, dtype=np.bool_)
    voxels[z, y, x] = True
    return voxels


def ct_of(name: str) -> CtSeries:
    rng = np.random.default_rng(sum(map(ord, name)))
    hu = rng.normal(40, 15, GRID.shape_zyx)
    for voxels in lungs().values():
        hu[voxels] = rng.normal(-800, 30, int(voxels.sum()))
    if name in WITH_TUMOUR:
        hu[tumour(name)] = rng.normal(60, 15, int(tumour(name).sum()))
    return CtSeries(np.rint(hu).astype(np.int16), GRID)


def lungs() -> dict[str, np.ndarray]:
    every = slice(4, 20)
    return {"lung_left": box(every, every, slice(18, 29)), "lung_right": box(every, every, slice(3, 14))}


def tumour(name: str) -> np.ndarray:
    first = 5 + WITH_TUMOUR.index(name)
    return box(slice(8, 13), slice(8, 13), slice(first, first + 5))


def references(name: str) -> ReferenceMasks:
    if name not in WITH_TUMOUR:
        return ReferenceMasks(())
    return ReferenceMasks((Mask("tumour", "independent", "reference", tumour(name), GRID),))


def labelled(name: str) -> Labelled:
    masks = [
        Mask("anatomy", "independent", "label map", voxels, GRID, value, part)
        for value, (part, voxels) in enumerate(lungs().items(), start=1)
    ]
    anatomy = Anatomy(labels=("lung_left", "lung_right"))
    return label_anatomy(ct_of(name), references(name), LabelMaps(tuple(masks)), anatomy, AnatomyProgram())


def planned(names: tuple[str, ...], train: Train = TINY) -> Planned:
    done = {name: labelled(name) for name in names}
    cases = Cohort(tuple((name, one.trainable[0]) for name, one in done.items()))
    return plan_training(cases, Lookup(names, lambda name: done[name].fingerprint), train)
