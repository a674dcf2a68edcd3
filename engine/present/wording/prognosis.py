"""Sentences about prognosis: what the comparison allows to say, and what the figures are made of."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import plain_model
from engine.present.numbers import counted, interval, number, p_term, percent
from engine.present.wording.detection import NOT_PLANTED, detection_answer, needed_difference
from store.queries.masks import MaskRun
from store.queries.prognosis import DetectionRate
from store.queries.study import RunFacts
from store.records import (
    DEEP_ARMS,
    BlockTest,
    CalibrationBin,
    Comparison,
    CoxTerm,
    DecisionPoint,
    EndpointCount,
    IncidencePoint,
    ModelSummary,
    RocPoint,
    SampleSizeNeed,
    Subgroup,
    SurvivalPoint,
)

MAIN_ARMS = ("clinical", "clinical_volume", "combined", "radiomic", "deep", "volume", "shuffled")
NO_VOLUME = (
    "**Not compared with tumour volume**, which was not recognised among the features: a gain may be the tumour's size "
    "alone."
)
CHANCE = 0.5
SUBDISTRIBUTION = "subdistribution hazard"


def headline_comparison(comparisons: Sequence[Comparison]) -> Comparison | None:
    """The comparison to lead with: combined against clinical + volume, else against clinical, else the first."""

    def rank(found: Comparison) -> tuple[bool, bool, bool]:
        return (found.extended != "combined", found.base != "clinical_volume", found.base != "clinical")

    return min(comparisons, key=rank, default=None)


def discrimination_answer(comparisons: Sequence[Comparison], summaries: Sequence[ModelSummary]) -> str:
    """The comparison's own sentence with its difference and spread; only that may be said."""
    found = headline_comparison(comparisons)
    if found is None:
        named = [f"{plain_model(row.model)} {number(row.auc)}" for row in summaries]
        return f"No pair of models was compared. Out-of-bag AUC: {', '.join(named)}."
    said = found.sentence.strip().rstrip(".")
    size = "" if found.base != "clinical" else f" {NO_VOLUME}"
    return (
        f"**{said[:1].upper()}{said[1:]}.** {plain_model(found.extended).capitalize()} against "
        f"{plain_model(found.base)}: AUC difference {number(found.difference)}, spread over {found.resamples} "
        f"resamples {interval(found.spread_lo, found.spread_hi)}; n = {found.n}, {counted(found.events, 'event')}."
        f"{size}"
    )


def detectable_sentence(comparisons: Sequence[Comparison], rates: Sequence[DetectionRate]) -> str:
    """What this cohort could have detected: by planted gains where they were planted, and by the spread itself."""
    found = headline_comparison(comparisons)
    if found is None:
        return ""
    return f"{needed_difference(found)} {detection_answer(rates) if rates else NOT_PLANTED}"


def needs_sentence(needs: Sequence[SampleSizeNeed]) -> str:
    """How the cohort compares with what a model of its size needs."""
    if not needs:
        return ""
    largest = max(needs, key=lambda need: need.parameters)
    enough = "enough for these" if largest.n >= largest.needed else "too few"
    return (
        f"The {plain_model(largest.model)} model has {counted(largest.parameters, 'parameter')}: by Riley's criteria "
        f"it needs {counted(largest.needed, 'patient')}, there are {largest.n} ({enough}). Features that were looked "
        "at and not kept count too and would ask for many more: this is the least."
    )


def subgroups_caption(groups: Sequence[Subgroup]) -> str:
    """What the groups' spreads are, whom they hold, and what may not be read from them."""
    untold = sum(group.difference is None for group in groups)
    small = f" {counted(untold, 'group')} with fewer than five of either class: counted, no AUC." if untold else ""
    return (
        "Ranks inside the group, among the patients that each resample left out. Point: mean over resamples; bar: "
        "their middle 95 %, a spread and not a confidence interval. Groups overlap and no test is made: one that "
        f"stands out is a question, no answer.{small}"
    )


def block_sentence(tests: Sequence[BlockTest]) -> str:
    """The likelihood-ratio test of a block fixed beforehand, its p only once the plan is locked."""
    return " ".join(
        f"The radiomic block fixed beforehand ({counted(test.features, 'feature')}): likelihood ratio "
        f"{number(test.statistic)} on {test.degrees} df in a {test.kind} model"
        f"{'' if test.p is None else ', ' + p_term(test.p)}; n = {test.n}, {counted(test.events, 'event')}."
        for test in tests
    )


def masks_sentence(found: Sequence[MaskRun]) -> str:
    """Whether the headline is the same on other masks, on whom both stand; what to run where there is no other."""
    if len(found) < 2:
        return (
            "Not repeated on other masks yet: `python -m engine run STUDY --masks automatic` (or `reference`) does, "
            "and computes only what depends on them."
        )
    own = found[0]
    return " ".join(_mask_pair(own, other) for other in found[1:])


