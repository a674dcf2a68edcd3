"""A model made elsewhere on the patients of this study: held-out, so that DeLong's test is valid here."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from engine.analyse.comparison import PAIRS
from engine.analyse.guard import censoring_of, censoring_weights
from engine.analyse.learners import log_odds
from engine.analyse.portable import IMPORTED, recipe_text, refuse_training_patients, risk_elsewhere
from engine.portable_model import PortableModel, Setting, read_model_text
from engine.protocol import Clinical, Covariates, FeatureGrid, Features, Outcome, Plan, Rois
from engine.statistics.brier import brier, scaled_brier
from engine.statistics.calibration import calibration_line
from engine.statistics.delong import auc_interval, auc_logit_interval, compare_aucs
from engine.statistics.logistic import fit_logistic
from engine.statistics.roc import weighted_auc
from store.matrices import UNDETERMINED, DesignTable
from store.records import (
    CarriedModel,
    DeclinedError,
    ExternalAspect,
    ExternalComparison,
    ExternalPrediction,
    ExternalSummary,
    RefusedError,
)

Floats = NDArray[np.float64]
UNDECLARED = "not declared"


@dataclass(frozen=True, slots=True)
class ExternalValidation:
    """Output of the external stage."""

    predictions: tuple[ExternalPrediction, ...]
    summaries: tuple[ExternalSummary, ...]
    comparisons: tuple[ExternalComparison, ...]
    aspects: tuple[ExternalAspect, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """Determined patients: labels, weights by this study's censoring, and their rows in the table."""

    rows: NDArray[np.intp]
    labels: NDArray[np.bool_]
    weights: Floats


def validate(  # noqa: PLR0913 - a stage's signature is its declaration
    table: DesignTable,
    carried: tuple[CarriedModel, ...],
    outcome: Outcome,
    clinical: Clinical,
    covariates: Covariates,
    features: Features,
    grid: FeatureGrid,
    rois: Rois,
    plan: Plan,
) -> ExternalValidation:
    """Predict this study's patients with a model file and measure what comes of it.

    RefusedError where one of them trained the model. An arm whose columns this study lacks is left out; DeclinedError
    when none is left. p stays None before the plan is locked. Recalibration is fitted on these patients and says what
    would have to change, not how the changed model would do.
    """
    model = read_model_text(carried[0].text)
    refuse_training_patients(model, table)
    risks, lacking = _risks(model, table)
    if not risks:
        raise DeclinedError(f"no arm of the model can be tested here: {lacking}")
    rows = np.flatnonzero(table.label != UNDETERMINED)
    held = _Held(rows, table.label[rows] == 1, censoring_weights(table, censoring_of(table))[rows])
    internal = {arm.model: arm.out_of_bag_auc for arm in model.arms}
    pairs = [pair for pair in PAIRS if set(pair) <= set(risks)]
    return ExternalValidation(
        predictions=tuple(row for arm, risk in risks.items() for row in _predictions(table, arm, risk)),
        summaries=tuple(_summary(arm, risk[held.rows], held, internal[arm]) for arm, risk in risks.items()),
        comparisons=tuple(_compared(b, e, risks, held, bool(plan.locked_at)) for b, e in pairs),
        aspects=(
            *_aspects(model.setting, outcome, clinical, covariates),
            *_recipes(model.setting.recipe, recipe_text(table, features, grid, rois)),
        ),
    )


def _risks(model: PortableModel, table: DesignTable) -> tuple[dict[str, Floats], str]:
    """Risk of every arm that can be computed here, and why the first of the others cannot."""
    risks: dict[str, Floats] = {}
    lacking = ""
    for arm in model.arms:
        try:
            risks[arm.model] = risk_elsewhere(model, arm, table)
        except RefusedError as error:
            if error.code != "model_column":
                raise
            lacking = lacking or error.message
    return risks, lacking


def _predictions(table: DesignTable, arm: str, risk: Floats) -> list[ExternalPrediction]:
    rows = zip(table.case_ids, risk.tolist(), table.label.tolist(), strict=True)
    return [ExternalPrediction(case, arm, p, None if label == UNDETERMINED else label == 1) for case, p, label in rows]


