"""One case with every outline, what readers said of it, and the strip on which the next reader judges."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import streamlit as st

from engine.present.colours import CONTOUR_COLOURS, roi_label
from engine.present.figures.slices import WINDOWS
from engine.present.wording.doubt import order_sentence
from engine.present.wording.review import (
    adjudicated_sentence,
    case_header,
    cases_left_out,
    differing_sentence,
    mode_sentence,
    nothing_waits,
    progress_text,
    queue_rows,
    ring_sentence,
)
from engine.present.wording.segmentation import review_answer
from engine.protocol import Protocol
from engine.review.criteria import criteria_text
from engine.review.reading_list import (
    adjudications,
    kept_order,
    next_reading,
    progress,
    readers_by_case,
    signed_readings,
    simulated_readers,
    to_adjudicate,
    unread_first,
)
from engine.run.drawing import BLIND, own_version
from engine.run.review_desk import begin_order, protocol_of, show_words, sign_of_life
from engine.run.review_layers import (
    FIRST_READER,
    MEASURED,
    TUMOUR,
    Layer,
    case_layers,
    others_words,
    shown_first,
    visible_layers,
)
from engine.service import EARLIER, note_images_seen
from pages.blinding import Place, closed_cases, places_of_open, readable, say_closed, still_blind, waiting
from pages.frame import Shown, answer, begin, empty, end, ran_by_itself, table
from pages.image_viewer import Viewed, file_grant, unsaved, usable, viewer, volume_key
from pages.judged_masks import judged_key, present_verdicts
from pages.judging import Judging, contour, judge, measured
from pages.looking import claim_looks
from pages.mask_files import mask_files
from pages.reader import MODE_KEY, Reader, require_reader
from pages.slices import slices
from pages.staleness import stale
from pages.verdict_table import verdict_table
from store.queries.agreement import ReviewCase, review_cases
from store.queries.cohort import case_facts
from store.queries.images import load_prior_scan
from store.queries.inference import doubt_quality
from store.queries.reviews import ReviewState, read_draft, review_state
from store.records import DrawnMask, Verdict
from store.reviews import (
    ADJUDICATION,
    ADJUDICATOR,
    BLANK_CANVAS,
    READER_STUDY,
    WORK_LIST,
    Reading,
    latest_verdicts,
    readers_words,
)

MODES = {
    WORK_LIST: "Work list",
    READER_STUDY: "Reader study",
    BLANK_CANVAS: "Blank canvas",
    ADJUDICATION: "Adjudication",
}
QUEUE_TITLES = {
    "place": "Place",
    "case_id": "Case",
    "predicted_dsc": "Expected DSC",
    "missed_probability": "Probability of a miss",
    "dsc": "DSC",
    "readers": "Readers",
}
QUEUE_HEIGHT = 260
LOW_DSC = 0.7
SEEN = "seen"


def order_of(shown: Shown, protocol: Protocol, mode: str, reader: Reader, cases: tuple[ReviewCase, ...]) -> list[Place]:
    """What the reader reads in a mode, in order: work list and adjudication have what is not signed first.

    What is closed stands last and by name: its place in the queue would tell how doubtful it is.
    """
    ids = [case.case_id for case in cases]
    if mode in (READER_STUDY, BLANK_CANVAS):
        now = readable(shown.study, shown.run.run_id, mode, cases)
        return list(kept_order(begin_order(shown.study, protocol, mode, reader.name, ids), now)) if now else []
    if mode == ADJUDICATION:
        blind = still_blind(shown.study, shown.snapshot, shown.run.run_id, state, reader.name)
        disputed = kept_order(to_adjudicate(present, reader.name), [case for case in ids if case not in blind])
        return list(unread_first(disputed, done))
    doubtful_first = [case for case in ids if case not in closed]
    return list(unread_first([(case, 1) for case in (*doubtful_first, *sorted(closed.intersection(ids)))], done))


def first_mode(shown: Shown, reader: Reader) -> str:
    """Where a reader goes on who has chosen no mode: the case of the address, else what he reads blinded, if begun."""
    if "case" in st.query_params:
        return WORK_LIST
    where = (shown.study, shown.snapshot, shown.run.run_id)
    return next((mode for mode in BLIND if waiting(*where, state, reader.name, mode)), WORK_LIST)


def done_of(mode: str, reader: Reader) -> frozenset[Place]:
    """What is signed in a mode: by the reader, in the work list on the mask as it is now; adjudicated, by anybody."""
    if mode == ADJUDICATION:
        return frozenset((case, 1) for case in adjudications(present))
    return signed_readings(present if mode == WORK_LIST else state.verdicts, reader.name, mode)


def narrowed(
    order: list[Place], cases: tuple[ReviewCase, ...], signed: frozenset[Place], outdated: frozenset[Place]
) -> list[Place]:
    """The work list as the reader narrows it in the sidebar, each choice with its count.

    Never to nothing, and never so that the case of the address is missing. Of closed cases no choice tells anything.
    """
    of, judged_by = {case.case_id: case for case in cases if case.case_id not in closed}, readers_by_case(present)
    known = [at for at in order if at[0] in of]
    groups = {
        "All": order,
        "Not signed by you": [at for at in order if at not in signed],
        "Missed by the model": [at for at in known if of[at[0]].missed],
        f"DSC below {LOW_DSC:g}": [at for at in known if (dsc := of[at[0]].dsc) is not None and dsc < LOW_DSC],
        "Judged before the mask changed": [at for at in order if at in outdated],
        "Judged by nobody": [at for at in known if at[0] not in judged_by],
    }
    wanted = st.sidebar.selectbox(
        "Cases",
        list(groups),
        format_func=lambda name: f"{name} ({len(groups[name])})",
        key="narrowed",
        on_change=lambda: st.query_params.pop("case", None),
    )
    linked = (st.query_params.get("case", ""), 1)
    if not groups[wanted] or (linked in order and linked not in groups[wanted]):
        st.sidebar.caption("All are listed: no case is left, or the one of this address is not among them.")
        return order
    return groups[wanted]


def choose(order: list[Place], mode: str, signed: frozenset[Place], labels: dict[str, str]) -> Place:
    """The reading on screen: the address's case in the work list, else the next unsigned; studies name no case."""
    if mode in (WORK_LIST, ADJUDICATION):
        return _by_case(order, mode, labels)
    if "case" in st.query_params:
        del st.query_params["case"]
    key = place_key(mode)
    kept = st.session_state.get(key)
    at = kept if kept in order else next_reading(order, signed, None) or order[0]
    st.session_state[key] = at  # it stays on screen, also once it is signed in another tab
    return at


