"""Mean out-of-bag predictions of every patient and arm, and what is measured on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.guard import censoring_of, censoring_weights
from engine.statistics.brier import brier, scaled_brier
from engine.statistics.calibration import CalibrationLine, calibration_groups, calibration_line
from engine.statistics.flexible_calibration import FlexibleCalibration, flexible_calibration
from engine.statistics.optimism import auc_632_plus, harrell_optimism
from store.matrices import UNDETERMINED, DesignTable
from store.records import (
    MODELS,
    CalibrationBin,
    DeclinedError,
    ModelSummary,
    OutOfBag,
    Prediction,
    Resamples,
)

Floats = NDArray[np.float64]
CALIBRATION_GROUPS = 5
SPREAD = (2.5, 97.5)
FOREST = "forest_"


@dataclass(frozen=True, slots=True, eq=False)
class MeanPredictions:
    """Per arm (n,): mean probability (NaN when never out of bag), count of predictions, share of high-risk votes.

    weights (n,) are inverse probabilities of censoring over the whole table, used to measure, never to fit.
    """

    case_ids: tuple[str, ...]
    label: NDArray[np.int8]
    weights: Floats
    probability: dict[str, Floats]
    count: dict[str, NDArray[np.int64]]
    high: dict[str, Floats]

    @property
    def determined(self) -> NDArray[np.bool_]:
        """Patients whose label is known (n,)."""
        return np.asarray(self.label != UNDETERMINED)

    def measured(self, model: str) -> NDArray[np.bool_]:
        """Determined patients with a prediction of this arm (n,)."""
        return np.asarray(self.determined & (self.count[model] > 0))


def mean_predictions(table: DesignTable, out_of_bag: Resamples[OutOfBag]) -> MeanPredictions:
    """Average the out-of-bag predictions of each patient and arm over the resamples that left him out."""
    place = {case: row for row, case in enumerate(table.case_ids)}
    sums: dict[str, Floats] = {}
    for _, row in out_of_bag:
        found = sums.setdefault(row.model, np.zeros((3, len(place))))
        found[:, place[row.case_id]] += (row.probability, 1.0, float(row.high_risk))
    with np.errstate(invalid="ignore", divide="ignore"):
        probability = {model: found[0] / found[1] for model, found in sums.items()}
        high = {model: found[2] / found[1] for model, found in sums.items()}
    return MeanPredictions(
        case_ids=table.case_ids,
        label=table.label,
        weights=censoring_weights(table, censoring_of(table)),
        probability=probability,
        count={model: found[1].astype(np.int64) for model, found in sums.items()},
        high=high,
    )


def arms_present(means: MeanPredictions) -> tuple[str, ...]:
    """The arms that made predictions, in their fixed order."""
    return tuple(model for model in MODELS if model in means.probability)


def risk_group(share: float) -> str:
    """High when most resamples put the patient above their training median; empty when none predicted him."""
    if not np.isfinite(share):
        return ""
    return "high" if share > 0.5 else "low"


def prediction_rows(means: MeanPredictions, model: str) -> tuple[Prediction, ...]:
    """One row per patient with a prediction of this arm."""
    return tuple(
        Prediction(
            case_id=case,
            model=model,
            probability=float(means.probability[model][row]),
            resamples=int(means.count[model][row]),
            label=None if means.label[row] == UNDETERMINED else bool(means.label[row]),
            weight=float(means.weights[row]),
            risk_group=risk_group(float(means.high[model][row])),
        )
        for row, case in enumerate(means.case_ids)
        if means.count[model][row] > 0
    )


@dataclass(frozen=True, slots=True, eq=False)
class ResampledAucs:
    """AUCs (b,) of one arm over resamples: out of bag, on the training part, on the whole cohort; and the apparent one.

    training and whole may be empty and apparent None where only out-of-bag values were kept.
    """

    out_of_bag: Floats
    training: Floats
    whole: Floats
    apparent: float | None


def model_summary(means: MeanPredictions, model: str, aucs: ResampledAucs) -> ModelSummary:
    """Mean out-of-bag AUC over resamples with its spread; Brier score and calibration of the mean predictions.

    All weighted by censoring. effective_n is (sum of weights)^2 / sum of squares over determined patients. Beside it
    the .632+ estimate and Harrell's correction of the apparent AUC, the latter not of a forest: grown out, it is right
    about nearly everybody in a bootstrap, who are 63 % of the cohort it is tested on, so most of its optimism is
    never seen. Source: Efron and Tibshirani 1997, whose .632+ is made for such rules; Iba et al. 2021 for regression.
    """
    known = means.measured(model)
    labels, probability, weights = means.label[known] == 1, means.probability[model][known], means.weights[known]
    lo, hi = (float(v) for v in np.percentile(aucs.out_of_bag, SPREAD))
    line, curve = _line(labels, probability, weights), _curve(labels, probability, weights)
    auc = float(np.mean(aucs.out_of_bag))
    corrects = bool(aucs.training.size) and not model.startswith(FOREST)
    optimism = harrell_optimism(aucs.training, aucs.whole) if corrects else None
    apparent = aucs.apparent
    return ModelSummary(
        model=model,
        auc=auc,
        auc_lo=lo,
        auc_hi=hi,
        brier=brier(labels, probability, weights),
        calibration_intercept=None if line is None else line.intercept,
        calibration_slope=None if line is None else _finite(line.slope),
        n=int(known.sum()),
        events=int(labels.sum()),
        effective_n=float(weights.sum() ** 2 / (weights**2).sum()),
        intercept_lo=None if line is None else line.intercept_lower,
        intercept_hi=None if line is None else line.intercept_upper,
        slope_lo=None if line is None else _finite(line.slope_lower),
        slope_hi=None if line is None else _finite(line.slope_upper),
        scaled_brier=_finite(scaled_brier(labels, probability, weights)),
        ici=None if curve is None else curve.ici,
        e50=None if curve is None else curve.e50,
        e90=None if curve is None else curve.e90,
        apparent_auc=apparent,
        auc_632_plus=None if apparent is None else auc_632_plus(apparent, auc),
        optimism=optimism,
        corrected_auc=None if apparent is None or optimism is None else apparent - optimism,
    )


def _line(labels: NDArray[np.bool_], probability: Floats, weights: Floats) -> CalibrationLine | None:
    try:
        return calibration_line(labels, probability, weights)
    except DeclinedError:
        return None


def _curve(labels: NDArray[np.bool_], probability: Floats, weights: Floats) -> FlexibleCalibration | None:
    try:
        return flexible_calibration(labels, probability, weights)
    except DeclinedError:
        return None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def calibration_bins(means: MeanPredictions, model: str) -> tuple[CalibrationBin, ...]:
    """Predicted against observed risk in fifths of the predictions, weighted by censoring."""
    known = means.measured(model)
    labels, probability = means.label[known], means.probability[model][known]
    found = calibration_groups(labels, probability, min(CALIBRATION_GROUPS, labels.size), means.weights[known])
    rows = zip(found.predicted, found.observed, found.lower, found.upper, found.size, strict=True)
    return tuple(CalibrationBin(model, float(p), float(o), float(lo), float(hi), int(n)) for p, o, lo, hi, n in rows)
