"""The entry of the app: the gate, then the menu. A folder under pages/ is a section, a file in it is a page."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from pages.gate import admit, visitor_line  # noqa: E402
from pages.menu import SECTIONS, START  # noqa: E402

st.set_page_config(
    page_title="Cohortscope",
    page_icon=str(ROOT / "pages" / "favicon.svg"),
    layout="wide",
    initial_sidebar_state="auto",
)
st.html(ROOT / "pages" / "narrow.css")
visitor_line(admit())


def start() -> None:
    """The bare address leads to the first page."""
    st.switch_page(str(ROOT / START))


menu: dict[str, list[st.Page]] = {
    section: [st.Page(str(ROOT / path), title=title) for path, title in pages] for section, pages in SECTIONS
}
menu["Study"] = [st.Page(start, title="Start", default=True, visibility="hidden"), *menu["Study"]]
presenting = bool(st.query_params.get("present"))
page = st.navigation(menu, position="hidden" if presenting else "sidebar", expanded=True)
st.set_page_config(page_title=f"{page.title} · Cohortscope")
page.run()