def _by_case(order: list[Place], mode: str, labels: dict[str, str]) -> Place:
    ids = [case for case, _ in order]
    wanted = st.query_params.get("case", "")
    if wanted and wanted not in ids:
        st.warning("The case of this address is not in this list; its first case is shown.")
    place = ids.index(wanted) if wanted in ids else 0
    key = f"case-{mode}-{wanted or 'first'}"
    chosen = st.sidebar.selectbox(
        "Case",
        ids,
        index=place,
        format_func=labels.__getitem__,
        key=key,
        on_change=lambda: st.query_params.update(case=st.session_state[key]),  # before the box gets another key
    )
    if chosen != wanted:
        st.query_params["case"] = chosen
    return (chosen, 1)


def label(case: ReviewCase, signed: bool) -> str:
    """A case in the list: whether the reader has signed it, its place in the queue, what makes it worth a look.

    A closed case has its name alone.
    """
    done = "✓ " if signed else ""
    if case.case_id in closed:
        return f"{done}{case.case_id}"
    place = "" if case.place is None else f"{case.place} · "
    fit = "" if case.dsc is None else " · missed" if case.missed else f" · DSC {case.dsc:.2f}"
    return f"{done}{place}{case.case_id}{fit}"


def go(mode: str, at: Place) -> None:
    """Show another reading on the next run."""
    if mode in (WORK_LIST, ADJUDICATION):
        st.query_params["case"] = at[0]
    else:
        st.session_state[place_key(mode)] = at


def place_key(mode: str) -> str:
    """Under which the place of this reader in a mode is kept in the session: another reader in this tab has his own."""
    return f"at-{mode}-{reader.name}"


def header(mode: str, order: list[Place], at: Place, said: str) -> None:
    """What is said of the case in one line, with the way to the one before and the next, and their keys."""
    here = order.index(at)
    back = (mode, order[(here - 1) % len(order)])
    on = (mode, order[(here + 1) % len(order)])
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="case-header"):
        st.button("Previous", key="previous", shortcut="p", on_click=go, args=back, type="tertiary")
        st.button("Next", key="next", shortcut="n", on_click=go, args=on, type="tertiary")
        st.caption(said, width="stretch")


