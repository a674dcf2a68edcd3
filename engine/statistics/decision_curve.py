"""Decision curve: net benefit of acting on predicted risk."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from engine.statistics.checks import Floats, binary, vector, weights_or_ones


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit of the model and of treating all at each threshold probability; treating none is 0."""

    thresholds: Floats
    model: Floats
    treat_all: Floats


def decision_curve(
    labels: ArrayLike, probabilities: ArrayLike, thresholds: ArrayLike, weights: ArrayLike | None = None
) -> DecisionCurve:
    """Return net benefit = share of true positives - share of false positives * threshold / (1 - threshold).

    Treated are rows with probability >= threshold; `thresholds` (m,) lie in [0, 1). Source: Vickers and Elkin 2006;
    dcurves 1.1.7.
    """
    predicted = vector("probabilities", probabilities)
    truth = binary("labels", labels, predicted.size)
    scale = weights_or_ones(weights, predicted.size)
    levels = vector("thresholds", thresholds)
    if ((levels < 0) | (levels >= 1)).any():
        raise ValueError(f"thresholds must lie in [0, 1), got {levels.min()} to {levels.max()}")
    share = scale / scale.sum()
    treated = predicted[None, :] >= levels[:, None]
    odds = levels / (1 - levels)
    prevalence = float(share @ truth)
    model = treated @ (share * truth) - treated @ (share * ~truth) * odds
    return DecisionCurve(levels, model, prevalence - (1 - prevalence) * odds)
