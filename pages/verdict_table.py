"""What was said of one case, as a table: one's own words at once, the others' once one has signed oneself."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.frame import table
from store.records import Verdict
from store.reviews import READER_STUDY

TITLES = {
    "signed_at": "Signed (UTC)",
    "reader": "Reader",
    "mode": "Mode",
    "structure": "Structure",
    "judgement": "Correction needed",
    "reason": "Reason",
    "comment": "Comment",
    "active_seconds": "Seconds",
    "amends": "Why it changed",
}


def verdict_table(verdicts: Sequence[Verdict], case_id: str, reader: str, knows: bool, *, study_open: bool) -> None:
    """The words on a case; knows: the reader may see those of others.

    study_open: he has a reader study to finish, so his words in it are left out, which would tell of repeats.
    """
    said = [v for v in verdicts if v.case_id == case_id and (v.mask_key or v.drawn_key)]
    told = [v for v in said if not (study_open and v.reader == reader and v.mode == READER_STUDY)]
    shown_here = [v for v in told if knows or v.reader == reader]
    st.subheader(f"Verdicts on {case_id} ({len(shown_here)})", anchor=False)
    hidden = len(told) - len(shown_here)
    if hidden:
        st.caption(f"{hidden} verdict(s) of others are hidden until you have signed yours.")
    if shown_here:
        table(shown_here, TITLES)
    elif not hidden:
        st.caption("No reader has signed a verdict on this case.")
