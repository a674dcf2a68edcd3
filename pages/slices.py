"""A case as slices drawn on the server: three planes with sliders. What is shown where WebGL2 is missing."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.present.colours import CONTOUR_COLOURS
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
from engine.present.wording.review import prior_title
from engine.run.review_layers import Layer
from engine.run.review_volumes import matching_slice
from store.queries.images import AUTOMATIC, REFERENCE, load_ct, load_masks, load_prior, load_prior_scan
from store.reviews import Reading
from store.volumes import BoolZyx

CLOSE_UP_MM = 40.0
TUMOUR = "tumour"
GLIMPSE_WINDOW = "Lung"
KNOWN = (("reference", REFERENCE), ("automatic", AUTOMATIC))  # the last is drawn on top
OPENED_ON = ("yours", "automatic", "reference")


@st.cache_resource(max_entries=3, show_spinner="Reading the images")
def series_of(study: Path, run_id: str, case_id: str) -> ViewedSeries:
    """The CT of a case in viewing order."""
    return viewed(load_ct(study, run_id, case_id))


@st.cache_resource(max_entries=2, show_spinner="Reading the earlier CT")
def earlier_of(study: Path, run_id: str, case_id: str) -> ViewedSeries | None:
    """The earlier CT of a case in viewing order, None where it has none."""
    found = load_prior(study, run_id, case_id)
    return None if found is None else viewed(found)


def slices(
    study: Path,
    run_id: str,
    reading: Reading,
    layers: tuple[Layer, ...],
    on: list[str],
    window: str,
    widget: str,
) -> None:
    """The three planes of a case, opened where the tumour is largest, with the outlines that are on.

    `widget` tells one reading's sliders from another's; it reaches the browser, so it names no case.
    """
    series = series_of(study, run_id, reading.case_id)
    masks = {layer.name: tuple(viewed_mask(mask, series) for mask in layer.masks) for layer in layers}
    tumour = next((masks[name][0] for name in OPENED_ON if masks.get(name)), None)
    first_axial = 0
    if tumour is not None and st.sidebar.checkbox("Close up", key="close-up", help="40 mm around the tumour"):
        box = close_up(series, tumour, CLOSE_UP_MM)
        series, tumour = cropped(series, box), tumour[box]
        first_axial = box[0].start or 0
        masks = {name: tuple(mask[box] for mask in found) for name, found in masks.items()}
    axial = first_axial + _planes(series, masks, tumour, on, window, widget)
    _earlier(study, run_id, reading, axial, window, widget)


def glimpse(study: Path, run_id: str, case_id: str, *, blind: bool) -> None:
    """One slice of each plane through the middle of the tumour, or of the images where there is none.

    With the outlines that every reader may know, the automatic one and the reference, no reader's correction. blind:
    whoever looks has yet to read the case unaware, so none is drawn.
    """
    try:
        series = series_of(study, run_id, case_id)
    except (KeyError, FileNotFoundError):  # not read in this run, or an unpacked bundle
        st.caption("The images of this case are not here.")
        return
    found = {} if blind else {name: load_masks(study, run_id, case_id, kind).find(TUMOUR) for name, kind in KNOWN}
    masks = {name: viewed_mask(mask, series) for name, mask in found.items() if mask is not None}
    contours = [Contour(mask, CONTOUR_COLOURS[name]) for name, mask in masks.items()]
    tumour = next((mask for mask in masks.values() if mask.any()), None)
    for place, plane in zip(st.columns(3), PLANES, strict=True):
        at = middle_slice(tumour, series, plane)
        picture = render_slice(series, plane, at, WINDOWS[GLIMPSE_WINDOW], contours)
        place.image(picture, caption=f"{plane}, slice {at + 1}", width="stretch")
    none = "its outline is hidden while it waits to be read blinded" if blind else "no tumour is outlined"
    colours = [
        f'<span style="color:{CONTOUR_COLOURS[name]}">■</span> {name}{"" if mask.any() else " (none)"}'
        for name, mask in masks.items()
    ]
    st.html(f"<small>{case_id}, {GLIMPSE_WINDOW.lower()} window; {', '.join(colours) or none}.</small>")


def _planes(
    series: ViewedSeries,
    masks: dict[str, tuple[BoolZyx, ...]],
    tumour: BoolZyx | None,
    on: list[str],
    window: str,
    widget: str,
) -> int:
    """Draw the planes; returns the axial slice on screen."""
    shown = 0
    for place, plane in zip(st.columns(3), PLANES, strict=True):
        with place:
            last = slice_count(series, plane) - 1
            first = middle_slice(tumour, series, plane)
            at = st.slider(plane.capitalize(), 0, last, first, key=f"slice-{widget}-{plane}-{last}")
            contours = [Contour(mask, CONTOUR_COLOURS[name]) for name in on for mask in masks.get(name, ())]
            picture = render_slice(series, plane, at, WINDOWS[window], contours)
            st.image(picture, width="stretch", alt=f"{plane} slice {at}")
        if plane == PLANES[0]:
            shown = int(at)
    return shown


def _earlier(study: Path, run_id: str, reading: Reading, axial: int, window: str, widget: str) -> None:
    """The axial slice of the earlier CT at the same place; by a slider of its own where the two are not linked."""
    series, scan = earlier_of(study, run_id, reading.case_id), load_prior_scan(study, run_id, reading.case_id)
    if series is None or scan is None:
        return
    at = matching_slice(load_ct(study, run_id, reading.case_id).grid, series.grid, scan, axial)
    with st.columns(3)[0]:
        last = slice_count(series, PLANES[0]) - 1
        if at is not None and not 0 <= at <= last:
            st.caption(f"{prior_title(scan, reading.mode)}. It does not reach here.")
            return
        if at is None:
            at = st.slider("Earlier CT, not linked", 0, last, last // 2, key=f"slice-{widget}-earlier")
        picture = render_slice(series, PLANES[0], at, WINDOWS[window], [])
        st.image(picture, width="stretch", caption=f"{prior_title(scan, reading.mode)}; slice {at + 1}")
