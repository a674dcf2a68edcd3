"""The facts of a run that reporting checklists ask for, each with what is stored and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.present.colours import plain_model
from engine.present.numbers import counted, interval, number
from engine.protocol import Protocol
from store.queries.agreement import agreement_summary, mask_pairs
from store.queries.batch import batch_outcomes
from store.queries.cohort import CaseRow, cases, covariate_summaries
from store.queries.prognosis import calibration_bins, comparisons, model_summaries, selection_size, stability
from store.queries.reproducibility import families
from store.queries.study import RunFacts, flow_steps
from store.snapshot import Snapshot

FOUND, MISSING, AUTHOR = "evidence found", "missing", "needs the author"


@dataclass(frozen=True, slots=True)
class Fact:
    """Whether something is stored, in words, and the page of the app that shows it."""

    state: str
    text: str
    page: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A run with its protocol: what facts are read from."""

    snapshot: Snapshot
    run: RunFacts
    protocol: Protocol

    @property
    def cases(self) -> tuple[CaseRow, ...]:
        """The cases of the run."""
        return cases(self.snapshot, self.run.run_id)


def facts_of(stored: Stored) -> dict[str, Fact]:
    """Every fact by its name."""
    return {name: maker(stored) for name, maker in MAKERS.items()}


def _found(text: str, page: str = "") -> Fact:
    return Fact(FOUND if text else MISSING, text, page if text else "")


def _ethics(stored: Stored) -> Fact:
    return _found(stored.protocol.governance.approval_reference and "Approval is named in [governance].", "cohort")


def _legal(stored: Stored) -> Fact:
    rules = stored.protocol.governance
    said = [rules.legal_basis and "legal basis named", rules.opt_out_checked_on and "opt-out check dated"]
    return _found("; ".join(part for part in said if part))


def _plan(stored: Stored) -> Fact:
    return _found(stored.run.locked_at and f"Plan locked at {stored.run.locked_at}.", "runs")


def _flow(stored: Stored) -> Fact:
    steps = [step for step in flow_steps(stored.snapshot, stored.run.run_id) if step.flow == "inclusion"]
    return _found((steps and f"Inclusion flow of {counted(len(steps), 'box', 'boxes')}.") or "", "cohort")


def _scans(stored: Stored) -> Fact:
    known = [c for c in stored.cases if c.convolution_kernel and c.slice_thickness_mm and c.manufacturer]
    total = len(stored.cases)
    return _found(
        f"Kernel, slice thickness and manufacturer known in {len(known)} of {total}." if known else "", "cohort"
    )


def _covariates(stored: Stored) -> Fact:
    columns = stored.protocol.covariates.columns
    named = ", ".join(f"{c.column} ({c.when_known})" for c in columns)
    return _found(f"Declared with type and when known: {named}." if columns else "", "cohort")


def _outcome(stored: Stored) -> Fact:
    rules = stored.protocol.outcome
    if rules.kind == "none":
        return Fact(MISSING, "")
    zero = stored.protocol.clinical.time_zero
    return _found(f"{rules.endpoint}, horizon {rules.horizon_days} days, counted from {zero}.", "survival")


def _segmentation(stored: Stored) -> Fact:
    model, names = stored.protocol.segment.model, stored.protocol.images.reference
    said = [
        f"automatic by the model {model}" if model else "",
        f"reference outlines: {', '.join(names)}" if names else "",
    ]
    return _found("; ".join(part for part in said if part).capitalize(), "agreement")


def _overlap(stored: Stored) -> Fact:
    pair = next((p for p in mask_pairs(stored.snapshot, stored.run.run_id) if p.comparison == "agreement"), None)
    if pair is None:
        return Fact(MISSING, "")
    found = agreement_summary(stored.snapshot, stored.run.run_id, pair)
    text = (
        f"DSC {number(found.dsc_mean)} ± {number(found.dsc_sd)} and surface DSC {number(found.surface_dsc_mean)}, n = "
    )
    return _found(f"{text}{found.n}, against independent outlines.", "agreement")


def _readers(stored: Stored) -> Fact:
    two = [p for p in mask_pairs(stored.snapshot, stored.run.run_id) if p.comparison == "readers"]
    return _found(f"Outlines of two readers compared in {two[0].n} cases." if two else "", "agreement")


def _preprocessing(stored: Stored) -> Fact:
    grid = stored.protocol.grid
    return _found(
        f"Resampled once to {grid.spacing_mm:g} mm isotropic (B-spline; masks nearest), clipped to {grid.lowest_hu} to "
        f"{grid.highest_hu} HU.",
        "runs",
    )


def _discretisation(stored: Stored) -> Fact:
    rules = stored.protocol.features
    bins = f"{rules.bin_count} bins" if rules.bin_count else f"bins of {rules.bin_width_hu:g} HU"
    return _found(f"{bins[:1].upper()}{bins[1:]}, origin {rules.bin_origin}.", "conformance")


def _features(stored: Stored) -> Fact:
    rules = stored.protocol.features
    return _found(f"Recipe {rules.recipe}; every name is asserted and listed by `export features`.", "reproducibility")


def _software(stored: Stored) -> Fact:
    return _found(f"Own engine ({stored.protocol.features.backend}), compared with the IBSI references.", "conformance")


def _configuration(stored: Stored) -> Fact:
    return _found(f"Every choice stands in study.toml; protocol {stored.run.protocol_sha256[:12]}.", "runs")


