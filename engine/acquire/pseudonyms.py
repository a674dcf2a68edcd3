"""Pseudonyms of patients: a keyed hash, its key and the way back kept in the study's private folder only."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.known_cases import has_cases
from store.tombstones import withdrawn_cases

PRIVATE_FOLDER = "private"
KEY_FILE = "key"
LINKS_FILE = "links.json"
KEY_BYTES = 32
PSEUDONYM_LENGTH = 12
PSEUDONYM = re.compile(r"[A-Z2-7]{12}")
PUBLIC_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NO_KEY = (
    "the key of this study's pseudonyms is gone, and another one would give every patient another case id and forget"
    " who withdrew: put private/ back"
)


class LostKeyError(ValueError):
    """A pseudonym was asked for, and the study's key is gone."""

    def __init__(self) -> None:
        super().__init__(NO_KEY)


class Pseudonyms:
    """Case ids of one study: `base32(HMAC-SHA256(key, patient id))`, first 12 characters.

    With public ids a patient id that is plain (letters, digits, point, underscore, hyphen, at most 64) is itself the
    case id; a folder's name that is no UTF-8 counts by its bytes. The key is made once, for a study without cases;
    where it was lost a pseudonym is a ValueError. Links are written to the private folder by `save`.
    """

    def __init__(self, directory: Path, *, public_ids: bool) -> None:
        self._directory = directory
        self._links = read_links(directory)
        self._new: dict[str, str] = {}
        self._key = _read_or_make_key(directory, begun=bool(self._links))
        self._public_ids = public_ids

    def case_id(self, patient_id: str) -> str:
        """The case id of a patient, remembered for the way back."""
        case_id = patient_id if self._public_ids and PUBLIC_ID.fullmatch(patient_id) else self._pseudonym(patient_id)
        if self._links.get(case_id) != patient_id:
            self._links[case_id] = self._new[case_id] = patient_id
        return case_id

    def patient_id(self, case_id: str) -> str | None:
        """The patient behind a case id, or None where it is unknown; for the holder of the private folder only."""
        return self._links.get(case_id)

    def forget(self, case_id: str) -> None:
        """Drop the way back of a case."""
        self._links.pop(case_id, None)
        self._new.pop(case_id, None)

    def save(self) -> None:
        """Add what is new to the links, readable by their owner only; nobody who withdrew meanwhile comes back."""
        with changed_links(self._directory) as links:
            links.update(self._new)
            for case_id in withdrawn_cases(self._directory):
                links.pop(case_id, None)

    def _pseudonym(self, patient_id: str) -> str:
        if not self._key:
            raise LostKeyError
        mac = hmac.new(self._key, patient_id.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
        return base64.b32encode(mac).decode("ascii")[:PSEUDONYM_LENGTH]


def private_folder(directory: Path) -> Path:
    """The study's private folder, made on first use, readable by its owner only."""
    folder = directory / PRIVATE_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a text file atomically with mode 0600."""
    write_private_bytes(path, text.encode("utf-8"))


def write_private_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically with mode 0600."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def read_links(directory: Path) -> dict[str, str]:
    """The patient behind each case id; empty where this computer does not hold them. Makes nothing."""
    path = directory / PRIVATE_FOLDER / LINKS_FILE
    if not path.exists():
        return {}
    links = json.loads(path.read_text(encoding="utf-8"))
    return {str(case): str(patient) for case, patient in links.items()}


@contextmanager
def changed_links(directory: Path) -> Iterator[dict[str, str]]:
    """The links to be changed, written atomically when they were; nobody else changes them meanwhile."""
    with locked_folder(private_folder(directory)) as folder:
        links = read_links(directory)
        before = dict(links)
        yield links
        if links != before:
            write_private(folder / LINKS_FILE, json.dumps(links, indent=1, sort_keys=True))


@contextmanager
def locked_folder(folder: Path) -> Iterator[Path]:
    """A private folder whose files nobody else reads, changes and writes meanwhile; not to be taken twice."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(held)


def _read_or_make_key(directory: Path, *, begun: bool) -> bytes:
    """The key; none where it was lost, as the links, the list of who withdrew, or the ledger's cases tell."""
    path = private_folder(directory) / KEY_FILE
    if not path.exists():
        if begun or withdrawn_cases(directory) or has_cases(directory):
            return b""
        _make_key(path)
    key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    if len(key) != KEY_BYTES:
        raise ValueError(f"the pseudonym key must hold {KEY_BYTES} bytes, got {len(key)}; restore it from your backup")
    return key


def _make_key(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_private(temporary, secrets.token_hex(KEY_BYTES))
    try:
        os.link(temporary, path)  # never replaces a key another process made meanwhile
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
