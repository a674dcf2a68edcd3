"""Whether the readers agree with each other and with themselves, what they said, and what it cost them."""

from __future__ import annotations

import streamlit as st

from engine.metrics.readers import (
    PairAgreement,
    ReaderSummary,
    intra_reader,
    left_out,
    order_effect,
    pair_agreements,
    readers_of,
    repeats_left_out,
    summaries,
)
from engine.present.figures.readers import judgement_shares, judgement_table
from engine.present.wording.review import (
    aware_sentence,
    intra_sentence,
    left_out_sentence,
    masks_hidden,
    masks_left_out,
    order_effect_sentence,
    other_masks_sentence,
    pair_rows,
    readers_answer,
    repeats_left_out_sentence,
    seconds_beside,
    share_sentence,
    table_caption,
    which_masks,
)
from engine.review.reading_list import cases_known
from engine.run.review_desk import protocol_of
from pages.blinding import still_blind
from pages.frame import Shown, answer, begin, end, figure, table
from pages.judged_masks import present_verdicts
from pages.reader import current_reader
from store.queries.inference import step_seconds
from store.queries.reviews import ReviewState, review_state, stored_order
from store.records import Verdict
from store.reviews import READER_STUDY, WORK_LIST

MODES = {"": "All readings", WORK_LIST: "Work list", READER_STUDY: "Reader study"}
PAIR_TITLES = {
    "first": "Reader",
    "second": "and",
    "n": "Cases",
    "agreed": "Alike",
    "kappa": "Weighted kappa (95 % CI)",
    "ac1": "Gwet's AC1 (95 % CI)",
    "positive": "Positive agreement (95 % CI)",
}
HISTORY_TITLES = {
    "saved_at": "Saved (UTC)",
    "case_id": "Case",
    "version": "Version",
    "reader": "Reader",
    "origin": "Origin",
    "via": "By",
    "volume_ml": "Volume (ml)",
    "edit_dsc": "DSC to the automatic mask, as saved",
    "volume_change_percent": "Volume change (%)",
}
PRESENT, EARLIER = "As they are now", "Earlier ones"
EMPTY = "Nobody has signed a verdict. Open **Review**, say who you are, and judge a case."


def on_earlier(outdated: tuple[Verdict, ...]) -> bool:
    """Whether verdicts on masks that are no more are asked for: never together with those on the present ones."""
    return bool(outdated) and st.sidebar.selectbox("Automatic masks", (PRESENT, EARLIER), key="masks") == EARLIER


def pairs_of(pairs: tuple[PairAgreement, ...]) -> None:
    """The table of one pair, then the coefficients of all."""
    if not pairs:
        st.caption(
            "Two readers must have judged the same mask of at least one case before their agreement can be said."
        )
        return
    widest = max(range(len(pairs)), key=lambda place: pairs[place].n)
    names = {f"{pair.first} and {pair.second} (n = {pair.n})": pair for pair in pairs}
    chosen = st.sidebar.selectbox("Two readers", list(names), index=widest, key="pair")
    caption = f"{table_caption(names[chosen])} {which_masks(earlier)}"
    figure(judgement_table(names[chosen]), caption, "judgement-table")
    table(pair_rows(pairs), PAIR_TITLES)


def within(verdicts: tuple[Verdict, ...], mode: str) -> None:
    """Hidden repeats, and drift with the place in the order."""
    st.subheader("Does a reader agree with himself?", anchor=False)
    in_study = verdicts if mode != WORK_LIST else ()
    st.markdown(intra_sentence(intra_reader(in_study, protocol.review, state.shown)))
    if without := repeats_left_out_sentence(repeats_left_out(in_study, state.shown)):
        st.caption(without)
    for reader in readers_of(verdicts, mode):
        order = stored_order(shown.study, reader, READER_STUDY)
        if order:
            st.markdown(order_effect_sentence(order_effect(reader, order, verdicts)))


def masks_drawn(state: ReviewState) -> None:
    """The masks that whoever looks may know of: his own and those of cases that he has signed himself."""
    reader = current_reader()
    if reader is None or still_blind(shown.study, shown.snapshot, shown.run.run_id, state, reader.name):
        st.caption(masks_hidden(named=reader is not None))
        return
    known = cases_known(state.verdicts, reader.name)
    rows = [mask for mask in state.drawn if mask.reader == reader.name or mask.case_id in known]
    if rows:
        table(rows, HISTORY_TITLES)
    st.caption(masks_left_out(len(state.drawn) - len(rows)) or ("" if rows else "No reader has saved a mask."))


def cost(shown: Shown, each: tuple[ReaderSummary, ...]) -> None:
    """Reader minutes beside machine seconds."""
    st.subheader("What does a judgement cost?", anchor=False)
    st.markdown(seconds_beside(each, step_seconds(shown.snapshot, shown.run.run_id)))


shown = begin("Do the readers agree?")
state = review_state(shown.study)
protocol = protocol_of(shown.study, shown.run.run_id)
mode = st.sidebar.selectbox("Readings", list(MODES), format_func=MODES.__getitem__, key="readings")
present = frozenset(present_verdicts(shown, state.verdicts))
outdated = tuple(v for v in state.verdicts if v not in present)
earlier = on_earlier(outdated)
verdicts = outdated if earlier else tuple(v for v in state.verdicts if v in present)
others = other_masks_sentence(sum(bool(v.mask_key) for v in {*state.verdicts} - {*verdicts}), earlier)
pairs = pair_agreements(verdicts, protocol.review, mode, state.shown)
if not readers_of(verdicts, mode):
    st.info(others or EMPTY)
    end(shown)
    st.stop()
answer(readers_answer(pairs))
pairs_of(pairs)
each = summaries(verdicts, mode, state.shown)
for without in (others, left_out_sentence(left_out(verdicts, mode, state.shown)), aware_sentence(each)):
    if without:
        st.caption(without)
st.subheader("What did each reader say?", anchor=False)
figure(
    judgement_shares(each),
    f"n = {sum(one.n for one in each)} verdicts, the last word of each; bars: Wilson's 95 % intervals. "
    f"{which_masks(earlier)}",
    "shares",
)
for one in each:
    st.markdown(share_sentence(one))
within(verdicts, mode)
cost(shown, each)
st.subheader("Masks drawn by readers", anchor=False)
masks_drawn(state)
end(shown)
