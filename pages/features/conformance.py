"""Whether our features and filters give what the IBSI's references say."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.conformance import conformity_bars
from engine.present.wording.conformance import conformance_answer, conformance_caption
from pages.frame import answer, begin, end, figure, table
from store.queries.conformance import conformity_counts, conformity_rows, why_not_compared
from store.records import CONFORMITIES, Conformity

TITLES = {
    "configuration": "Configuration",
    "tag": "IBSI tag",
    "value": "Ours",
    "reference": "Reference",
    "tolerance": "Tolerance",
    "verdict": "Verdict",
    "feature": "Feature",
    "reason": "Reason",
}
NOT_RUN = (
    "This run has not compared our features with the references: start a run on the page **Runs**, or type"
    " `python -m engine run STUDY`. A study of imported features has nothing to compare."
)


def chosen_rows(rows: tuple[Conformity, ...]) -> list[Conformity]:
    """The rows that pass the filters of the sidebar; words must all occur in the row."""
    st.sidebar.subheader("Filter the table", anchor=False)
    words = st.sidebar.text_input("Search", placeholder="e.g. glcm contrast", key="conformance-search").lower().split()
    names = list(dict.fromkeys(row.configuration for row in rows))
    configurations = st.sidebar.multiselect("Configuration", names, key="conformance-configuration")
    verdicts = st.sidebar.multiselect("Verdict", CONFORMITIES, key="conformance-verdict")
    return [
        row
        for row in rows
        if (not configurations or row.configuration in configurations)
        and (not verdicts or row.verdict in verdicts)
        and all(word in f"{row.configuration} {row.tag} {row.feature} {row.reason}".lower() for word in words)
    ]


shown = begin("Do our features agree with the IBSI reference values?")
rows = conformity_rows(shown.snapshot, shown.run.run_id)
if not rows:
    why = why_not_compared(shown.snapshot, shown.run.run_id)
    st.info(f"**Not compared.** The comparison {why}." if why else NOT_RUN)
    end(shown)
    st.stop()

counts = conformity_counts(shown.snapshot, shown.run.run_id)
answer(conformance_answer(counts))
figure(conformity_bars(counts), conformance_caption(counts), "conformity")
kept = chosen_rows(rows)
st.subheader(f"Value by value ({len(kept)} of {len(rows)})", anchor=False)
table(kept, TITLES, height=460)
end(shown)