def _summary(arm: str, risk: Floats, held: _Held, internal: float | None) -> ExternalSummary:
    area, logit_scale = auc_interval(held.labels, risk), auc_logit_interval(held.labels, risk)
    line = calibration_line(held.labels, risk, held.weights)
    offset = log_odds(risk)
    again, slope = None, None
    if np.ptp(offset) > 0:
        fit = fit_logistic(offset[:, None], held.labels, held.weights)
        if fit.converged:
            slope = float(fit.coefficients[1])
            again = brier(held.labels, expit(fit.coefficients[0] + slope * offset), held.weights)
    shifted = expit(offset + line.intercept)
    return ExternalSummary(
        model=arm,
        auc=area.auc,
        auc_lo=logit_scale.lower,
        auc_hi=logit_scale.upper,
        weighted_auc=weighted_auc(held.labels, risk, held.weights),
        internal_auc=internal,
        mean_risk=float(np.average(risk, weights=held.weights)),
        observed=float(np.average(held.labels, weights=held.weights)),
        calibration_intercept=line.intercept,
        intercept_lo=line.intercept_lower,
        intercept_hi=line.intercept_upper,
        calibration_slope=slope,
        slope_lo=None if slope is None else line.slope_lower,
        slope_hi=None if slope is None else line.slope_upper,
        brier=brier(held.labels, risk, held.weights),
        scaled_brier=scaled_brier(held.labels, risk, held.weights),
        brier_shifted=brier(held.labels, shifted, held.weights),
        brier_recalibrated=again,
        n=int(held.labels.size),
        events=int(held.labels.sum()),
        effective_n=float(held.weights.sum() ** 2 / (held.weights**2).sum()),
    )


def _compared(base: str, extended: str, risks: dict[str, Floats], held: _Held, locked: bool) -> ExternalComparison:
    found = compare_aucs(held.labels, risks[extended][held.rows], risks[base][held.rows])
    return ExternalComparison(
        base=base,
        extended=extended,
        difference=found.difference,
        lo=found.lower,
        hi=found.upper,
        z=found.z if locked else None,
        p=found.p_value if locked else None,
        n=int(held.labels.size),
        events=int(held.labels.sum()),
        exploratory=not locked,
    )


def _aspects(made: Setting, outcome: Outcome, clinical: Clinical, covariates: Covariates) -> tuple[ExternalAspect, ...]:
    """What the model was made for beside what it is tested on; what neither side declares may differ."""
    here = {
        "endpoint": outcome.endpoint,
        "horizon, days": str(outcome.horizon_days),
        "time zero": clinical.time_zero,
        "treatment": clinical.treatment or UNDECLARED,
        "moment of prediction": covariates.moment_of_prediction,
    }
    there = (
        made.endpoint, str(made.horizon_days), made.time_zero, made.treatment or UNDECLARED,
        made.moment_of_prediction,
    )  # fmt: skip
    rows = zip(here.items(), there, strict=True)
    return tuple(
        ExternalAspect(name, before, now, before != now or UNDECLARED in (before, now)) for (name, now), before in rows
    )


def _recipes(made: str, here: str) -> list[ExternalAspect]:
    """The settings of extraction that are not the same; of features somebody imported, that nobody can compare them."""
    if IMPORTED in (made, here):
        before, after = ("imported features" if side == IMPORTED else "extracted here" for side in (made, here))
        return [ExternalAspect("feature extraction", before, after, differs=True)]
    there, now = json.loads(made), json.loads(here)
    names = sorted({(part, name) for side in (there, now) for part, fields in side.items() for name in fields})
    found = []
    for part, name in names:
        before, after = (json.dumps(side.get(part, {}).get(name)) for side in (there, now))
        if before != after:
            found.append(ExternalAspect(f"{part}.{name}", before, after, differs=True))
    return found or [ExternalAspect("feature extraction", "same settings", "same settings", differs=False)]