def _robust(stored: Stored) -> Fact:
    named = [f.family for f in families(stored.snapshot, stored.run.run_id)]
    if not named or not stored.protocol.selection.icc_filter:
        return Fact(MISSING, "")
    bound = stored.protocol.reproducibility.threshold
    return _found(f"Lower 95 % bound of the ICC at {bound:g}, families {', '.join(named)}.", "reproducibility")


def _selection(stored: Stored) -> Fact:
    rules, size = stored.protocol.selection, selection_size(stored.snapshot, stored.run.run_id)
    if size is None:
        return Fact(MISSING, "")
    return _found(
        f"mRMR ({', '.join(rules.schemes)}, {rules.mrmr_features}) and recursive elimination by forests of "
        f"{rules.trees} trees to at most {size.kept}, inside each of {rules.resamples} bootstraps.",
        "selection",
    )


def _dimension(stored: Stored) -> Fact:
    size = selection_size(stored.snapshot, stored.run.run_id)
    if size is None:
        return Fact(MISSING, "")
    return _found(f"At most {counted(size.kept, 'feature')} kept for {counted(size.events, 'event')}.", "selection")


def _stability(stored: Stored) -> Fact:
    rows = stability(stored.snapshot, stored.run.run_id)
    if not rows:
        return Fact(MISSING, "")
    last = rows[-1]
    return _found(f"Nogueira stability {number(last.stability)} ({interval(last.lo, last.hi)}).", "selection")


def _models(stored: Stored) -> Fact:
    rows = model_summaries(stored.snapshot, stored.run.run_id)
    named = ", ".join(plain_model(row.model) for row in rows)
    return _found(
        f"Ridge logistic models on the same patients and resamples: {named}." if rows else "", "discrimination"
    )


def _partition(stored: Stored) -> Fact:
    if not model_summaries(stored.snapshot, stored.run.run_id):
        return Fact(MISSING, "")
    return _found(
        f"{stored.protocol.selection.resamples} bootstraps by patient; a step that saw a test patient raises.",
        "selection",
    )


def _performance(stored: Stored) -> Fact:
    rows = model_summaries(stored.snapshot, stored.run.run_id)
    said = ", ".join(f"{plain_model(r.model)} {number(r.auc)}" for r in rows)
    return _found(f"Out-of-bag AUC weighted for censoring ({said}), Brier score." if rows else "", "discrimination")


def _uncertainty(stored: Stored) -> Fact:
    rows = comparisons(stored.snapshot, stored.run.run_id)
    return _found("Spread over resamples for every AUC and difference." if rows else "", "discrimination")


def _calibration(stored: Stored) -> Fact:
    rows = calibration_bins(stored.snapshot, stored.run.run_id)
    return _found("Calibration curve, intercept and slope of out-of-bag risks." if rows else "", "discrimination")


def _against_clinical(stored: Stored) -> Fact:
    rows = comparisons(stored.snapshot, stored.run.run_id)
    named = "; ".join(f"{plain_model(r.extended)} against {plain_model(r.base)}: {r.sentence}" for r in rows[:3])
    return _found(named, "discrimination")


def _sample(stored: Stored) -> Fact:
    rows = model_summaries(stored.snapshot, stored.run.run_id)
    return _found(f"n = {rows[0].n}, {counted(rows[0].events, 'event')}." if rows else "", "discrimination")


def _confounders(stored: Stored) -> Fact:
    rows = batch_outcomes(stored.snapshot, stored.run.run_id)
    named = ", ".join(row.variable for row in rows)
    return _found(
        f"Batch variables against features and outcome: {named}; volume is a model of its own." if rows else "", "batch"
    )


def _missing_data(stored: Stored) -> Fact:
    rules = stored.protocol.selection
    return _found(
        f"Features with gaps: {rules.missing}; censored patients are weighted, never called free.", "selection"
    )


def _imbalance(stored: Stored) -> Fact:
    return _found("Bootstraps are stratified by outcome; no patient is synthesised.", "selection")


def _baseline(stored: Stored) -> Fact:
    rows = covariate_summaries(stored.snapshot, stored.run.run_id)
    return _found(f"Clinical table of {len({row.name for row in rows})} covariates." if rows else "", "cohort")


def _code(stored: Stored) -> Fact:
    return _found(f"Code {stored.run.code_version}; seed {stored.run.seed}; versions of packages are recorded.", "runs")


def _author(_: Stored) -> Fact:
    return Fact(AUTHOR, "")


def _absent(_: Stored) -> Fact:
    return Fact(MISSING, "")


MAKERS: dict[str, Callable[[Stored], Fact]] = {
    "author": _author,
    "absent": _absent,
    "ethics": _ethics,
    "legal": _legal,
    "plan": _plan,
    "flow": _flow,
    "scans": _scans,
    "covariates": _covariates,
    "outcome": _outcome,
    "segmentation": _segmentation,
    "overlap": _overlap,
    "readers": _readers,
    "preprocessing": _preprocessing,
    "discretisation": _discretisation,
    "features": _features,
    "software": _software,
    "configuration": _configuration,
    "robust": _robust,
    "selection": _selection,
    "dimension": _dimension,
    "stability": _stability,
    "models": _models,
    "partition": _partition,
    "performance": _performance,
    "uncertainty": _uncertainty,
    "calibration": _calibration,
    "against_clinical": _against_clinical,
    "sample": _sample,
    "confounders": _confounders,
    "missing_data": _missing_data,
    "imbalance": _imbalance,
    "baseline": _baseline,
    "code": _code,
}
