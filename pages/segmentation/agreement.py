"""How well automatic and reference masks agree, and what makes it harder."""

from __future__ import annotations

import streamlit as st

from engine.present.blank_canvas import blank_canvas_sample
from engine.present.figures.agreement import (
    CATEGORIES,
    MEASURES,
    NUMBERS,
    curve_figure,
    distribution_figure,
    drawn_rows,
    driver_figure,
    location_figure,
    value_of,
)
from engine.present.figures.doubt import doubt_figure
from engine.present.figures.effects import batch_figure, forest_figure
from engine.present.figures.error_map import error_figure, error_map
from engine.present.wording.doubt import doubt_answer, doubt_caption, seconds_answer
from engine.present.wording.segmentation import (
    NO_REFERENCE,
    agreement_answer,
    alias_sentence,
    association_for,
    association_sentence,
    batch_sentence,
    cross_table,
    cross_title,
    curve_sentence,
    drawn_sentence,
    error_sentence,
    filtered_sentence,
    forest_sentence,
    headline,
    is_of_pair,
    missed_sentence,
    misses_sentence,
    pair_label,
    variable_label,
)
from engine.review.reading_list import cases_known
from pages.blinding import blind_cases
from pages.frame import (
    Shown,
    answer,
    badge,
    begin,
    empty,
    end,
    figure,
    grid,
    open_case,
    open_clicked,
    patients,
    selectable,
    table,
    tabs,
)
from pages.looking import note_look
from pages.reader import current_reader
from store.queries.agreement import (
    CaseAgreement,
    MaskPair,
    acquisition_pairs,
    agreement_summary,
    associations,
    batch_differences,
    case_agreements,
    case_covariates,
    mask_pairs,
    review_cases,
    signed_readers,
    tolerance_curve,
)
from store.queries.images import AUTOMATIC, FURTHER, REFERENCE, load_masks
from store.queries.inference import doubt_estimates, doubt_quality, step_seconds
from store.queries.reviews import review_state
from store.reviews import BLANK_CANVAS
from store.volumes import Mask

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
TITLES = {
    "case_id": "Case",
    "dsc": "DSC",
    "surface_dsc": "Surface DSC",
    "surface_dsc_smooth": "Surface DSC, smooth",
    "hd95_mm": "HD95 (mm)",
    "mean_surface_distance_mm": "Mean distance (mm)",
    "volume_error_ml": "Volume error (ml)",
    "missed_kind": "Found",
    "lesion_dsc": "Lesion DSC",
    "extra_components": "Extra parts",
    "sphericity": "Sphericity",
    "maximum_3d_diameter_mm": "Diameter (mm)",
    "volume_ml": "Volume (ml)",
    "side": "Side",
    "third": "Third",
    "chest_wall_contact": "Chest wall contact",
    "contact_mm2": "Pleural contact (mm²)",
    "protrusion_mm": "Protrusion (mm)",
    "distance_to_mediastinum_mm": "To mediastinum (mm)",
    "kernel_group": "Kernel",
    "contrast": "Contrast",
    "vendor": "Vendor",
    "slice_thickness_mm": "Slices (mm)",
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
    "change": "Change of score",
    "change_per": "per",
    "p": "p",
    "q": "q (FDR)",
    "verdict": "Against the margin",
    "aliased_with": "Not to be told from",
}
FILTERS = ("side", "third", "lobe", "chest_wall_contact", "kernel_group", "contrast", "vendor", "missed_kind")
FOUND_OR_MISSED = "found or missed"
MISSED_TITLES = ("case_id", "missed_kind", "lesion_dsc", "extra_components", "maximum_3d_diameter_mm", "sphericity")
TABLE_HEIGHT, ROWS_IN_HEIGHT = 300, 7


