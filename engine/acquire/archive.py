"""Zip and tar archives: every entry judged by its name and its true size before and while it is written."""

from __future__ import annotations

import fcntl
import lzma
import shutil
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from store.records import RefusedError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
UNPACKING, IN_USE, CONTENT = ".unpacking-", "in use", "content"
CHUNK_BYTES = 1 << 20
END, END_FORM, LONGEST_END = b"PK\x05\x06", "<4s4H2LH", (1 << 16) + 128  # a comment of at most 65,535 bytes follows it
LARGE_END, LARGE_END_FORM, LOCATOR_BYTES = b"PK\x06\x06", "<4sQ2H2L4Q", 20  # zip64: before the end and its locator
NAMED_BYTES = 512  # what an entry takes in the table of contents, at most on average
ENCRYPTED = 0x1
LONGEST_NAME = 200
DEEPEST = 16
SMALL_BYTES = 1 << 20  # a ratio says nothing of files as small as this
READ_ERRORS = (
    OSError,
    EOFError,
    LookupError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
TAR_ERRORS = (tarfile.TarError, *READ_ERRORS)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much an archive may hold."""

    entries: int = 20_000
    file_bytes: int = 4 << 30
    total_bytes: int = 20 << 30
    ratio: int = 200  # of unpacked to packed bytes; CT slices reach 3, masks 100


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    announced_bytes: int
    open: IO[bytes] | None
    problem: tuple[str, str] | None = None


def unpack(archive: Path, target: Path, role: str = "archive", limits: ArchiveLimits | None = None) -> int:
    """Unpack into a new folder that appears only when every entry was sound; returns the number of files.

    RefusedError for entries that leave the folder, links, devices, encrypted or damaged entries (checksum), names that
    collide or cannot be files, archives inside the archive, and more entries or bytes than the limits allow. Sizes are
    counted while writing: what an entry announces is not believed.
    """
    rules = limits or ArchiveLimits()
    with appearing(target) as place:
        return _write_entries(_entries(archive, role, rules), place, archive.stat().st_size, role, rules)


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A new folder beside the target that becomes it when all went well, and vanishes otherwise."""
    if target.exists():
        raise ValueError("the folder to write into must not exist yet")
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=target.parent, prefix=UNPACKING) as folder,
        (Path(folder) / IN_USE).open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        place = Path(folder) / CONTENT
        place.mkdir()
        yield place
        place.rename(target)


def sweep_unpacking(folder: Path) -> int:
    """Remove what unpackings and fetches that were killed left in a folder or one below; returns how many.

    One that goes on holds its lock and is left alone.
    """
    left = [path for depth in ("", "*/") for path in folder.glob(f"{depth}{UNPACKING}*") if not path.is_symlink()]
    return sum(_swept(path) for path in left)


def _swept(left: Path) -> bool:
    try:
        if not {one.name for one in left.iterdir()} <= {IN_USE, CONTENT}:
            return False
        with (left / IN_USE).open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    except OSError:
        return False
    return True


def place_files(
    files: Iterable[tuple[str, IO[bytes], int]],
    target: Path,
    role: str = "uploaded folder",
    limits: ArchiveLimits | None = None,
) -> int:
    """Write files given as (name, stream, bytes) into a new folder under the same laws as `unpack`."""
    rules = limits or ArchiveLimits()
    entries = (_Entry(name.replace("\\", "/"), size, stream) for name, stream, size in files)
    with appearing(target) as place:
        return _write_entries(entries, place, rules.total_bytes, role, rules)


def _entries(archive: Path, role: str, rules: ArchiveLimits) -> Iterator[_Entry]:
    if zipfile.is_zipfile(archive) and _contents_bytes(archive) > rules.entries * NAMED_BYTES:
        raise _refuse("archive_bomb", role, f"its table of contents is too long for {rules.entries} entries.")
    try:
        if zipfile.is_zipfile(archive):
            return _zip_entries(archive, role)
        if tarfile.is_tarfile(archive):
            return _tar_entries(archive, role)
    except TAR_ERRORS as error:
        raise _refuse("archive_damaged", role, "it cannot be unpacked (damaged or cut off).") from error
    raise _refuse("archive_damaged", role, "the file is no zip or tar archive, or it is cut off.")


def _zip_entries(archive: Path, role: str) -> Iterator[_Entry]:
    try:
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                mode = info.external_attr >> 16
                problem = _zip_problem(info, mode)
                name = info.orig_filename.replace("\\", "/")
                if problem or info.is_dir():
                    yield _Entry(name, 0, None, problem)
                    continue
                with packed.open(info) as stream:
                    yield _Entry(name, info.file_size, stream)
    except READ_ERRORS as error:
        raise _refuse("archive_damaged", role, "an entry cannot be unpacked (damaged or unknown method).") from error


