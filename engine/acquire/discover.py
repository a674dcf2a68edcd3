"""What is in a tree of images: the cases that may be read and what is refused before reading."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.content_index import ContentIndex
from engine.acquire.csv_table import patient_rows, read_table
from engine.acquire.dicom_cases import dicom_patients
from engine.acquire.file_cases import listed_cases, named_cases
from engine.acquire.patient_files import PatientFiles
from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms
from engine.protocol import Protocol
from store.records import Refusal, RefusedError
from store.sources import CaseSource, ClinicalSource, FeatureTableSource
from store.tombstones import withdrawn_cases

IMAGE_TABLE = "images.csv"
UPLOAD_PREFIX = "upload-"  # an upload that was kept is a folder of its own: a table beside it does not list its cases
STUDY_FOLDERS = (PRIVATE_FOLDER, "artifacts", "snapshots")


@dataclass(frozen=True, slots=True)
class Discovery:
    """The cases found, what was refused, and the way from patient ids to case ids (it never leaves memory)."""

    cases: tuple[CaseSource, ...]
    refusals: tuple[Refusal, ...]
    patients: tuple[tuple[str, str], ...] = ()


def discover(directory: Path, protocol: Protocol, pseudonyms: Pseudonyms, joining: Path | None = None) -> Discovery:
    """Find the cases of a study's image folder in any mix of layouts; reads headers and hashes, never pixels.

    DICOM anywhere below (case = PatientID), `<case>/image.nii.gz`, flat `<case>[_CT]_image.nii.gz`, or an images.csv;
    beside that table the uploads kept from the browser, each with its own layout.
    An upload that is `joining` is read as if it were kept. A patient found in two places is refused. ValueError where
    the image folder does not exist.
    """
    root = directory / Path(protocol.images.root)
    if not protocol.images.root or not root.is_dir():
        raise ValueError("images.root must name an existing folder; set it in study.toml")
    index = ContentIndex(directory)
    cases: list[CaseSource] = []
    refusals: list[Refusal] = []
    added = [joining] if joining else []
    uploads = [path for path in sorted(root.glob(f"{UPLOAD_PREFIX}*")) if path.is_dir()] + added
    found = dicom_patients([path for folder in (root, *added) for path in image_files(folder)], protocol, index)
    try:
        found += _file_patients(root, uploads, _waiting(directory, root), protocol, index)
    except RefusedError as error:
        refusals.append(refusal_of("", error))
    refusals += [refusal_of("", one.problem) for one in found if not one.patient_id and one.problem]
    counts = Counter(one.patient_id for one in found if one.patient_id)
    gone = withdrawn_cases(directory)
    for one in sorted((f for f in found if f.patient_id), key=lambda f: f.patient_id):
        case_id = pseudonyms.case_id(one.patient_id)
        if case_id in gone:
            pseudonyms.forget(case_id)
            refusals.append(_withdrawn(case_id))
            for file in CaseSource(case_id, one.layout, one.files, prior=one.prior).every_file:
                index.forget(file.path)
            del counts[one.patient_id]
            continue
        problem = one.problem if counts[one.patient_id] == 1 else _found_twice()
        if problem is not None:
            refusals.append(refusal_of(case_id, problem))
        else:
            parts = (one.layout, one.files, one.choice, one.alternatives, one.columns, one.prior)
            cases.append(CaseSource(case_id, *parts))
    pseudonyms.save()
    index.save()
    pairs = _pairs(counts, pseudonyms)
    return Discovery(tuple(cases), tuple(dict.fromkeys(refusals)), pairs)


def refusal_of(case_id: str, error: RefusedError) -> Refusal:
    """A refused input as a record."""
    return Refusal(case_id, error.code, error.file, error.message, error.remedy)


def clinical_source(directory: Path, protocol: Protocol, patients: Sequence[tuple[str, str]]) -> ClinicalSource | None:
    """The study's clinical files with hashes and the patients they are read for; None where it names no file."""
    if not protocol.clinical.files:
        return None
    index = ContentIndex(directory)
    paths = [directory / Path(name) for name in protocol.clinical.files]
    missing = [number for number, path in enumerate(paths, 1) if not path.is_file()]
    if missing:
        raise _missing_table(f"clinical table {missing[0]}")
    files = tuple(index.source(f"clinical table {number}", path) for number, path in enumerate(paths, 1))
    index.save()
    return ClinicalSource(files, tuple(patients))


def feature_table_source(directory: Path, protocol: Protocol, pseudonyms: Pseudonyms) -> FeatureTableSource:
    """The imported feature table with its hash, and its patients as case ids."""
    path = directory / Path(protocol.features_table.file)
    if not path.is_file():
        raise _missing_table("feature table")
    index = ContentIndex(directory)
    source = index.source("feature table", path)
    index.save()
    table = read_table(path, source.role)
    if protocol.features_table.rater:
        ids = list(dict.fromkeys(table.column(protocol.features_table.id)))
    else:
        ids = list(patient_rows(table, protocol.features_table.id))
    gone = withdrawn_cases(directory)
    pairs = tuple((patient, pseudonyms.case_id(patient)) for patient in ids)
    cases = tuple((patient, case_id) for patient, case_id in pairs if case_id not in gone)
    for case_id in gone:
        pseudonyms.forget(case_id)
    pseudonyms.save()
    return FeatureTableSource(source, cases)


def _pairs(counts: Counter[str], pseudonyms: Pseudonyms) -> tuple[tuple[str, str], ...]:
    return tuple((patient, pseudonyms.case_id(patient)) for patient in sorted(counts))


def _withdrawn(case_id: str) -> Refusal:
    text = "the patient withdrew; nothing of his files was read."
    return Refusal(case_id, "withdrawn", "image folder", text, "Remove his files from the image folder.")


def _found_twice() -> RefusedError:
    text = "the patient is found in two places of the image folder."
    return RefusedError("duplicate_case", "image folder", text, "Keep one.")


def _missing_table(role: str) -> RefusedError:
    return RefusedError("missing_file", role, "the file is not there.", "Correct its name in study.toml.")


def _waiting(directory: Path, root: Path) -> Path | None:
    """The image folder itself where it is an upload that waits in the study's private folder."""
    return root if root.resolve().is_relative_to((directory / PRIVATE_FOLDER).resolve()) else None


def _file_patients(
    root: Path, uploads: Sequence[Path], within: Path | None, protocol: Protocol, index: ContentIndex
) -> list[PatientFiles]:
    """Cases of the image folder and, each by its own table or names and from its own folder only, of the uploads."""
    own = [path for path in image_files(root) if not any(path.is_relative_to(upload) for upload in uploads)]
    found = _file_cases(root, own, protocol, index, within)
    for upload in uploads:
        found += _file_cases(upload, image_files(upload), protocol, index, upload)
    return found


def _file_cases(
    folder: Path, files: list[Path], protocol: Protocol, index: ContentIndex, within: Path | None
) -> list[PatientFiles]:
    table = folder / IMAGE_TABLE
    if table.is_file():
        return listed_cases(table, protocol.images, index, within)
    return named_cases(files, protocol.images, index)


def image_files(root: Path) -> list[Path]:
    """The files below a folder in order of their paths, links followed, none hidden and none that the study wrote."""
    found: list[Path] = []
    seen: set[Path] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in STUDY_FOLDERS)
        found += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    return found