def without_reference(shown: Shown) -> None:
    """What to do where no mask was drawn independently: a random sample to contour."""
    case_ids = [case.case_id for case in review_cases(shown.snapshot, shown.run.run_id)]
    sample = blank_canvas_sample(case_ids, shown.run.seed)
    st.warning(NO_REFERENCE + ", ".join(sample[:5]) + (", …" if len(sample) > 5 else "."))
    listed = "\n".join(["case_id", *sample])
    st.download_button(f"The sample ({len(sample)} cases)", listed, "blank_canvas.csv", "text/csv")


def filtered(rows: tuple[CaseAgreement, ...]) -> list[CaseAgreement]:
    """The cases that pass the filters of the sidebar; an empty filter lets all pass."""
    st.sidebar.subheader("Filter", anchor=False)
    kept = list(rows)
    for name in FILTERS:
        levels = sorted({str(value_of(row, name)) for row in rows})
        if len(levels) > 1:
            wanted = st.sidebar.multiselect(variable_label(name), levels, key=f"agreement-{name}")
            kept = [row for row in kept if not wanted or str(value_of(row, name)) in wanted]
    return kept


def colour_values(rows: list[CaseAgreement], name: str) -> tuple[str, dict[str, float | str | None]] | None:
    """One value a case to colour by: a measured variable or a clinical covariate; None for found or missed."""
    if name == FOUND_OR_MISSED:
        return None
    if name in (*NUMBERS, *CATEGORIES):
        return variable_label(name), {row.case_id: value_of(row, name) for row in rows}
    clinical = [c for c in case_covariates(shown.snapshot, shown.run.run_id) if c.name == name]
    values = {c.case_id: c.number if c.category is None else c.category for c in clinical}
    return name.replace("_", " ").capitalize(), {row.case_id: values.get(row.case_id) for row in rows}


def present(rows: list[CaseAgreement], names: tuple[str, ...]) -> list[str]:
    """The variables of which some case has a value."""
    unknown = (None, "unknown")
    return [name for name in names if any(value_of(row, name) not in unknown for row in rows)]


def scatter(rows: list[CaseAgreement], is_filtered: bool) -> tuple[str, ...]:
    """The large scatter with its controls; the cases chosen in it."""
    against, colour = st.columns(2)
    variables = present(rows, (*NUMBERS, *CATEGORIES))
    if not variables:
        st.caption("Shape and place of the reference tumours have not been measured yet.")
        return ()
    with against:
        variable = st.selectbox("Against", variables, format_func=variable_label, key="agreement-against")
    clinical = dict.fromkeys(c.name for c in case_covariates(shown.snapshot, shown.run.run_id))
    with colour:
        choices = [FOUND_OR_MISSED, *variables, *clinical]
        name = st.selectbox("Colour", choices, format_func=variable_label, key="agreement-colour")
    if is_filtered:
        said = filtered_sentence(rows, variable, measure)
    else:
        said = association_sentence(association_for(tests, measure, variable))
    caption = f"{said} {drawn_sentence(rows, len(drawn_rows(rows, variable)))}"
    chart = driver_figure(rows, variable, measure, colour_values(rows, name))
    return selectable(chart, caption, f"driver-{variable}-{measure}-{name}")


def chosen_cases(rows: list[CaseAgreement], key: str, titles: dict[str, str]) -> None:
    """Cases as a table; a chosen row shows where its mask is wrong and leads to its images."""
    height = TABLE_HEIGHT if len(rows) > ROWS_IN_HEIGHT else "auto"
    picked = patients(shown, rows, titles, key=key, on_select="rerun", selection_mode="single-row", height=height)
    if picked is None:
        return
    if not picked.selection.rows:
        st.caption("Choose a row to see where the mask is wrong, and its images.")
        return
    case_id = rows[picked.selection.rows[0]].case_id
    if st.button(f"Look at the images of {case_id}", key=f"{key}-open"):
        open_case(case_id)
    error_of(case_id, f"{key}-error")