def before_of(reader: Reader, mode: str, at: Place) -> Verdict | None:
    """What the reader last signed of this reading."""
    mine = [
        v
        for v in latest_verdicts(state.verdicts)
        if (v.case_id, v.reading, v.reader, v.mode) == (*at, reader.name, mode) and (v.mask_key or v.drawn_key)
    ]
    return mine[-1] if mine else None


def drawn_of(shown: Shown, reading: Reading, drawn_key: str, judged: str) -> DrawnMask | None:
    """The drawn version, measured against the mask that is judged, if any; in a blind reading by its own number."""
    found = state.version(drawn_key)
    if judged and found is not None and found.origin == "corrected":
        found = measured(shown.study, shown.run.run_id, found, judged)
    if found is None or reading.mode not in BLIND:
        return found
    return replace(found, version=own_version(state.drawn, drawn_key))


def choices(layers: tuple[Layer, ...]) -> tuple[list[str], str]:
    """The outlines that are on and the window, chosen in the sidebar."""
    st.sidebar.subheader("Show", anchor=False)
    on, first = [], shown_first(layers)
    for layer in reversed(layers):
        title = layer.title if any(mask.voxels.any() for mask in layer.masks) else f"{layer.title} (none)"
        if st.sidebar.checkbox(title, layer.name in first, key=f"layer-{layer.name}"):
            on.append(layer.name)
    window = st.sidebar.radio("Window", list(WINDOWS), key="window", horizontal=True)
    return on, window


def legend(on: list[str], layers: tuple[Layer, ...]) -> str:
    """The colours of the outlines shown."""
    titles = {layer.name: layer.title for layer in layers}
    return " &nbsp; ".join(f'<span style="color:{CONTOUR_COLOURS[name]}">■</span> {titles[name]}' for name in on)


@st.cache_resource(max_entries=4, show_spinner="Reading the outlines")
def layers_of(
    study: Path, run_id: str, case_id: str, names: tuple[str, ...], drawn_key: str, others: tuple[str, ...], of: str
) -> tuple[Layer, ...]:
    """The layers of a case, kept for the next steps of the same reader and generation."""
    del of
    return case_layers(study, run_id, case_id, names, drawn_key, others)


def open_reading(shown: Shown, protocol: Protocol, reader: Reader, mode: str, order: list[Place], at: Place) -> None:
    """Header, strip and images of one reading; goes on to the next when it is signed."""
    reading = Reading(at[0], reader.name, mode, at[1])
    before = before_of(reader, mode, at)
    where = (shown.study, shown.run.run_id, at[0])
    judged = judged_key(shown, at[0])
    role = ADJUDICATOR if mode == ADJUDICATION else "reader"
    judging = Judging(shown.study, shown.person, reader, reading, role, judged, before, None, False, protocol.review)
    can_draw = before is None or judging.changing
    if can_draw and not ran_by_itself():
        sign_of_life(shown.study, reading, protocol.review.idle_seconds)
    drawn_key = read_draft(shown.study, reading).drawn_key if before is None or can_draw else before.drawn_key
    names = visible_layers(mode, at in done)
    shared = others_words(present, at[0], reader.name) if FIRST_READER in names else ()
    others = tuple(v.drawn_key for v in shared if v.drawn_key)
    layers = layers_of(*where, names, drawn_key, others, shown.snapshot.generation)
    viewed = Viewed(shown.study, shown.run.run_id, reader, reading, layers, drawn_key, others, can_draw, judged)
    drawn = drawn_of(shown, reading, drawn_key, judged if can_draw else "")
    judging = replace(judging, drawn=drawn, unsaved=unsaved(viewed))
    header(mode, order, at, case_header(case_facts(shown.snapshot, shown.run.run_id, at[0]), mode))
    if mode == BLANK_CANVAS:
        signed = contour(judging)
    elif not judged:
        signed = False
        st.info("There is no automatic outline of this case to judge; name a model in study.toml and run *segment*.")
    else:
        signed = judge(judging)
    if signed:
        following = next_reading(order, done | {at}, at)
        go(mode, following or at)
        st.rerun()
    looker = replace(shown.person, name=reader.name)
    mask_files(shown.study, looker, file_grant(viewed), can_draw)
    simple = st.sidebar.checkbox("Simple slices", key="simple", help="drawn on the server; needs no WebGL")
    if usable() and not simple:
        viewer(viewed)
    else:
        on, window = choices(layers)
        if st.session_state.get(SEEN) != (reader, at):  # once for each time a case is opened; the viewer asks a route
            note_images_seen(shown.study, looker, at[0])
            if load_prior_scan(*where) is not None:
                note_images_seen(shown.study, looker, at[0], EARLIER)
            st.session_state[SEEN] = (reader, at)
        slices(shown.study, shown.run.run_id, reading, layers, on, window, volume_key(viewed, ""))
        st.html(f"<small>{legend(on, layers)}</small>")
    st.caption(
        "The patient's left is on the right. Ring: "
        f"{roi_label('peritumoural').lower()}, {shown.run.ring_mm:g} mm, on the {shown.run.grid_mm:g} mm feature grid; "
        f"{ring_sentence(MEASURED in names)} "
        "Keys: 1 2 3 4 judge, ctrl+enter sign, n p next and previous case, f close-up and chest, w window, o outlines, "
        "d draw, e erase, u undo stroke, c caliper, v scroll. Wheel: slices, with ctrl zoom; right button: move."
    )
    if mode != BLANK_CANVAS:
        st.caption(criteria_text(protocol.review))


