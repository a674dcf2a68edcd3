"""Whether radiomics tells events from non-events better than the clinical model, and whether its risks hold."""

from __future__ import annotations

import streamlit as st

from engine.present.colours import plain_model
from engine.present.figures.discrimination import auc_forest, calibration_figure, roc_figure
from engine.present.wording.prognosis import auc_caption, calibration_caption, discrimination_answer, roc_caption
from engine.present.wording.study import exploratory_badge
from pages.frame import answer, badge, begin, end, figure, table, why_missing
from store.queries.prognosis import calibration_bins, comparisons, model_summaries, performances, roc_points

SUMMARY_TITLES = {
    "model": "Model",
    "auc": "AUC",
    "auc_lo": "Spread from",
    "auc_hi": "to",
    "brier": "Brier",
    "calibration_intercept": "Calibration intercept",
    "calibration_slope": "slope",
    "n": "n",
    "events": "Events",
    "effective_n": "Effective n",
}
COMPARISON_TITLES = {
    "base": "Base",
    "extended": "Extended",
    "difference": "AUC difference",
    "spread_lo": "Spread from",
    "spread_hi": "to",
    "sentence": "What may be said",
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

shown = begin("Does radiomics add to the clinical model?")
run_id = shown.run.run_id
summaries = model_summaries(shown.snapshot, run_id)
if not summaries:
    why_missing(shown, "The models have not been compared yet.")
pairs = comparisons(shown.snapshot, run_id)
answer(discrimination_answer(pairs, summaries))
badge(exploratory_badge(shown.run))

left, right = st.columns(2)
with left:
    st.subheader("ROC", anchor=False)
    figure(roc_figure(roc_points(shown.snapshot, run_id), summaries), roc_caption(summaries), "roc")
with right:
    st.subheader("AUC and its spread", anchor=False)
    figure(auc_forest(summaries, performances(shown.snapshot, run_id)), auc_caption(summaries, shown.run), "auc")

st.subheader("What may be said", anchor=False)
table(pairs, COMPARISON_TITLES)
left, right = st.columns(2)
with left:
    st.subheader("Calibration", anchor=False)
    bins = calibration_bins(shown.snapshot, run_id)
    models = list(dict.fromkeys(row.model for row in bins))
    first = [model for model in models if plain_model(model) in ("clinical", "combined")] or models[:2]
    st.sidebar.subheader("Calibration", anchor=False)
    wanted = st.sidebar.multiselect("Models", models, first, format_func=plain_model, key="calibration-models")
    figure(calibration_figure(bins, wanted), calibration_caption(bins, wanted), "calibration")
with right:
    st.subheader("Models", anchor=False)
    table(summaries, SUMMARY_TITLES)
    with st.expander("DeLong, as in the paper"):
        st.caption(
            "On mean out-of-bag predictions of determined patients only: shown because the paper did it. "
            "It is no test of the procedure, whose predictions share training patients."
        )
        titles = {n: t for n, t in DELONG_TITLES.items() if shown.run.locked_at or n not in ("delong_z", "delong_p")}
        table([pair for pair in pairs if pair.delong_difference is not None], titles)
end(shown)
