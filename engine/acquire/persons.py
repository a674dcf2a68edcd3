"""Whether the files of one patient id may be of several people: by birth date, sex and issuer of the id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from engine.acquire.dicom import DicomHeader
from store.records import Flag, RefusedError
from store.sources import CaseSource

TWO_PEOPLE = "two_people"
ISSUER = "issuer of the id"
TRAITS = ("birth date", "sex", ISSUER)  # as DicomHeader.person has them


def differing_traits(headers: Sequence[DicomHeader], ct_series: Set[str]) -> str:
    """What of the person differs between files of one patient id, in words; what a file does not say differs from none.

    Outlines that name one of the patient's CT series are of the person on that CT: planning systems have issuers and
    placeholders of their own. RefusedError `two_people` where birth date or sex of other files differ, or the issuer
    and not every issuer's files say the birth date: two hospitals may give one number to two people.
    """
    others = [h for h in headers if not h.outline_kind or ct_series.isdisjoint(h.referenced_series)]
    apart = _differing(others)
    said = {(born, issuer) for born, _, issuer in (header.person for header in others)}
    undated = {issuer for _, issuer in said} - {issuer for born, issuer in said if born}
    if apart and (apart != [ISSUER] or undated - {""}):
        text = f"files of one PatientID differ in {', '.join(apart)}: they may be of two people."
        raise RefusedError(TWO_PEOPLE, "DICOM files", text, "Give each person an id, or correct the files.")
    return ", ".join(_differing(headers))


def person_flags(source: CaseSource) -> tuple[Flag, ...]:
    """A flag where the discovery found that files of the case differ in what they say of the person."""
    found = [value for name, value in source.columns if name == TWO_PEOPLE]
    text = "files of one PatientID differ in {}, though outlines name the CT series, or birth date and sex agree."
    return tuple(Flag("acquire", TWO_PEOPLE, text.format(one), "Check that they are of one person.") for one in found)


def _differing(headers: Iterable[DicomHeader]) -> list[str]:
    said = zip(*(header.person for header in headers), strict=True)
    return [trait for trait, values in zip(TRAITS, said, strict=False) if len(set(values) - {""}) > 1]
