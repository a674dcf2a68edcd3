"""How long patients live free of the event, by group, and what the clinical model says of it."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.survival import cox_forest, survival_figure
from engine.present.wording.prognosis import cox_caption, survival_answer, survival_caption
from engine.present.wording.study import exploratory_badge
from pages.frame import answer, badge, begin, end, figure, table, why_missing
from store.queries.prognosis import cox_terms, groupings, survival_points

TITLES = {
    "term": "Term",
    "hazard_ratio": "Hazard ratio",
    "lo": "Lower 95 %",
    "hi": "Upper 95 %",
    "p": "p",
    "ph_p": "PH p",
    "n": "n",
    "events": "Events",
}

shown = begin("How long do patients stay free of the event?")
found = groupings(shown.snapshot, shown.run.run_id)
if not found:
    why_missing(shown, "Survival has not been estimated yet.")
first = found.index("stage") if "stage" in found else len(found) - 1
st.sidebar.subheader("Curves", anchor=False)
grouping = st.sidebar.radio(
    "Group patients by",
    found,
    first,
    format_func=lambda name: "all together" if name == "all" else name,
    key="grouping",
)
points = survival_points(shown.snapshot, shown.run.run_id, grouping)
terms = cox_terms(shown.snapshot, shown.run.run_id)
answer(survival_answer(points, terms, shown.run.horizon_days))
badge(exploratory_badge(shown.run))

figure(
    survival_figure(points, shown.run.horizon_days, shown.run.endpoint),
    survival_caption(points, grouping, shown.run),
    "curves",
)
left, right = st.columns(2)
with left:
    st.subheader("Clinical Cox model", anchor=False)
    if terms:
        figure(cox_forest(terms), cox_caption(terms), "cox")
    else:
        st.caption("No Cox model was fitted; the page **Runs** says why.")
with right:
    st.subheader("Its terms", anchor=False)
    table(terms, {name: title for name, title in TITLES.items() if shown.run.locked_at or name != "p"})
    st.caption(
        "Blank: not estimable, the level holds no event or nothing but events. PH p: test of proportional hazards; "
        "a small value says that the effect changes with time. Curves: groups of five patients or more."
    )
end(shown)
