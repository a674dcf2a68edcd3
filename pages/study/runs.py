"""What has been computed, what is being computed, and what could not be."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.present.colours import STRATEGY_LABELS
from engine.present.numbers import duration, moment
from engine.present.wording.strategies import training_line
from engine.present.wording.study import progress_line, run_answer, run_state
from engine.protocol import PROTOCOL_FILE, read_protocol
from engine.run.launch import cancel, launch, launch_training
from engine.run.plan_lock import lock_plan
from pages.frame import Shown, begin_without_run, end, table
from store.ledger import StageProgress, read_progress, running
from store.queries.study import declined, failures, runs, stage_costs
from store.training_progress import TrainingProgress, read_training

ALL = "all"
STAGE_TITLES = {
    "stage": "Stage",
    "tasks": "Tasks",
    "done": "Done",
    "failed": "Failed",
    "computed": "Computed in this run",
    "seconds": "Seconds in all",
    "longest_seconds": "Longest (s)",
    "peak_mb": "Peak memory (MB)",
}


@st.fragment(run_every=2)
def live(study: Path) -> None:
    """The present run, stage by stage, read from the ledger every two seconds."""
    busy = running(study)
    if st.session_state.get("was-busy") not in (None, busy):
        st.session_state["was-busy"] = busy
        st.rerun(scope="app")
    st.session_state["was-busy"] = busy
    progress = read_progress(study)
    if not progress:
        st.info("Nothing has been run yet. Press **Start a run** in the sidebar.")
    elif busy:
        st.markdown(f"**A run is going on.** {progress_line(progress)}")
        for stage in progress:
            bar(stage)
        for training in read_training(study):
            learning(training)
    else:
        st.markdown(f"No run is going on. {progress_line(progress)}")


def bar(stage: StageProgress) -> None:
    """One stage as a bar with what is left."""
    left = duration(stage.remaining_seconds) if stage.done + stage.failed < stage.total else "done"
    failed = f" · {stage.failed} failed" if stage.failed else ""
    share = (stage.done + stage.failed) / max(1, stage.total)
    name = stage.stage.replace("_", " ")
    st.progress(min(1.0, share), text=f"**{name}** · {stage.done} of {stage.total}{failed} · {left}")


def learning(training: TrainingProgress) -> None:
    """One training that is going on, its last finished epoch."""
    if training.state == "running":
        st.progress(min(1.0, training.epoch / training.epochs), text=training_line(training))


def controls(study: Path) -> None:
    """Start and cancel, in the sidebar."""
    busy = running(study)
    st.sidebar.subheader("Run", anchor=False)
    if st.sidebar.button("Start a run", disabled=busy, width="stretch"):
        try:
            launch(study)
            st.toast("The run has started; it goes on when you close this page.")
        except (RuntimeError, ValueError) as error:
            st.sidebar.warning(str(error))
    if st.sidebar.button("Cancel the run", disabled=not busy, width="stretch"):
        cancel(study)
        st.toast("The run is being stopped; what is done stays.")
    st.sidebar.caption("A run computes only what is missing or changed, with the choices of study.toml.")
    st.sidebar.subheader("Training", anchor=False)
    strategy = st.sidebar.selectbox("Strategy", [ALL, *STRATEGY_LABELS], format_func=strategy_name, key="strategy")
    if st.sidebar.button("Train and compare", disabled=busy, width="stretch"):
        try:
            launch_training(study, strategy)
            st.toast("The training has started; it goes on when you close this page.")
        except (RuntimeError, ValueError) as error:
            st.sidebar.warning(str(error))
    st.sidebar.caption("With the sizes of study.toml. Cancel it and train again: it goes on from its last epoch.")


def plan_lock(study: Path) -> None:
    """Whether the analysis plan is locked, and the button that locks it."""
    st.sidebar.subheader("Analysis plan", anchor=False)
    try:
        plan = read_protocol(study).plan
    except ValueError as error:
        st.sidebar.warning(str(error))
        plan = None
    if plan is not None and plan.locked_at:
        st.sidebar.caption(f"Locked {moment(plan.locked_at)} ({plan.locked_by}).")
    sure = st.sidebar.checkbox("The choices of study.toml are final", key="plan-sure")
    if st.sidebar.button("Lock the plan", disabled=not sure or running(study), width="stretch"):
        try:
            lock_plan(study, "page")
            st.toast("The plan is locked; start a run to bring p values up to date.")
        except (RuntimeError, ValueError) as error:
            st.sidebar.warning(str(error))
    st.sidebar.caption("Until then every result is exploratory: estimates and intervals, no p values.")


def strategy_name(name: str) -> str:
    """A strategy as the list shows it."""
    return "All strategies" if name == ALL else STRATEGY_LABELS[name]


def history(shown: Shown) -> None:
    """What one published run came to."""
    costs = stage_costs(shown.snapshot, shown.run.run_id)
    lost = failures(shown.snapshot, shown.run.run_id)
    st.subheader(f"Run {shown.run.place}, as published", anchor=False)
    st.markdown(run_answer(costs, len(lost), shown.run.state))
    table(costs, STAGE_TITLES)
    st.subheader(f"Failures ({len(lost)})", anchor=False)
    if lost:
        table(lost, {"stage": "Stage", "case_id": "Case", "reason": "Reason", "attempts": "Attempts"})
    else:
        st.caption("None: every task that was tried was done.")
    st.subheader("Analyses declined", anchor=False)
    kept_out = declined(shown.snapshot, shown.run.run_id)
    if kept_out:
        table(kept_out, {"analysis": "Analysis", "reason": "Why it must not be done on these data"})
    else:
        st.caption("None.")
    st.subheader("All runs", anchor=False)
    every = runs(shown.snapshot)
    rows = [
        {
            "Run": run.place,
            "State": run_state(run),
            "Started": moment(run.started_at),
            "Ended": moment(run.finished_at),
            "Protocol": run.protocol_sha256[:12],
            "Code": run.code_version,
        }
        for run in every
    ]
    st.dataframe(rows, hide_index=True)


study, shown = begin_without_run("What has been computed, and what is left?")
controls(study)
if (study / PROTOCOL_FILE).exists():
    plan_lock(study)
live(study)
if shown is not None:
    history(shown)
    end(shown)
