"""What scanners and their settings do to the features, and whether outcome hangs on them."""

from __future__ import annotations

import streamlit as st

from engine.present.colours import roi_label
from engine.present.figures.batch import plane_figure, variance_figure
from engine.present.wording.batch import (
    association_answer,
    icc_answer,
    plane_caption,
    selection_note,
    variance_answer,
    variance_caption,
)
from pages.frame import Shown, answer, begin, end, figure, open_case, table, why_missing
from store.queries.batch import batch_levels, batch_outcomes, batch_points, batch_variances, icc_beside_combat
from store.records import ROIS, BatchOutcome

TITLES = {
    "roi": "ROI",
    "image_type": "Image type",
    "feature_class": "Class",
    "feature": "Feature",
    "before": "Without ComBat",
    "after": "With ComBat",
    "levels": "Batches",
    "n": "n",
}
BESIDE_TITLES = {
    "roi": "ROI",
    "family": "Family",
    "features": "Features",
    "before": "Without ComBat",
    "after": "With ComBat",
    "n": "n",
}
PLANE = "batch-plane"


def clicked() -> None:
    """Remember the case of the clicked point; the page opens it on its next run."""
    points = st.session_state[PLANE].selection.points
    if points:
        st.session_state["open-case"] = points[0]["customdata"][0]


def plane(shown: Shown, outcome: BatchOutcome, rois: list[str]) -> None:
    """Patients in the plane of most variance."""
    roi = st.sidebar.radio("ROI of the plane", rois, format_func=roi_label, key="batch-roi")
    points = batch_points(shown.snapshot, shown.run.run_id, outcome.variable, roi)
    figure(plane_figure(points), plane_caption(points, roi), PLANE, clicked)


if "open-case" in st.session_state:
    open_case(st.session_state.pop("open-case"))

shown = begin("Do features tell patients apart, or scanners?")
outcomes = batch_outcomes(shown.snapshot, shown.run.run_id)
if not outcomes:
    why_missing(shown, "Batch effects have not been looked at yet; they need features of four patients with images.")
by_name = {outcome.variable: outcome for outcome in outcomes}
variable = st.sidebar.radio("Batch", list(by_name), format_func=str.capitalize, key="batch-variable")
outcome = by_name[variable]
rows = batch_variances(shown.snapshot, shown.run.run_id, variable)
association = association_answer(outcome, batch_levels(shown.snapshot, shown.run.run_id, variable))
answer(association)
answer(variance_answer(rows, outcome))

left, right = st.columns([2, 3])
with left:
    st.subheader("Variance explained", anchor=False)
    figure(variance_figure(rows), variance_caption(rows), "batch-variance")
with right:
    st.subheader("Where patients lie", anchor=False)
    plane(shown, outcome, [roi for roi in ROIS if any(row.roi == roi for row in rows)])

st.subheader("Reproducibility without and with ComBat", anchor=False)
beside = icc_beside_combat(shown.snapshot, shown.run.run_id, shown.run.icc_threshold)
st.markdown(icc_answer(beside, shown.run.icc_threshold))
if beside:
    table(beside, BESIDE_TITLES)
st.caption(selection_note(shown.run.combat, shown.run.batch_variable))
st.subheader(f"Features, most explained first ({len(rows)})", anchor=False)
table(rows, TITLES, height=380)
end(shown)
