"""Who is in the study, who left where, and what is known of each case."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.flow import flow_figure
from engine.present.numbers import number, percent
from engine.present.wording.study import cohort_answer, flow_caption
from engine.service import custody_notes
from pages.blinding import blind_cases
from pages.frame import Shown, answer, begin, empty, end, figure, grid, open_case, patients
from pages.gate import may
from pages.looking import note_look
from pages.slices import glimpse
from store.queries.cohort import CaseRow, CovariateSummary, cases, covariate_summaries, flags
from store.queries.study import flow_steps, refusals
from store.records import Refusal

CHOICES = {
    "side": "Side",
    "third": "Third of the lung",
    "kernel_group": "Kernel",
    "contrast": "Contrast",
    "manufacturer": "Manufacturer",
    "mask_source": "Feature mask",
    "outcome": "Outcome",
}
TITLES = {
    "case_id": "Case",
    "side": "Side",
    "third": "Third",
    "volume_ml": "Volume (ml)",
    "maximum_3d_diameter_mm": "Diameter (mm)",
    "sphericity": "Sphericity",
    "dsc": "DSC",
    "kernel_group": "Kernel",
    "contrast": "Contrast",
    "slice_thickness_mm": "Slice (mm)",
    "mask_source": "Feature mask",
    "dfs_days": "Followed (days)",
    "label_reason": "Outcome at the horizon",
    "flags": "Flags",
    "failures": "Failures",
}
OUTCOMES = {True: "event", False: "free", None: "undetermined"}
FLOWS = {"inclusion": "Who is analysed", "outcome": "What happened to them"}


def value(case: CaseRow, name: str) -> str:
    """One case's value of a filter."""
    if name == "outcome":
        return OUTCOMES[case.dfs_label] if case.label_reason is not None else "no outcome"
    return str(getattr(case, name) or "unknown")


def filtered(found: tuple[CaseRow, ...]) -> list[CaseRow]:
    """The cases that pass the filters of the sidebar; an empty filter lets all pass."""
    st.sidebar.subheader("Filter the table", anchor=False)
    kept = list(found)
    for name, title in CHOICES.items():
        levels = sorted({value(case, name) for case in found})
        wanted = st.sidebar.multiselect(title, levels, key=f"cohort-{name}") if len(levels) > 1 else []
        kept = [case for case in kept if not wanted or value(case, name) in wanted]
    if st.sidebar.checkbox("Only flagged or failed", key="cohort-flagged"):
        kept = [case for case in kept if case.flags or case.failures]
    return kept


def summary_line(row: CovariateSummary) -> dict[str, str]:
    """One line of the clinical table."""
    if row.category is None:
        middle = f"{number(row.median, 1)} ({number(row.lower_quartile, 1)} to {number(row.upper_quartile, 1)})"
        return {"Covariate": row.name, "Value": row.unit or "number", "n": str(row.n), "Summary": middle}
    share = f"{row.n} ({percent(row.n / max(1, row.known))})"
    return {"Covariate": row.name, "Value": row.category, "n": str(row.known), "Summary": share}


def case_table(shown: Shown, found: tuple[CaseRow, ...]) -> None:
    """The cases that pass the filters, a row each; a chosen row leads to its images."""
    if not may(shown.person, "view images"):
        st.subheader(f"Cases ({len(found)})", anchor=False)
        patients(shown, found, TITLES)
        return
    kept = filtered(found)
    st.subheader(f"Cases ({len(kept)} of {len(found)})", anchor=False)
    ways = {"key": "cohort-table", "on_select": "rerun", "selection_mode": "single-row", "height": 420}
    picked = patients(shown, kept, TITLES, **ways)
    if picked.selection.rows:
        case_id = kept[picked.selection.rows[0]].case_id
        if st.button(f"Look at the images of {case_id}"):
            open_case(case_id)
    else:
        st.caption("Choose a row to look at the case's images. DSC: automatic against reference.")


def refusal_table(shown: Shown, refused: tuple[Refusal, ...]) -> None:
    """Who was kept out at the gate, and what to do about it."""
    st.markdown(f"**Refused: {len(refused)}**")
    if refused:
        patients(shown, refused, {"case_id": "Case", "file": "File", "message": "Why", "remedy": "What to do"})


def show_flagged(shown: Shown, case_id: str) -> None:
    """A flagged case in three slices, for whoever may see images; the audit keeps who looked."""
    note_look(shown.study, shown.person, case_id, "flagged")
    blind = case_id in blind_cases(shown.study, shown.snapshot, shown.run.run_id)
    glimpse(shown.study, shown.run.run_id, case_id, blind=blind)
    if st.button(f"Open {case_id} in Review", key="open-flagged"):
        open_case(case_id)


shown = begin("Who is in this study?")
found = cases(shown.snapshot, shown.run.run_id)
refused = refusals(shown.snapshot, shown.run.run_id)
if not found:
    refusal_table(shown, refused)
    empty("No case has been read yet.")
answer(cohort_answer(found, shown.run))

steps = flow_steps(shown.snapshot, shown.run.run_id)
names = list(dict.fromkeys(step.flow for step in steps))
for place, name in zip(st.columns(max(1, len(names))), names, strict=False):
    with place:
        st.subheader(FLOWS.get(name, name.capitalize()), anchor=False)
        mine = [step for step in steps if step.flow == name]
        figure(flow_figure(mine), flow_caption(mine), f"flow-{name}")
if not steps:
    st.caption("The inclusion flow is drawn when the stage *table* is done.")

case_table(shown, found)

clinical, gate = st.columns(2)
with clinical:
    st.subheader("Clinical table", anchor=False)
    lines = [summary_line(row) for row in covariate_summaries(shown.snapshot, shown.run.run_id)]
    grid(lines)
    st.caption("Numbers: median (quartiles); categories: count (share of the known).")
with gate:
    st.subheader("What the gate said", anchor=False)
    for note in custody_notes(shown.study, shown.person):
        st.caption(note)
    said = flags(shown.snapshot, shown.run.run_id)
    refusal_table(shown, refused)
    st.markdown(f"**Accepted, but flagged: {len(said)}**")
    if said:
        titles = {"case_id": "Case", "message": "Flag", "remedy": "What to do"}
        chosen = patients(shown, said, titles, key="flags-table", on_select="rerun", selection_mode="single-row")
        if chosen is not None and chosen.selection.rows:
            show_flagged(shown, said[chosen.selection.rows[0]].case_id)
        elif chosen is not None:
            st.caption("Choose a row to see the images that the flag is about.")
end(shown)
