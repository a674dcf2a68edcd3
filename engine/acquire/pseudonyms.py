"""Pseudonyms of patients: a keyed hash, its key and the way back kept in the study's private folder only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from pathlib import Path

PRIVATE_FOLDER = "private"
KEY_FILE = "key"
LINKS_FILE = "links.json"
KEY_BYTES = 32
PSEUDONYM_LENGTH = 12
PSEUDONYM = re.compile(r"[A-Z2-7]{12}")
PUBLIC_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Pseudonyms:
    """Case ids of one study: `base32(HMAC-SHA256(key, patient id))`, first 12 characters.

    With public ids a patient id that is plain (letters, digits, point, underscore, hyphen, at most 64) is itself the
    case id. The key is made once; links are written to the private folder by `save`.
    """

    def __init__(self, directory: Path, *, public_ids: bool) -> None:
        self._folder = private_folder(directory)
        self._key = _read_or_make_key(self._folder / KEY_FILE)
        self._public_ids = public_ids
        self._links = _read_links(self._folder / LINKS_FILE)

    def case_id(self, patient_id: str) -> str:
        """The case id of a patient, remembered for the way back."""
        case_id = patient_id if self._public_ids and PUBLIC_ID.fullmatch(patient_id) else self._pseudonym(patient_id)
        self._links[case_id] = patient_id
        return case_id

    def patient_id(self, case_id: str) -> str | None:
        """The patient behind a case id, or None where it is unknown; for the holder of the private folder only."""
        return self._links.get(case_id)

    def forget(self, case_id: str) -> None:
        """Drop the way back of a case."""
        self._links.pop(case_id, None)

    def save(self) -> None:
        """Write the links atomically, readable by their owner only."""
        write_private(self._folder / LINKS_FILE, json.dumps(self._links, indent=1, sort_keys=True))

    def _pseudonym(self, patient_id: str) -> str:
        mac = hmac.new(self._key, patient_id.encode("utf-8"), hashlib.sha256).digest()
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


def _read_or_make_key(path: Path) -> bytes:
    if not path.exists():
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


def _read_links(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    links = json.loads(path.read_text(encoding="utf-8"))
    return {str(case): str(patient) for case, patient in links.items()}
