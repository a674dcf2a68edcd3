"""Uploads: kept apart in the private folder until the gate has seen them and somebody has said yes.

An upload is a token; names that came with it never become paths outside its own folder. What is not accepted within a
day is swept away at the next upload, run or start of the app.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from engine.acquire.archive import ArchiveLimits, place_files, unpack
from engine.acquire.check import CheckResult, FlaggedInput, check_images
from engine.acquire.clinical import read_clinical, refused_rows
from engine.acquire.content_index import ContentIndex
from engine.acquire.csv_table import DATE, Table, are_days, as_float, is_missing, read_table
from engine.acquire.discover import HIDDEN_IMAGES, UPLOAD_PREFIX
from engine.acquire.joining import beside_the_study
from engine.acquire.pseudonyms import PRIVATE_FOLDER, Pseudonyms, private_folder
from engine.protocol import Clinical, Covariates, Eligibility, Outcome, Protocol, read_protocol, write_protocol
from store.records import Flag, Refusal
from store.sources import ClinicalSource, SourceFile

UPLOADS, TABLES, OWN_IMAGES = "uploads", "tables", "images"
TOKEN = re.compile(r"[0-9a-f]{16}")
KEPT_SECONDS = 86_400
LIMITS = ArchiveLimits(entries=20_000, file_bytes=2 << 30, total_bytes=8 << 30)
CONTENT, TABLE_FILE = "content", "table.csv"
ROLE = "uploaded table"


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What may be shown of an uploaded column: never a cell."""

    column: str
    filled: int
    levels: int
    kind: str  # number | date | text | empty


@dataclass(frozen=True, slots=True)
class TableCheck:
    """An uploaded table with a mapping: patients of the study that it knows, rows refused, what was flagged."""

    known: int
    refused: tuple[Refusal, ...]
    flagged: tuple[Flag, ...]


