"""What the review page may do: each action asks for its role; a file of a patient that leaves the house is audited."""

from __future__ import annotations

from pathlib import Path

from engine.review.grants import Grant
from engine.run.drawing import Saved, exported, exported_ct, exported_seg, save_from_file
from engine.run.review_desk import change_signed, keep_draft, keep_signed, sign_verdict, take_over, undo_drawing
from store.access import Person, authorise, record_action
from store.records import Verdict
from store.reviews import Draft, Reading


def keep_words(study: Path, person: Person, reading: Reading, words: Draft) -> None:
    """Autosave what a reader has said so far."""
    authorise(study, person, "judge")
    keep_draft(study, reading, words)


def sign_reading(study: Path, person: Person, verdict: Verdict) -> Verdict:
    """Sign a verdict; errors as `sign_verdict`."""
    authorise(study, person, "judge")
    return sign_verdict(study, verdict)


def reopen_reading(study: Path, person: Person, verdict: Verdict) -> None:
    """Begin a change of a signed verdict from what it says."""
    authorise(study, person, "judge")
    change_signed(study, verdict)


def leave_signed(study: Path, person: Person, reading: Reading) -> None:
    """Give up the change of a signed verdict."""
    authorise(study, person, "judge")
    keep_signed(study, reading)


def undo_correction(study: Path, person: Person, reading: Reading) -> None:
    """Judge the mask as it was again."""
    authorise(study, person, "draw")
    undo_drawing(study, reading)


def adopt_mask(study: Path, person: Person, reading: Reading, drawn_key: str) -> None:
    """Adjudicate with the drawing of a reader; errors as `take_over`."""
    authorise(study, person, "judge")
    take_over(study, reading, drawn_key)


def take_mask(study: Path, person: Person, grant: Grant, body: bytes, name: str) -> Saved:
    """Store an edited mask as a new version; errors as `save_from_file`."""
    authorise(study, person, "draw")
    return save_from_file(study, grant, body, name)


def mask_file(study: Path, person: Person, grant: Grant) -> bytes:
    """The mask of a reading as NIfTI."""
    authorise(study, person, "view images")
    record_action(study, person, "export images", f"{grant.case_id}: mask as NIfTI")
    return exported(study, grant)


def ct_file(study: Path, person: Person, grant: Grant) -> bytes:
    """The CT of a reading as NIfTI."""
    authorise(study, person, "view images")
    record_action(study, person, "export images", f"{grant.case_id}: CT as NIfTI")
    return exported_ct(study, grant)


def segmentation_file(study: Path, person: Person, grant: Grant) -> bytes:
    """The mask of a reading as DICOM SEG; errors as `exported_seg`."""
    authorise(study, person, "view images")
    record_action(study, person, "export images", f"{grant.case_id}: mask as DICOM SEG")
    return exported_seg(study, grant)
