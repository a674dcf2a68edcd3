"""What has been computed, what is being computed, and what could not be."""

from __future__ import annotations

import os
import time
from pathlib import Path

import streamlit as st

from engine.present.colours import STRATEGY_LABELS
from engine.present.numbers import counted, moment
from engine.present.wording.features import protocol_differences
from engine.present.wording.live import (
    case_rows,
    cases_line,
    failed_rows,
    live_line,
    stage_line,
    to_come_line,
    work_rows,
)
from engine.present.wording.runs import (
    foreseen_answer,
    foreseen_rows,
    gpu_line,
    side_by_side,
    unfinished_sentence,
)
from engine.present.wording.strategies import training_line
from engine.present.wording.study import progress_line, run_answer, run_state
from engine.processes import gpus, memory_gb
from engine.protocol import PROTOCOL_FILE, read_protocol, without_paths
from engine.run.foresee import foresee
from engine.service import cancel_run, lock_the_plan, start_run, start_training
from pages.choices import choices_form
from pages.frame import Shown, begin_without_run, end, grid, table, tabs
from pages.gate import admit, may
from pages.headlines import found_headlines
from pages.staleness import foreseen
from store.access import Person
from store.foresight import left_unfinished, run_standing
from store.layout import StudyFolder
from store.ledger import StageProgress, read_progress, running
from store.live import CaseProgress, Pace, TaskAtWork, read_live
from store.queries.selection import protocol_text
from store.queries.study import declined, failures, runs, stage_costs
from store.training_progress import TrainingProgress, read_training

ALL = "all"
LOG_LINES = 40
STAGES, CASES, AT_WORK = "Stages", "Cases", "At work"
TO_COME_SECONDS = 30  # what is still to come is told anew so often
STAGE_PIXELS = 150
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
    """The present run by stage, by case and by task, read from the ledger every two seconds."""
    busy = running(study)
    if st.session_state.get("was-busy") not in (None, busy):
        st.session_state["was-busy"] = busy
        st.rerun(scope="app")
    st.session_state["was-busy"] = busy
    progress = read_progress(study)
    if not progress:
        st.info("Nothing has been run yet. Press **Start a run** in the sidebar.")
    elif busy:
        going_on(study, progress)
    else:
        st.markdown(f"No run is going on. {progress_line(progress)}")


