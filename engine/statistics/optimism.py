"""Internal estimates of the area under the ROC curve: .632+ and Harrell's optimism."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import vector

NO_INFORMATION = 0.5


def auc_632_plus(apparent: float, out_of_bag: float) -> float:
    """Return the .632+ estimate from the apparent AUC and the mean out-of-bag AUC, both in [0, 1].

    The no-information AUC is 0.5; out-of-bag values below it count as 0.5. Relative overfitting
    (apparent - out_of_bag) / (apparent - 0.5), cut to [0, 1], moves the weight from .632 to 1. Source: Efron and
    Tibshirani 1997.
    """
    for name, value in (("apparent", apparent), ("out_of_bag", out_of_bag)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
    floored = max(out_of_bag, NO_INFORMATION)
    gain = apparent - NO_INFORMATION
    overfitting = 0.0 if gain <= 0 else min(max((apparent - floored) / gain, 0.0), 1.0)
    weight = 0.632 / (1 - 0.368 * overfitting)
    return (1 - weight) * apparent + weight * floored


def harrell_optimism(training: ArrayLike, whole: ArrayLike) -> float:
    """Return the mean over bootstraps (b,) of the AUC on the bootstrap sample less that on the whole cohort.

    Both of the model fitted in that bootstrap. The apparent AUC less this is Harrell's corrected AUC, which is too high
    where models overfit hard: two thirds of the whole cohort were in the bootstrap. Of no use for forests, whose AUC on
    the bootstrap sample is 1. Source: Harrell 1996.
    """
    inside = vector("training", training)
    return float(np.mean(inside - vector("whole", whole, inside.size)))