def _mask_pair(own: MaskRun, other: MaskRun) -> str:
    ours, theirs = (one.sentence.split(" (")[0] for one in (own, other))
    said = (
        f"The same may be said on both: “{ours}”."
        if ours == theirs
        else f"“{ours}” in the run shown, “{theirs}” on these: the answer depends on whose masks are measured."
    )
    return (
        f"Masks {other.first_source} first ({other.mix}): AUC difference {number(other.difference)}, spread "
        f"{interval(other.spread_lo, other.spread_hi)}; in the run shown ({own.mix}) {number(own.difference)}, "
        f"{interval(own.spread_lo, own.spread_hi)}; a change of {number(other.difference - own.difference)}. {said} "
        f"{_shared_patients(own, other)}"
    )


def _shared_patients(own: MaskRun, other: MaskRun) -> str:
    if own.patients == other.patients == other.shared:
        patients = f"Both stand on the same {own.patients} patients."
    else:
        patients = (
            f"**Not the same patients**: {other.patients} and {own.patients}, {other.shared} in both; a patient whose "
            "tumour one of the masks misses has no features there, so part of the change is theirs."
        )
    other_code = own.code_version != other.code_version
    return f"{patients} The two were computed by different code; run both again." if other_code else patients


def models_caption(summaries: Sequence[ModelSummary]) -> str:
    """What the columns of the table of models mean, and what the arms of embeddings are or why there are none."""
    return (
        f"n = {summaries[0].n} determined patients. The out-of-bag AUC belongs to the procedure and leads; .632+ "
        "stands beside it. Apparent less Harrell's optimism is too high where a model overfits hard, and is not given "
        "for forests: they are nearly perfect on the two thirds of patients that were in each bootstrap (.632+ is made "
        "for that, Efron and Tibshirani 1997). ICI, E50, E90: mean, median and 90th percentile of the distance between "
        "predicted and observed risk. Clinical fixed: the clinical risk as an offset, radiomics may only add to it. "
        f"{deep_sentence(summaries)}{_without_covariates(summaries)}"
    )


def _without_covariates(summaries: Sequence[ModelSummary]) -> str:
    """What a clinical model without covariates is."""
    bare = any(row.model == "clinical" and row.auc_lo == row.auc_hi == CHANCE for row in summaries)
    return (
        " No clinical covariate is declared: the clinical model gives everybody the same risk, AUC 0.50."
        if bare
        else ""
    )


def deep_sentence(summaries: Sequence[ModelSummary]) -> str:
    """What the arms of embeddings are, or what they would need."""
    if any(row.model in DEEP_ARMS for row in summaries):
        return (
            "Deep features: the segmentation network's embeddings of every region in the place of radiomics, selected "
            "inside each bootstrap by mRMR as a single region's features are, without a filter of reproducibility. No "
            "plan names them: exploratory, never a test."
        )
    return "No deep features: they need a [segment] model, and its embeddings of one region in every analysed patient."


def decision_caption(points: Sequence[DecisionPoint], summaries: Sequence[ModelSummary]) -> str:
    """What the curves mean."""
    return (
        f"{_sample(summaries)}; mean over the resamples, weighted for censoring. Benefit in true positives a patient, "
        f"false ones counted at the odds of the threshold; 0: treat nobody; dashed: treat all. "
        f"{counted(len({point.threshold for point in points}), 'threshold')}."
    )


def _sample(summaries: Sequence[ModelSummary]) -> str:
    first = summaries[0]
    return f"n = {first.n} ({counted(first.events, 'event')}; effective n {number(first.effective_n, 0)})"


def roc_caption(summaries: Sequence[ModelSummary], points: Sequence[RocPoint]) -> str:
    """What the curves are made of."""
    if any(point.lo is None for point in points):
        return (
            f"{_sample(summaries)}. Made by an older version: mean out-of-bag risks, weighted for censoring; the "
            "area is not the AUC in the legend. Run the study again for the mean of the resamples' own curves."
        )
    return (
        f"{_sample(summaries)}. Sensitivity averaged over the resamples, each on the patients it left out, weighted "
        "for censoring: the area under a line is its AUC in the legend, to about 0.01. Bands: middle 95 % of the "
        "resamples, a spread."
    )


def auc_caption(summaries: Sequence[ModelSummary], run: RunFacts) -> str:
    """What the bars mean: a spread, not a confidence interval."""
    return (
        f"{_sample(summaries)}. Point: mean over {run.resamples} resamples; bar: their middle 95 %, a spread and not a "
        f"confidence interval; faint: the resamples, of many their hundredths. Dashed: chance."
    )


def calibration_caption(bins: Sequence[CalibrationBin], models: Sequence[str]) -> str:
    """What the points are."""
    counts = {model: sum(row.n for row in bins if row.model == model) for model in models}
    named = ", ".join(f"{plain_model(model)} n = {n}" for model, n in counts.items())
    return (
        f"{named}; weighted for censoring. Points: groups of patients by predicted risk, bars: 95 % CI of the observed "
        "risk; curve: smooth fit (spline of the log odds). On the dashed line: exact. A patient's risk is the mean "
        "over the models that left him out; each of them is more extreme."
    )