def stage_archive(study: Path, stream: IO[bytes]) -> str:
    """Take an archive in and unpack it; returns the upload's token. RefusedError as `unpack`."""
    token, folder = _new_upload(study)
    try:
        packed = folder / "archive"
        with packed.open("xb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        unpack(packed, folder / CONTENT, limits=LIMITS)
        packed.unlink()
    except BaseException:
        discard(study, token)
        raise
    return token


def stage_files(study: Path, files: Iterable[tuple[str, IO[bytes], int]]) -> str:
    """Take the files of a folder in, as (name, stream, bytes); returns the upload's token."""
    token, folder = _new_upload(study)
    try:
        place_files(files, folder / CONTENT, limits=LIMITS)
    except BaseException:
        discard(study, token)
        raise
    return token


def stage_table(study: Path, raw: bytes) -> str:
    """Take a table in; returns the upload's token. RefusedError where it cannot be trusted."""
    token, folder = _new_upload(study)
    try:
        (folder / TABLE_FILE).write_bytes(raw)
        read_table(folder / TABLE_FILE, ROLE)
    except BaseException:
        discard(study, token)
        raise
    return token


class _PassingPseudonyms(Pseudonyms):
    """Pseudonyms of an upload that nobody has kept yet: who is in it is written nowhere."""

    def save(self) -> None:
        """Write nothing."""


def discard(study: Path, token: str) -> None:
    """Remove an upload, and where its files lay."""
    folder = _folder(study, token)
    index = ContentIndex(study)
    index.forget_below(folder)
    index.forget_below(folder.resolve())
    index.save()
    shutil.rmtree(folder, ignore_errors=True)


def check_upload(study: Path, token: str) -> CheckResult:
    """The gate on uploaded images with the study's own protocol: apart, then beside the patients whom the study has."""
    protocol = read_protocol(study)
    content = (_folder(study, token) / CONTENT).resolve()
    images = protocol.images.model_copy(update={"root": str(content)})
    pseudonyms = _PassingPseudonyms(study, public_ids=protocol.study.public_ids)
    apart = check_images(study, protocol.model_copy(update={"images": images}), pseudonyms)[0]
    return beside_the_study(study, protocol, content, _hidden_flagged(apart), pseudonyms)


def accept_images(study: Path, token: str) -> Path:
    """Move checked images into the study's image folder; returns where they lie.

    What lies under names with a dot in front is not taken. ValueError where the gate refuses a case of the upload, and
    where the study's images lie outside its folder: there only their holder adds to them.
    """
    protocol = read_protocol(study)
    _remove_hidden(_folder(study, token) / CONTENT)
    found = check_upload(study, token)
    if found.refused or not found.accepted:
        raise ValueError(f"the gate refuses {len(found.refused)} of the upload; correct it and upload it again")
    root = (study / (protocol.images.root or OWN_IMAGES)).resolve()
    if not root.is_relative_to(study.resolve()) or root.is_relative_to((study / PRIVATE_FOLDER).resolve()):
        raise ValueError("this study's images lie outside its folder; whoever holds them adds to them there")
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"{UPLOAD_PREFIX}{token}"
    (_folder(study, token) / CONTENT).rename(target)
    discard(study, token)
    if not protocol.images.root:
        images = protocol.images.model_copy(update={"root": OWN_IMAGES})
        write_protocol(study, protocol.model_copy(update={"images": images}))
    return target


def _hidden_flagged(result: CheckResult) -> CheckResult:
    """A result with hidden images flagged: nobody can take them out of an upload, and it is kept without them."""
    hidden = [one for one in result.refused if one.code == HIDDEN_IMAGES]
    remedy = "Images that are wanted need names without the dot: upload them again."
    flags = [FlaggedInput("", HIDDEN_IMAGES, f"{one.message} They are not kept.", remedy) for one in hidden]
    refused = tuple(one for one in result.refused if one.code != HIDDEN_IMAGES)
    return replace(result, refused=refused, flagged=(*result.flagged, *flags))


def _remove_hidden(content: Path) -> None:
    for folder, folders, names in os.walk(content):
        for name in (one for one in names if one.startswith(".")):
            (Path(folder) / name).unlink()
        for name in (one for one in folders if one.startswith(".")):
            shutil.rmtree(Path(folder) / name)
        folders[:] = [one for one in folders if not one.startswith(".")]


def column_facts(study: Path, token: str) -> tuple[ColumnFacts, ...]:
    """What the columns of an uploaded table look like, without a cell of them."""
    table = _table(study, token)
    return tuple(_facts(column, table.column(column)) for column in table.columns if column)


def check_table(study: Path, token: str, id_column: str, outcome: Outcome, covariates: Covariates) -> TableCheck:
    """An uploaded table read with a mapping, as a run would; RefusedError names column and line."""
    protocol = read_protocol(study)
    path = _folder(study, token) / TABLE_FILE
    table = _table(study, token)
    pseudonyms = Pseudonyms(study, public_ids=protocol.study.public_ids)
    pairs = tuple(
        (patient, pseudonyms.case_id(patient)) for patient in dict.fromkeys(table.column(id_column)) if patient
    )
    source = ClinicalSource((SourceFile(ROLE, str(path), ""),), pairs)
    clinical = Clinical(files=(TABLE_FILE,), id=(id_column,), time_zero=protocol.clinical.time_zero)
    rows = refused_rows(source, clinical, outcome)
    found = read_clinical(source, clinical, outcome, covariates, Eligibility())
    return TableCheck(len(pairs), rows, found.flags)


def accept_table(study: Path, token: str, id_column: str, outcome: Outcome, covariates: Covariates) -> Protocol:
    """Keep an uploaded table and write its mapping into study.toml; RefusedError and ValueError as `check_table`."""
    check_table(study, token, id_column, outcome, covariates)
    protocol = read_protocol(study)
    folder = private_folder(study) / TABLES
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"clinical-{token}.csv"
    name = str(target.relative_to(study))
    clinical = Clinical(files=(name,), id=(id_column,), time_zero=protocol.clinical.time_zero)
    changed = protocol.model_copy(update={"clinical": clinical, "outcome": outcome, "covariates": covariates})
    wanted = Protocol.model_validate(changed.model_dump())  # breaks a law, such as a locked plan: nothing has moved yet
    shutil.copyfile(_folder(study, token) / TABLE_FILE, target)
    target.chmod(0o600)
    try:
        write_protocol(study, wanted)
    except ValueError:
        target.unlink()
        raise
    discard(study, token)
    for replaced in set(folder.glob("clinical-*.csv")) - {target}:
        replaced.unlink()
    return read_protocol(study)


def sweep_uploads(study: Path) -> int:
    """Remove uploads that nobody accepted within a day; returns how many."""
    folder = study / PRIVATE_FOLDER / UPLOADS
    waiting = [path for path in folder.glob("*") if TOKEN.fullmatch(path.name)] if folder.is_dir() else []
    old = [path for path in waiting if time.time() - path.stat().st_mtime > KEPT_SECONDS]
    for path in old:
        discard(study, path.name)
    return len(old)


def _new_upload(study: Path) -> tuple[str, Path]:
    sweep_uploads(study)
    token = secrets.token_hex(8)
    folder = private_folder(study) / UPLOADS / token
    folder.mkdir(mode=0o700, parents=True)
    return token, folder


def _folder(study: Path, token: str) -> Path:
    if not TOKEN.fullmatch(token):
        raise ValueError("an upload is named by its token")
    return private_folder(study) / UPLOADS / token


def _table(study: Path, token: str) -> Table:
    return read_table(_folder(study, token) / TABLE_FILE, ROLE)


def _facts(column: str, cells: tuple[str, ...]) -> ColumnFacts:
    filled = [cell for cell in cells if not is_missing(cell)]
    if not filled:
        return ColumnFacts(column, 0, 0, "empty")
    dates = all(DATE.fullmatch(cell) and not cell.isdigit() for cell in filled) or are_days(filled)
    kind = "date" if dates else "number" if all(_is_number(cell) for cell in filled) else "text"
    return ColumnFacts(column, len(filled), len(set(filled)), kind)


def _is_number(cell: str) -> bool:
    try:
        as_float(cell)
    except ValueError:
        return False
    return True
