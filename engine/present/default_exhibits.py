"""The figures of a report that nobody chose figures for: those of the paper, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from engine.present.catalogue import entry_of, method_of
from engine.present.exhibit import Exhibit
from engine.present.figures.agreement import distribution_figure, driver_figure
from engine.present.figures.discrimination import auc_forest, roc_figure
from engine.present.figures.flow import flow_figure
from engine.present.figures.incidence import incidence_figure
from engine.present.figures.reproducibility import icc_distribution, survival_heat_map
from engine.present.figures.risk_quality import calibration_figure, decision_figure
from engine.present.figures.selection import frequency_bars, stability_figure
from engine.present.figures.survival import cox_forest, survival_figure
from engine.present.wording.features import frequency_caption, stability_caption
from engine.present.wording.prognosis import (
    MAIN_ARMS,
    SUBDISTRIBUTION,
    auc_caption,
    calibration_caption,
    cox_caption,
    decision_caption,
    headline_comparison,
    incidence_caption,
    roc_caption,
    survival_caption,
)
from engine.present.wording.reproducibility import heat_caption, icc_caption
from engine.present.wording.segmentation import (
    agreement_answer,
    association_for,
    association_sentence,
    drawn_sentence,
    is_of_pair,
    variable_label,
)
from engine.present.wording.study import exploratory_badge, flow_caption
from store.queries.agreement import agreement_summary, associations, case_agreements, mask_pairs
from store.queries.prognosis import (
    calibration_bins,
    calibration_points,
    comparisons,
    cox_terms,
    decision_points,
    groupings,
    incidence_points,
    model_summaries,
    performances,
    roc_points,
    stability,
    survival_points,
)
from store.queries.reproducibility import DECIDING, Reading, families, feature_iccs, survival_shares
from store.queries.selection import frequencies
from store.queries.study import RunFacts, flow_steps
from store.snapshot import Snapshot

MOST_BARS = 20
DRIVERS = ("sphericity", "maximum_3d_diameter_mm")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What figures are drawn from."""

    snapshot: Snapshot
    run: RunFacts
    provenance: str

    def exhibit(
        self, page: str, key: str, figure: go.Figure, caption: str, badge: str = "", title: str = ""
    ) -> tuple[str, Exhibit]:
        """A figure with its words from the catalogue; the page is its address, an own title goes before its title."""
        entry = entry_of(page, key)
        method = method_of(entry, self.run)
        return page, Exhibit(key, title or entry.title, figure, caption, method, badge, self.provenance)


def default_exhibits(source: Source) -> tuple[tuple[str, Exhibit], ...]:
    """Page and exhibit of every figure that the run has results for."""
    makers: Sequence[Callable[[Source], Iterator[tuple[str, Exhibit]]]] = (
        *(_flows, _agreement, _reproducibility, _selection, _discrimination, _survival),
    )
    return tuple(found for maker in makers for found in maker(source))


def _flows(source: Source) -> Iterator[tuple[str, Exhibit]]:
    steps = flow_steps(source.snapshot, source.run.run_id)
    for name in dict.fromkeys(step.flow for step in steps):
        mine = [step for step in steps if step.flow == name]
        yield source.exhibit("cohort", f"flow-{name}", flow_figure(mine), flow_caption(mine))


def _agreement(source: Source) -> Iterator[tuple[str, Exhibit]]:
    snapshot, run = source.snapshot, source.run
    pair = next((p for p in mask_pairs(snapshot, run.run_id) if p.comparison == "agreement"), None)
    if pair is None:
        return
    rows = case_agreements(snapshot, run.run_id, pair, run.lobe)
    answer = agreement_answer(agreement_summary(snapshot, run.run_id, pair), pair)
    yield source.exhibit("agreement", "distribution", distribution_figure(rows, "dsc"), f"{answer} n = {len(rows)}.")
    tests = [test for test in associations(snapshot, run.run_id) if is_of_pair(test, pair)]
    for variable in DRIVERS:
        drawn = [row for row in rows if getattr(row, variable) is not None]
        if drawn:
            said = association_sentence(association_for(tests, "dsc", variable))
            caption = f"{said} {drawn_sentence(rows, len(drawn))}"
            figure, title = driver_figure(rows, variable, "dsc"), f"DSC against: {variable_label(variable)}"
            yield source.exhibit("agreement", f"driver-{variable}", figure, caption, title=title)