def error_of(case_id: str, key: str) -> None:
    """The error map of one case on the surface of the first mask of the pair; none to who is still blind to it."""
    if case_id in blind_cases(shown.study, shown.snapshot, shown.run.run_id):
        st.caption(
            f"{case_id}: hidden until the reader study in which it stands is finished, and its blank canvas; where no "
            "name is known, everybody's."
        )
        return
    note_look(shown.study, shown.person, case_id, key)
    masks = [
        mask
        for kind in (REFERENCE, AUTOMATIC, FURTHER)
        for mask in load_masks(shown.study, shown.run.run_id, case_id, kind).masks
        if mask.structure == pair.structure and mask.lesion == 0
    ]
    first, second = drawn_by(masks, pair.from_source), drawn_by(masks, pair.to_source)
    found = None if first is None or second is None else error_map(first, second)
    if found is None:
        st.caption(f"{case_id}: nothing to draw, one of the two masks is empty.")
        return
    figure(error_figure(found), error_sentence(found.errors_mm.tolist(), case_id), key)


def drawn_by(masks: list[Mask], source: str) -> Mask | None:
    """The mask of one maker."""
    return next((mask for mask in masks if mask.source == source), None)


def scans() -> None:
    """Contrast, kernel, vendor and slices: against the margin, and against each other."""
    every = batch_differences(shown.snapshot, shown.run.run_id)
    rows = [row for row in every if row.outcome == "dsc" and row.subset == "detected"]
    if rows:
        figure(batch_figure(rows), batch_sentence(rows), "batch")
    else:
        st.caption(batch_sentence(rows))
    pairs = acquisition_pairs(shown.snapshot, shown.run.run_id)
    st.markdown(alias_sentence(pairs))
    for start in range(0, len(pairs), 2):
        for place, found in zip(st.columns(2), pairs[start : start + 2], strict=False):
            with place:
                grid(cross_table(found))
                st.caption(f"{cross_title(found)}; n = {found.n} with both known.")


def all_else_kept() -> None:
    """Both parts of the two-part model."""
    rows = [row for row in tests if row.effect_name.startswith("change of DSC")]
    if rows:
        figure(forest_figure(rows), forest_sentence(rows), "forest")
    else:
        st.caption(forest_sentence(rows))
    st.caption(missed_sentence([row for row in tests if row.outcome == "missed"]))


def doubt() -> None:
    """What the model's own doubt is worth: predicted against achieved DSC."""
    quality = doubt_quality(shown.snapshot, shown.run.run_id)
    if not quality:
        st.caption("Not estimated: the stage *doubt* has no result in this run, or it was declined; see Runs.")
        return
    st.markdown(doubt_answer(quality))
    figure(doubt_figure(doubt_estimates(shown.snapshot, shown.run.run_id)), doubt_caption(quality), "doubt")


def missed(rows: list[CaseAgreement]) -> None:
    """The misses, one click from their images."""
    gone = [row for row in rows if row.missed or row.missed_at_low_dsc]
    st.caption(misses_sentence(gone))
    if gone:
        chosen_cases(gone, "agreement-missed", {name: TITLES[name] for name in MISSED_TITLES})


def distributions(rows: list[CaseAgreement]) -> None:
    """How the measure is spread, and what the tolerance does."""
    left, right = st.columns(2)
    with left:
        figure(distribution_figure(rows, measure), f"n = {len(rows)}, steps of 0.05.", "distribution")
    points = tolerance_curve(shown.snapshot, shown.run.run_id, pair)
    thick = [row.slice_thickness_mm for row in rows if row.slice_thickness_mm is not None]
    with right:
        if points:
            figure(curve_figure(points), curve_sentence(points, thick), "curve")
        else:
            st.caption(curve_sentence(points, thick))


