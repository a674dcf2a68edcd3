"""Whether learning anatomy first makes a better tumour model, on the same cases and with the same budget."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.strategies import CURVES, learning_figure, paired_dsc
from engine.present.wording.strategies import (
    budget_lines,
    left_out_sentence,
    split_sentence,
    strategies_answer,
    test_lines,
    trainings,
)
from pages.frame import answer, begin, end, figure, grid
from store.queries.strategies import (
    cases_by_strategy,
    compared_run,
    learning_curves,
    split_counts,
    strategy_comparisons,
    strategy_summaries,
    trainings_left_out,
)

NOTHING = (
    "No training strategies have been compared in this study. Type `python -m engine train STUDY --strategy all`, "
    "or press **Train and compare** on the page **Runs**. To see it on synthetic chests in minutes: "
    "`python -m engine train FOLDER --demo`. While trainings go on, **Runs** shows each epoch; the comparison appears "
    "here when all are done."
)

shown = begin("Does anatomical pretraining help?")
run_id = compared_run(shown.snapshot, shown.run.run_id)
if not run_id:
    st.info(NOTHING)
    end(shown)
    st.stop()
if run_id != shown.run.run_id:
    st.caption(f"The run shown trained nothing; this is the comparison of {run_id}.")
summaries = strategy_summaries(shown.snapshot, run_id)
tests = strategy_comparisons(shown.snapshot, run_id)
answer(strategies_answer(summaries, tests))
if summaries[0].trainings == 1:
    st.warning("Each strategy was trained once: how much another training would differ is not known.")
if left_out := left_out_sentence(trainings_left_out(shown.snapshot, run_id)):
    st.warning(left_out)

rows = cases_by_strategy(shown.snapshot, run_id)
caption = (
    f"n = {summaries[0].cases} cases that no training saw, {trainings(summaries[0].trainings)}; a line is a case, its "
    "DSC the mean of its trainings. Diamonds: mean over cases with 95 % interval. Models learn every outlined lesion; "
    "the DSC is that of the index lesion, and what was found on the other outlined lesions does not count against it."
)
figure(paired_dsc(rows, summaries), caption, "paired-dsc")

st.subheader("What each cost and reached", anchor=False)
grid(list(budget_lines(summaries)))
st.caption(
    f"{split_sentence(split_counts(shown.snapshot, run_id))} Iterations and seconds are of one training; "
    "worst to best: the mean DSC of each of its trainings."
)

st.subheader("Tests on the same cases", anchor=False)
grid(list(test_lines(tests)), height="content")
st.caption(
    "Holm within each test. A case counts as missed when more than half of the trainings miss it. The mixed model "
    "takes cases and trainings as drawn at random: it alone says whether a difference outlasts another training."
)

st.subheader("Learning curves", anchor=False)
measure = st.radio("Measure", list(CURVES), format_func=CURVES.__getitem__, horizontal=True, key="curve")
curves = learning_curves(shown.snapshot, run_id)
runs = len({(row.strategy, row.seed, row.fold) for row in curves})
figure(
    learning_figure(curves, measure),
    f"n = {runs} trainings, measured on monitored patches after each epoch; dotted: pretraining on anatomy.",
    "curves",
)
end(shown)
