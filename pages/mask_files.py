"""Masks as files: out to 3D Slicer or ITK-SNAP, and back in as a new version."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from engine.review.grants import Grant, session_digest
from engine.run.drawing import BLIND, has_segment
from engine.run.reading_desk import ct_file, mask_file, segmentation_file, take_mask
from store.access import Person
from store.records import RefusedError

KINDS = ["gz", "nii", "nrrd", "dcm"]


def mask_files(study: Path, person: Person, grant: Grant, can_draw: bool) -> None:
    """Downloads of the mask on screen and of its CT, and the way back in where the reading is not signed."""
    with st.sidebar.expander("Mask as a file"):
        st.caption("For 3D Slicer or ITK-SNAP. Edit the mask on its own grid, then bring it back here.")
        before = "" if grant.mode in BLIND else f"{grant.case_id}_"
        _hand_out("Mask (NIfTI)", partial(mask_file, study, person, grant), f"{before}mask.nii.gz")
        _hand_out("CT (NIfTI)", partial(ct_file, study, person, grant), f"{before}ct.nii.gz")
        if grant.mode in BLIND:
            st.caption("No DICOM SEG here: it names its series, and this mode hides which case is shown.")
        elif has_segment(study, grant):
            _hand_out("Mask (DICOM SEG)", partial(segmentation_file, study, person, grant), f"{before}mask.dcm")
        if can_draw:
            _take_in(study, person, grant)


def _hand_out(label: str, made: Callable[[], bytes], name: str) -> None:
    """A download that is made when asked for; the page does not run again, which would throw the file away."""
    st.download_button(label, made, name, key=f"export-{label}", on_click="ignore")


def _take_in(study: Path, person: Person, grant: Grant) -> None:
    reading = session_digest(repr((grant.case_id, grant.mode, grant.reading)))  # reaches the browser: no case in it
    sent = st.file_uploader("Edited mask", KINDS, key=f"import-{reading}")
    if sent is None or not st.button("Store as a new version", key="import-store"):
        return
    try:
        saved = take_mask(study, person, grant, sent.getvalue(), sent.name)
    except RefusedError as error:
        st.error(f"Not stored: {error.message} {error.remedy}")
        return
    stored = "Stored" if grant.mode in BLIND else f"Stored as version {saved.version}"
    st.success(f"{stored}: {saved.voxels} voxels.")
    st.rerun()
