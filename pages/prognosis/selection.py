"""Which features are chosen again and again."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.selection import frequency_bars, roi_share_heat_map, stability_figure
from engine.present.wording.features import (
    frequency_caption,
    roi_share_caption,
    selection_answer,
    selection_limits,
    stability_caption,
)
from engine.present.wording.study import exploratory_badge
from pages.frame import answer, badge, begin, end, figure, table, why_missing
from store.queries.prognosis import kept_shares, selection_size, stability, top_features
from store.queries.reproducibility import DECIDING, Reading, survival_shares

TITLES = {
    "roi": "ROI",
    "image_type": "Image type",
    "feature_class": "Class",
    "feature": "Feature",
    "kept_count": "Kept",
    "mrmr_count": "Taken by mRMR",
    "resamples": "Resamples",
    "volume_correlation": "ρ with volume",
}

shown = begin("Which features are chosen again and again?")
st.sidebar.subheader("Show", anchor=False)
limit = st.sidebar.slider("Features in the figure", 10, 60, 30, 5, key="selection-limit")
features = top_features(shown.snapshot, shown.run.run_id, limit)
if not features:
    why_missing(shown, "No features have been selected yet.")
alike = stability(shown.snapshot, shown.run.run_id)
size = selection_size(shown.snapshot, shown.run.run_id)
limits = (
    selection_limits(
        size, survival_shares(shown.snapshot, shown.run.run_id, Reading(DECIDING, shown.run.icc_threshold))
    )
    if size
    else ""
)
answer(f"{selection_answer(features, alike)} {limits}")
badge(exploratory_badge(shown.run))

st.subheader(f"The {len(features)} most often kept", anchor=False)
figure(frequency_bars(features), frequency_caption(features, shown.run), "frequency")
left, right = st.columns(2)
with left:
    st.subheader("Where they come from", anchor=False)
    shares = kept_shares(shown.snapshot, shown.run.run_id)
    figure(roi_share_heat_map(shares), roi_share_caption(shares), "roi-share")
with right:
    st.subheader("How alike the sets are", anchor=False)
    if alike:
        figure(stability_figure(alike), stability_caption(alike), "stability")
    table(features, TITLES, height=420)
end(shown)
