"""Which automatic mask of a case is judged now; read once for each segmentation, kept over generations and runs."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.review.reading_list import on_present_masks
from engine.run.review_volumes import automatic_tumour
from pages.frame import Shown
from store.queries.reviews import segmentations
from store.records import Verdict
from store.volumes import mask_key


def judged_key(shown: Shown, case_id: str) -> str:
    """The key of the automatic tumour that is judged; empty where there is none."""
    made = segmentations(shown.study, shown.run.run_id).get(case_id, shown.run.run_id)
    return _key(shown, case_id, made)


def present_verdicts(shown: Shown, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Verdicts without those on a mask that is no more; the mask of every case that anybody judged is read for it."""
    made = segmentations(shown.study, shown.run.run_id)
    judged = {case: made[case] for case in sorted({v.case_id for v in verdicts if v.mask_key} & made.keys())}
    if judged.items() <= _known(shown.study).keys():
        keys = {case: _key(shown, case, key) for case, key in judged.items()}
    else:
        with st.spinner("Reading which masks were judged"):
            keys = {case: _key(shown, case, key) for case, key in judged.items()}
    return on_present_masks(verdicts, keys)


def _key(shown: Shown, case_id: str, made: str) -> str:
    """The key of the mask of one segmentation, for every run that has it; of a case without one, for its run alone."""
    known = _known(shown.study)
    if (case_id, made) not in known:
        mask = automatic_tumour(shown.study, shown.run.run_id, case_id)
        known[case_id, made] = "" if mask is None else mask_key(mask)
    return known[case_id, made]


@st.cache_resource(show_spinner=False)
def _known(study: Path) -> dict[tuple[str, str], str]:
    """Keys of automatic tumours by case and by what it was segmented with; one for all sessions."""
    del study
    return {}
