"""The report: slides, web page, PDF or single figures, at a level of disclosure; methods, results, checklists."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.present.browser import browser_path
from engine.present.checklists.items import open_sentence
from engine.present.disclosure import AGGREGATE, IMAGES, LEVELS
from engine.present.pack import SENTENCE_LEVEL, Pack
from engine.run.meeting_desk import make_report
from engine.run.meeting_pack import build_pack, key_cases, picture_bytes, shown_run
from pages.blinding import blind_cases
from pages.frame import Shown, answer, begin, end, grid
from pages.gate import may
from pages.keep import basket_owner
from pages.looking import looker, remember_looks
from pages.menu import page_file
from store.meeting import basket

KINDS = {".pptx": "PowerPoint slides", ".html": "Web page (one file)", ".pdf": "PDF"}
MIME = {
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
LEVEL_NAMES = {"aggregate": "Aggregate", "pseudonymised": "Pseudonymised", "images": "Pseudonymised, with images"}
RESULT_TITLES = {"what": "Result", "ours": "This study", "paper": "The paper", "comparable": "May they be compared?"}
IMAGES_HIDDEN = (
    "Without images of cases that wait to be read in a reader study or on a blank canvas: in yours, or in anybody's "
    "where no name is known."
)
ITEM_TITLES = {"number": "No.", "topic": "Item", "state": "State", "evidence": "Evidence"}


@st.cache_data(max_entries=4, show_spinner="Reading the results")
def pack_of(study: str, run_id: str, generation: str, owner: str, count: int) -> Pack:
    """What the report says, at the level that everybody may see."""
    del generation, count
    return build_pack(shown_run(shown.study, run_id), AGGREGATE, owner)


def offered_levels(shown: Shown) -> list[str]:
    """The levels that the person may export."""
    return [level for level in LEVELS if level == AGGREGATE or may(shown.person, "export pseudonymised")]


def whole_report(shown: Shown, owner: str, level: str) -> None:
    """Build a report and hand it out."""
    kinds = [kind for kind in KINDS if kind != ".pdf" or browser_path() is not None]
    kind = st.sidebar.radio("As", kinds, format_func=KINDS.__getitem__, key="report-kind")
    if ".pdf" not in kinds:
        st.sidebar.caption("PDF needs a Chromium on this computer.")
    wanted = (level, kind, shown.run.run_id, owner)
    if st.sidebar.button("Build the report", type="primary", width="stretch"):
        with st.spinner("Building"):
            try:
                who, hidden = looker(shown.person), hidden_at(level)
                raw = make_report(shown.study, who, owner, level, kind, shown.run.run_id, hidden)
                if level == IMAGES:
                    remember_looks(row.case_id for row in key_cases(shown_run(shown.study, shown.run.run_id), hidden))
                st.session_state["report-made"] = (wanted, raw)
            except (RuntimeError, ValueError) as error:
                st.sidebar.error(str(error))
    made = st.session_state.get("report-made")
    if made is not None and made[0] == wanted:
        st.sidebar.download_button("Download", made[1], f"meeting{kind}", MIME[kind], width="stretch")


def hidden_at(level: str) -> frozenset[str]:
    """The cases whose images stay out of a report, because whoever asks has yet to read them blinded."""
    return blind_cases(shown.study, shown.snapshot, shown.run.run_id) if level == IMAGES else frozenset()


def single_figure(pack: Pack) -> None:
    """One figure as a picture, with caption and provenance under it."""
    drawn = [exhibit for exhibit in pack.exhibits if exhibit.figure is not None]
    if not drawn or browser_path() is None:
        st.caption("A picture of a single figure needs a Chromium on this computer.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.selectbox(
            "Figure", range(len(drawn)), format_func=lambda at: f"{at + 1}. {drawn[at].title}", key="report-figure"
        )
        kind = st.selectbox("As", (".png", ".svg"), key="report-picture", width=120)
        if st.button("Draw it"):
            with st.spinner("Drawing"):
                st.session_state["report-picture-made"] = (place, kind, picture_bytes(drawn[place], kind))
    made = st.session_state.get("report-picture-made")
    if made is not None and made[:2] == (place, kind):
        st.download_button("Download the picture", made[2], f"figure{kind}", MIME[kind])
        if kind == ".png":
            st.image(made[2], width=720, alt=drawn[place].caption)


def checklists(pack: Pack) -> None:
    """The three checklists, a tab each, with the way to the page that shows the evidence."""
    for tab, found in zip(st.tabs([c.name for c in pack.checklists]), pack.checklists, strict=True):
        with tab:
            st.markdown(open_sentence(found))
            rows = [{title: getattr(item, name) for name, title in ITEM_TITLES.items()} for item in found.items]
            links = [f"/{item.page}" if page_file(item.page) else None for item in found.items]
            frame = pd.DataFrame(rows).assign(Page=links)
            columns = {"Page": st.column_config.LinkColumn("Page", display_text=r"/(.*)")}
            grid(frame, column_config=columns, height=420)
            st.caption(
                f"{found.source} In our own words; no score is given. What was found is still the author's to judge."
            )


shown = begin("What do we take home?")
owner = basket_owner(shown.person)
count = len(basket(shown.study, owner))
pack = pack_of(str(shown.study), shown.run.run_id, shown.snapshot.generation, owner, count)
chosen = (
    f"the {count} figures of the meeting of {owner}" if count else "the figures of the paper (the meeting is empty)"
)
answer(f"The report holds {chosen}, the results beside the paper's, the methods and three checklists. {pack.answer}")
st.sidebar.subheader("Report", anchor=False)
level = st.sidebar.radio("Level", offered_levels(shown), format_func=LEVEL_NAMES.__getitem__, key="report-level")
st.sidebar.caption(SENTENCE_LEVEL[level])
if hidden_at(level):
    st.sidebar.caption(IMAGES_HIDDEN)
whole_report(shown, owner, level)

st.subheader("Results in the order of the paper", anchor=False)
st.table([{title: getattr(row, name) for name, title in RESULT_TITLES.items()} for row in pack.results])
st.caption(f"n stands in each line. The paper: 153 patients, from its abstract. {pack.level_sentence}")
st.subheader("A single figure", anchor=False)
single_figure(pack)
st.subheader("Methods, from the protocol", anchor=False)
st.markdown(pack.methods)
st.subheader("Checklists", anchor=False)
checklists(pack)
end(shown)
