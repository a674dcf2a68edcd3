"""The images of one case with every outline, and what readers said of them."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.present.colours import CONTOUR_COLOURS, roi_label
from engine.present.figures.slices import (
    PLANES,
    WINDOWS,
    Contour,
    ViewedSeries,
    close_up,
    cropped,
    middle_slice,
    render_slice,
    slice_count,
    viewed,
    viewed_mask,
)
from engine.present.wording.doubt import order_sentence
from engine.present.wording.segmentation import review_answer
from engine.service import note_images_seen
from pages.frame import Shown, answer, begin, empty, end, table
from store.queries.agreement import ReviewCase, review_cases, verdicts
from store.queries.images import AUTOMATIC, REFERENCE, REGIONS, load_ct, load_masks
from store.queries.inference import doubt_quality
from store.volumes import BoolZyx, Mask

LAYERS = {
    "reference": "Reference",
    "automatic": "Automatic",
    "peritumoural": "Peritumoural ring",
    "lungs": "Lungs",
}
CLOSE_UP_MM = 40.0
SHOWN_FIRST = ("reference", "automatic", "peritumoural")
QUEUE_TITLES = {
    "place": "Place",
    "case_id": "Case",
    "predicted_dsc": "Expected DSC",
    "missed_probability": "Probability of a miss",
    "dsc": "DSC",
    "verdicts": "Verdicts",
}
QUEUE_HEIGHT = 260
VERDICT_TITLES = {
    "signed_at": "Signed (UTC)",
    "reader": "Reader",
    "structure": "Structure",
    "judgement": "Correction needed",
    "reason": "Reason",
    "comment": "Comment",
    "active_seconds": "Seconds",
}


@st.cache_resource(max_entries=3, show_spinner="Reading the images")
def series_of(study: Path, run_id: str, case_id: str) -> ViewedSeries:
    """The CT of a case in viewing order."""
    return viewed(load_ct(study, run_id, case_id))


@st.cache_resource(max_entries=3, show_spinner=False)
def layers_of(study: Path, run_id: str, case_id: str, generation: str) -> dict[str, tuple[BoolZyx, ...]]:
    """The outlines of a case by layer, on the CT's grid."""
    series = series_of(study, run_id, case_id)
    reference = load_masks(study, run_id, case_id, REFERENCE).masks
    automatic = load_masks(study, run_id, case_id, AUTOMATIC).masks
    regions = load_masks(study, run_id, case_id, REGIONS).masks
    wanted: dict[str, list[Mask]] = {
        "reference": [m for m in reference if m.structure == "tumour"],
        "automatic": [m for m in automatic if m.structure == "tumour"],
        "peritumoural": [m for m in regions if m.structure == "peritumoural"],
        "lungs": [m for m in (*reference, *automatic) if m.structure in ("lung_left", "lung_right")],
    }
    return {name: tuple(viewed_mask(mask, series) for mask in masks) for name, masks in wanted.items()}


def choose_case(cases: tuple[ReviewCase, ...]) -> ReviewCase:
    """The case of the address (?case=), else the first; choosing one changes the address."""
    ids = [case.case_id for case in cases]
    wanted = st.query_params.get("case", "")
    if wanted and wanted not in ids:
        st.warning("The case of this address is not in the run; the first case is shown.")
    labels = {case.case_id: label(case) for case in cases}
    st.sidebar.subheader("Case", anchor=False)
    place = ids.index(wanted) if wanted in ids else 0
    chosen = st.sidebar.selectbox(
        "Case", ids, index=place, format_func=labels.__getitem__, label_visibility="collapsed"
    )
    if chosen != wanted:
        st.query_params["case"] = chosen
    return next(case for case in cases if case.case_id == chosen)


def label(case: ReviewCase) -> str:
    """A case in the list: its place in the queue, and what makes it worth a look."""
    place = "" if case.place is None else f"{case.place} · "
    fit = "" if case.dsc is None else " · missed" if case.missed else f" · DSC {case.dsc:.2f}"
    return f"{place}{case.case_id}{fit}"


