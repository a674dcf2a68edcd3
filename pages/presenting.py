"""Presenting: one figure a screen, large, light or dark, with keys; a case is one click away and back.

All of it stands in the address: present, item (from 1), of (whose meeting), look, case.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.present.disclosure import printed
from engine.present.exhibit import RESEARCH_ONLY, Exhibit
from engine.present.figures.layout import clickable, enlarged, inked
from engine.review.criteria import REASONS
from engine.review.judged import drawings_to_take
from engine.review.reading_list import simulated_readers
from engine.run.meeting_desk import note_decision, sign_consensus
from engine.run.meeting_pack import Shown, basket_exhibits, key_image, shown_run
from engine.run.review_desk import show_words
from engine.run.review_volumes import automatic_tumour
from pages.blinding import blind_cases
from pages.gate import FIRST_ACTION, admit, close_when_over, may, study_folder
from pages.judging import WORDS
from pages.keep import basket_owner
from pages.looking import note_look
from pages.reader import NAMED_HIMSELF, Reader, current_reader, name_fault
from store.access import Person
from store.meeting import LONGEST_NOTE, LONGEST_TITLE, Decision, basket, decisions
from store.queries.cohort import cases
from store.queries.reviews import review_state
from store.queries.study import runs
from store.records import JUDGEMENTS, Verdict
from store.reviews import UnsignedError
from store.snapshot import NoSnapshotError
from store.volumes import mask_key

LOOKS = ("light", "dark")
PLOT_CONFIG = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}
FIGURE_HEIGHT = 510
VIEWS_CSS = Path(__file__).parent / "views.css"
CSS = Path(__file__).parent / "presenting.css"
DARK_CSS = Path(__file__).parent / "presenting_dark.css"


def views(names: Sequence[str], shown: str) -> DeltaGenerator:
    """Where one of several views of a page goes; the others leave the screen at once.

    Streamlit keeps what a script drew before until the next pass is over: until then the fields of the view that was
    left would stand under the new one, and take clicks that are meant for it.
    """
    st.html(VIEWS_CSS)
    slots = {name: st.container(key=f"view-{name}-{'on' if name == shown else 'off'}") for name in names}
    return slots[shown]


def present() -> None:
    """Show the figure that the address names, or the case that was clicked in it."""
    person = admit()
    study = study_folder()
    if study is not None:
        close_when_over(study, person, "view images" if st.query_params.get("case") else FIRST_ACTION)
    st.html(CSS)
    look = st.query_params.get("look", "dark" if st.context.theme.type == "dark" else "light")
    if look == "dark":
        st.html(DARK_CSS)
    shown = _shown()
    if shown is None:
        return
    of = st.query_params.get("of", basket_owner(person))
    found = basket_exhibits(basket(shown.study, of), runs(shown.snapshot))
    if not found:
        _navigation(0, 0, look)
        st.info(f"The meeting of {of} is empty.")
        return
    place = _place(len(found))
    case_id = st.query_params.get("case", "")
    if case_id:
        _case(shown, person, case_id)
    else:
        _navigation(place, len(found), look)
        _figure(shown, found[place][1], look, place)


def _shown() -> Shown | None:
    from pages.frame import require_study  # the frame draws the buttons that lead here

    try:
        return shown_run(require_study())
    except (NoSnapshotError, ValueError):
        st.info("Nothing is published for this study yet.")
        return None


def _place(count: int) -> int:
    wanted = st.query_params.get("item", "1")
    number = int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 6 else 1
    return min(count, max(1, number)) - 1


def _go(item: int) -> None:
    st.query_params["item"] = str(item + 1)


def _leave() -> None:
    st.query_params.clear()


def _turn(look: str) -> None:
    st.query_params["look"] = LOOKS[1 - LOOKS.index(look)] if look in LOOKS else LOOKS[0]


def _navigation(place: int, count: int, look: str) -> None:
    """Previous, place, next, light or dark, leave; each with its key."""
    with st.container(horizontal=True, vertical_alignment="center", key="meeting-navigation"):
        at_start, at_end = place <= 0, place >= count - 1
        st.button(
            "Previous", key="meeting-previous", shortcut="Left", on_click=_go, args=(place - 1,), disabled=at_start
        )
        st.button("Next", key="meeting-next", shortcut="Right", on_click=_go, args=(place + 1,), disabled=at_end)
        st.markdown(f"{place + 1 if count else 0} of {count}")
        st.button("Light or dark", key="meeting-look", shortcut="D", on_click=_turn, args=(look,), type="tertiary")
        st.button("Leave", key="meeting-leave", shortcut="Esc", on_click=_leave, type="tertiary")


def _figure(shown: Shown, exhibit: Exhibit, look: str, place: int) -> None:
    """One figure as large as the screen, its caption, its note, where it comes from."""
    st.markdown(f"# {exhibit.title}")
    if exhibit.badge:
        st.markdown(f":orange-badge[**Exploratory**] {exhibit.badge}")
    drawn = clickable(inked(enlarged(exhibit.figure, FIGURE_HEIGHT), look == "dark"))
    key = f"meeting-figure-{place}-{look}"
    st.plotly_chart(
        drawn,
        key=key,
        config=PLOT_CONFIG,
        theme=None,
        alt=exhibit.caption,
        on_select=lambda: _clicked(key, frozenset(c.case_id for c in cases(shown.snapshot, shown.run.run_id))),
        selection_mode="points",
    )
    st.markdown(printed(exhibit.caption))
    if exhibit.note:
        st.markdown(exhibit.note)
    synthetic = "Synthetic patients. " if shown.run.synthetic else ""
    st.caption(f"{RESEARCH_ONLY} {synthetic}{exhibit.method} {exhibit.provenance}")


def _clicked(key: str, known: frozenset[str]) -> None:
    """Remember the case of a clicked point in the address."""
    points = st.session_state[key].selection.points
    data = points[0].get("customdata") if points else None
    case_id = str(data[0]) if data else ""
    if case_id in known:
        st.query_params["case"] = case_id


def _back() -> None:
    del st.query_params["case"]


@st.cache_data(max_entries=32, show_spinner="Drawing the case")
def _picture(study: Path, run_id: str, case_id: str, generation: str) -> tuple[bytes, str]:
    """The three planes of a case and their caption."""
    del generation
    found = key_image(shown_run(study, run_id), case_id, None)
    return found.png, found.caption


def _case(shown: Shown, person: Person, case_id: str) -> None:
    """The images of one case, what is decided about it, and the way back to the figure."""
    st.button("Back to the figure", key="meeting-back", shortcut="Esc", on_click=_back)
    st.markdown(f"# {case_id}")
    if not may(person, "view images"):
        st.info("Images are shown to readers.")
        return
    if case_id not in {case.case_id for case in cases(shown.snapshot, shown.run.run_id)}:
        st.warning("The case of this address is not in this study.")
        return
    if _is_blind(shown, case_id):
        st.info(PICTURE_HIDDEN)
    else:
        _images(shown, person, case_id)
    st.caption(RESEARCH_ONLY)
    left, right = st.columns(2)
    with left:
        _decision(shown, person, case_id)
    with right:
        _consensus(shown, person, case_id)


def _images(shown: Shown, person: Person, case_id: str) -> None:
    """The three planes of a case with its outlines; the audit names the reader, where it is known who looks."""
    note_look(shown.study, person, case_id, "meeting")
    try:
        png, caption = _picture(shown.study, shown.run.run_id, case_id, shown.snapshot.generation)
        st.image(png, width="stretch", caption=caption)
    except KeyError:
        st.info("This case has no images in this run.")


def _is_blind(shown: Shown, case_id: str) -> bool:
    """Whether who looks, or anybody where no name is known, is still blind to the case."""
    return case_id in blind_cases(shown.study, shown.snapshot, shown.run.run_id)


def _decision(shown: Shown, person: Person, case_id: str) -> None:
    known = next((d for d in decisions(shown.study) if d.case_id == case_id), None)
    with st.form(f"meeting-decide-{case_id}"):
        decision = st.text_input("Decision", known.decision if known else "", max_chars=LONGEST_NOTE)
        owner = st.text_input("Owner", known.owner if known else "", max_chars=LONGEST_TITLE)
        due = st.date_input("Due", value=known.due or None if known else None)
        if st.form_submit_button("Note it"):
            noted = (case_id, decision, owner, due.isoformat() if due else "", basket_owner(person), "")
            try:
                note_decision(shown.study, person, Decision(*noted))
                st.success("Noted; the page Meeting lists all decisions.")
            except ValueError as error:
                st.error(f"Not noted: {error}.")


PICTURE_HIDDEN = (
    "The images stand here with their outlines: hidden until the reader study in which the case stands is finished, "
    "and its blank canvas. Where no name is known, everybody's count: say on the page Review who looks."
)
CORRECTIONS_HIDDEN = (
    "Readers' corrections are offered once it is known who looks, and kept as known to that name: to sign another word "
    "than None, say on the page **Review** under whose name the team decides."
)
CONSENSUS_HIDDEN = "Hidden until the reader study in which the case stands is finished, and its blank canvas."


def _consensus(shown: Shown, person: Person, case_id: str) -> None:
    """Which outline the team agrees on and what the automatic one needs, signed as an adjudication."""
    mask = automatic_tumour(shown.study, shown.run.run_id, case_id)
    if mask is None or not may(person, "judge"):
        st.caption("There is no automatic outline to judge.")
        return
    if _is_blind(shown, case_id):
        st.caption(CONSENSUS_HIDDEN)
        return
    rows, reader, seen = review_state(shown.study).verdicts, current_reader(), mask_key(mask)
    corrections = () if reader is None else drawings_to_take(rows, case_id, seen, "")
    if reader is not None and any(v.reader != reader.name for v in corrections):
        show_words(shown.study, reader.name, case_id, seen)
    offered = {v.drawn_key: f"{v.reader}'s correction" for v in corrections}
    masks = {"": "The automatic outline", **offered}
    with st.form(f"meeting-consensus-{case_id}"):
        word = st.radio(
            "Correction the outline needs", JUDGEMENTS, None, format_func=WORDS.__getitem__, horizontal=True
        )
        drawn_key = st.radio("Outline that is measured", list(masks), None, format_func=masks.__getitem__)
        if reader is None:
            st.caption(CORRECTIONS_HIDDEN)
        elif not offered:
            st.caption("Nobody has corrected it: to sign another word than None, draw on the page **Review** first.")
        reason = st.selectbox("Reason", ("", *REASONS))
        name = st.text_input("Signed by", reader.name if reader else "", max_chars=40, disabled=reader is not None)
        again = st.text_input("Why it changes, where it was adjudicated before")
        if st.form_submit_button("Sign as consensus"):
            who = reader or Reader(name.strip(), NAMED_HIMSELF)
            missing = _missing(word, drawn_key, reason) or name_fault(who, simulated_readers(rows))
            if missing or word is None or drawn_key is None:
                st.error(missing)
                return
            words = (case_id, "tumour", who.name, word, "" if word == "none" else reason, "", 0.0, "", seen)
            verdict = Verdict(*words, amends=again.strip(), identity=who.identity, drawn_key=drawn_key)
            _sign(shown, person, verdict, masks[drawn_key])


def _missing(word: str | None, drawn_key: str | None, reason: str) -> str:
    """Why a consensus cannot be signed yet, in words; empty when it can."""
    if word is None or drawn_key is None:
        return "Not signed: say what the outline needs and which outline is measured."
    if (word == "none") != (drawn_key == ""):
        return "Not signed: None goes with the automatic outline, Minor, Major and Missed with a corrected one."
    return "" if word == "none" or reason else "Not signed: choose the reason for the correction."


def _sign(shown: Shown, person: Person, verdict: Verdict, named: str) -> None:
    try:
        sign_consensus(shown.study, person, verdict)
        st.success(f"Signed. {named} counts as adjudicated from the next run on.")
    except UnsignedError as error:
        st.error(f"Not signed: {error}.")