def _contents_bytes(archive: Path) -> int:
    """How long a zip's table of contents is, as its end says: zipfile reads all of it before it tells a name."""
    with archive.open("rb") as stream:
        stream.seek(max(0, archive.stat().st_size - LONGEST_END))
        tail = stream.read()
    plain = len(tail) - struct.calcsize(END_FORM)
    at = plain if tail.startswith(END, max(0, plain)) and tail.endswith(b"\0\0") else tail.rfind(END)
    if not 0 <= at <= plain:
        return 0
    size = int(struct.unpack_from(END_FORM, tail, at)[5])
    large = at - LOCATOR_BYTES - struct.calcsize(LARGE_END_FORM)
    if large >= 0 and tail.startswith(LARGE_END, large):
        size = max(size if size != 0xFFFFFFFF else 0, int(struct.unpack_from(LARGE_END_FORM, tail, large)[8]))
    return size


def _zip_problem(info: zipfile.ZipInfo, mode: int) -> tuple[str, str] | None:
    if info.flag_bits & ENCRYPTED:
        return ("archive_encrypted", "it is encrypted.")
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
        return ("archive_link", "an entry is a link or a device.")
    return None


def _tar_entries(archive: Path, role: str) -> Iterator[_Entry]:
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                if not (member.isfile() or member.isdir()):
                    yield _Entry(member.name, 0, None, ("archive_link", "an entry is a link or a device."))
                elif member.isdir():
                    yield _Entry(member.name, 0, None)
                else:
                    yield _Entry(member.name, member.size, packed.extractfile(member))
    except TAR_ERRORS as error:
        raise _refuse("archive_damaged", role, "an entry cannot be unpacked (damaged or cut off).") from error


def _write_entries(entries: Iterable[_Entry], place: Path, packed_bytes: int, role: str, rules: ArchiveLimits) -> int:
    total = count = files = 0
    seen: set[str] = set()
    for entry in entries:
        count += 1
        if count > rules.entries:
            raise _refuse("archive_bomb", role, f"it holds more than {rules.entries} entries.")
        if entry.problem:
            raise _refuse(entry.problem[0], role, entry.problem[1])
        parts = _safe_parts(entry.name, role)
        if entry.open is None or not parts:
            continue
        _check_unique(parts, seen, role)
        path = place.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refuse("archive_duplicate", role, "an entry lies below another entry that is a file.") from error
        total += _write_file(entry, path, packed_bytes, total, role, rules)
        files += 1
    if not files:
        raise _refuse("archive_empty", role, "it holds no file.")
    return files


def _safe_parts(name: str, role: str) -> tuple[str, ...]:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or (len(name) > 1 and name[1] == ":"):
        raise _refuse("archive_traversal", role, "an entry would be written outside its folder.")
    parts = tuple(part for part in pure.parts if part != ".")
    if not name.isprintable() or len(parts) > DEEPEST or any(len(part.encode()) > LONGEST_NAME for part in parts):
        raise _refuse("archive_name", role, "an entry has a name that no file should have.")
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        raise _refuse("archive_nested", role, "it holds another archive.", "Unpack it and pack its files once.")
    return parts


def _check_unique(parts: tuple[str, ...], seen: set[str], role: str) -> None:
    key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
    if key in seen:
        raise _refuse("archive_duplicate", role, "two entries have the same name.")
    seen.add(key)


def _write_file(entry: _Entry, path: Path, packed_bytes: int, before: int, role: str, rules: ArchiveLimits) -> int:
    written = 0
    if entry.open is None:
        return 0
    if entry.announced_bytes > rules.file_bytes:
        raise _refuse("archive_bomb", role, f"an entry announces {entry.announced_bytes} bytes.")
    with path.open("xb") as file:
        while chunk := _read(entry.open, role):
            written += len(chunk)
            total = before + written
            too_dense = total > SMALL_BYTES and total > rules.ratio * max(1, packed_bytes)
            if written > rules.file_bytes or total > rules.total_bytes or too_dense:
                raise _refuse("archive_bomb", role, f"it unpacks to more than {total} bytes.")
            file.write(chunk)
    if written != entry.announced_bytes:
        raise _refuse("archive_damaged", role, "an entry is not as long as it says.")
    return written


def _read(stream: IO[bytes], role: str) -> bytes:
    try:
        return stream.read(CHUNK_BYTES)
    except TAR_ERRORS as error:
        raise _refuse("archive_damaged", role, "an entry cannot be unpacked (damaged or cut off).") from error


def _refuse(
    code: str, role: str, message: str, remedy: str = "Pack the plain files again, without links."
) -> RefusedError:
    return RefusedError(code, role, message, remedy)
