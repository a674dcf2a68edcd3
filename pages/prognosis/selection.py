"""Which features are chosen again and again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.present.colours import roi_label
from engine.present.figures.heat import image_type_order
from engine.present.figures.selection import (
    co_selection_map,
    frequency_bars,
    frequency_by_size,
    roi_share_heat_map,
    self_test_figure,
    size_figure,
    stability_figure,
)
from engine.present.wording.features import (
    by_size_caption,
    columns_answer,
    frequency_caption,
    group_answer,
    group_caption,
    protocol_differences,
    roi_share_caption,
    selection_answer,
    selection_limits,
    shared_answer,
    size_caption,
    stability_caption,
)
from engine.present.wording.self_test import self_test_answer, self_test_caption
from engine.present.wording.study import exploratory_badge
from engine.run.signature import signature_text
from engine.service import start_self_test, take_list
from pages.frame import Shown, answer, badge, begin, end, figure, grid, table, tabs, why_missing
from pages.gate import may
from store.ledger import running
from store.queries.prognosis import kept_shares, permuted_aucs, selection_size, self_test, stability
from store.queries.reproducibility import DECIDING, Reading, survival_shares
from store.queries.selection import (
    co_selections,
    column_states,
    feature_groups,
    frequencies,
    frequency_at_sizes,
    protocol_text,
    selected_runs,
    shared_top,
    size_stability,
)
from store.queries.study import RunFacts, runs
from store.records import ColumnState, SelectionFrequency

TITLES = {
    "roi": "ROI",
    "image_type": "Image type",
    "feature_class": "Class",
    "feature": "Feature",
    "kept_count": "Kept",
    "mrmr_count": "Taken by mRMR",
    "resamples": "Resamples",
    "volume_correlation": "ρ with volume",
}
GROUP_TITLES = {
    "group": "Group",
    "roi": "ROI",
    "image_type": "Image type",
    "feature_class": "Class",
    "feature": "Feature",
    "kept_count": "Kept",
    "group_count": "Any of the group kept",
    "resamples": "Resamples",
}
COLUMN_TITLES = {
    "column": "Column",
    "state": "Is",
    "reason": "Because",
    "rows": "Rows",
    "missing": "Missing",
    "overflowed": "Beyond float32",
}
COLOURS = {"roi": "ROI", "image_type": "Filter", "feature_class": "Class"}
MAPPED, SIZED, COMPARED = 24, 12, 10


def chosen_features(rows: tuple[SelectionFrequency, ...]) -> list[SelectionFrequency]:
    """The rows that pass the filters of the sidebar, at most as many as are wanted."""
    st.sidebar.subheader("Show", anchor=False)
    limit = st.sidebar.slider("Features in the figure", 10, 60, 50, 5, key="selection-limit")
    rois = st.sidebar.multiselect("ROI", sorted({r.roi for r in rows}), format_func=roi_label, key="selection-roi")
    types = st.sidebar.multiselect("Filter", image_type_order([r.image_type for r in rows]), key="selection-type")
    classes = st.sidebar.multiselect("Class", sorted({r.feature_class for r in rows}), key="selection-class")
    passed = [
        row
        for row in rows
        if row.kept_count
        and (not rois or row.roi in rois)
        and (not types or row.image_type in types)
        and (not classes or row.feature_class in classes)
    ]
    return passed[:limit]


def sizes(shown: Shown) -> None:
    """How stability and frequency change with the number of features."""
    run_id = shown.run.run_id
    by_size = size_stability(shown.snapshot, run_id)
    if not by_size:
        st.caption("This run kept sets of one size only.")
        return
    st.subheader("Stability by size of the set", anchor=False)
    figure(size_figure(by_size), size_caption(by_size), "sizes")
    st.subheader("Frequency by K", anchor=False)
    rows = frequency_at_sizes(shown.snapshot, run_id, SIZED)
    figure(frequency_by_size(rows), by_size_caption(rows), "by-size")


def together(shown: Shown) -> None:
    """Groups of features that stand for each other, and pairs that come together or take turns."""
    groups = feature_groups(shown.snapshot, shown.run.run_id)
    if len(groups) < 2:
        st.caption("Too few features were kept for groups.")
        return
    pairs = co_selections(shown.snapshot, shown.run.run_id, MAPPED)
    caption = group_caption(groups, shown.run.cluster_correlation)
    figure(co_selection_map(pairs, groups), caption, "together")
    table(groups, GROUP_TITLES)


def compared(shown: Shown) -> None:
    """This run beside another one of the study."""
    every = {run.run_id: run for run in runs(shown.snapshot)}
    others = [run_id for run_id in selected_runs(shown.snapshot) if run_id != shown.run.run_id]
    if not others:
        return
    names = {run_id: f"Run {every[run_id].place}" for run_id in others}
    st.sidebar.subheader("Compare", anchor=False)
    wanted = st.sidebar.selectbox(
        "With", ["", *others], format_func=lambda run_id: names.get(run_id, "no other run"), key="selection-other"
    )
    if wanted:
        side_by_side(shown, every[wanted])


def side_by_side(shown: Shown, other: RunFacts) -> None:
    """Two sets of choices: what differs, what both keep, neither called the better one."""
    mine, theirs = f"run {shown.run.place}", f"run {other.place}"
    st.subheader(f"Run {shown.run.place} beside run {other.place}", anchor=False)
    shared = shared_top(shown.snapshot, shown.run.run_id, other.run_id, COMPARED)
    answer(shared_answer(shared, mine, theirs))
    texts = [protocol_text(shown.snapshot, run_id) for run_id in (shown.run.run_id, other.run_id)]
    differing = protocol_differences(*texts)
    heads = ("Choice", mine.capitalize(), theirs.capitalize())
    if differing:
        grid([dict(zip(heads, row, strict=True)) for row in differing])
    else:
        st.caption("Both runs were made with the same choices.")
    for column, run in zip(st.columns(2), (shown.run, other), strict=True):
        rows = frequencies(shown.snapshot, run.run_id)[:COMPARED]
        alike = stability(shown.snapshot, run.run_id)
        with column:
            st.markdown(f"**Run {run.place}**")
            figure(frequency_bars(rows), frequency_caption(rows, run), f"beside-{run.place}")
            if alike:
                figure(stability_figure(alike), stability_caption(alike), f"beside-stability-{run.place}")


def signature(shown: Shown) -> None:
    """The most frequent features as a list for other patients."""
    if not may(shown.person, "take list"):
        return
    st.sidebar.subheader("Take a list", anchor=False)
    count = st.sidebar.number_input("Features", 1, 50, 10, key="signature-count")
    if st.sidebar.button("Take the list", width="stretch"):
        taken = take_list(shown.study, shown.person, int(count), shown.run.run_id)
        st.sidebar.download_button(
            "Download it", signature_text(taken), f"signature-{taken.derived_from}.json", width="stretch"
        )
    st.sidebar.caption("For other patients: on this study's own it is refused, as a file, in study.toml or as a table.")


def tested(shown: Shown) -> None:
    """The latest result of the self-test."""
    found = self_test(shown.snapshot)
    if not found:
        st.caption("Not run yet: who may start runs finds it in the sidebar; or `python -m engine self-test STUDY`.")
        return
    answer(self_test_answer(found))
    rows = permuted_aucs(shown.snapshot, found[0].run_id)
    figure(self_test_figure(rows), self_test_caption(found), "self-test")


def self_test_control(shown: Shown) -> None:
    """Start the self-test, in the sidebar."""
    st.sidebar.subheader("Self-test", anchor=False)
    if st.sidebar.button("Run it on permuted outcomes", disabled=running(shown.study), width="stretch"):
        try:
            start_self_test(shown.study, shown.person)
            st.toast("The self-test has started; it goes on when you close this page.")
        except (RuntimeError, ValueError) as error:
            st.sidebar.warning(str(error))
    st.sidebar.caption("The study's whole procedure where nothing can be predicted: every AUC must be about 0.5.")


def columns(states: tuple[ColumnState, ...]) -> None:
    """What became of every column of an imported table."""
    st.caption(columns_answer(states))
    table(states, COLUMN_TITLES)


def bars(rows: Sequence[SelectionFrequency], shown: Shown) -> None:
    """The frequency plot."""
    colour_by = st.sidebar.radio("Colour by", list(COLOURS), format_func=COLOURS.__getitem__, key="selection-colour")
    st.subheader(f"The {len(rows)} most often kept", anchor=False)
    figure(frequency_bars(rows, colour_by), frequency_caption(rows, shown.run), "frequency")


shown = begin("Which features are chosen again and again?")
every = frequencies(shown.snapshot, shown.run.run_id)
if not every:
    why_missing(shown, "No features have been selected yet.")
alike = stability(shown.snapshot, shown.run.run_id)
size = selection_size(shown.snapshot, shown.run.run_id)
reading = Reading(DECIDING, shown.run.icc_threshold)
limits = selection_limits(size, survival_shares(shown.snapshot, shown.run.run_id, reading)) if size else ""
shared_turns = group_answer(feature_groups(shown.snapshot, shown.run.run_id))
answer(" ".join(part for part in (selection_answer(every, alike), shared_turns, limits) if part))
badge(exploratory_badge(shown.run))

features = chosen_features(every)
if features:
    bars(features, shown)
else:
    st.info("No feature passes the filters in the sidebar.")
left, right = st.columns(2)
with left:
    st.subheader("Where they come from", anchor=False)
    shares = kept_shares(shown.snapshot, shown.run.run_id)
    figure(roi_share_heat_map(shares), roi_share_caption(shares), "roi-share")
with right:
    st.subheader("How alike the sets are", anchor=False)
    if alike:
        figure(stability_figure(alike), stability_caption(alike), "stability")
states = column_states(shown.snapshot, shown.run.run_id)
imported = {"Columns of the imported table": partial(columns, states)} if states else {}
tabs(
    {
        "By size of the set": partial(sizes, shown),
        "Which stand for each other": partial(together, shown),
        "All features that were taken": lambda: table(every, TITLES, height=420),
        "Self-test on permuted outcomes": partial(tested, shown),
        **imported,
    },
    "selection-tabs",
)
compared(shown)
signature(shown)
if may(shown.person, "start run"):
    self_test_control(shown)
end(shown)