def going_on(study: Path, progress: tuple[StageProgress, ...]) -> None:
    """A run that goes on: what is left and how fast it goes, then stages, cases and tasks at work in tabs."""
    now = read_live(study, with_cases=st.session_state.get("live-view") == CASES)
    st.markdown(f"**A run is going on.** {live_line(progress, now.pace)}")
    if now.whole:
        st.caption(to_come(study, (*run_standing(study), str(int(time.time() // TO_COME_SECONDS)))))
    views = {
        STAGES: lambda: stages(study, progress, now.pace),
        CASES: lambda: cases(now.cases),
        AT_WORK: lambda: at_work(now.at_work),
    }
    tabs(views, key="live-view")
    if now.failed:
        st.markdown(f"**Could not be computed so far: {len(now.failed)}**")
        grid(failed_rows(now.failed))
    machine()


@st.cache_data(max_entries=4, show_spinner=False)
def to_come(study: Path, standing: tuple[str, ...]) -> str:
    """How long a whole run still takes, told anew every half minute."""
    del standing
    try:
        return to_come_line(foresee(study).seconds)
    except ValueError as error:  # study.toml was changed meanwhile, into something wrong
        return str(error)


def stages(study: Path, progress: tuple[StageProgress, ...], pace: Pace) -> None:
    """Every stage begun as a bar; under them the trainings that go on."""
    for stage in progress:
        share = (stage.done + stage.failed) / max(1, stage.total)
        st.progress(min(1.0, share), text=stage_line(stage, pace))
    for training in read_training(study):
        learning(training)


def cases(progress: tuple[CaseProgress, ...]) -> None:
    """How far every case is, those at work first."""
    st.markdown(cases_line(progress))
    rows = case_rows(progress)
    if rows:
        most = max(case.begun for case in progress)
        done = st.column_config.ProgressColumn("Stages done", min_value=0, max_value=most, format="%d")
        at = st.column_config.TextColumn("At", width=STAGE_PIXELS)
        grid(rows, column_config={"Stages done": done, "At": at})


def at_work(tasks: tuple[TaskAtWork, ...]) -> None:
    """What is computed at this moment."""
    if tasks:
        grid(work_rows(tasks))
    st.caption(
        "Tasks that are being computed, the longest first; on a cluster also those that wait at a worker. A task whose "
        "worker dies is tried again, three times in all."
    )


def learning(training: TrainingProgress) -> None:
    """One training that is going on, its last finished epoch."""
    if training.state == "running":
        st.progress(min(1.0, training.epoch / training.epochs), text=training_line(training))


def resume(study: Path, person: Person) -> None:
    """Offer to go on with a run that did not come to its end, as after a restart of the machine."""
    left = left_unfinished(study)
    if left is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(unfinished_sentence(left.state, left.done, left.total))
        if may(person, "start run") and st.button("Go on with it", key="resume"):
            start(study, person)


def start(study: Path, person: Person) -> None:
    """Start a run and show it."""
    try:
        start_run(study, person)
    except (RuntimeError, ValueError) as error:
        st.error(str(error))
        return
    st.toast("The run has started; it goes on when you close this page.")
    st.rerun()


def outlook(study: Path) -> None:
    """What a run started now would compute, stage by stage, and why; nothing while one goes on."""
    if running(study):
        return
    st.subheader("What a run would do now", anchor=False)
    try:
        found = foreseen(study)
    except ValueError as error:
        st.error(str(error))
        return
    st.markdown(foreseen_answer(found))
    rows = foreseen_rows(found.stages)
    if rows:
        narrow = {"Stage": st.column_config.TextColumn(width=STAGE_PIXELS)}
        grid(rows, height="content", column_config=narrow)
    st.caption(
        "Told from keys alone: choices, images, masks, verdicts and methods. Time: as tasks of the stage took before, "
        "over this machine's cores. New files in the image folder are found when a run starts."
    )


def changes(study: Path, shown: Shown) -> None:
    """The choices that differ between the published run and study.toml."""
    try:
        now = without_paths(read_protocol(study)).model_dump_json()
    except ValueError:
        return  # said above
    found = protocol_differences(protocol_text(shown.snapshot, shown.run.run_id), now)
    if found:
        st.markdown(f"**Changed since run {shown.run.place}**")
        columns = ("Choice", f"Run {shown.run.place}", "study.toml now")
        grid([dict(zip(columns, row, strict=True)) for row in found])


def log_tail(study: Path, person: Person) -> None:
    """The last lines that runs started from the pages wrote; they name stages and cases, never patients."""
    path = StudyFolder(study).log
    if may(person, "start run") and path.exists():
        with st.expander("Log"):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            st.code("\n".join(lines) or "empty", language=None)


def machine() -> None:
    """How busy this machine is."""
    free, size = memory_gb()
    st.caption(
        f"This machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} over the last minute; memory "
        f"{free:.1f} of {size:.1f} GB free."
    )
    for gpu in gpus():
        st.caption(gpu_line(gpu))


def controls(study: Path, person: Person) -> None:
    """Start and cancel, in the sidebar, for those who may."""
    if not may(person, "start run"):
        return
    busy = running(study)
    st.sidebar.subheader("Run", anchor=False)
    if st.sidebar.button("Start a run", disabled=busy, width="stretch"):
        start(study, person)
    if st.sidebar.button("Cancel the run", disabled=not busy, width="stretch"):
        cancel_run(study, person)
        st.toast("The run is being stopped; what is done stays.")
    st.sidebar.caption("A run computes only what is missing or changed, with the choices of study.toml.")
    st.sidebar.subheader("Training", anchor=False)
    strategy = st.sidebar.selectbox("Strategy", [ALL, *STRATEGY_LABELS], format_func=strategy_name, key="strategy")
    if st.sidebar.button("Train and compare", disabled=busy, width="stretch"):
        try:
            start_training(study, person, strategy)
            st.toast("The training has started; it goes on when you close this page.")
        except (RuntimeError, ValueError) as error:
            st.sidebar.warning(str(error))
    st.sidebar.caption("With the sizes of study.toml. Cancel it and train again: it goes on from its last epoch.")


def plan_lock(study: Path, person: Person) -> None:
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
            lock_the_plan(study, person)
            st.toast("The plan is locked; start a run to bring p values up to date.")
        except (RuntimeError, ValueError) as error:
            st.sidebar.warning(str(error))
    st.sidebar.caption("Until then every result is exploratory: estimates and intervals, no p values.")


def strategy_name(name: str) -> str:
    """A strategy as the list shows it."""
    return "All strategies" if name == ALL else STRATEGY_LABELS[name]


def history(study: Path, person: Person, shown: Shown) -> None:
    """What one published run came to."""
    costs = stage_costs(shown.snapshot, shown.run.run_id)
    lost = failures(shown.snapshot, shown.run.run_id)
    st.subheader(f"Run {shown.run.place}, as published", anchor=False)
    st.markdown(run_answer(costs, len(lost), shown.run.state))
    table(costs, STAGE_TITLES)
    st.subheader(f"Failures ({len(lost)})", anchor=False)
    if lost:
        table(lost, {"stage": "Stage", "case_id": "Case", "reason": "Reason", "attempts": "Attempts"})
        try_again(study, person, shown)
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
    grid(rows)


def try_again(study: Path, person: Person, shown: Shown) -> None:
    """Offer to try what failed once more, where the run shown is the last one."""
    if shown.run.run_id != next(iter(run_standing(study)), "") or running(study) or not may(person, "start run"):
        return
    if st.button("Try these again", key="try-again"):
        start(study, person)
    st.caption("A run tries every task that failed anew, three times at most; whatever is done stands.")


def two_runs(shown: Shown) -> None:
    """What the shown run and another one found, and in which choices they differ."""
    others = [run for run in runs(shown.snapshot) if run.run_id != shown.run.run_id]
    if not others:
        return
    st.subheader("Two runs side by side", anchor=False)
    named = {run.run_id: f"Run {run.place} · {run_state(run)} · {moment(run.started_at)}" for run in others}
    chosen = st.selectbox("Beside the run shown", others, format_func=lambda run: named[run.run_id], key="beside")
    names = (f"Run {shown.run.place}", f"Run {chosen.place}")
    found = [found_headlines(shown.snapshot, run) for run in (shown.run, chosen)]
    rows = side_by_side(found[0], found[1], names)
    if rows:
        grid(rows)
    texts = [protocol_text(shown.snapshot, run.run_id) for run in (shown.run, chosen)]
    differing = protocol_differences(texts[0], texts[1])
    columns = ("Choice", *names)
    if differing:
        grid([dict(zip(columns, row, strict=True)) for row in differing])
    st.caption(
        f"{counted(len(differing), 'choice')} differ. Every page shows either run: choose it in the sidebar. A figure "
        "that is better in one of several runs is no result."
    )


def choices(study: Path, person: Person) -> None:
    """The form, closed until somebody wants to change something."""
    saved = st.session_state.pop("choices-saved", "")
    if saved:
        st.success(f"Saved in study.toml: {saved}. A run brings it into the numbers.")
    with st.expander("Change the choices"):
        try:
            choices_form(study, person)
        except ValueError as error:
            st.error(str(error))


study, shown = begin_without_run("What has been computed, and what is left?")
visitor = admit()
controls(study, visitor)
described = (study / PROTOCOL_FILE).exists()
if described and may(visitor, "lock plan"):
    plan_lock(study, visitor)
live(study)
resume(study, visitor)
if shown is not None and described:
    outlook(study)
    changes(study, shown)
if described and may(visitor, "change choices") and not running(study):
    choices(study, visitor)
log_tail(study, visitor)
if shown is not None:
    history(study, visitor, shown)
    two_runs(shown)
    end(shown)