shown = begin("Is this outline right?", "view images")
cases = review_cases(shown.snapshot, shown.run.run_id)
if not cases:
    empty("No images have been read in this run; a study of imported features has none.", "acquire")
state: ReviewState = review_state(shown.study)
reader = require_reader(
    frozenset({v.reader for v in state.verdicts} | {d.reader for d in state.drawn}),
    simulated_readers(state.verdicts),
    MODES,
)
claim_looks(shown.study, shown.person)
protocol = protocol_of(shown.study, shown.run.run_id)
if MODE_KEY not in st.session_state:
    st.session_state[MODE_KEY] = first_mode(shown, reader)
mode = st.sidebar.selectbox(
    "Mode",
    list(MODES),
    format_func=MODES.__getitem__,
    key=MODE_KEY,
    on_change=lambda: st.query_params.pop("case", None),
)
present = present_verdicts(shown, state.verdicts) if mode in (WORK_LIST, ADJUDICATION) else state.verdicts
done = done_of(mode, reader)
here = (shown.study, shown.snapshot, shown.run.run_id, state, reader.name)
closed = closed_cases(*here) if mode == WORK_LIST else frozenset()
cases = places_of_open(cases, closed)
order = order_of(shown, protocol, mode, reader, cases)
so_far = progress(order, done)
if mode == WORK_LIST:
    order = narrowed(order, cases, done, signed_readings(state.verdicts, reader.name, mode) - done)
if not order:
    st.info(nothing_waits(mode))
    end(shown)
    st.stop()
labels = {case.case_id: label(case, (case.case_id, 1) in done) for case in cases}
at = choose(order, mode, done, labels)
st.sidebar.progress(so_far.signed / so_far.total, progress_text(so_far.signed, so_far.total))
if at[0] in closed:
    say_closed(reader.name, at[0])
    header(mode, order, at, "")
    end(shown)
    st.stop()
if mode == WORK_LIST:
    case = next(case for case in cases if case.case_id == at[0])
    words = readers_words([v for v in present if v.case_id == at[0] and v.mask_key], TUMOUR)
    others = sum(v.reader != reader.name for v in words)
    answer(review_answer(case, words if at in done else (), 0 if at in done else others))
else:
    said = others_words(present, at[0], reader.name) if mode == ADJUDICATION else ()
    for mask in {v.mask_key for v in said}:
        show_words(shown.study, reader.name, at[0], mask)
    settled = adjudications(present).get(at[0]) if mode == ADJUDICATION else None
    place = mode_sentence(mode, order.index(at) + 1, so_far.signed, so_far.total)
    answer(" ".join((place, differing_sentence(said), adjudicated_sentence(settled, reader.name))).strip())
stale(shown.study, shown.person, state)
open_reading(shown, protocol, reader, mode, order, at)
if mode in (WORK_LIST, ADJUDICATION):
    knows = at in done or mode == ADJUDICATION
    verdict_table(state.verdicts, at[0], reader.name, knows, study_open=bool(waiting(*here, READER_STUDY)))
if mode == WORK_LIST:
    queue = [case for case in cases if case.case_id not in closed]
    st.subheader(f"Queue ({len(queue)})", anchor=False)
    in_order = order_sentence(cases, doubt_quality(shown.snapshot, shown.run.run_id))
    st.caption(f"{in_order} {cases_left_out(len(cases) - len(queue))}".strip())
    table(queue_rows(queue, readers_by_case(present)), QUEUE_TITLES, height=QUEUE_HEIGHT)
end(shown)
