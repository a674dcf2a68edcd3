"""The study on one screen: who is in it, what was found, what is being computed, what waits for somebody."""

from __future__ import annotations

import streamlit as st

from engine.present.figures.flow import flow_figure
from engine.present.wording.home import Left, home_answer, waiting_lines
from engine.present.wording.study import exploratory_badge, flow_caption, progress_line
from engine.review.reading_list import open_disputes, readers_by_case
from engine.service import custody_notes
from pages.frame import Shown, answer, badge, begin, end, figure, require_study
from pages.headlines import found_headlines
from pages.judged_masks import present_verdicts
from pages.menu import page_file
from store.ledger import read_progress, running
from store.meeting import decisions
from store.queries.agreement import review_cases
from store.queries.cohort import flags
from store.queries.reviews import review_state
from store.queries.study import declined, failures, flow_steps, refusals

REFRESH_SECONDS = 5
ROW_PIXELS = 38


@st.fragment(run_every=REFRESH_SECONDS)
def now_running() -> None:
    """What is being computed at this moment."""
    study = require_study()
    progress = read_progress(study)
    if running(study):
        done, total = sum(s.done + s.failed for s in progress), sum(s.total for s in progress)
        st.progress(min(1.0, done / max(1, total)), text=progress_line(progress))
    else:
        st.markdown("Nothing is being computed." + (f" Last: {progress_line(progress)}" if progress else ""))


def waiting(shown: Shown) -> None:
    """What waits for a person: unread cases, disagreements, flags, failures, open decisions."""
    state = review_state(shown.study)
    cases = review_cases(shown.snapshot, shown.run.run_id)
    present = present_verdicts(shown, state.verdicts)
    judged_by = readers_by_case(present)
    left = Left(
        unread=sum(case.case_id not in judged_by for case in cases),
        cases=len(cases),
        disputed=len({case.case_id for case in cases}.intersection(open_disputes(present))),
        flagged=len({flag.case_id for flag in flags(shown.snapshot, shown.run.run_id)}),
        refused=len(refusals(shown.snapshot, shown.run.run_id)),
        failed=len(failures(shown.snapshot, shown.run.run_id)),
        declined=len(declined(shown.snapshot, shown.run.run_id)),
        actions=len(decisions(shown.study)),
    )
    lines = waiting_lines(left)
    for line in lines:
        st.page_link(page_file(line.page), label=f"{line.text} · {line.page.capitalize()}")
    if not lines:
        st.markdown("Nothing waits for anybody.")


shown = begin("Where does the study stand?")
lines = found_headlines(shown.snapshot, shown.run)
answer(home_answer(lines, shown.run))
badge(exploratory_badge(shown.run))
if not lines:
    st.info(
        "There is no result yet. Start a run on the page **Runs**; what the gate said stands on the page **Cohort**."
    )
with st.container(horizontal=True):
    for line in lines:
        st.metric(line.name, line.value, line.beside, "off", delta_arrow="off", width="content")
left, right = st.columns([3, 2])
with left:
    st.subheader("Who is analysed", anchor=False)
    steps = [step for step in flow_steps(shown.snapshot, shown.run.run_id) if step.flow == "inclusion"]
    if steps:
        figure(flow_figure(steps, ROW_PIXELS), flow_caption(steps), "flow-inclusion")
    else:
        st.caption("The inclusion flow is drawn when the stage *table* is done.")
with right:
    st.subheader("What is running", anchor=False)
    now_running()
    st.subheader("What needs somebody", anchor=False)
    waiting(shown)
    for note in custody_notes(shown.study, shown.person):
        st.caption(note)
end(shown)
