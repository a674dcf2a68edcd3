"""Cases laid out as image files: by folder, by flat file names, or listed in an images.csv."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from engine.acquire.acquisition import manufacturer_of
from engine.acquire.content_index import ContentIndex
from engine.acquire.csv_table import Table, is_missing, patient_rows, read_table
from engine.acquire.known_words import KERNELS, MODELS, UNLISTED
from engine.acquire.lungs import is_lung_name, side_of_name
from engine.acquire.nifti import IMAGE_SUFFIXES
from engine.acquire.patient_files import PatientFiles, split_label
from engine.acquire.prior import PRIOR_IMAGE_ROLE
from engine.protocol import Images
from store.records import Flag, RefusedError
from store.sources import CaseSource, PriorSource, SourceFile

IMAGE_ROLE = "CT image"
REFERENCE_ROLE = "reference mask"
ANATOMY_ROLE, ANATOMY_NAME = "anatomy label map", "anatomy"
PRIOR_NAME, PRIOR_DAYS = "prior", "prior_days"  # an earlier CT, and how many days before the index scan it was made
LUNG_ROLES = {"left": "left lung mask", "right": "right lung mask", "both": "lungs mask"}
CT_WORD = "CT_"
FLAT_IMAGE = re.compile(r"(?P<case>.+?)(?P<ct>_CT)?_image", re.IGNORECASE)
ACQUISITION_COLUMNS = (
    "convolution_kernel",
    "contrast",
    "manufacturer",
    "model",
    "slice_thickness_mm",
    "kvp",
    "scan_days",
    "synthetic",
)
TEXT_COLUMNS = {"convolution_kernel": KERNELS.stated, "manufacturer": manufacturer_of, "model": MODELS.stated}
NUMBER = re.compile(r"[+-]?(\d{1,6}(\.\d{0,9})?|\.\d{1,9})")
DAYS = re.compile("[0-9]{1,5}")
YES, NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n")
OUTSIDE = "outside_folder"
REFERENCE_NAME, REFERENCE_LABEL = "reference_name", "reference_label"
SAME_IMAGE = "same_image"


@dataclass(frozen=True, slots=True)
class _FoundImage:
    patient_id: str
    image: Path
    others: tuple[tuple[str, Path], ...]  # (name of the structure, file)


@dataclass(frozen=True, slots=True)
class _TableFolder:
    """Where an images.csv looks for its files; where `within` is given nothing outside it is read, links followed."""

    folder: Path
    within: Path | None

    def file(self, name: str, role: str) -> Path:
        """The file that a cell names; RefusedError where it may not be named or is not there."""
        spelled = PureWindowsPath(name)  # knows both separators, and drives
        if Path(name).is_absolute() or (self.within and (spelled.anchor or ".." in spelled.parts)):
            raise _outside(role)
        path = self.folder / name
        if is_missing(name) or not _is_file(path):
            text = "the file named in images.csv is not there."
            raise RefusedError("missing_file", role, text, "Correct its name.")
        if self.within and not path.resolve().is_relative_to(self.within.resolve()):
            raise _outside(role)
        return path


def further_roles(images: Images) -> dict[str, str]:
    """The file role of each further outline that a study names, by its name; the name itself enters no key."""
    readers = {name: f"further reader {place}" for place, name in enumerate(images.readers, 1)}
    return readers | {name: f"prediction {place}" for place, name in enumerate(images.predictions, 1)}


def stem_of(path: Path) -> str:
    """A file's name without its image suffix (`x.nii.gz` is `x`), or empty where it has none."""
    name = path.name
    return next((name[: -len(suffix)] for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")


def named_cases(files: Sequence[Path], images: Images, index: ContentIndex) -> list[PatientFiles]:
    """Cases by file names: `<case>/image.nii.gz` beside its masks, or `<case>[_CT]_image.nii.gz` beside its masks."""
    folders: dict[Path, list[Path]] = {}
    for path in files:
        if stem_of(path):
            folders.setdefault(path.parent, []).append(path)
    found = [one for members in folders.values() for one in (*_folder_case(members), *_flat_cases(members))]
    return [_with_files(one, images, index) for one in found]


def listed_cases(path: Path, images: Images, index: ContentIndex, within: Path | None = None) -> list[PatientFiles]:
    """Cases of an images.csv: case_id, image and, where known, reference, lungs, anatomy and acquisition columns.

    Paths are relative to the table, and of a table that came by upload lie `within` that upload: a cell could else name
    another patient's file. `file:label` names a label. RefusedError where the table itself is unusable.
    """
    table = read_table(path, "images.csv")
    rows = patient_rows(table, "case_id")
    table.place("image")
    folder = _TableFolder(path.parent, within)
    return [_listed_case(folder, table, patient, row, images, index) for patient, row in rows.items()]


def same_image_flags(source: CaseSource) -> tuple[Flag, ...]:
    """A flag where the discovery found the case's image file under another patient id too."""
    marks = [value for name, value in source.columns if name == SAME_IMAGE]
    text = "the same image file (sha256 {}...) is another case's too: one patient under two ids, or a wrong file."
    remedy = "Keep one: two would count twice and could be in training and test at once; a withdrawal leaves the other."
    return tuple(Flag("acquire", SAME_IMAGE, text.format(mark), remedy) for mark in marks)


def _folder_case(members: list[Path]) -> list[_FoundImage]:
    images = [path for path in members if stem_of(path).lower() == "image"]
    others = tuple((stem_of(path), path) for path in members if path not in images)
    return [_FoundImage(path.parent.name, path, others) for path in images]


def _flat_cases(members: list[Path]) -> list[_FoundImage]:
    found = []
    for path in members:
        match = FLAT_IMAGE.fullmatch(stem_of(path))
        if match:
            others = tuple((_after(stem_of(p), match["case"]), p) for p in members if p != path)
            found.append(_FoundImage(match["case"], path, tuple((name, p) for name, p in others if name)))
    return found


def _after(stem: str, case: str) -> str:
    """What follows a case's name and `_CT`; the name letter by letter: P1 and p1 are two patients."""
    if not stem.startswith(f"{case}_"):
        return ""
    rest = stem[len(case) + 1 :]
    return rest[len(CT_WORD) :] if rest.upper().startswith(CT_WORD) else rest


def _with_files(found: _FoundImage, images: Images, index: ContentIndex) -> PatientFiles:
    try:
        return _named_case(found, images, index)
    except RefusedError as error:
        return PatientFiles(found.patient_id, "files", (), problem=error)


def _named_case(found: _FoundImage, images: Images, index: ContentIndex) -> PatientFiles:
    files = [index.source(IMAGE_ROLE, found.image)]
    columns: list[tuple[str, str]] = []
    taken: list[Path] = []
    for wanted in images.reference:
        name, label = split_label(wanted)
        taken = [path for stem, path in found.others if stem.lower() == name.lower()]
        if taken:
            files += [index.source(REFERENCE_ROLE, path) for path in taken]
            columns += [(REFERENCE_NAME, name)] + ([(REFERENCE_LABEL, str(label))] if label is not None else [])
            break
    files += [index.source(ANATOMY_ROLE, path) for stem, path in found.others if stem.lower() == ANATOMY_NAME]
    roles = {split_label(name)[0].lower(): role for name, role in further_roles(images).items()}
    files += [index.source(roles[stem.lower()], path) for stem, path in found.others if stem.lower() in roles]
    priors = [path for stem, path in found.others if stem.lower() == PRIOR_NAME and path not in taken]
    for stem, path in found.others:
        if path not in taken and stem.lower() not in roles and is_lung_name(stem, images.lungs):
            files.append(index.source(LUNG_ROLES[side_of_name(stem)], path))
    problem, prior = _repeated_role(files), _named_prior(priors, index)
    return PatientFiles(found.patient_id, "files", tuple(files), "the only image", 0, tuple(columns), problem, prior)


def _named_prior(priors: Sequence[Path], index: ContentIndex) -> PriorSource | None:
    if not priors:
        return None
    if len(priors) > 1:
        return PriorSource("files", (), None, "two files are named as the earlier CT; keep one.")
    try:
        return PriorSource("files", (index.source(PRIOR_IMAGE_ROLE, priors[0]),), None)
    except RefusedError:
        return PriorSource("files", (), None, "the earlier CT is no file that can be read.")


def _repeated_role(files: Sequence[SourceFile]) -> RefusedError | None:
    roles = [one.role for one in files]
    repeated = next((role for role in roles if roles.count(role) > 1), None)
    if repeated is None:
        return None
    return RefusedError("duplicate_mask", repeated, "two files have this role.", "Keep one.")


def _listed_case(
    folder: _TableFolder, table: Table, patient: str, row: int, images: Images, index: ContentIndex
) -> PatientFiles:
    cells = {column: table.rows[row][place] for place, column in enumerate(table.columns)}
    known = [name for name in ACQUISITION_COLUMNS if name in cells and not is_missing(cells[name])]
    columns = [(name, known_cell(name, cells[name])) for name in known]
    try:
        files = [index.source(IMAGE_ROLE, folder.file(cells["image"], IMAGE_ROLE))]
        if not is_missing(cells.get("reference", "")):
            name, label = split_label(cells["reference"])
            path = folder.file(name, REFERENCE_ROLE)
            files.append(index.source(REFERENCE_ROLE, path))
            columns.append((REFERENCE_NAME, _reference_name(images, path)))
            columns += [(REFERENCE_LABEL, str(label))] if label is not None else []
        if not is_missing(cells.get(ANATOMY_NAME, "")):
            files.append(index.source(ANATOMY_ROLE, folder.file(cells[ANATOMY_NAME], ANATOMY_ROLE)))
        files += _listed_lungs(folder, cells, index)
        for name, role in further_roles(images).items():
            cell = cells.get(name, "")
            files += [] if is_missing(cell) else [index.source(role, folder.file(cell, role))]
        prior = _listed_prior(folder, cells, index)
        return PatientFiles(patient, "files", tuple(files), "listed in images.csv", 0, tuple(columns), prior=prior)
    except RefusedError as error:
        return PatientFiles(patient, "files", (), problem=error)


def known_cell(column: str, cell: str) -> str:
    """What may be kept of a cell of an acquisition column: listed words, a number, yes or no; else `unlisted`."""
    if column in TEXT_COLUMNS:
        return TEXT_COLUMNS[column](cell)
    if column in ("contrast", "synthetic"):
        return cell if cell.strip().lower() in (*YES, *NO) else UNLISTED
    return cell if NUMBER.fullmatch(cell) else UNLISTED


def _reference_name(images: Images, path: Path) -> str:
    """A name that the study wants, never one that was read off a file: that may name a patient."""
    wanted = [split_label(name)[0] for name in images.reference]
    named = [name for name in wanted if name.lower() == stem_of(path).lower()]
    return (named or wanted)[0] if named or len(wanted) == 1 else "reference"


def _listed_lungs(folder: _TableFolder, cells: dict[str, str], index: ContentIndex) -> list[SourceFile]:
    files = []
    for column, role in (("lungs", "both"), ("lung_left", "left"), ("lung_right", "right")):
        if not is_missing(cells.get(column, "")):
            path = folder.file(cells[column], LUNG_ROLES[role])
            files.append(index.source(LUNG_ROLES[role], path))
    return files


def _listed_prior(folder: _TableFolder, cells: dict[str, str], index: ContentIndex) -> PriorSource | None:
    if is_missing(cells.get(PRIOR_NAME, "")):
        return None
    days = cells.get(PRIOR_DAYS, "").strip()
    try:
        file = index.source(PRIOR_IMAGE_ROLE, folder.file(cells[PRIOR_NAME], PRIOR_IMAGE_ROLE))
    except RefusedError as error:
        if error.code == OUTSIDE:
            raise
        return PriorSource("files", (), None, "the earlier CT named in images.csv is not there.")
    if is_missing(days):
        return PriorSource("files", (file,), None)
    if not DAYS.fullmatch(days):
        return PriorSource("files", (file,), None, f"{PRIOR_DAYS} of images.csv is no whole number of days before.")
    return PriorSource("files", (file,), int(days))


def _is_file(path: Path) -> bool:
    """Whether a path names a file; a name that no file system takes names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _outside(role: str) -> RefusedError:
    text = "images.csv names it by an absolute path, or outside the folder that was uploaded."
    return RefusedError(OUTSIDE, role, text, "Put the file into the table's folder, and name it relative to the table.")
