"""What the discovery found of one patient, before pseudonyms: in memory only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from store.records import RefusedError
from store.sources import PriorSource, SourceFile

LABEL = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class PatientFiles:
    """The files of one patient by role, or the reason why they may not be read."""

    patient_id: str
    layout: str  # dicom | files
    files: tuple[SourceFile, ...]
    choice: str = ""
    alternatives: int = 0
    columns: tuple[tuple[str, str], ...] = ()
    problem: RefusedError | None = None
    prior: PriorSource | None = None


def split_label(reference: str) -> tuple[str, int | None]:
    """A reference written `name` or `name:label` as name and label."""
    name, colon, label = reference.rpartition(":")
    return (name, int(label)) if colon and LABEL.fullmatch(label) else (reference, None)
