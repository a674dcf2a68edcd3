"""Whose each file below an image folder is: all that a patient has there, whether the study uses it or not.

A file is a patient's by its DICOM header, by a row of images.csv, by a flat name `<case>_...`, or by lying in the
folder `<case>/`, in this order. Nothing is read but headers and tables.
"""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from engine.acquire.csv_table import BLANKS, delimited_text
from engine.acquire.dicom import is_dicom, read_header
from engine.acquire.dicom_cases import DROPPINGS, unnamed_patient
from engine.acquire.disc_directory import patients_on_disc
from engine.acquire.discover import IMAGE_TABLE, UPLOAD_PREFIX, image_files, study_folders
from engine.acquire.file_cases import (
    ACQUISITION_COLUMNS,
    ANATOMY_NAME,
    FLAT_IMAGE,
    PRIOR_NAME,
    further_roles,
    stem_of,
)
from engine.acquire.lungs import is_lung_name
from engine.acquire.patient_files import split_label
from engine.acquire.pseudonyms import Pseudonyms
from engine.protocol import Images
from store.records import RefusedError
from store.tombstones import withdrawn_cases

ROLE = "images.csv"
NOTES = (".txt", ".csv", ".json", ".md", ".toml")  # beside files of several patients they are the study's, not one's


@dataclass(frozen=True, slots=True)
class Holdings:
    """The files of some cases: theirs alone, also another case's, and those that may be theirs and name nobody."""

    own: frozenset[Path] = frozenset()
    shared: frozenset[Path] = frozenset()
    unattributed: frozenset[Path] = frozenset()
    beyond: frozenset[Path] = frozenset()  # what links in the image folder lead to outside it


@dataclass(slots=True)
class _Folder:
    """An image folder: its files as they were found by where they lie, with links in their folders resolved."""

    root: Path
    tops: frozenset[Path]  # the root and the uploads kept in it: their names are no patient's
    case_of: Callable[[str], str]
    gone: frozenset[str]  # every case that withdrew
    paths: dict[Path, Path]
    owners: dict[Path, set[str]] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)
    nameless: set[Path] = field(default_factory=set)  # DICOM files that name no patient
    directories: list[Path] = field(default_factory=list)  # of discs: DICOM files that name many
    settled: set[Path] = field(default_factory=set)  # by header, by the table of their own folder or by a flat name
    beyond: dict[Path, set[str]] = field(default_factory=dict)
    own_folders: dict[Path, str] = field(default_factory=dict)  # of `<case>/image.nii.gz`

    def claim(self, path: Path, cases: Iterable[str]) -> None:
        """Say whose a file is; where it is a link, what it leads to as well."""
        self._claim_place(place_of(path), path, cases)
        if path.is_symlink() and os.path.isfile(path):
            target = path.resolve()
            if target.is_relative_to(self.root.resolve()):
                self._claim_place(target, target, cases)
            else:
                self.beyond.setdefault(target, set()).update(cases)

    def _claim_place(self, place: Path, path: Path, cases: Iterable[str]) -> None:
        self.paths.setdefault(place, path)
        self.owners.setdefault(place, set()).update(cases)

    def case(self, patient: str) -> str:
        """The case of a patient who is named here."""
        self.patients.add(patient)
        return self.case_of(patient)

    def unclaimed(self) -> list[Path]:
        """The files of which nobody is known yet."""
        return [path for place, path in self.paths.items() if place not in self.owners]

    def top(self, path: Path) -> Path:
        """The root, or the upload kept in it, that a file lies in."""
        return next((one for one in path.parents if one in self.tops), self.root)

    def above(self, path: Path) -> Iterator[Path]:
        """The folders that a file lies in, nearest first, without the root and what is above it."""
        for folder in path.parents:
            if folder in self.tops or not folder.is_relative_to(self.root):
                return
            yield folder

    def settle(self, path: Path, cases: Iterable[str]) -> None:
        """Claim a file so that the name of no folder around it says more."""
        self.claim(path, cases)
        self.settled.add(place_of(path))

    def undecided(self) -> list[Path]:
        """The files whose names and folders still say whose they are, whoever else lists them from elsewhere."""
        return [path for place, path in self.paths.items() if place not in self.settled]

    def owners_below(self, places: Iterable[Path]) -> dict[Path, set[str]]:
        """The cases that have some of these files below each folder."""
        found: dict[Path, set[str]] = defaultdict(set)
        for place, cases in ((place, self.owners[place]) for place in places):
            for folder in self.above(self.paths[place]):
                found[folder] |= cases
        return found


def place_of(path: Path) -> Path:
    """Where a file or link itself lies: links in its folders are resolved, the last step is not."""
    return path.parent.resolve() / path.name


