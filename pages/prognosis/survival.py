"""How long patients live free of the event, by group, and what the clinical model says of it."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.incidence import incidence_figure
from engine.present.figures.survival import cox_forest, survival_figure
from engine.present.wording.prognosis import (
    SUBDISTRIBUTION,
    cox_caption,
    definitions_sentence,
    incidence_answer,
    incidence_caption,
    survival_answer,
    survival_caption,
)
from engine.present.wording.study import exploratory_badge
from pages.frame import answer, badge, begin, end, figure, table, why_missing
from store.queries.prognosis import cox_terms, endpoint_counts, groupings, incidence_points, survival_points

TITLES = {
    "term": "Term",
    "effect": "Of the",
    "hazard_ratio": "Hazard ratio",
    "lo": "Lower 95 %",
    "hi": "Upper 95 %",
    "p": "p",
    "ph_p": "PH p",
    "n": "n",
    "events": "Events",
}
DEFINITION_TITLES = {
    "endpoint": "Endpoint",
    "chosen": "This study's",
    "n": "n",
    "events": "Events by the horizon",
    "competing": "Died first",
    "free": "Free",
    "undetermined": "Undetermined",
    "left_out": "Left out",
    "risk": "Risk",
    "lo": "Lower 95 %",
    "hi": "Upper 95 %",
}

shown = begin("How long do patients stay free of the event?")
run_id, horizon = shown.run.run_id, shown.run.horizon_days
found = groupings(shown.snapshot, run_id)
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
points = survival_points(shown.snapshot, run_id, grouping)
incidence = incidence_points(shown.snapshot, run_id, grouping)
terms = cox_terms(shown.snapshot, run_id)
answer(incidence_answer(incidence, terms, horizon) if incidence else survival_answer(points, terms, horizon))
badge(exploratory_badge(shown.run))

if incidence:
    figure(
        incidence_figure(incidence, horizon, shown.run.endpoint), incidence_caption(incidence, shown.run), "incidence"
    )
else:
    chart = survival_figure(points, horizon, shown.run.endpoint)
    figure(chart, survival_caption(points, grouping, shown.run), "curves")
left, right = st.columns(2)
with left:
    st.subheader("Clinical Cox model", anchor=False)
    hazards = [term for term in terms if term.effect != SUBDISTRIBUTION]
    if hazards:
        figure(cox_forest(hazards), cox_caption(hazards), "cox")
    else:
        st.caption("No Cox model was fitted; the page **Runs** says why.")
with right:
    st.subheader("Its terms", anchor=False)
    hidden = {"p"} if not shown.run.locked_at else set()
    hidden |= set() if incidence else {"effect"}
    table(terms, {name: title for name, title in TITLES.items() if name not in hidden})
    st.caption(
        "Blank: not estimable, the level holds no event or nothing but events. PH p: test of proportional hazards; "
        "a small value says that the effect changes with time. Curves: groups of five patients or more. "
        + ("Hazard: of the event among those still free; subdistribution hazard: of its incidence. " * bool(incidence))
    )
st.subheader("What the endpoint's definition does", anchor=False)
counts = endpoint_counts(shown.snapshot, run_id)
table(counts, DEFINITION_TITLES)
st.caption(
    f"{definitions_sentence(counts)} At {horizon} days, over patients with features who may enter; risk: "
    "Aalen-Johansen. Undetermined: censored before the horizon, never counted as free."
)
end(shown)
