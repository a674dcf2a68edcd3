"""Whether radiomics tells events from non-events better than the clinical model, and whether its risks hold."""

from __future__ import annotations

from functools import partial

import streamlit as st

from engine.present.colours import plain_model
from engine.present.figures.discrimination import auc_forest, roc_figure, subgroup_forest
from engine.present.figures.risk_quality import calibration_figure, decision_figure
from engine.present.wording.prognosis import (
    MAIN_ARMS,
    auc_caption,
    block_sentence,
    calibration_caption,
    decision_caption,
    detectable_sentence,
    discrimination_answer,
    headline_comparison,
    masks_sentence,
    models_caption,
    needs_sentence,
    roc_caption,
    subgroups_caption,
)
from engine.present.wording.study import exploratory_badge
from pages.frame import answer, badge, begin, end, figure, table, tabs, why_missing
from store.queries.masks import mask_runs
from store.queries.prognosis import (
    block_tests,
    calibration_bins,
    calibration_points,
    comparisons,
    decision_points,
    detection_rates,
    model_summaries,
    performances,
    roc_points,
    sample_needs,
    subgroups,
)
from store.queries.study import standing_masks

SUMMARY_TITLES = {
    "model": "Model",
    "auc": "Out-of-bag AUC",
    "auc_632_plus": ".632+ AUC",
    "corrected_auc": "Apparent − optimism",
    "optimism": "Optimism",
    "brier": "Brier",
    "scaled_brier": "Scaled Brier",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "Slope",
    "ici": "ICI",
    "e50": "E50",
    "e90": "E90",
    "n": "n",
    "events": "Events",
    "effective_n": "Effective n",
}
COMPARISON_TITLES = {
    "base": "Base",
    "extended": "Extended",
    "sentence": "Radiomics, or the extension",
    "difference": "AUC difference",
    "spread_lo": "Spread from",
    "spread_hi": "to",
    "resamples": "Resamples",
}
DELONG_TITLES = {
    "base": "Base",
    "extended": "Extended",
    "delong_difference": "AUC difference",
    "delong_lo": "Lower 95 %",
    "delong_hi": "Upper 95 %",
    "delong_z": "z",
    "delong_p": "p, as in the paper",
    "n": "n",
    "events": "Events",
}
SUBGROUP_TITLES = {
    "grouping": "Covariate",
    "level": "Group",
    "base_auc": "AUC of the base",
    "extended_auc": "AUC of the extended",
    "difference": "Difference",
    "difference_lo": "Spread from",
    "difference_hi": "to",
    "resamples": "Resamples",
    "n": "n",
    "events": "Events",
    "effective_n": "Effective n",
}
MASK_TITLES = {
    "first_source": "First choice",
    "mix": "Masks",
    "difference": "AUC difference",
    "spread_lo": "Spread from",
    "spread_hi": "to",
    "sentence": "Radiomics",
    "patients": "Patients",
    "shared": "In the run shown",
    "base_auc": "AUC of the base",
    "extended_auc": "AUC of the combined",
}
NEED_TITLES = {
    "model": "Model",
    "parameters": "Parameters",
    "needed": "Patients needed",
    "n": "Patients there are",
    "events": "Events",
}


def quality() -> None:
    """Whether the risks hold, and whether acting on them helps."""
    left, right = st.columns(2)
    judged = [model for model in wanted if model in headline] or wanted[:2]
    with left:
        st.subheader("Calibration", anchor=False)
        bins = calibration_bins(shown.snapshot, run_id)
        curves = calibration_points(shown.snapshot, run_id)
        figure(calibration_figure(bins, curves, judged), calibration_caption(bins, judged), "calibration")
    with right:
        st.subheader("Decision curve", anchor=False)
        decisions = decision_points(shown.snapshot, run_id)
        figure(decision_figure(decisions, judged), decision_caption(decisions, summaries), "decision")


def every_model() -> None:
    """All models by all measures."""
    table(summaries, SUMMARY_TITLES, height="content")
    st.caption(models_caption(summaries))


def on_other_masks(base: str) -> None:
    """The headline comparison beside itself on masks of other makers."""
    other_masks = mask_runs(shown.snapshot, run_id, base)
    if len(other_masks) > 1:
        table(other_masks, MASK_TITLES, height="content")
    st.caption(masks_sentence(other_masks))


def sample_size() -> None:
    """How many patients such models need, and whether the radiomic block counts as a whole."""
    needs = sample_needs(shown.snapshot, run_id)
    table(needs, NEED_TITLES)
    st.caption(f"{needs_sentence(needs)} {block_sentence(block_tests(shown.snapshot, run_id))}".strip() or "–")


def by_group() -> None:
    """The gain by group of patients."""
    groups = subgroups(shown.snapshot, run_id)
    if any(group.difference_lo is not None for group in groups):
        figure(subgroup_forest(groups), subgroups_caption(groups), "subgroups")
    table(groups, SUBGROUP_TITLES)


def delong() -> None:
    """The paper's test, and why it is none here."""
    st.caption(
        "On mean out-of-bag predictions of determined patients only: shown because the paper did it. "
        "It is no test of the procedure, whose predictions share training patients; on held-out patients DeLong's "
        "test stands on the page External."
    )
    titles = {n: t for n, t in DELONG_TITLES.items() if shown.run.locked_at or n not in ("delong_z", "delong_p")}
    table([pair for pair in pairs if pair.delong_difference is not None], titles)


shown = begin("Does radiomics add to the clinical model?")
run_id = shown.run.run_id
summaries = model_summaries(shown.snapshot, run_id)
if not summaries:
    why_missing(shown, "The models have not been compared yet.")
pairs = comparisons(shown.snapshot, run_id)
answer(discrimination_answer(pairs, summaries))
badge(exploratory_badge(shown.run))

models = [row.model for row in summaries]
st.sidebar.subheader("Figures", anchor=False)
wanted = st.sidebar.multiselect(
    "Models", models, [m for m in models if m in MAIN_ARMS], format_func=plain_model, key="models"
)
drawn = [row for row in summaries if row.model in wanted]
leading = headline_comparison(pairs)
headline = [] if leading is None else [leading.base, leading.extended]
banded = st.sidebar.multiselect(
    "ROC bands", models, [m for m in headline if m in models], format_func=plain_model, key="banded"
)
left, right = st.columns(2)
with left:
    st.subheader("ROC", anchor=False)
    points = [point for point in roc_points(shown.snapshot, run_id) if point.model in wanted]
    figure(roc_figure(points, summaries, [m for m in banded if m in wanted]), roc_caption(summaries, points), "roc")
with right:
    st.subheader("AUC and its spread", anchor=False)
    figure(auc_forest(drawn, performances(shown.snapshot, run_id)), auc_caption(summaries, shown.run), "auc")

st.subheader("What may be said", anchor=False)
table(pairs, COMPARISON_TITLES, height="content")
st.caption(detectable_sentence(pairs, detection_rates(shown.snapshot, run_id)))

others = {}
if leading is not None and standing_masks(shown.snapshot, run_id):
    others["On other masks"] = partial(on_other_masks, leading.base)
tabs(
    {
        "Calibration and net benefit": quality,
        "All models": every_model,
        **others,
        "Sample size": sample_size,
        "Groups of patients": by_group,
        "DeLong, as in the paper": delong,
    },
    "discrimination-tabs",
)
end(shown)
