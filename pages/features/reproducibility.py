"""Which features give the same value when image and contour are perturbed a little."""

from __future__ import annotations

from functools import partial

import streamlit as st

from engine.present.colours import ICC_CLASS_LABELS, roi_label
from engine.present.figures.heat import image_type_order
from engine.present.figures.reproducibility import feature_figure, harm_figure, icc_distribution, survival_heat_map
from engine.present.wording.features import feature_label
from engine.present.wording.reproducibility import (
    FAMILY_LABELS,
    FORM_LABELS,
    downstream_answer,
    falls_answer,
    feature_answer,
    feature_caption,
    harm_answer,
    harm_caption,
    heat_caption,
    icc_caption,
    reproducibility_answer,
)
from pages.frame import Shown, answer, begin, end, figure, open_case, table, tabs, why_missing
from store.queries.reproducibility import (
    Family,
    FeatureIcc,
    Reading,
    class_counts,
    families,
    feature_iccs,
    feature_values,
    image_falls,
    perturbation_effects,
    survival_shares,
)

ALL_DECLARED = ""
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
    "within_cv": "Within-patient CV",
    "icc_class": "Reproducibility",
    "survives": "Survives",
    "n": "n",
    "k": "k",
}
EFFECT_TITLES = {
    "perturbation": "Perturbation",
    "family": "Family",
    "roi": "ROI",
    "n": "n",
    "below": "Under the threshold",
    "features": "Features",
    "median_icc": "Median ICC",
    "dsc_median": "DSC, median",
    "dsc_lowest": "DSC, lowest",
    "volume_change_median_percent": "Volume (%)",
    "implausible": "Implausible masks",
}
FALL_TITLES = {
    "roi": "ROI",
    "image_type": "Image type",
    "median_bound": "Half lost at",
    "surviving": "Survive",
    "tested": "Tested",
    "constant": "Constant",
}
CLASS_TITLES = {"feature_class": "Class", "roi": "ROI", "surviving": "Survive", "tested": "Tested"}
POINTS = "feature-values"


def chosen_reading(found: tuple[Family, ...], protocol_threshold: float) -> Reading:
    """Family, form and threshold of the sidebar: they re-read every figure and table of the page."""
    st.sidebar.subheader("Read the ICC", anchor=False)
    names = [ALL_DECLARED, *(family.family for family in found)]
    family = st.sidebar.radio("Perturbations", names, format_func=family_label, key="icc-family")
    form = st.sidebar.radio("Form", list(FORM_LABELS), format_func=FORM_LABELS.__getitem__, key="icc-form")
    threshold = st.sidebar.slider("Threshold on the lower bound", 0.0, 1.0, protocol_threshold, 0.05, key="icc-bound")
    return Reading(form, threshold, family)


def family_label(family: str) -> str:
    """A family as the sidebar names it."""
    return FAMILY_LABELS.get(family, family).capitalize() if family else "All that the protocol declares"


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


def clicked() -> None:
    """Remember the case of the clicked point; the page opens it on its next run."""
    points = st.session_state[POINTS].selection.points
    if points:
        st.session_state["open-case"] = points[0]["customdata"][0]


def harm(shown: Shown) -> None:
    """Which perturbation hurts most, and what its masks look like in numbers."""
    effects = perturbation_effects(shown.snapshot, shown.run.run_id)
    st.markdown(harm_answer(effects))
    if any(effect.features for effect in effects):
        figure(harm_figure(effects), harm_caption(effects), "harm")
    if effects:
        table(effects, EFFECT_TITLES, height=300)


def one_feature(shown: Shown, row: FeatureIcc) -> None:
    """A feature's values across perturbations by patient; a click opens the patient's images."""
    name = feature_label(row.image_type, row.feature_class, row.feature)
    st.subheader(f"{name}, {roi_label(row.roi).lower()}", anchor=False)
    st.markdown(feature_answer(row))
    values = feature_values(shown.snapshot, shown.run.run_id, row)
    if values:
        caption = feature_caption(values)
        figure(feature_figure(values, row.feature), caption, POINTS, clicked)
    else:
        st.caption(
            "Its values are not here: they were imported, or the next publication brings them (`rebuild STUDY`)."
        )


def every_feature(shown: Shown, kept: list[FeatureIcc], of: int) -> None:
    """The table of features, and the values of the chosen one."""
    st.subheader(f"Features, most reproducible first ({len(kept)} of {of})", anchor=False)
    st.caption("Choose a row to see the feature's values by patient.")
    picked = table(kept, TITLES, height=380, on_select="rerun", selection_mode="single-row", key="icc-table")
    places = picked.selection.rows
    if kept:
        one_feature(shown, kept[places[0] if places and places[0] < len(kept) else 0])


def left_over(shown: Shown, reading: Reading) -> None:
    """What selection may choose from."""
    counts = class_counts(shown.snapshot, shown.run.run_id, reading)
    st.markdown(downstream_answer(counts, reading, shown.run.icc_threshold))
    if counts:
        table(counts, CLASS_TITLES, height=300)


if "open-case" in st.session_state:
    open_case(st.session_state.pop("open-case"))

shown = begin("Which features survive a small change of image and contour?")
found = families(shown.snapshot, shown.run.run_id)
if not found:
    why_missing(shown, "No perturbed or repeated measurements have been compared yet.")
reading = chosen_reading(found, shown.run.icc_threshold)
shares = survival_shares(shown.snapshot, shown.run.run_id, reading)
answer(reproducibility_answer(shares, reading, found))
if shares:
    figure(survival_heat_map(shares), heat_caption(shares), "heat")

family = reading.family or found[0].family
rows = feature_iccs(shown.snapshot, shown.run.run_id, family, reading.form)
left, right = st.columns(2)
with left:
    st.subheader("Distribution", anchor=False)
    figure(icc_distribution(rows, reading.threshold), icc_caption(rows, family, reading.threshold), "icc-distribution")
with right:
    falls = image_falls(shown.snapshot, shown.run.run_id, reading)
    st.subheader("Images, first to fall", anchor=False)
    st.markdown(falls_answer(falls))
    if falls:
        table(falls, FALL_TITLES, height=330)

tabs(
    {
        "Which perturbation hurts most": partial(harm, shown),
        "Every feature": partial(every_feature, shown, chosen_rows(rows), len(rows)),
        "What the threshold leaves": partial(left_over, shown, reading),
    },
    "reproducibility-tabs",
)
end(shown)
