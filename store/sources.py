"""What a stage reads from outside the store: files by role and content hash, never by name in a key."""

from __future__ import annotations

from dataclasses import dataclass

from store.records import Verdict


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file; only role and sha256 enter a key, the path stays in DIR/private."""

    role: str  # "CT slice 41", "CT image", "RTSTRUCT", "SEG", "reference mask", "left lung mask", "clinical table 1"
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CaseSource:
    """The files of one case as the discovery found them: index series, references, lungs, and why they were chosen."""

    case_id: str  # pseudonym, or the id itself where the study declares its ids public
    layout: str  # dicom | files
    files: tuple[SourceFile, ...]
    choice: str = ""  # why this series is the index series
    alternatives: int = 0
    columns: tuple[tuple[str, str], ...] = ()  # acquisition columns of images.csv (kernel, contrast, ...)


@dataclass(frozen=True, slots=True)
class ClinicalSource:
    """The clinical files and the way from the patient ids in them to case ids (patient ids never leave memory)."""

    files: tuple[SourceFile, ...]
    cases: tuple[tuple[str, str], ...]  # (patient id in the tables, case_id)


@dataclass(frozen=True, slots=True)
class FeatureTableSource:
    """A table of features somebody else extracted."""

    file: SourceFile
    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReferenceFiles:
    """IBSI's data sets and reference values: the folder that holds them; role = path below it."""

    folder: str
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class ResampleNumber:
    """Which bootstrap a task is, from 0."""

    value: int


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All signed verdicts on one case, in order of signing."""

    rows: tuple[Verdict, ...]
