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
    return _key(shown.study, shown.run.run_id, case_id, segmentations(shown.study, shown.run.run_id).get(case_id, ""))


def present_verdicts(shown: Shown, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """Verdicts without those on a mask that is no more; the mask of every case that anybody judged is read for it."""
    made = segmentations(shown.study, shown.run.run_id)
    judged = {v.case_id for v in verdicts if v.mask_key}
    keys = {case: _key(shown.study, shown.run.run_id, case, made[case]) for case in sorted(judged & made.keys())}
    return on_present_masks(verdicts, keys)


@st.cache_data(max_entries=8192, show_spinner="Reading which masks were judged")
def _key(study: Path, _run_id: str, _case_id: str, segmentation: str) -> str:
    del segmentation  # what is kept under it holds for every run and case with the same one
    mask = automatic_tumour(study, _run_id, _case_id)
    return "" if mask is None else mask_key(mask)