def close_to_tumour(
    series: ViewedSeries, layers: dict[str, tuple[BoolZyx, ...]]
) -> tuple[ViewedSeries, dict[str, tuple[BoolZyx, ...]]]:
    """Images and outlines around the tumour only; unchanged when there is none."""
    tumour = tumour_of(layers)
    if tumour is None:
        return series, layers
    box = close_up(series, tumour, CLOSE_UP_MM)
    return cropped(series, box), {name: tuple(mask[box] for mask in masks) for name, masks in layers.items()}


def tumour_of(layers: dict[str, tuple[BoolZyx, ...]]) -> BoolZyx | None:
    """The reference's tumour, else the automatic one."""
    return next((layers[name][0] for name in ("reference", "automatic") if layers[name]), None)


def planes(series: ViewedSeries, layers: dict[str, tuple[BoolZyx, ...]], on: list[str], window: str, case: str) -> None:
    """The three planes, each with its slider, opened where the tumour is largest."""
    tumour = tumour_of(layers)
    for place, plane in zip(st.columns(3), PLANES, strict=True):
        with place:
            last = slice_count(series, plane) - 1
            first = middle_slice(tumour, series, plane)
            at = st.slider(plane.capitalize(), 0, last, first, key=f"slice-{case}-{plane}-{last}")
            contours = [Contour(mask, CONTOUR_COLOURS[name]) for name in on for mask in layers[name]]
            picture = render_slice(series, plane, at, WINDOWS[window], contours)
            st.image(picture, width="stretch", alt=f"{plane} slice {at} of {case}")


def legend(on: list[str], layers: dict[str, tuple[BoolZyx, ...]]) -> str:
    """The colours of the outlines shown, and which have no mask."""
    parts = []
    for name in on:
        missing = "" if any(mask.any() for mask in layers[name]) else " (none)"
        parts.append(f'<span style="color:{CONTOUR_COLOURS[name]}">■</span> {LAYERS[name]}{missing}')
    return " &nbsp; ".join(parts)


def images(shown: Shown, case: ReviewCase) -> None:
    """Controls in the sidebar, slices in the page."""
    st.sidebar.subheader("Show", anchor=False)
    on = [n for n, title in LAYERS.items() if st.sidebar.checkbox(title, n in SHOWN_FIRST, key=f"layer-{n}")]
    window = st.sidebar.radio("Window", list(WINDOWS), key="window", horizontal=True)
    key = (shown.study, shown.run.run_id, case.case_id)
    series, layers = series_of(*key), layers_of(*key, shown.snapshot.generation)
    if st.sidebar.checkbox("Close up", key="close-up", help="40 mm around the tumour"):
        series, layers = close_to_tumour(series, layers)
    planes(series, layers, on, window, case.case_id)
    spacing = " × ".join(f"{s:.2g}" for s in series.spacing_zyx_mm[::-1])
    centre, width = WINDOWS[window]
    st.html(f"<small>{legend(on, layers)}</small>")
    st.caption(
        f"{case.case_id}; voxels {spacing} mm (x, y, z); {window.lower()} window {centre:.0f} / {width:.0f} HU; "
        f"the patient's left is on the right. Ring: {roi_label('peritumoural').lower()}, {shown.run.ring_mm:g} mm, "
        f"on the {shown.run.grid_mm:g} mm feature grid."
    )


shown = begin("Is this outline right?", "view images")
cases = review_cases(shown.snapshot, shown.run.run_id)
if not cases:
    empty("No images have been read in this run; a study of imported features has none.", "acquire")
case = choose_case(cases)
signed = [verdict for verdict in verdicts(shown.snapshot) if verdict.case_id == case.case_id]
answer(review_answer(case, signed))
if st.session_state.get("seen") != case.case_id:  # once for each time a case is opened
    note_images_seen(shown.study, shown.person, case.case_id)
    st.session_state["seen"] = case.case_id
images(shown, case)
st.subheader(f"Verdicts on {case.case_id} ({len(signed)})", anchor=False)
if signed:
    table(signed, VERDICT_TITLES)
else:
    st.caption("No reader has signed a verdict on this case.")
st.subheader(f"Queue ({len(cases)})", anchor=False)
st.caption(order_sentence(cases, doubt_quality(shown.snapshot, shown.run.run_id)))
table(cases, QUEUE_TITLES, height=QUEUE_HEIGHT)
end(shown)