def pairs_to_show(shown: Shown) -> tuple[MaskPair, ...]:
    """The pairs of masks; without those of readers while whoever looks has yet to read cases blinded."""
    found = mask_pairs(shown.snapshot, shown.run.run_id)
    theirs = [one for one in found if {one.from_source, one.to_source} & signed_readers(shown.snapshot)]
    if not theirs or not blind_cases(shown.study, shown.snapshot, shown.run.run_id):
        return found
    st.sidebar.caption(
        "What readers drew is hidden until your reader study and blank canvases are signed; where no name is known, "
        "everybody's."
    )
    return tuple(one for one in found if one not in theirs)


def cases_to_show(shown: Shown, pair: MaskPair) -> tuple[CaseAgreement, ...]:
    """The cases of a pair; of masks of other readers those only that whoever reads has signed himself."""
    found = case_agreements(shown.snapshot, shown.run.run_id, pair, shown.run.lobe)
    reader, makers = current_reader(), {pair.from_source, pair.to_source}
    others = makers & signed_readers(shown.snapshot)
    if reader is None or not {name.removesuffix(f", {BLANK_CANVAS}") for name in others} - {reader.name}:
        return found
    known = cases_known(review_state(shown.study).verdicts, reader.name)
    left = tuple(row for row in found if row.case_id in known)
    if len(left) < len(found):
        st.caption(f"Cases that you have not signed yourself are left out below: {len(found) - len(left)}.")
    return left


def choose_pair(pairs: tuple[MaskPair, ...]) -> MaskPair:
    """Reader against program, reader against reader, program against program: one list."""
    st.sidebar.subheader("Compare", anchor=False)
    return st.sidebar.selectbox("Masks", pairs, format_func=pair_label, key="agreement-pair")


open_clicked()
shown = begin("How well do the masks agree, and what makes it harder?")
found_pairs = pairs_to_show(shown)
if not any(one.comparison == "agreement" for one in found_pairs) and review_cases(shown.snapshot, shown.run.run_id):
    without_reference(shown)
if not found_pairs:
    empty("No automatic mask has been compared with a reference yet.", "measure")
pair = choose_pair(found_pairs)
measure = st.sidebar.radio("Measure", list(MEASURES), format_func=MEASURES.__getitem__, key="agreement-measure")

summary = agreement_summary(shown.snapshot, shown.run.run_id, pair)
answer(agreement_answer(summary, pair))
if pair.comparison == "edit_distance":
    st.warning("The reference was made from the automatic mask: these numbers are edit distances, not agreement.")
with st.container(horizontal=True):
    for name, shown_value, beside in headline(summary, shown.run.tolerance_mm):
        st.metric(name, shown_value, beside, "off", delta_arrow="off", width="content")

every = cases_to_show(shown, pair)
tests = tuple(test for test in associations(shown.snapshot, shown.run.run_id) if is_of_pair(test, pair))
rows = filtered(every)
if len(rows) < len(every):
    badge(f"{len(rows)} of {len(every)} cases after filters: estimates without p or q.")
boxed = scatter(rows, len(rows) < len(every))
listed = [row for row in rows if row.case_id in boxed] if boxed else rows
st.subheader(f"Cases ({len(listed)} of {len(every)})", anchor=False)
chosen_cases(listed, "agreement-cases", TITLES)
distributions(rows)

tabs(
    {
        "By location": lambda: figure(
            location_figure(rows, "maximum_3d_diameter_mm", measure), f"n = {len(rows)}; crosses: missed.", "location"
        ),
        "All else kept": all_else_kept,
        "Scans": scans,
        "Missed": lambda: missed(rows),
        "Doubt": doubt,
        "Seconds": lambda: (
            st.markdown(seconds_answer(step_seconds(shown.snapshot, shown.run.run_id))),
            table(step_seconds(shown.snapshot, shown.run.run_id), SECONDS_TITLES),
        ),
        "Tests": lambda: (
            st.caption(
                "A score's tests are corrected together (Benjamini-Hochberg q). Exploratory analyses have no p or q."
            ),
            table(tests, TEST_TITLES),
        ),
    },
    "agreement-tabs",
)
end(shown)
