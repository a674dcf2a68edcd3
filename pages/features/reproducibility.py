"""Which features give the same value when the mask is drawn a little differently."""

from __future__ import annotations

import streamlit as st

from engine.present.colours import ICC_CLASS_LABELS, roi_label
from engine.present.figures.heat import image_type_order
from engine.present.figures.reproducibility import icc_distribution, survival_heat_map
from engine.present.wording.features import icc_caption, reproducibility_answer
from pages.frame import answer, begin, empty, end, figure, table
from store.queries.reproducibility import FeatureIcc, families, feature_iccs, survival_shares

TITLES = {
    "roi": "ROI",
    "image_type": "Image type",
    "feature_class": "Class",
    "feature": "Feature",
    "icc_kind": "ICC",
    "icc": "Estimate",
    "icc_lo": "Lower 95 %",
    "icc_hi": "Upper 95 %",
    "icc_rank": "Of ranks",
    "icc_trimmed": "Without extremes",
    "disagreement": "Disagree",
    "icc_class": "Reproducibility",
    "survives": "Survives",
    "n": "n",
    "k": "k",
}


def chosen_rows(rows: tuple[FeatureIcc, ...]) -> list[FeatureIcc]:
    """The rows that pass the filters of the sidebar; words must all occur in the feature's name."""
    st.sidebar.subheader("Filter the table", anchor=False)
    words = st.sidebar.text_input("Search", placeholder="e.g. wavelet glcm entropy", key="icc-search").lower().split()
    rois = st.sidebar.multiselect("ROI", sorted({r.roi for r in rows}), format_func=roi_label, key="icc-roi")
    types = st.sidebar.multiselect("Image type", image_type_order([r.image_type for r in rows]), key="icc-type")
    classes = st.sidebar.multiselect(
        "Reproducibility", list(ICC_CLASS_LABELS), format_func=ICC_CLASS_LABELS.__getitem__, key="icc-class"
    )
    return [
        row
        for row in rows
        if (not rois or row.roi in rois)
        and (not types or row.image_type in types)
        and (not classes or row.icc_class in classes)
        and all(word in f"{row.roi} {row.image_type} {row.feature_class} {row.feature}".lower() for word in words)
    ]


shown = begin("Which features survive a mask drawn a little differently?")
shares = survival_shares(shown.snapshot, shown.run.run_id)
if not shares:
    empty("No perturbed masks have been measured yet.")
answer(reproducibility_answer(shares, shown.run))
found = families(shown.snapshot, shown.run.run_id)
family = found[0]
if len(found) > 1:
    family = st.sidebar.radio("Perturbations", found, format_func=str.capitalize, key="icc-family")
rows = feature_iccs(shown.snapshot, shown.run.run_id, family)

left, right = st.columns(2)
with left:
    st.subheader("Share surviving", anchor=False)
    tested = sum(share.tested for share in shares)
    caption = f"n = {tested} features tested, all families together; darker: a larger share survives."
    figure(survival_heat_map(shares), caption, "heat")
with right:
    st.subheader("Distribution", anchor=False)
    figure(icc_distribution(rows, shown.run.icc_threshold), icc_caption(rows, family, shown.run), "icc-distribution")

kept = chosen_rows(rows)
st.subheader(f"Features, most reproducible first ({len(kept)} of {len(rows)})", anchor=False)
table(kept, TITLES, height=460)
end(shown)