def incidence_answer(points: Sequence[IncidencePoint], terms: Sequence[CoxTerm], horizon_days: int) -> str:
    """Incidence of the event at the horizon in each group, death competing, then the clear clinical terms."""
    parts = []
    for level in dict.fromkeys(point.level for point in points):
        event, death = (_held(points, level, cause, horizon_days) for cause in ("event", "competing death"))
        bounds = f" ({percent(event.lo)} to {percent(event.hi)})"
        parts.append(f"{level} **{percent(event.incidence)}**{bounds}, {percent(death.incidence)} died without it")
    return f"Had the event by {horizon_days} days (95 % CI): {'; '.join(parts)}. {_cox_sentence(terms)}".strip()


def _held(points: Sequence[IncidencePoint], level: str, cause: str, days: float) -> IncidencePoint:
    """The estimate that holds at a time; every curve begins at day 0."""
    mine = [point for point in points if (point.level, point.cause) == (level, cause) and point.days <= days]
    return max(mine, key=lambda point: point.days)


def incidence_caption(points: Sequence[IncidencePoint], run: RunFacts) -> str:
    """What the curves are made of."""
    n = sum(max(p.at_risk for p in points if p.level == level) for level in dict.fromkeys(p.level for p in points))
    return (
        f"Aalen-Johansen estimate of {run.endpoint}, n = {n}; bands: 95 % CI; dotted: death without the event, which "
        f"competes; dashed: {run.horizon_days} days."
    )


def definitions_sentence(counts: Sequence[EndpointCount]) -> str:
    """How far the choice of the endpoint moves the risk; empty where there is one definition."""
    risks = [(count.endpoint, count.risk) for count in counts if count.risk is not None]
    if len(risks) < 2:
        return ""
    low, high = min(risks, key=lambda pair: pair[1]), max(risks, key=lambda pair: pair[1])
    return (
        f"The definition moves the risk at the horizon from {percent(low[1])} ({low[0]}) to {percent(high[1])} "
        f"({high[0]})."
    )


def survival_at(points: Sequence[SurvivalPoint], days: float) -> SurvivalPoint | None:
    """The estimate that holds at a time: the last one up to it; None before the first or once nobody is followed."""
    before = [point for point in points if point.days <= days]
    followed = any(point.days >= days for point in points)
    return max(before, key=lambda point: point.days) if before and followed else None


def survival_answer(points: Sequence[SurvivalPoint], terms: Sequence[CoxTerm], horizon_days: int) -> str:
    """Survival at the horizon in each group, then the clinical terms whose interval leaves 1."""
    parts = []
    for level in dict.fromkeys(point.level for point in points):
        held = survival_at([point for point in points if point.level == level], horizon_days)
        name = "all patients" if level == "all" else level
        said = "not followed so long" if held is None else f"**{percent(held.survival)}** ({_bounds(held)})"
        parts.append(f"{name} {said}")
    return f"Free of the event at {horizon_days} days (95 % CI): {', '.join(parts)}. {_cox_sentence(terms)}".strip()


def _bounds(held: SurvivalPoint) -> str:
    return f"{percent(held.lo)} to {percent(held.hi)}"


def _cox_sentence(terms: Sequence[CoxTerm]) -> str:
    if not terms:
        return ""
    known = [term for term in terms if term.effect != SUBDISTRIBUTION]
    clear = [term for term in known if term.lo is not None and term.hi is not None and (term.lo > 1 or term.hi < 1)]
    if not clear:
        return "In the clinical Cox model no term's 95 % interval leaves 1."
    named = [f"**{t.term}** (hazard ratio {number(t.hazard_ratio)}, {interval(t.lo, t.hi)})" for t in clear]
    return f"In the clinical Cox model the 95 % interval leaves 1 for {'; '.join(named)}."


def survival_caption(points: Sequence[SurvivalPoint], grouping: str, run: RunFacts) -> str:
    """What the curves are made of."""
    levels = dict.fromkeys(point.level for point in points)
    n = sum(max(point.at_risk for point in points if point.level == level) for level in levels)
    events = sum(point.events for point in points)
    risk = " Risk groups are cut inside the resamples." if "risk" in grouping else ""
    return (
        f"Kaplan-Meier of {run.endpoint}, n = {n}, {counted(events, 'event')}; bands: 95 % CI; dashed: "
        f"{run.horizon_days} days.{risk}"
    )


def cox_caption(terms: Sequence[CoxTerm]) -> str:
    """What the forest is made of."""
    return f"n = {terms[0].n}, {counted(terms[0].events, 'event')}; bars: 95 % CI. Left of 1: longer free of the event."
