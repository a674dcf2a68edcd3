"""Cases laid out as image files: by folder, by flat file names, or listed in an images.csv."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.acquisition import manufacturer_of
from engine.acquire.content_index import ContentIndex
from engine.acquire.csv_table import Table, is_missing, patient_rows, read_table
from engine.acquire.known_words import KERNELS, MODELS, UNLISTED
from engine.acquire.lungs import is_lung_name, side_of_name
from engine.acquire.nifti import IMAGE_SUFFIXES
from engine.acquire.patient_files import PatientFiles, split_label
from engine.acquire.prior import PRIOR_IMAGE_ROLE
from engine.protocol import Images
from store.records import RefusedError
from store.sources import PriorSource, SourceFile

IMAGE_ROLE = "CT image"
REFERENCE_ROLE = "reference mask"
ANATOMY_ROLE, ANATOMY_NAME = "anatomy label map", "anatomy"
PRIOR_NAME, PRIOR_DAYS = "prior", "prior_days"  # an earlier CT, and how many days before the index scan it was made
LUNG_ROLES = {"left": "left lung mask", "right": "right lung mask", "both": "lungs mask"}
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
YES, NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n")
REFERENCE_NAME, REFERENCE_LABEL = "reference_name", "reference_label"


@dataclass(frozen=True, slots=True)
class _FoundImage:
    patient_id: str
    image: Path
    others: tuple[tuple[str, Path], ...]  # (name of the structure, file)


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


def listed_cases(path: Path, images: Images, index: ContentIndex) -> list[PatientFiles]:
    """Cases of an images.csv: case_id, image and, where known, reference, lungs, anatomy and acquisition columns.

    Paths are relative to the table; `file:label` names a label. RefusedError where the table itself is unusable.
    """
    table = read_table(path, "images.csv")
    rows = patient_rows(table, "case_id")
    table.place("image")
    return [_listed_case(path.parent, table, patient, row, images, index) for patient, row in rows.items()]


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
    for prefix in (f"{case}_CT_", f"{case}_"):
        if stem.lower().startswith(prefix.lower()):
            return stem[len(prefix) :]
    return ""


def _with_files(found: _FoundImage, images: Images, index: ContentIndex) -> PatientFiles:
    files = [index.source(IMAGE_ROLE, found.image)]
    columns: list[tuple[str, str]] = []
    taken: Path | None = None
    for wanted in images.reference:
        name, label = split_label(wanted)
        taken = next((path for stem, path in found.others if stem.lower() == name.lower()), None)
        if taken:
            files.append(index.source(REFERENCE_ROLE, taken))
            columns += [(REFERENCE_NAME, name)] + ([(REFERENCE_LABEL, str(label))] if label is not None else [])
            break
    files += [index.source(ANATOMY_ROLE, path) for stem, path in found.others if stem.lower() == ANATOMY_NAME]
    roles = {split_label(name)[0].lower(): role for name, role in further_roles(images).items()}
    files += [index.source(roles[stem.lower()], path) for stem, path in found.others if stem.lower() in roles]
    priors = [path for stem, path in found.others if stem.lower() == PRIOR_NAME and path != taken]
    for stem, path in found.others:
        if path != taken and stem.lower() not in roles and is_lung_name(stem, images.lungs):
            files.append(index.source(LUNG_ROLES[side_of_name(stem)], path))
    earlier = [index.source(PRIOR_IMAGE_ROLE, path) for path in priors]
    problem = _repeated_role(files)
    prior = None
    if len(earlier) > 1:
        prior = PriorSource("files", (), None, "two files are named as the earlier CT; keep one.")
    elif earlier:
        prior = PriorSource("files", tuple(earlier), None)
    return PatientFiles(found.patient_id, "files", tuple(files), "the only image", 0, tuple(columns), problem, prior)


def _repeated_role(files: Sequence[SourceFile]) -> RefusedError | None:
    roles = [one.role for one in files]
    repeated = next((role for role in roles if roles.count(role) > 1), None)
    if repeated is None:
        return None
    return RefusedError("duplicate_mask", repeated, "two files have this role.", "Keep one.")


def _listed_case(
    folder: Path, table: Table, patient: str, row: int, images: Images, index: ContentIndex
) -> PatientFiles:
    cells = {column: table.rows[row][place] for place, column in enumerate(table.columns)}
    known = [name for name in ACQUISITION_COLUMNS if name in cells and not is_missing(cells[name])]
    columns = [(name, known_cell(name, cells[name])) for name in known]
    try:
        files = [index.source(IMAGE_ROLE, _existing(folder, cells["image"], IMAGE_ROLE))]
        if not is_missing(cells.get("reference", "")):
            name, label = split_label(cells["reference"])
            path = _existing(folder, name, REFERENCE_ROLE)
            files.append(index.source(REFERENCE_ROLE, path))
            columns.append((REFERENCE_NAME, _reference_name(images, path)))
            columns += [(REFERENCE_LABEL, str(label))] if label is not None else []
        if not is_missing(cells.get(ANATOMY_NAME, "")):
            files.append(index.source(ANATOMY_ROLE, _existing(folder, cells[ANATOMY_NAME], ANATOMY_ROLE)))
        files += _listed_lungs(folder, cells, index)
        for name, role in further_roles(images).items():
            cell = cells.get(name, "")
            files += [] if is_missing(cell) else [index.source(role, _existing(folder, cell, role))]
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


def _listed_lungs(folder: Path, cells: dict[str, str], index: ContentIndex) -> list[SourceFile]:
    files = []
    for column, role in (("lungs", "both"), ("lung_left", "left"), ("lung_right", "right")):
        if not is_missing(cells.get(column, "")):
            path = _existing(folder, cells[column], LUNG_ROLES[role])
            files.append(index.source(LUNG_ROLES[role], path))
    return files


def _listed_prior(folder: Path, cells: dict[str, str], index: ContentIndex) -> PriorSource | None:
    if is_missing(cells.get(PRIOR_NAME, "")):
        return None
    path, days = folder / cells[PRIOR_NAME], cells.get(PRIOR_DAYS, "").strip()
    if not path.is_file():
        return PriorSource("files", (), None, "the earlier CT named in images.csv is not there.")
    file = index.source(PRIOR_IMAGE_ROLE, path)
    if is_missing(days):
        return PriorSource("files", (file,), None)
    if not (days.isascii() and days.isdecimal()):
        return PriorSource("files", (file,), None, f"{PRIOR_DAYS} of images.csv is no whole number of days before.")
    return PriorSource("files", (file,), int(days))


def _existing(folder: Path, name: str, role: str) -> Path:
    path = folder / name
    if is_missing(name) or not path.is_file():
        raise RefusedError("missing_file", role, "the file named in images.csv is not there.", "Correct its name.")
    return path
