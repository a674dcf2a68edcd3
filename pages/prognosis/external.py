"""Whether a model made on another study holds on this one's patients."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.external import external_forest
from engine.present.wording.external import carried_caption, differences, external_answer, external_caption
from engine.present.wording.study import exploratory_badge
from pages.frame import answer, badge, begin, end, figure, table
from store.queries.external import carried_model, external_aspects, external_comparisons, external_summaries
from store.queries.study import declined, failures

SUMMARY_TITLES = {
    "model": "Model",
    "auc": "AUC here",
    "auc_lo": "Lower 95 %",
    "auc_hi": "Upper 95 %",
    "weighted_auc": "weighted by censoring",
    "internal_auc": "Out of bag where made",
    "mean_risk": "Predicted risk",
    "observed": "Observed",
    "calibration_intercept": "Calibration in the large",
    "calibration_slope": "Slope",
    "brier": "Brier",
    "brier_shifted": "with the intercept fitted here",
    "brier_recalibrated": "with slope too",
    "n": "n",
    "events": "Events",
}
COMPARISON_TITLES = {
    "base": "Base",
    "extended": "Extended",
    "difference": "AUC difference",
    "lo": "Lower 95 %",
    "hi": "Upper 95 %",
    "p": "DeLong p",
    "z": "z",
    "n": "n",
    "events": "Events",
}
ASPECT_TITLES = {"aspect": "Of", "made_for": "Made for", "tested_on": "Tested on", "differs": "Differs"}

shown = begin("Does a model made elsewhere hold here?")
run_id = shown.run.run_id
summaries = external_summaries(shown.snapshot, run_id)
carried = carried_model(shown.snapshot, run_id)
if not summaries or carried is None:
    for lost in failures(shown.snapshot, run_id):
        if lost.stage in ("carried", "external"):
            st.error(f"**Not tested.** {lost.reason}")
    for item in declined(shown.snapshot, run_id):
        if item.analysis in ("carried", "external"):
            st.warning(f"**Declined.** {item.reason}")
    st.info(
        "No model of another study was tested on these patients. Write one there with `python -m engine export-model "
        "OTHER --to model.json`, then run it here with `python -m engine apply model.json STUDY`."
    )
    end(shown)
    st.stop()
answer(external_answer(summaries))
badge(exploratory_badge(shown.run))
differing = external_aspects(shown.snapshot, run_id)
if differences(differing):
    st.warning(differences(differing))

left, right = st.columns(2)
with left:
    st.subheader("AUC on these patients", anchor=False)
    figure(external_forest(summaries), external_caption(summaries), "external")
with right:
    st.subheader("Setting", anchor=False)
    table(differing, ASPECT_TITLES)
    st.caption(carried_caption(carried))
st.subheader("DeLong's test of the arms", anchor=False)
titles = {name: title for name, title in COMPARISON_TITLES.items() if shown.run.locked_at or name not in ("z", "p")}
table(external_comparisons(shown.snapshot, run_id), titles)
st.caption("On held-out patients, where the test is valid; z and p stand here once the plan is locked.")
st.subheader("Risks", anchor=False)
table(summaries, SUMMARY_TITLES)
st.caption(
    "AUC here and its interval are of the patients whose outcome is known; weighted by censoring, others stand for "
    "those lost to follow-up, and a difference between the two says that they matter. "
    "Calibration in the large: 0 is right, above 0 the risks are too low; slope: 1 is right, below 1 they are too "
    "extreme. The fitted intercept and slope say what would have to change here; how the changed model does would "
    "need patients of its own."
)
end(shown)
