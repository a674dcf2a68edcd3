"""The frame of every page: which study and run it speaks of, its banner, its provenance, its empty state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from engine.present.colours import plain_model, roi_label
from engine.present.exhibit import RESEARCH_ONLY
from engine.present.figures.layout import clickable, inked
from engine.present.numbers import moment
from engine.present.wording.segmentation import plain_cell, variable_label
from engine.present.wording.study import masks_line, packages_line, run_state
from pages.gate import admit, may, stays
from pages.gate import study_folder as study_folder
from pages.keep import keep_button
from store.access import Person
from store.export import safe_cell
from store.queries.study import RunFacts, declined, failures, published_at, runs, standing, standing_masks
from store.snapshot import NoSnapshotError, Snapshot, open_snapshot

REVIEW = Path(__file__).parent / "segmentation" / "review.py"
NO_DOWNLOAD_CSS = Path(__file__).parent / "no_download.css"
REFRESH_SECONDS = 5
CLICKED = "open-case"
BEGUN = "page-begun"
BADGE = "page-badge"
RUNS_ITSELF, RAN_ITSELF = "page-runs-itself", "page-ran-itself"
RUN, CHOSEN_RUN = "run", "run-chosen"
PLOT_CONFIG = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}
BOX_CONFIG = PLOT_CONFIG | {"displayModeBar": True, "modeBarButtons": [["select2d", "pan2d"]]}
P_COLUMNS = ("p", "q", "ph_p", "delong_p")
SIGNIFICANT_COLUMNS = ("value", "reference", "tolerance")
SIGNIFICANT_PIXELS = 95
WORD_COLUMNS = ("missed_kind", "test", "outcome")
MODEL_COLUMNS = ("model", "base", "extended")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What a page shows: one run in one generation of one study."""

    study: Path
    snapshot: Snapshot
    run: RunFacts
    person: Person


def begin(question: str, action: str = "view study") -> Shown:
    """Gate, title, banner and run of a page; stops with what to do when there is nothing to show yet."""
    _, shown = begin_without_run(question, action)
    if shown is None:
        empty("Nothing is published for this study yet.")
    return shown


def begin_without_run(question: str, action: str = "view study") -> tuple[Path, Shown | None]:
    """As `begin`, for a page that has something to show before the first run is published."""
    person = admit(action)
    st.session_state[RAN_ITSELF] = st.session_state.pop(RUNS_ITSELF, False)
    st.title(question, anchor=False)
    study = require_study()
    try:
        snapshot = open_snapshot(study)
    except NoSnapshotError:
        _follow(study, "", person, action)
        return study, None
    _follow(study, snapshot.generation, person, action)
    found = runs(snapshot)
    if not found:
        return study, None
    run = _choose_run(found)
    st.caption(f"{run.study_name} · as of {moment(published_at(snapshot))}")
    _banner(run)
    shown = Shown(study, snapshot, run, person)
    st.session_state[BEGUN] = shown
    st.session_state[BADGE] = ""
    return study, shown


def require_study() -> Path:
    """The study folder; stops with what to do when none is named."""
    study = study_folder()
    if study is None:
        st.info("No study is open. Build and open the demo with `make demo`, or yours with `make app STUDY=folder`.")
        st.stop()
    return study


def why_missing(shown: Shown, reason: str) -> NoReturn:
    """Say why an analysis has no result: declined or failed with the recorded reason, else not run yet; stops."""
    run_id = shown.run.run_id
    for item in declined(shown.snapshot, run_id):
        st.warning(f"**Declined: {item.analysis}.** {item.reason}")
    for lost in failures(shown.snapshot, run_id):
        if not lost.case_id:
            st.error(f"**Failed: {lost.stage}.** {lost.reason}")
    empty(reason)


def open_case(case_id: str) -> NoReturn:
    """Go to the images of a case."""
    st.switch_page(str(REVIEW), query_params={"case": case_id})


def badge(text: str) -> None:
    """A mark that an analysis must carry, also in the meeting; nothing when the text is empty."""
    if text:
        st.session_state[BADGE] = text
        st.markdown(f":orange-badge[**Exploratory**] {text}")