def _reproducibility(source: Source) -> Iterator[tuple[str, Exhibit]]:
    snapshot, run = source.snapshot, source.run
    shares = survival_shares(snapshot, run.run_id, Reading(DECIDING, run.icc_threshold))
    found = families(snapshot, run.run_id)
    if not shares or not found:
        return
    yield source.exhibit("reproducibility", "heat", survival_heat_map(shares), heat_caption(shares))
    rows = feature_iccs(snapshot, run.run_id, found[0].family)
    caption = icc_caption(rows, found[0].family, run.icc_threshold)
    yield source.exhibit("reproducibility", "icc-distribution", icc_distribution(rows, run.icc_threshold), caption)


def _selection(source: Source) -> Iterator[tuple[str, Exhibit]]:
    snapshot, run = source.snapshot, source.run
    rows = frequencies(snapshot, run.run_id)[:MOST_BARS]
    badge = exploratory_badge(run)
    if rows:
        yield source.exhibit("selection", "frequency", frequency_bars(rows), frequency_caption(rows, run), badge)
    alike = stability(snapshot, run.run_id)
    if alike:
        yield source.exhibit("selection", "stability", stability_figure(alike), stability_caption(alike), badge)


def _discrimination(source: Source) -> Iterator[tuple[str, Exhibit]]:
    snapshot, run = source.snapshot, source.run
    every = model_summaries(snapshot, run.run_id)
    if not every:
        return
    badge, page = exploratory_badge(run), "discrimination"
    main = [row for row in every if row.model in MAIN_ARMS] or list(every)
    leading = headline_comparison(comparisons(snapshot, run.run_id))
    judged = [row.model for row in main[:2]] if leading is None else [leading.base, leading.extended]
    forest = auc_forest(main, performances(snapshot, run.run_id))
    yield source.exhibit(page, "auc", forest, auc_caption(every, run), badge)
    points = [point for point in roc_points(snapshot, run.run_id) if point.model in {row.model for row in main}]
    yield source.exhibit(page, "roc", roc_figure(points, every, judged), roc_caption(every, points), badge)
    bins = calibration_bins(snapshot, run.run_id)
    smooth = calibration_figure(bins, calibration_points(snapshot, run.run_id), judged)
    yield source.exhibit(page, "calibration", smooth, calibration_caption(bins, judged), badge)
    decisions = decision_points(snapshot, run.run_id)
    worth = decision_figure(decisions, judged)
    yield source.exhibit(page, "decision", worth, decision_caption(decisions, every), badge)


def _survival(source: Source) -> Iterator[tuple[str, Exhibit]]:
    snapshot, run = source.snapshot, source.run
    found = groupings(snapshot, run.run_id)
    if not found:
        return
    badge = exploratory_badge(run)
    grouping = "stage" if "stage" in found else found[0]
    competing = incidence_points(snapshot, run.run_id, grouping)
    if competing:
        figure = incidence_figure(competing, run.horizon_days, run.endpoint)
        yield source.exhibit("survival", "incidence", figure, incidence_caption(competing, run), badge)
    else:
        points = survival_points(snapshot, run.run_id, grouping)
        figure = survival_figure(points, run.horizon_days, run.endpoint)
        yield source.exhibit("survival", "curves", figure, survival_caption(points, grouping, run), badge)
    terms = [term for term in cox_terms(snapshot, run.run_id) if term.effect != SUBDISTRIBUTION]
    if terms:
        yield source.exhibit("survival", "cox", cox_forest(terms), cox_caption(terms), badge)
