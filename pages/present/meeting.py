"""The team meeting: the figures that were put into it, one after the other, and what was decided about cases."""

from __future__ import annotations

import json

import streamlit as st

from engine.present.numbers import counted, moment
from engine.run.meeting_desk import (
    action_list,
    change_figure,
    fill_basket,
    note_decision,
    order_figures,
    remove_figure,
)
from engine.run.meeting_pack import filters_text
from pages.frame import Shown, answer, begin, end, table
from pages.gate import may
from pages.keep import basket_owner
from pages.menu import page_file
from pages.presenting import present, views
from store.meeting import LONGEST_NOTE, LONGEST_TITLE, BasketItem, Decision, basket, decisions
from store.queries.cohort import cases

DECISION_TITLES = {
    "case_id": "Case",
    "decision": "Decision",
    "owner": "Owner",
    "due": "Due",
    "by": "Noted by",
    "at": "Noted (UTC)",
}


def moved(items: tuple[BasketItem, ...], place: int, by: int) -> list[int]:
    """The order of the figures with one of them moved."""
    ids = [item.item_id for item in items]
    ids.insert(place + by, ids.pop(place))
    return ids


def save(shown: Shown, owner: str, item: BasketItem) -> None:
    """Keep what stands in the fields of a figure."""
    title = st.session_state[f"meeting-title-{item.item_id}"]
    note = st.session_state[f"meeting-note-{item.item_id}"]
    try:
        change_figure(shown.study, shown.person, owner, item.item_id, title, note)
    except ValueError as error:
        st.toast(f"Not changed: {error}")


def open_page(item: BasketItem) -> None:
    """Go to the page of a figure, its controls as they were when it was put in."""
    for name, value in json.loads(item.filters_json).items():
        st.session_state[name] = value
    st.switch_page(page_file(item.page))


def entry(shown: Shown, owner: str, items: tuple[BasketItem, ...], place: int) -> None:
    """One figure of the meeting with its title, note, place, and the way back to its page."""
    item = items[place]
    who = (shown.study, shown.person, owner)
    fields = {"on_change": save, "args": (shown, owner, item)}
    with st.container(border=True):
        left, right = st.columns([3, 2])
        with left:
            label = f"Title of figure {place + 1}"
            key = f"meeting-title-{item.item_id}"
            st.text_input(label, item.title, max_chars=LONGEST_TITLE, key=key, **fields)
            st.caption(item.caption)
            filters = filters_text(item.filters_json)
            st.caption(f"Page {item.page or 'unknown'}{' · ' + filters if filters else ''} · {moment(item.added_at)}")
        with right:
            key = f"meeting-note-{item.item_id}"
            st.text_area("Note", item.note, max_chars=LONGEST_NOTE, key=key, height=90, **fields)
            with st.container(horizontal=True):
                buttons = (("Up", -1, place == 0), ("Down", 1, place == len(items) - 1))
                for name, by, at_end in buttons:
                    order = (*who, moved(items, place, by)) if not at_end else ()
                    key = f"meeting-{name}-{item.item_id}"
                    st.button(name, key=key, disabled=at_end, on_click=order_figures, args=order)
                key = f"meeting-drop-{item.item_id}"
                st.button("Take out", key=key, on_click=remove_figure, args=(*who, item.item_id))
                if page_file(item.page) and st.button("Open page", key=f"meeting-open-{item.item_id}", type="tertiary"):
                    open_page(item)


def figures(shown: Shown, owner: str, items: tuple[BasketItem, ...]) -> None:
    """The figures in order, and how to begin."""
    if not items:
        st.info(
            "The meeting is empty. Press **Add to meeting** under any figure of any page, or begin with the paper's."
        )
        if st.button("Fill with the figures of the paper", type="primary"):
            fill_basket(shown.study, shown.person, owner, shown.run.run_id)
            st.rerun()
        return
    if st.button(
        "Present", type="primary", help="Full screen; right and left arrow for next and previous, Esc to leave"
    ):
        st.query_params.from_dict({"present": "1", "item": "1", "of": owner})
        st.rerun()
    for place in range(len(items)):
        entry(shown, owner, items, place)


def decide_form(shown: Shown) -> None:
    """Note what the team decided about a case."""
    ids = [case.case_id for case in cases(shown.snapshot, shown.run.run_id)]
    if not may(shown.person, "note decision") or not ids:
        return
    with st.form("meeting-decision", clear_on_submit=True):
        first, second, third = st.columns([2, 4, 2])
        case_id = first.selectbox("Case", ids, index=None, placeholder="Choose a case")
        decision = second.text_input("Decision", max_chars=LONGEST_NOTE)
        owner = third.text_input("Owner", max_chars=LONGEST_TITLE)
        due = third.date_input("Due", value=None)
        if st.form_submit_button("Note it"):
            noted = Decision(case_id or "", decision, owner, due.isoformat() if due else "", "", "")
            keep_decision(shown, noted)


def keep_decision(shown: Shown, noted: Decision) -> None:
    """Store a decision, or say what it lacks."""
    by = basket_owner(shown.person)
    try:
        note_decision(
            shown.study, shown.person, Decision(*(noted.case_id, noted.decision, noted.owner, noted.due, by, ""))
        )
    except ValueError as error:
        st.error(f"Not noted: {error}.")
        return
    st.toast("Noted.")


def action_table(shown: Shown) -> None:
    """What was decided, to take home."""
    found = decisions(shown.study)
    if not found:
        st.caption("Nothing has been decided yet. While presenting, click a point to see its case and decide.")
        return
    table(found, DECISION_TITLES)
    if may(shown.person, "note decision"):
        st.download_button("Action list (CSV)", action_list(shown.study, shown.person), "actions.csv", "text/csv")


def edit() -> None:
    """The figures of the meeting as a list to put in order, and what was decided."""
    shown = begin("What do we show, and what do we decide?")
    owner = basket_owner(shown.person)
    items = basket(shown.study, owner)
    answer(
        f"The meeting of **{owner}** holds **{counted(len(items), 'figure')}**; "
        f"**{counted(len(decisions(shown.study)), 'case')}** have a decision."
    )
    figures(shown, owner, items)
    st.subheader("What was decided", anchor=False)
    action_table(shown)
    decide_form(shown)
    end(shown)


presenting = bool(st.query_params.get("present"))
view = "edit" if not presenting else "case" if st.query_params.get("case") else "figure"
with views(("edit", "figure", "case"), view):
    if presenting:
        present()
    else:
        edit()
