"""Embeddings of the segmentation network as features: who has them, and their selection on one training part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.filters import Scaling, admit, fit_scaling
from engine.analyse.guard import Training
from engine.analyse.select import select
from engine.protocol import Reproducibility, SelectionProtocol
from engine.statistics.mrmr import SCHEMES
from store.matrices import DesignTable
from store.records import Cohort, Embedding, EmbeddingName

OF_EMBEDDINGS = "encoder"


def with_embeddings(
    table: DesignTable, rois: tuple[str, ...], embeddings: Cohort[Embedding], names: tuple[EmbeddingName, ...]
) -> DesignTable:
    """The table with the embeddings of every region in which all of its patients have one; itself where none is.

    All, because every arm must stand on the same patients and nobody is given a made-up embedding: one patient whose
    image another fold segmented, or whose region has no network's values, takes the region out.
    """
    ordered = tuple(name.feature for name in sorted(names, key=lambda name: name.place))
    found = {(case, e.roi): e.values for case, e in embeddings if e.values.size == len(ordered) > 0}
    used = [roi for roi in rois if all(np.isfinite(found.get((case, roi), [np.nan])).all() for case in table.case_ids)]
    if not used:
        return table
    values = np.stack([np.concatenate([found[case, roi] for roi in used]) for case in table.case_ids])
    return replace(
        table,
        deep_rois=tuple(roi for roi in used for _ in ordered),
        deep_names=ordered * len(used),
        deep_values=values,
    )


def deep_scaling(
    training: Training, keep: int, choices: SelectionProtocol, scheme: str, rng: np.random.Generator
) -> Scaling | None:
    """The embeddings that one training part keeps, standardised on it; None where the table has none.

    Selected as one region's features are (`select_region`): the first of mRMR, or what elimination leaves where the
    protocol asks for it. No filter of reproducibility: perturbed masks have no embeddings.
    """
    if training.table.deep_values is None:
        return None
    view = replace(training, table=_as_features(training.table, training.table.deep_values))
    admitted = admit(view, choices.model_copy(update={"signature": (), "icc_filter": False}), Reproducibility())
    if choices.region_elimination or admitted.columns.size == 0:
        return fit_scaling(view, select(view, admitted, keep, choices, scheme, rng).kept)
    rows = view.determined
    values = view.table.values[rows][:, admitted.columns]
    first = SCHEMES[scheme](values, view.table.label[rows], keep, view.weights[rows])
    return fit_scaling(view, admitted.columns[first])


def _as_features(table: DesignTable, values: NDArray[np.float64]) -> DesignTable:
    """The table with its embeddings in the place of its features, so that selection is the very same."""
    width = values.shape[1]
    return replace(
        table,
        rois=table.deep_rois,
        image_types=(OF_EMBEDDINGS,) * width,
        feature_classes=(OF_EMBEDDINGS,) * width,
        features=table.deep_names,
        values=values,
        statuses=np.zeros(values.shape, dtype=np.uint8),
        perturbed_rows=np.zeros(0, dtype=np.int32),
        perturbed_families=(),
        perturbed_values=np.zeros((0, 0, width)),
    )