def empty(reason: str, stage: str = "") -> NoReturn:
    """Say that there is nothing to show and what to run; stops the page."""
    until = f" --until {stage}" if stage else ""
    st.info(f"{reason} Start a run on the page **Runs**, or type `python -m engine run STUDY{until}`.")
    st.stop()


def _choose_run(found: Sequence[RunFacts]) -> RunFacts:
    """The run that the visitor chose in the sidebar or that his address named; else the latest that went to the end."""
    if len(found) == 1:
        return found[0]
    by_id = {run.run_id: run for run in found}
    newest = min(found, key=lambda run: standing(run.state, run.until_stage))
    linked = [run.run_id for run in found if str(run.place) == st.query_params.get("run")]
    if RUN not in st.session_state and CHOSEN_RUN not in st.session_state and linked:
        st.session_state[CHOSEN_RUN] = linked[0]
    chosen = by_id.get(st.session_state.get(CHOSEN_RUN, ""), newest)
    st.session_state[RUN] = chosen.run_id
    names = {run.run_id: f"Run {run.place} · {run_state(run)} · {moment(run.started_at)}" for run in found}
    st.sidebar.selectbox("Run", list(names), format_func=names.__getitem__, key=RUN, on_change=_remember_run)
    if newest.place > chosen.place:
        st.sidebar.caption(f"You chose this run; run {newest.place} is newer.")
        st.sidebar.button(f"Go to run {newest.place}", key="run-newest", type="tertiary", on_click=_follow_newest)
    return chosen


def _remember_run() -> None:
    """Stay on the run that the visitor chose, whatever is published."""
    st.session_state[CHOSEN_RUN] = st.session_state[RUN]


def _follow_newest() -> None:
    """Show the newest run, now and whenever a newer one is published."""
    st.session_state.pop(CHOSEN_RUN, None)


def _banner(run: RunFacts) -> None:
    if run.synthetic:
        st.markdown(f":orange-badge[**Synthetic data**] These patients do not exist. {run.notice}")
    elif run.notice:
        st.markdown(f":orange-badge[**Note**] {run.notice}")


@st.fragment(run_every=REFRESH_SECONDS)
def _follow(study: Path, generation: str, person: Person, action: str) -> None:
    """Show a new generation by itself as soon as it is published; close the page to whom it is no longer open."""
    try:
        changed = open_snapshot(study).generation != generation
    except NoSnapshotError:
        changed = False
    if changed or not stays(study, person, action):
        run_by_itself()


def run_by_itself() -> NoReturn:
    """Run the page again although nobody asked for it: `ran_by_itself` then says so."""
    st.session_state[RUNS_ITSELF] = True
    st.rerun(scope="app")


def ran_by_itself() -> bool:
    """Whether the page runs because something was published or a run ended: no sign of life of who has it open."""
    return bool(st.session_state.get(RAN_ITSELF))


def answer(text: str) -> None:
    """The answer to the page's question, directly under it."""
    st.markdown(text)


def figure(chart: go.Figure, caption: str, key: str, on_select: Callable[[], None] | None = None) -> None:
    """A figure with its caption; on_select is called when a point is clicked."""
    drawn = inked(chart, st.context.theme.type == "dark")
    select: dict[str, object] = {}
    if on_select is not None:
        select = {"on_select": on_select, "selection_mode": "points"}
        clickable(drawn)
    st.plotly_chart(drawn, key=key, config=PLOT_CONFIG, theme=None, alt=caption, **select)
    _caption(chart, caption, key)


def selectable(chart: go.Figure, caption: str, key: str) -> tuple[str, ...]:
    """A figure with a case a point (first of its customdata): a click opens it, a box returns the cases in it.

    The box is a tool of the bar above the figure: while a box can be drawn, clicks are not told (Streamlit 1.67). The
    page calls `open_clicked` before it begins.
    """
    drawn = clickable(inked(chart, st.context.theme.type == "dark"))
    chosen = st.plotly_chart(
        drawn,
        key=key,
        config=BOX_CONFIG,
        theme=None,
        alt=caption,
        on_select=lambda: _remember_click(key),
        selection_mode=("points", "box"),
    )
    _caption(chart, caption, key)
    points = chosen.selection.points if chosen else []
    return tuple(dict.fromkeys(str(point["customdata"][0]) for point in points if "customdata" in point))