def holdings(
    directory: Path, images: Images, pseudonyms: Pseudonyms, cases: Set[str], used: Iterable[tuple[str, Path]] = ()
) -> Holdings:
    """All files of some cases in and listed from a study's image folder; `used` are those of the last run, by case.

    Empty where there is no image folder and nothing was used.
    """
    root = directory / Path(images.root)
    known = images.root and root.is_dir()
    uploads = [path for path in root.glob(f"{UPLOAD_PREFIX}*") if path.is_dir()] if known else []
    paths = _every_path(root, directory.resolve()) if known else {}
    gone = frozenset({*cases, *withdrawn_cases(directory)})
    folder = _Folder(root, frozenset({root, *uploads}), pseudonyms.case_id, gone, paths)
    folder.patients |= {patient for case in cases if (patient := pseudonyms.patient_id(case))}
    for path in folder.unclaimed():
        _claim_dicom(folder, path)
    for path in folder.directories:
        _claim_directory(folder, path)
    for top in sorted(folder.tops):
        _claim_listed(folder, top / IMAGE_TABLE)
    _claim_named(folder, images)
    for case_id, path in used:
        if os.path.lexists(path) and not os.path.isdir(path):
            folder.claim(path, {case_id})
    _claim_sidecars(folder)
    _claim_folders(folder)
    return _sorted_out(folder, cases)


