"""Selection on one training part: mRMR, then recursive elimination by forests; nothing here sees another patient."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.filters import Admitted, known_values
from engine.analyse.guard import Training
from engine.protocol import SelectionProtocol
from engine.statistics.mrmr import SCHEMES
from engine.statistics.rank_forest import rfe

LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What mRMR and RF-RFE took in one training part, as columns of the design table.

    ranked is in the order of mRMR; places (of ranked) is the size of the smallest set of the elimination that still
    held the feature, so kept are those with places <= the number asked for. admitted counts the candidates.
    """

    ranked: NDArray[np.intp]
    places: NDArray[np.intp]
    kept: NDArray[np.intp]
    admitted: int
    icc_filtered: bool
    scheme: str


def select(
    training: Training, admitted: Admitted, keep: int, choices: SelectionProtocol, scheme: str, rng: np.random.Generator
) -> Selected:
    """mRMR by one scheme and RF-RFE of the admitted columns, on determined training patients with their weights."""
    columns = admitted.columns
    seed = int(rng.integers(LARGEST_SEED))
    if columns.size == 0:
        return Selected(columns, columns, columns, 0, admitted.icc_filtered, scheme)
    rows = training.determined
    values = known_values(training, columns)[rows]
    label, weights = training.table.label[rows], training.weights[rows]
    ranked = SCHEMES[scheme](values, label, choices.mrmr_features, weights)
    places = ranked
    if ranked.size:
        places = rfe(values[:, ranked], label, weights, 1, choices.trees, seed).ranking
    kept = columns[ranked[places <= keep]]
    return Selected(columns[ranked], places, kept, columns.size, admitted.icc_filtered, scheme)


def select_region(
    training: Training,
    admitted: Admitted,
    roi: str,
    keep: int,
    choices: SelectionProtocol,
    scheme: str,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """The columns that one region would keep had it been measured alone.

    The first of its mRMR, or, where the protocol asks for it, those that elimination leaves, as in `select`.
    """
    own = np.array(
        [column for column in admitted.columns.tolist() if training.table.rois[column] == roi], dtype=np.intp
    )
    part = replace(admitted, columns=own)
    if choices.region_elimination or own.size == 0:
        return select(training, part, keep, choices, scheme, rng).kept
    rows = training.determined
    values = known_values(training, own)[rows]
    return own[SCHEMES[scheme](values, training.table.label[rows], keep, training.weights[rows])]
