"""The button under every figure that puts it, as it is drawn with the page's filters, into the meeting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import plotly.graph_objects as go
import streamlit as st

from engine.present.catalogue import entry_of
from engine.run.meeting_desk import keep_figure
from pages.reader import current_reader
from store.access import ForbiddenActionError, Person
from store.meeting import LONGEST_TITLE, BasketItem

if TYPE_CHECKING:
    from pages.frame import Shown

# state of a session that is no filter of a page
NOT_A_FILTER = ("run", "reader", "open-case", "seen", "page-", "was-", "keep-", "meeting-", "report-")
SCALARS = (str, int, float)
LONGEST_VALUE = 200


def basket_owner(person: Person) -> str:
    """Whose meeting it is: whoever signed in; where nobody does, who the reader says he is, else this computer."""
    reader = current_reader()
    return reader.name if reader is not None else person.name


def page_address() -> str:
    """The last part of the page's address: agreement of http://host/agreement?run=…; empty where it is not known."""
    return urlparse(st.context.url or "").path.rstrip("/").rpartition("/")[2]


def keep_button(shown: Shown | None, chart: go.Figure, caption: str, key: str) -> None:
    """A small button that keeps the figure for the meeting; nothing before a run is shown."""
    if shown is None:
        return
    st.button(
        "Add to meeting",
        key=f"keep-{key}",
        type="tertiary",
        help="Puts this figure, with its present filters, into your meeting (page Meeting)",
        on_click=_keep,
        args=(shown, chart, caption, key, page_address()),
    )


def filters_now() -> dict[str, object]:
    """What is chosen in the controls of the page: plain values by the name of their control."""
    found: dict[str, object] = {}
    for name, value in sorted(st.session_state.items(), key=lambda item: str(item[0])):
        if str(name).startswith(NOT_A_FILTER) or (isinstance(value, bool) and not value):
            continue
        listed = isinstance(value, list | tuple) and bool(value) and all(isinstance(part, SCALARS) for part in value)
        if listed or (isinstance(value, SCALARS) and 0 < len(str(value)) <= LONGEST_VALUE):
            found[str(name)] = list(value) if listed else value
    return found


def _keep(shown: Shown, chart: go.Figure, caption: str, key: str, page: str) -> None:
    entry = entry_of(page, key)
    item = BasketItem(
        item_id=0,
        person=basket_owner(shown.person),
        place=0,
        page=page,
        figure_key=key,
        title=(entry.title or key.replace("-", " ").capitalize())[:LONGEST_TITLE],
        note="",
        caption=caption,
        badge=st.session_state.get("page-badge", ""),
        filters_json=json.dumps(filters_now(), ensure_ascii=False),
        figure_json=chart.to_json(),
        run_id=shown.run.run_id,
        generation=shown.snapshot.generation,
        added_at="",
    )
    try:
        keep_figure(shown.study, shown.person, item)
    except (ValueError, ForbiddenActionError) as error:
        st.toast(f"Not added: {error}")
        return
    st.toast("Added to your meeting; see the page Meeting.")
