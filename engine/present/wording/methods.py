"""The methods paragraph of a paper, written from the protocol: what was done follows from what was chosen."""

from __future__ import annotations

from engine.present.numbers import counted
from engine.protocol import Protocol


def methods_text(protocol: Protocol) -> str:
    """The methods in the order of the work, in paragraphs; only choices that were in force are named."""
    table = protocol.study.kind == "table"
    parts = [] if table else [_segmentation(protocol), _agreement(protocol), _features(protocol)]
    parts += [_reproducibility(protocol), _outcome(protocol)]
    if protocol.outcome.kind != "none":
        parts += [_selection(protocol), _models(protocol)]
    return "\n\n".join(part for part in parts if part)


def _segmentation(protocol: Protocol) -> str:
    model, order = protocol.segment.model, protocol.masks.feature_mask_order
    said = f"Tumours were segmented automatically by the nnU-Net model {model}. " if model else ""
    return (
        f"**Segmentation.** {said}Features were measured on the first tumour mask that existed of {_listed(order)}. "
        f"Outlines called {_listed(protocol.images.reference) or 'none'} were the reference "
        f"({protocol.images.reference_origin})."
    )


def _agreement(protocol: Protocol) -> str:
    rules = protocol.agreement
    return (
        "**Agreement.** Masks were compared by the volumetric Dice similarity coefficient (DSC), the surface DSC of "
        f"Nikolov at {rules.tolerance_mm:g} mm and the 95th percentile of the Hausdorff distance. A tumour that no "
        "predicted component touched was missed and scored 0. No difference between scans was claimed unless the 90 % "
        f"interval lay within {rules.equivalence_margin:g} DSC."
    )


def _features(protocol: Protocol) -> str:
    grid, rois, rules = protocol.grid, protocol.rois, protocol.features
    bins = f"{rules.bin_count} equal bins" if rules.bin_count else f"bins of {rules.bin_width_hu:g} HU"
    return (
        f"**Features.** CT was resampled to {grid.spacing_mm:g} mm isotropic voxels (B-spline; masks nearest "
        f"neighbour) and clipped to {_signed(grid.lowest_hu)} to {_signed(grid.highest_hu)} HU. Features of "
        f"recipe {rules.recipe} were extracted from the tumour, a peritumoural ring of {rois.ring_mm:g} mm "
        f"clipped to lung, and the whole lung{' without both' if rois.lung_excludes_tumour else ''}, with {bins}."
    )


def _reproducibility(protocol: Protocol) -> str:
    if protocol.study.kind == "table" and not protocol.features_table.rater:
        return ""
    rules, perturb = protocol.reproducibility, protocol.perturb
    how = (
        f"repeated measurements ({protocol.features_table.repeats})"
        if protocol.study.kind == "table"
        else f"the perturbation set '{perturb.preset}' in {counted(perturb.cases, 'patient')}"
        if perturb.cases
        else f"the perturbation set '{perturb.preset}'"
    )
    return (
        f"**Reproducibility.** Under {how}, a feature was called reproducible when the lower 95 % bound of its "
        f"intraclass correlation (one-way for random, two-way absolute agreement for fixed perturbations) reached "
        f"{rules.threshold:g} in {_listed(rules.families)}."
    )


def _outcome(protocol: Protocol) -> str:
    rules = protocol.outcome
    if rules.kind == "none":
        return "**Outcome.** No outcome was declared, and prognosis was not analysed."
    columns = _listed(tuple(c.column.replace("_", " ") for c in protocol.covariates.columns))
    return (
        f"**Outcome.** The endpoint was {rules.endpoint} at {rules.horizon_days} days, counted from "
        f"{protocol.clinical.time_zero}. Patients censored earlier were weighted by the inverse probability of "
        f"censoring, never counted as free. Clinical predictors, {protocol.covariates.moment_of_prediction}: "
        f"{columns or 'none'}."
    )


def _selection(protocol: Protocol) -> str:
    rules = protocol.selection
    filtered = "the reproducibility filter, " if rules.icc_filter else ""
    combat = f"ComBat by {protocol.batch.variable}, " if protocol.batch.combat else ""
    return (
        f"**Selection.** In each of {rules.resamples} bootstraps, stratified by outcome, {filtered}{combat}mRMR "
        f"({_listed(rules.schemes)}, {rules.mrmr_features} features) and recursive elimination by forests of "
        f"{rules.trees} trees were fitted on the drawn patients alone. At most {rules.most_kept} features were kept, "
        "and no more than a tenth of the events less the clinical parameters."
    )


def _models(protocol: Protocol) -> str:
    lock = protocol.plan.locked_at
    plan = (
        f"The analysis plan was locked at {lock[:16].replace('T', ' ')} UTC."
        if lock
        else ("The analysis plan was not locked: all analyses are exploratory and no p values are given.")
    )
    return (
        f"**Models.** Clinical, clinical + volume, radiomic and combined ridge logistic models (penalty "
        f"{protocol.selection.ridge:g}) shared resamples and patients and were judged on patients not drawn: AUC, "
        f"Brier score, calibration. Differences are given with their spread over resamples. {plan}"
    )


def _listed(names: tuple[str, ...]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _signed(value: int) -> str:
    return str(value).replace("-", "−")
