"""Files of withdrawn patients: deleted where they lie in the study, named where they do not or are another's too."""

from __future__ import annotations

import os
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.content_index import ContentIndex
from engine.acquire.discover import IMAGE_TABLE, UPLOAD_PREFIX, study_folders
from engine.acquire.file_cases import stem_of
from engine.acquire.holdings import Holdings, holdings, listed_patients, place_of, table_rows
from engine.acquire.patient_tables import forget_rows
from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms
from engine.acquire.uploads import CONTENT, TABLE_FILE, TOKEN, UPLOADS, discard
from engine.protocol import PROTOCOL_FILE, Protocol, read_protocol
from store.source_list import has_sources, read_sources

SHARED, UNATTRIBUTED, UNREMOVED = (
    "another case has it too",
    "it names no patient of the study",
    "it could not be removed",
)


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A file in the image folder that a withdrawal did not delete; why: SHARED | UNATTRIBUTED | UNREMOVED."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What was done with the files of withdrawn patients."""

    deleted_files: int = 0
    left_outside: tuple[Path, ...] = ()
    left_inside: tuple[LeftFile, ...] = ()


def find_files(study: Path, cases: Set[str]) -> Holdings:
    """All that some cases have in the study's image folder and in the list of the last run, wherever it lies now.

    To be asked before the rows of tables and the way back are forgotten. `study` is resolved.
    """
    protocol = _protocol(study)
    sources = read_sources(study).cases if has_sources(study) else ()
    files = [(case.case_id, file.path) for case in sources if case.case_id in cases for file in case.every_file]
    used = [(case_id, Path(path)) for case_id, path in files if path]
    return holdings(study, protocol.images, _pseudonyms(study, protocol), cases, used)


def remove_files(study: Path, found: Holdings) -> Removed:
    """Delete files that are these cases' alone, and folders that this emptied; forget where all of them lay."""
    root = study / Path(_protocol(study).images.root)
    inside = {path for path in found.own if _may_delete(path, study, root)}
    every = found.own | found.shared | found.unattributed | found.beyond
    index = ContentIndex(study)
    index.forget_files(
        {place_of(path) for path in every},
        {str(path.relative_to(root)) for path in every if path.is_relative_to(root)},
    )
    index.save()  # before they go: after an interruption nobody would find them
    stuck = {path for path in inside if not _deleted(place_of(path))}
    _remove_empty_folders({place_of(path).parent for path in inside}, root.resolve())
    outside = (path for path in (*(found.own - inside), *found.beyond) if os.path.lexists(path))
    left = [LeftFile(path, SHARED) for path in found.shared] + [LeftFile(path, UNREMOVED) for path in stuck]
    left += [LeftFile(path, UNATTRIBUTED) for path in found.unattributed]
    left.sort(key=lambda one: (one.why, one.path))
    return Removed(len(inside - stuck), tuple(sorted(outside)), tuple(left))


def forget_in_tables(study: Path, cases: Set[str]) -> tuple[Path, ...]:
    """Take the rows of some cases out of the study's tables, those of kept uploads too; returns where rows stay."""
    if not (study / PROTOCOL_FILE).exists():
        return ()
    protocol = _protocol(study)
    left = set(forget_rows(study, protocol, _pseudonyms(study, protocol), cases))
    root = study / Path(protocol.images.root)
    tables = sorted(root.glob(f"{UPLOAD_PREFIX}*/{IMAGE_TABLE}")) if protocol.images.root else []
    for table in tables:
        images = protocol.images.model_copy(update={"root": str(table.parent)})
        own = protocol.model_copy(update={"images": images})
        left |= set(forget_rows(study, own, _pseudonyms(study, protocol), cases))
        if len([row for row in table_rows(table) if any(row)]) == 1 and place_of(table).is_relative_to(study):
            table.unlink()  # a table without rows would be refused as damaged
            _remove_empty_folders({place_of(table).parent}, root.resolve())
    return tuple(sorted(left))


def discard_uploads(study: Path, cases: Set[str]) -> int:
    """Discard uploads that nobody has kept yet and that hold one of the cases; returns how many."""
    protocol = _protocol(study)
    folder = study / PRIVATE_FOLDER / UPLOADS
    waiting = [path for path in folder.glob("*") if TOKEN.fullmatch(path.name)] if folder.is_dir() else []
    holding = [path for path in waiting if _holds(study, path, protocol, cases)]
    for path in holding:
        discard(study, path.name)
    return len(holding)


def _holds(study: Path, upload: Path, protocol: Protocol, cases: Set[str]) -> bool:
    pseudonyms = _pseudonyms(study, protocol)
    cells = {cell for row in table_rows(upload / TABLE_FILE) for cell in row}
    cells |= set(listed_patients(upload / CONTENT / IMAGE_TABLE))
    if any(pseudonyms.case_id(cell) in cases for cell in cells if cell):
        return True
    images = protocol.images.model_copy(update={"root": str(upload / CONTENT)})
    found = holdings(study, images, _pseudonyms(study, protocol), cases)
    return bool(found.own or found.shared)


def _protocol(study: Path) -> Protocol:
    return read_protocol(study) if (study / PROTOCOL_FILE).exists() else Protocol()


def _pseudonyms(study: Path, protocol: Protocol) -> Pseudonyms:
    """Pseudonyms to ask with; they are not saved, so that names asked for are written nowhere."""
    return Pseudonyms(study, public_ids=protocol.study.public_ids)


def _may_delete(path: Path, study: Path, root: Path) -> bool:
    """Whether a file lies in the study's image folder, or is an image elsewhere in the study and no link led there."""
    place = place_of(path)
    if not place.is_relative_to(study) or any(place.is_relative_to(one) for one in study_folders(study, root)):
        return False
    linked = Path(os.path.normpath(path)) != place
    return place.is_relative_to(root.resolve()) or (bool(stem_of(place)) and not linked)


def _deleted(place: Path) -> bool:
    with suppress(OSError):
        place.unlink(missing_ok=True)
    return not os.path.lexists(place)


def _remove_empty_folders(folders: Iterable[Path], root: Path) -> None:
    """Remove folders below the image folder that are empty, and those that this empties; never the folder itself."""
    for folder in sorted(folders, key=lambda one: len(one.parts), reverse=True):
        for one in (folder, *folder.parents):
            if one == root or not one.is_relative_to(root):
                break
            try:
                one.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                break
