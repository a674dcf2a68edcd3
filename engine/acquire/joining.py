"""What an upload would do to the patients whom the study has already, judged before it is kept."""

from __future__ import annotations

from pathlib import Path

from engine.acquire.check import CheckResult, FlaggedInput, RefusedInput
from engine.acquire.discover import discover
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import acquire
from engine.protocol import Protocol
from store.records import RefusedError
from store.sources import CaseSource

CODE, ROLE = "known_patient", "uploaded images"
REFUSED = "the study has this patient already, and beside the upload he could no longer be read:"
REMEDY = "Take his files out of the upload; to replace what the study has, take that out of its image folder first."


def beside_the_study(
    study: Path, protocol: Protocol, upload: Path, apart: CheckResult, pseudonyms: Pseudonyms
) -> CheckResult:
    """The gate's word on an upload, `apart`, once more with the study's own images beside it.

    A patient of the study who would drop out once the upload is kept is refused; one whose DICOM files it adds to is
    flagged. The study is discovered twice, as it is and as it would be.
    """
    if not protocol.images.root or not (study / protocol.images.root).is_dir():
        return apart
    before = discover(study, protocol, pseudonyms)
    after = discover(study, protocol, pseudonyms, joining=upload)
    held = {one.case_id: one for one in before.cases}
    known = held.keys() | {one.case_id for one in before.refusals if one.case_id and one.code != "withdrawn"}
    together = {one.case_id: one for one in after.cases}
    reasons = {one.case_id: one.message for one in after.refusals}
    dropped = set() if apart.refused else held.keys() - together.keys()  # a refused upload is not kept
    refused, flagged = [], []
    for case in sorted(dropped | (known & set(apart.accepted))):
        reason = _unreadable(together[case], protocol) if case in together else reasons.get(case, "it is not found.")
        if reason:
            refused.append(RefusedInput(case, CODE, ROLE, f"{REFUSED} {reason}", REMEDY))
        else:
            flagged.append(_joined(case, held.get(case), together[case]))
    lost = {one.case for one in refused}
    return CheckResult(
        tuple(case for case in apart.accepted if case not in lost),
        (*apart.refused, *refused),
        (*(one for one in apart.flagged if one.case not in lost), *flagged),
    )


def _unreadable(source: CaseSource, protocol: Protocol) -> str:
    """Why a case cannot be read, empty where it can."""
    try:
        acquire(source, protocol.images, protocol.acquire)
    except RefusedError as error:
        return error.message
    return ""


def _joined(case: str, held: CaseSource | None, together: CaseSource) -> FlaggedInput:
    same = held is not None and (held.files, held.prior) == (together.files, together.prior)
    read = "a run will read the same files of him as before." if same else "a run will read other files of him."
    text = f"the study has this patient already: the uploaded DICOM files join his, and {read}"
    return FlaggedInput(case, CODE, text, "Keep the upload only if the patient is the same and this is meant.")
