"""Any page of two runs of the study side by side: what other choices change."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.present.numbers import moment
from engine.present.wording.features import protocol_differences
from engine.present.wording.study import run_state
from pages.frame import answer, begin, end, grid
from store.queries.selection import protocol_text
from store.queries.study import RunFacts, runs

PAGES = {
    "cohort": "Cohort",
    "agreement": "Agreement",
    "reproducibility": "Reproducibility",
    "batch": "Batches",
    "selection": "Selection",
    "discrimination": "Discrimination",
    "survival": "Survival",
    "external": "External",
}
FRAME_HEIGHT = 1400


def other_run(others: Sequence[RunFacts]) -> RunFacts:
    """The run on the right; the address may name it."""
    names = {run.run_id: f"Run {run.place} · {run_state(run)} · {moment(run.started_at)}" for run in others}
    linked = [place for place, run in enumerate(others) if str(run.place) == st.query_params.get("beside")]
    first = linked[0] if linked else 0
    chosen = st.sidebar.selectbox("Beside", list(names), index=first, format_func=names.__getitem__, key="beside")
    return next(run for run in others if run.run_id == chosen)


def chosen_page() -> str:
    """The address of the page that is shown twice."""
    linked = st.query_params.get("shows", "")
    first = list(PAGES).index(linked) if linked in PAGES else list(PAGES).index("discrimination")
    return st.selectbox("Page", list(PAGES), index=first, format_func=PAGES.__getitem__, key="two-runs-page")


def framed(page: str, run: RunFacts) -> None:
    """One page of this app, of one run, without its menu."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    home = f"/{base}/" if base else "/"
    st.markdown(f"**Run {run.place}** · {run_state(run)} · {moment(run.started_at)}")
    st.iframe(f"{home}{page}?run={run.place}&embed=true", height=FRAME_HEIGHT, alt=f"{PAGES[page]} of run {run.place}")


shown = begin("What do other choices change?")
others = [run for run in runs(shown.snapshot) if run.run_id != shown.run.run_id]
if not others:
    st.info(
        "There is one run only. Change a choice on the page **Runs** and run again: what does not depend on it is "
        "taken as it is, and the two stand here side by side."
    )
    end(shown)
    st.stop()
other = other_run(others)
page = chosen_page()
st.query_params.update({"run": str(shown.run.place), "beside": str(other.place), "shows": page})
differing = protocol_differences(*(protocol_text(shown.snapshot, run.run_id) for run in (shown.run, other)))
count = len(differing)
answer(
    f"Runs {shown.run.place} and {other.place} differ in {count} choice{'' if count == 1 else 's'}; neither is called "
    "the better one."
    if count
    else f"Runs {shown.run.place} and {other.place} were made with the same choices."
)
if differing:
    heads = ("Choice", f"Run {shown.run.place}", f"Run {other.place}")
    grid([dict(zip(heads, row, strict=True)) for row in differing])
for place, run in zip(st.columns(2), (shown.run, other), strict=True):
    with place:
        framed(page, run)
end(shown)
