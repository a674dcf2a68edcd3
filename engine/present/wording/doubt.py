"""Sentences about doubt and about time: whether the model knows when it is wrong, and how long a series takes."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.numbers import counted, interval, number
from store.queries.agreement import ReviewCase
from store.queries.inference import StepSeconds
from store.records import DoubtQuality

PUBLISHED_SECONDS = 36  # a series, in the paper; its hardware is not stated there
TOGETHER = "Together"


def headline_quality(quality: Sequence[DoubtQuality]) -> DoubtQuality | None:
    """Over the cases in which a tumour was predicted: where nothing was found there is nothing to predict."""
    return next((row for row in quality if row.subset == "found"), None)


def doubt_answer(quality: Sequence[DoubtQuality]) -> str:
    """Whether the predicted DSC ranks outlines, and whether misses are foreseen; plainly when not."""
    found = headline_quality(quality)
    if found is None:
        return "Nothing was estimated."
    parts = [_ranking(found), _detection(found)]
    everything = next((row for row in quality if row.subset == "all"), None)
    if everything is not None and everything.n > found.n:
        more = f"With the {everything.n - found.n} in which nothing was found, ρ is {number(everything.rho)}"
        auc = f" and the AUC {number(everything.auc)}" if everything.auc is not None else ""
        parts.append(f"{more}{auc}.")
    return " ".join(parts)


def _ranking(found: DoubtQuality) -> str:
    if found.rho is None:
        return "The predicted DSC cannot be ranked: it or the achieved one does not vary."
    value = f"Spearman ρ {number(found.rho)}, 95 % CI {interval(found.rho_lo, found.rho_hi)}; n = {found.n}"
    if not found.ranks:
        return f"**No better than chance**: the predicted DSC does not rank the outlines ({value})."
    better = found.mean_error < found.mean_error_of_the_mean
    error = f"mean error {number(found.mean_error)} against {number(found.mean_error_of_the_mean)} for the mean"
    sentence = (
        f"**Yes, in part**: the predicted DSC ranks the outlines ({value}); {error}{'' if better else ', no gain'}"
    )
    return f"{sentence}; {_calibration(found)}."


def _calibration(found: DoubtQuality) -> str:
    """How far predictions are right on average, and whether they lie too far apart."""
    level = f"on average {number(abs(found.bias))} too {'low' if found.bias > 0 else 'high'}"
    slope = "" if found.slope is None else f", calibration slope {number(found.slope)} (1 is ideal)"
    return f"{level}{slope}"


def _detection(found: DoubtQuality) -> str:
    if found.auc is None:
        return f"Whether misses are foreseen cannot be said: {counted(found.missed, 'miss', 'misses')} among these."
    expected = "" if found.expected_missed is None else f", {number(found.expected_missed, 1)} expected"
    value = f"AUC {number(found.auc)}, 95 % CI {interval(found.auc_lo, found.auc_hi)}; {found.missed} missed{expected}"
    said = "Misses are foreseen" if found.detects else "Misses are **not foreseen better than by chance**"
    return f"{said} ({value})."


def doubt_caption(quality: Sequence[DoubtQuality]) -> str:
    """What the points are."""
    found = headline_quality(quality)
    n = 0 if found is None else found.n
    return (
        f"n = {n} with a predicted tumour and an independent reference. How the model's volume, pieces, entropy, lead "
        "and disagreement bear on the DSC comes, for each case, from a fit on the others; the average level is that of "
        "all cases. Click a point to see its images."
    )


def order_sentence(cases: Sequence[ReviewCase], quality: Sequence[DoubtQuality]) -> str:
    """How the review list is ordered, and what that is worth."""
    if all(case.place is None for case in cases):
        return "In order of case: doubt has not been estimated in this run, or it was declined."
    found = headline_quality(quality)
    worth = "" if found is None or found.rho is None else f" (ρ {number(found.rho)} to the achieved DSC)"
    if found is None or not found.ranks:
        return f"The most doubtful first; in this study the doubt is no better than chance{worth}."
    return f"The most doubtful first, by the DSC that the model's own uncertainty lets one expect{worth}."


def seconds_answer(steps: Sequence[StepSeconds]) -> str:
    """Median and range of the whole on the commonest hardware, beside the published figure."""
    whole = next((row for row in steps if row.step == TOGETHER), None)
    if whole is None:
        return "No model segmented in this run."
    threads = f", {counted(whole.threads, 'thread')}" if whole.device == "cpu" else ""
    spread = f"{number(whole.shortest, 1)} to {number(whole.longest, 1)} s"
    return (
        f"**{number(whole.median, 1)} s** a series (median; {spread}; "
        f"n = {whole.n}) on {whole.hardware} ({whole.device}{threads}). The paper reports about {PUBLISHED_SECONDS} s; "
        "its hardware, and so what the two say of each other, is unknown."
    )