def _caption(chart: go.Figure, caption: str, key: str) -> None:
    """The caption of a figure, and at its end the button that puts it into the meeting."""
    with st.container(horizontal=True, vertical_alignment="top"):
        st.caption(caption)
        keep_button(st.session_state.get(BEGUN), chart, caption, key)


def _remember_click(key: str) -> None:
    """Keep the case of a point that was clicked, not boxed."""
    chosen = st.session_state[key].selection
    if chosen.points and not chosen.box:
        st.session_state[CLICKED] = chosen.points[0]["customdata"][0]


def open_clicked() -> None:
    """Go to the case whose point was clicked in the last run of the page, if one was."""
    if CLICKED in st.session_state:
        open_case(st.session_state.pop(CLICKED))


def table(records: Sequence[object], titles: dict[str, str], **settings: object) -> object:
    """Records as a table of the named fields, in that order, under the given titles; settings go to st.dataframe."""
    found = [{name: _cell(name, getattr(record, name)) for name in titles} for record in records]
    frame = pd.DataFrame(found, columns=list(titles))
    formats = {name: _column(name, title, frame[name]) for name, title in titles.items()}
    return grid(frame, placeholder="–", column_config=formats, **settings)


def patients(shown: Shown, records: Sequence[object], titles: dict[str, str], **settings: object) -> object | None:
    """A table of single patients for whoever may see images, None for others; its button is hidden from who may not
    export them, which would leave no line in the audit.
    """
    if not may(shown.person, "view images"):
        st.caption("Rows of single patients are shown to readers and administrators.")
        return None
    if not may(shown.person, "export pseudonymised"):
        st.html(NO_DOWNLOAD_CSS)
    return table(records, titles, **settings)


def grid(rows: object, **settings: object) -> object:
    """Rows as a table without index; its button hands out a CSV, so text that a spreadsheet would run gets a '."""
    frame = pd.DataFrame(rows).rename(columns=_safe)
    for name in frame.select_dtypes("object"):
        frame[name] = frame[name].map(_safe)
    return st.dataframe(frame, hide_index=True, **settings)


def _safe(value: object) -> object:
    return safe_cell(value) if isinstance(value, str) else value


def tabs(contents: Mapping[str, Callable[[], object]], key: str) -> None:
    """Tabs by title; only what the open one shows is read and drawn."""
    for tab, content in zip(st.tabs(list(contents), key=key, on_change="rerun"), contents.values(), strict=True):
        if tab.open:
            with tab:
                content()


def _cell(name: str, value: object) -> object:
    """A stored value as a table shows it: moments, ROIs and arms as they are written elsewhere."""
    if name.endswith("_at"):
        return moment(str(value)) if value else None
    if name == "roi":
        return roi_label(str(value))
    if name == "variable":
        return variable_label(str(value))
    if name in WORD_COLUMNS and isinstance(value, str):
        return plain_cell(name, value)
    return plain_model(str(value)) if name in MODEL_COLUMNS else value


def _column(name: str, title: str, values: pd.Series) -> object:
    if name in P_COLUMNS:
        return st.column_config.NumberColumn(title, format="%.2g")
    if name in SIGNIFICANT_COLUMNS:
        return st.column_config.NumberColumn(title, format="%.4g", width=SIGNIFICANT_PIXELS)
    if pd.api.types.is_bool_dtype(values):
        return st.column_config.CheckboxColumn(title)
    if pd.api.types.is_float_dtype(values):
        whole = bool((values.dropna() % 1 == 0).all())
        return st.column_config.NumberColumn(title, format="%d" if whole else "%.2f")
    return st.column_config.Column(title)


def end(shown: Shown) -> None:
    """The line under every page: run, generation, as-of time, and where the numbers come from."""
    run, snapshot = shown.run, shown.snapshot
    masks = masks_line(standing_masks(snapshot, run.run_id))
    st.divider()
    st.caption(
        f"{RESEARCH_ONLY} Run {run.place} ({run.run_id}, {run_state(run)}) · "
        f"{snapshot.generation.removesuffix('.duckdb')} · as of {moment(published_at(snapshot))} · "
        f"protocol {run.protocol_sha256[:12]} · seed {run.seed} · "
        f"{masks + ' · ' if masks else ''}code {run.code_version} · {packages_line(run.packages_json)}"
    )
