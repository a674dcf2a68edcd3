"""How well automatic and reference masks agree, and what makes it harder."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.agreement import MEASURES, drawn_rows, driver_figure
from engine.present.figures.doubt import doubt_figure
from engine.present.wording.doubt import doubt_answer, doubt_caption, seconds_answer
from engine.present.wording.segmentation import (
    agreement_answer,
    association_for,
    association_sentence,
    drawn_sentence,
    headline,
    pair_label,
)
from pages.frame import answer, begin, empty, end, figure, open_case, table
from store.queries.agreement import CaseAgreement, agreement_summary, associations, case_agreements, mask_pairs
from store.queries.inference import StepSeconds, doubt_estimates, doubt_quality, step_seconds
from store.records import DoubtEstimate, DoubtQuality

SECONDS_TITLES = {
    "step": "Step",
    "n": "Series",
    "median": "Median (s)",
    "shortest": "Shortest (s)",
    "longest": "Longest (s)",
    "hardware": "Hardware",
    "device": "Device",
    "threads": "Threads",
    "precision": "Precision",
}
GROUPS = {
    "Shape": ("sphericity", "maximum_3d_diameter_mm"),
    "Location": ("chest_wall_contact", "third"),
    "Acquisition": ("kernel_group", "contrast"),
    "More": ("volume_ml", "side", "slice_thickness_mm", "manufacturer"),
}
TITLES = {
    "case_id": "Case",
    "dsc": "DSC",
    "surface_dsc": "Surface DSC",
    "hd95_mm": "HD95 (mm)",
    "missed_kind": "Found",
    "extra_components": "Extra parts",
    "sphericity": "Sphericity",
    "maximum_3d_diameter_mm": "Diameter (mm)",
    "third": "Third",
    "chest_wall_contact": "Chest wall contact",
    "kernel_group": "Kernel",
    "contrast": "Contrast",
}
TEST_TITLES = {
    "outcome": "Outcome",
    "variable": "Variable",
    "test": "Test",
    "subset": "Cases",
    "n": "n",
    "effect_name": "Effect",
    "effect": "Estimate",
    "effect_lo": "Lower 95 %",
    "effect_hi": "Upper 95 %",
    "p": "p",
    "q": "q (FDR)",
    "verdict": "Against the margin",
}


def clicked(key: str) -> None:
    """Remember the case of the clicked point; the page opens it on its next run."""
    points = st.session_state[key].selection.points
    if points:
        st.session_state["open-case"] = points[0]["customdata"][0]


def driver(rows: tuple[CaseAgreement, ...], variable: str, measure: str) -> None:
    """One scatter with its sentence."""
    key = f"driver-{variable}-{measure}"
    test = association_for(tests, measure, variable)
    caption = f"{association_sentence(test)} {drawn_sentence(rows, len(drawn_rows(rows, variable)))}"
    figure(driver_figure(rows, variable, measure, MEASURES[measure]), caption, key, lambda: clicked(key))


def drivers(rows: tuple[CaseAgreement, ...], variables: tuple[str, ...], measure: str) -> None:
    """The scatters of one group, two in a row; variables that no case has are left out."""
    present = [variable for variable in variables if drawn_rows(rows, variable)]
    for start in range(0, len(present), 2):
        for place, variable in zip(st.columns(2), present[start : start + 2], strict=False):
            with place:
                driver(rows, variable, measure)
    if not present:
        st.caption("Shape and place of the reference tumours have not been measured yet.")


def doubt(estimates: tuple[DoubtEstimate, ...], quality: tuple[DoubtQuality, ...]) -> None:
    """What the model's own doubt is worth: predicted against achieved DSC."""
    st.subheader("Does the model know when it is wrong?", anchor=False)
    if not quality:
        st.caption("Not estimated: the stage *doubt* has no result in this run, or it was declined; see Runs.")
        return
    st.markdown(doubt_answer(quality))
    key = "doubt"
    figure(doubt_figure(estimates), doubt_caption(quality), key, lambda: clicked(key))


def seconds(steps: tuple[StepSeconds, ...]) -> None:
    """How long a series takes, on what, beside the published figure."""
    st.subheader("How long does a series take?", anchor=False)
    st.markdown(seconds_answer(steps))
    if steps:
        table(steps, SECONDS_TITLES)


if "open-case" in st.session_state:
    open_case(st.session_state.pop("open-case"))

shown = begin("How well do the masks agree, and what makes it harder?")
pairs = mask_pairs(shown.snapshot, shown.run.run_id)
if not pairs:
    empty("No automatic mask has been compared with a reference yet.", "measure")
st.sidebar.subheader("Compare", anchor=False)
pair = st.sidebar.selectbox("Masks", pairs, format_func=pair_label, key="agreement-pair")
measure = st.sidebar.radio("Measure", list(MEASURES), format_func=MEASURES.__getitem__, key="agreement-measure")

summary = agreement_summary(shown.snapshot, shown.run.run_id, pair)
answer(agreement_answer(summary, pair))
if pair.comparison != "agreement":
    st.warning("The reference was made from the automatic mask: these numbers are edit distances, not agreement.")
with st.container(horizontal=True):
    for name, shown_value, beside in headline(summary, shown.run.tolerance_mm):
        st.metric(name, shown_value, beside, "off", delta_arrow="off", width="content")

rows = case_agreements(shown.snapshot, shown.run.run_id, pair)
tests = associations(shown.snapshot, shown.run.run_id)
for tab, variables in zip(st.tabs(list(GROUPS), on_change="rerun"), GROUPS.values(), strict=True):
    if tab.open:
        with tab:
            drivers(rows, variables, measure)

doubt(doubt_estimates(shown.snapshot, shown.run.run_id), doubt_quality(shown.snapshot, shown.run.run_id))
seconds(step_seconds(shown.snapshot, shown.run.run_id))

st.subheader("Tests", anchor=False)
if tests:
    st.caption("Outcome families are corrected together (Benjamini-Hochberg q). Exploratory analyses carry no p or q.")
    table(tests, TEST_TITLES)
else:
    st.caption("Not tested yet: the stage *association* has no result.")
st.subheader("Cases", anchor=False)
table(rows, TITLES, height=360)
end(shown)
