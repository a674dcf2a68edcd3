"""What is in a tree of images: the cases that may be read and what is refused before reading."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.acquire.content_index import ContentIndex
from engine.acquire.csv_table import patient_rows, read_table
from engine.acquire.dicom import is_dicom
from engine.acquire.dicom_cases import dicom_patients
from engine.acquire.file_cases import IMAGE_ROLE, SAME_IMAGE, listed_cases, named_cases, stem_of
from engine.acquire.patient_files import PatientFiles
from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms
from engine.protocol import Protocol
from store.records import Refusal, RefusedError
from store.sources import CaseSource, ClinicalSource, FeatureTableSource
from store.tombstones import withdrawn_cases

IMAGE_TABLE = "images.csv"
UPLOAD_PREFIX = "upload-"  # an upload that was kept is a folder of its own: a table beside it does not list its cases
STUDY_FOLDERS = (PRIVATE_FOLDER, "artifacts", "snapshots")
# what file servers, desktops and an import that goes on keep beside the files of a user: never his, never looked into
NOT_OF_USERS = re.compile(r"\.snapshots?|\.zfs|\.Trashes|\.Trash-[0-9]+|\.nfs[0-9a-f]+|\.unpacking-.+")
OF_THE_SYSTEM = ("lost+found", "system volume information", "$recycle.bin")  # closed on every disk that has one
HIDDEN_IMAGES = "hidden_images"
APPLE_DOUBLE = "._"  # beside each file that a Mac wrote to a foreign disk: what its own disk keeps apart, no image


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
    own = study_folders(directory.resolve(), root)
    cases: list[CaseSource] = []
    refusals: list[Refusal] = []
    added = [joining] if joining else []
    uploads = [path for path in sorted(root.glob(f"{UPLOAD_PREFIX}*")) if path.is_dir()] + added
    found = dicom_patients([path for folder in (root, *added) for path in image_files(folder, own)], protocol, index)
    try:
        found += _file_patients(root, uploads, own, _waiting(directory, root), protocol, index)
    except RefusedError as error:
        refusals.append(refusal_of("", error))
    refusals += [refusal_of("", one) for folder in (root, *added) for one in _hidden_images(folder, own)]
    refusals += [refusal_of("", one) for folder in (root, *added) for one in _closed_folders(folder, own)]
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
    return Discovery(_twins_marked(cases), tuple(dict.fromkeys(refusals)), pairs)


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


def _twins_marked(cases: Sequence[CaseSource]) -> tuple[CaseSource, ...]:
    """The cases, those whose image file is also another case's with the beginning of its hash, which names nobody."""
    images = {case.case_id: file.sha256 for case in cases for file in case.files if file.role == IMAGE_ROLE}
    counts = Counter(images.values())
    twins = {case_id: (SAME_IMAGE, sha256[:8]) for case_id, sha256 in images.items() if counts[sha256] > 1}
    return tuple(
        replace(case, columns=(*case.columns, twins[case.case_id])) if case.case_id in twins else case for case in cases
    )


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
    root: Path,
    uploads: Sequence[Path],
    own: Sequence[Path],
    within: Path | None,
    protocol: Protocol,
    index: ContentIndex,
) -> list[PatientFiles]:
    """Cases of the image folder and, each by its own table or names and from its own folder only, of the uploads."""
    apart = [path for path in _named_files(root, own) if not any(path.is_relative_to(upload) for upload in uploads)]
    found = _file_cases(root, apart, protocol, index, within)
    for upload in uploads:
        found += _file_cases(upload, _named_files(upload, own), protocol, index, upload)
    return found


def _file_cases(
    folder: Path, files: list[Path], protocol: Protocol, index: ContentIndex, within: Path | None
) -> list[PatientFiles]:
    table = folder / IMAGE_TABLE
    if table.is_file():
        return listed_cases(table, protocol.images, index, within)
    return named_cases(files, protocol.images, index)


def study_folders(study: Path, root: Path) -> tuple[Path, ...]:
    """The folders that a study writes itself, unless its images lie in one: no image folder holds them."""
    return tuple(study / name for name in STUDY_FOLDERS if not root.resolve().is_relative_to(study / name))


def image_files(root: Path, own: Sequence[Path]) -> list[Path]:
    """The files below a folder in order of their paths, links followed, none hidden and none of the study's `own`."""
    return [folder / name for folder, _, names in _walk(root, own) for name in names if not name.startswith(".")]


def _named_files(root: Path, own: Sequence[Path]) -> list[Path]:
    """The image files of a folder by their names, and folders so named, which are refused rather than passed over.

    A folder that holds the file of its own name (`x.nii/x.nii`, as some downloads are packed) stands for nothing.
    """
    found: list[Path] = []
    for folder, folders, names in _walk(root, own):
        empty = [name for name in folders if stem_of(Path(name)) and not os.path.exists(folder / name / name)]
        found += [folder / name for name in (*empty, *names) if stem_of(Path(name)) and not name.startswith(".")]
    return found


def _walk(
    root: Path, own: Sequence[Path], on_error: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder once, with the names of its folders and files; hidden folders are named but not entered."""
    seen: set[Path] = set()
    for folder, folders, names in os.walk(root, onerror=on_error, followlinks=True):
        real = Path(folder).resolve()
        if real in seen or real in own:
            folders.clear()
            continue
        seen.add(real)
        inside = sorted(one for one in folders if real / one not in own)
        folders[:] = [one for one in inside if not one.startswith(".")]
        yield Path(folder), inside, sorted(names)


def _closed_folders(root: Path, own: Sequence[Path]) -> list[RefusedError]:
    """What is said of folders that cannot be listed: whose images lie in them is not known."""
    closed: list[OSError] = []
    for _ in _walk(root, own, closed.append):
        pass
    closed = [error for error in closed if Path(str(error.filename)).name.lower() not in OF_THE_SYSTEM]
    text = f"{len(closed)} folders cannot be listed: what lies in them was not read."
    remedy = "Give the account that runs Cohortscope the right to read them."
    return [RefusedError("closed_folder", "image folder", text, remedy)] if closed else []


def _hidden_images(root: Path, own: Sequence[Path]) -> list[RefusedError]:
    """What is said of images under hidden names, unless a link that is not hidden leads to them."""
    hidden = [path for path in _hidden_files(root, own) if _is_image(path)]
    if not hidden:
        return []
    seen = {os.path.realpath(path) for path in image_files(root, own)}
    count = sum(os.path.realpath(path) not in seen for path in hidden)
    text = f"{count} images under names with a dot in front were not read."
    remedy = "Take the dot off these names, or take the images out of the folder."
    return [RefusedError(HIDDEN_IMAGES, "image folder", text, remedy)] if count else []


def _hidden_files(root: Path, own: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in _walk(root, own):
        found += [folder / name for name in names if name.startswith(".")]
        for one in (name for name in folders if name.startswith(".") and not NOT_OF_USERS.fullmatch(name)):
            found += _files_below(folder / one)
    return [path for path in found if not path.name.startswith(APPLE_DOUBLE) and not NOT_OF_USERS.fullmatch(path.name)]


def _files_below(hidden: Path) -> list[Path]:
    found: list[Path] = []
    for inside, folders, names in os.walk(hidden):
        folders[:] = [name for name in folders if not NOT_OF_USERS.fullmatch(name)]
        found += [Path(inside) / name for name in names]
    return found


def _is_image(path: Path) -> bool:
    return os.path.isfile(path) and (bool(stem_of(path)) or is_dicom(path))