def table_rows(table: Path) -> list[list[str]]:
    """The rows of a table with its header, as far as it can be read at all; none of one that cannot."""
    try:
        text, delimiter = delimited_text(table, ROLE)
        return [[cell.strip(BLANKS) for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
    except (RefusedError, csv.Error):
        return []


def _every_path(root: Path, study: Path) -> dict[Path, Path]:
    """Every file by where it lies, hidden ones last; links to folders are followed as by the discovery."""
    own = study_folders(study, root)
    found: dict[Path, Path] = {}
    for path in image_files(root, own):
        found.setdefault(place_of(path), path)
    for name, folders, files in os.walk(root):
        real = Path(name).resolve()
        folders[:] = sorted(one for one in folders if real / one not in own)
        for one in files:
            found.setdefault(real / one, Path(name) / one)
    return found


def _claim_dicom(folder: _Folder, path: Path) -> None:
    if not os.path.isfile(path) or not is_dicom(path):
        return
    try:
        header = read_header(path)
    except RefusedError:
        folder.nameless.add(place_of(path))
        return
    if header.is_directory:
        folder.directories.append(path)
        return
    unnamed = unnamed_patient(header.study_uid)
    if header.patient_id:
        folder.settle(path, {folder.case(header.patient_id)})
    elif folder.case_of(unnamed) in folder.gone:
        folder.settle(path, {folder.case_of(unnamed)})
    else:
        folder.nameless.add(place_of(path))


def _claim_directory(folder: _Folder, path: Path) -> None:
    """The directory of a disc goes with the first of its patients who withdraws: it holds no image, and names him."""
    listed = {folder.case_of(patient) for patient in patients_on_disc(path)}
    known = listed & {folder.case_of(patient) for patient in folder.patients}
    if owners := listed & folder.gone or known:
        folder.settle(path, owners)
    else:
        folder.nameless.add(place_of(path))


def listed_patients(table: Path) -> list[str]:
    """The patient ids of an images.csv, also of rows and tables that the gate refuses."""
    return [patient for patient, _ in _listed(table)]


def _listed(table: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Patient id and the cells that may name files of each row of an images.csv."""
    rows = table_rows(table) if table.is_file() else []
    header = next((row for row in rows if any(row)), [])
    if "case_id" not in header:
        return []
    id_place = header.index("case_id")
    columns = [place for place, name in enumerate(header) if name not in ("case_id", *ACQUISITION_COLUMNS)]
    named = [row for row in rows[rows.index(header) + 1 :] if len(row) > id_place and row[id_place]]
    return [(row[id_place], tuple(row[place] for place in columns if place < len(row) and row[place])) for row in named]


def _claim_listed(folder: _Folder, table: Path) -> None:
    for patient, cells in _listed(table):
        for path in {table.parent / name for cell in cells for name in (cell, split_label(cell)[0])}:
            if os.path.isfile(path):
                own = table.parent == folder.top(Path(os.path.normpath(path)))
                (folder.settle if own else folder.claim)(path, {folder.case(patient)})


def _claim_named(folder: _Folder, images: Images) -> None:
    """Files by their names: beside `<case>_image.nii.gz` those that begin with its case, the longest known id first.

    Where a table lists the cases, names make none, but still tell what is of a case that withdrew.
    """
    flats: dict[Path, set[str]] = defaultdict(set)
    listed = {top for top in folder.tops if (top / IMAGE_TABLE).is_file()}
    for path in folder.undecided():
        match = FLAT_IMAGE.fullmatch(stem_of(path))
        own = stem_of(path).lower() == "image"
        patient = path.parent.name if own else match["case"] if match else ""
        if not patient or (folder.top(path) in listed and folder.case_of(patient) not in folder.gone):
            continue
        if own:
            folder.own_folders[path.parent] = folder.case(patient)
        else:
            folder.case(patient)
            flats[path.parent].add(patient)
    by_word: dict[str, set[str]] = defaultdict(set)
    for patient in folder.patients:
        by_word[patient.lower()].add(patient)
    for path in folder.undecided():
        patients = _patients_named(path, by_word) & flats[path.parent]
        if patients:
            folder.settle(path, {folder.case_of(one) for one in patients})
        elif path.parent in folder.tops and path.parent in folder.own_folders and _has_role(stem_of(path), images):
            folder.claim(path, {folder.own_folders[path.parent]})


def _patients_named(path: Path, by_word: dict[str, set[str]]) -> set[str]:
    """The known patients with the longest id that a file's name begins with, as a whole word before `_`.

    `P1_2_GTV` may be of a patient P1_2 who has no image: where a number follows, nobody is known.
    """
    words = [path.name[:place] for place, letter in enumerate(path.name[:-1]) if letter == "_"]
    words = [word for word in words if not path.name[len(word) + 1].isdigit() or word.lower() not in by_word]
    for word in (_bare(path), *reversed(words)):
        if found := by_word.get(word.lower()):
            return {word} if word in found else found
    return set()


def _has_role(stem: str, images: Images) -> bool:
    roles = {split_label(name)[0].lower() for name in (*images.reference, *further_roles(images))}
    return stem.lower() in {"image", ANATOMY_NAME, PRIOR_NAME, *roles} or is_lung_name(stem, images.lungs)


def _bare(path: Path) -> str:
    """A file's name without its suffix, or the two of `x.raw.gz`."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return stem_of(path) or name.rpartition(".")[0] or name


def _claim_sidecars(folder: _Folder) -> None:
    """`x.raw` and `x.json` belong to whoever has `x.mhd`."""
    stems: dict[tuple[Path, str], set[str]] = {}
    for place, owners in folder.owners.items():
        path = folder.paths[place]
        if stem := stem_of(path):
            stems.setdefault((path.parent, stem), set()).update(owners)
    for path in folder.unclaimed():
        owners = set() if stem_of(path) else stems.get((path.parent, _bare(path)), set())
        if owners:
            folder.claim(path, owners)


def _claim_folders(folder: _Folder) -> None:
    """Files in the folder `<case>/`, and what file browsers left in a folder that holds one case only."""
    below = folder.owners_below(folder.settled)
    for path in folder.undecided():
        if case_id := _case_around(folder, path, below):
            folder.claim(path, {case_id})
    below = folder.owners_below(folder.owners)
    for path in folder.unclaimed():
        alone = next((below[one] for one in folder.above(path) if len(below[one]) == 1), None)
        if alone and (path.name.lower() in DROPPINGS or path.name.startswith("._")):
            folder.claim(path, alone)


def _case_around(folder: _Folder, path: Path, below: dict[Path, set[str]]) -> str:
    """The case of the nearest folder `<case>/` around a file; empty where somebody else's files lie in between."""
    between: set[str] = set()
    for one in folder.above(path):
        case_id = folder.own_folders.get(one, "")
        if not case_id and one.parent in folder.tops and folder.case_of(one.name) in folder.gone:
            named = folder.case_of(one.name)
            case_id = named if below[one] <= {named} else ""
        if case_id:
            return case_id if between <= {case_id} else ""
        between |= below[one]
    return ""


def _sorted_out(folder: _Folder, cases: Set[str]) -> Holdings:
    own: set[Path] = set()
    shared: set[Path] = set()
    for place, owners in folder.owners.items():
        if owners & cases:
            (own if owners <= folder.gone else shared).add(folder.paths[place])
    shared |= _of_others(folder, cases, own)
    beyond = frozenset(path for path, owners in folder.beyond.items() if owners & cases)
    return Holdings(frozenset(own), frozenset(shared), _unattributed(folder, cases, own), beyond)


def _of_others(folder: _Folder, cases: Set[str], own: Set[Path]) -> set[Path]:
    """Files of another case in a folder `<case>/`, where either the folder or files in it are of the cases."""
    held = {one for path in own for one in folder.above(path)}
    mixed = {one for one, case_id in folder.own_folders.items() if case_id in cases or one in held} - folder.tops
    others = [folder.paths[place] for place, owners in folder.owners.items() if not owners <= folder.gone]
    return {path for path in others if any(one in mixed for one in folder.above(path))}


def _unattributed(folder: _Folder, cases: Set[str], own: Set[Path]) -> frozenset[Path]:
    """Files that name nobody, and lie with those of the cases, bear the patient's id, or are DICOM without one."""
    below, touched = folder.owners_below(folder.owners), {path.parent for path in own}
    words = {patient.lower() for patient in folder.patients if folder.case_of(patient) in cases}
    found = set()
    for path in folder.unclaimed():
        alone = any(below[one] & cases and below[one] <= folder.gone for one in folder.above(path))
        beside = path.parent in touched and path.suffix.lower() not in NOTES
        parts = path.relative_to(folder.root).parts if path.is_relative_to(folder.root) else ()
        says = any(_says(part.lower(), words) for part in parts)
        if alone or beside or says or place_of(path) in folder.nameless:
            found.add(path)
    return frozenset(found)


def _says(part: str, words: Set[str]) -> bool:
    """Whether a step of a path is a patient's id, or begins with it before `_` or a suffix."""
    return any(part == word or part.startswith((f"{word}_", f"{word}.")) for word in words)
