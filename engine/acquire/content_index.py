"""sha256 of input files, remembered by path, size and time of change so that a second look is quick."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Set
from pathlib import Path

from engine.acquire.pseudonyms import locked_folder, private_folder, write_private
from store.records import RefusedError
from store.sources import SourceFile

INDEX_FILE = "index.json"


class ContentIndex:
    """Content hashes of a study's inputs; kept in its private folder because paths may name patients."""

    def __init__(self, directory: Path) -> None:
        self._path = private_folder(directory) / INDEX_FILE
        self._known = self._read()
        self._learned: dict[str, list[object]] = {}
        self._forgotten: set[str] = set()

    def sha256(self, path: Path) -> str:
        """sha256 (hex) of a file's content."""
        status = path.stat()
        remembered = self._known.get(str(path))
        if remembered is not None and remembered[:2] == [status.st_size, status.st_mtime_ns]:
            return str(remembered[2])
        with path.open("rb") as stream:
            value = hashlib.file_digest(stream, "sha256").hexdigest()
        self._known[str(path)] = self._learned[str(path)] = [status.st_size, status.st_mtime_ns, value]
        self._forgotten.discard(str(path))
        return value

    def source(self, role: str, path: Path) -> SourceFile:
        """A file by its role, with its hash; RefusedError where the name leads to no file that can be read."""
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise _no_file(role)
            return SourceFile(role, str(path), self.sha256(path))
        except OSError as error:
            raise _no_file(role) from error

    def forget(self, path: str) -> None:
        """Remember nothing of a file: neither its hash nor where it lay."""
        if self._known.pop(path, None) is not None:
            self._learned.pop(path, None)
            self._forgotten.add(path)

    def forget_below(self, folder: Path) -> None:
        """Remember nothing of the files of a folder."""
        for path in [one for one in self._known if Path(one).is_relative_to(folder)]:
            self.forget(path)

    def forget_files(self, places: Set[Path], names: Set[str]) -> None:
        """Remember nothing of files at some places or that end in some relative paths, nor of files that are gone.

        The study may have been moved or copied since, or named by a relative path: then only the ending is the same.
        """
        for path in list(self._known):
            parts = Path(path).parts
            endings = {"/".join(parts[first:]) for first in range(len(parts))}
            here = Path(path).exists() and Path(path).parent.resolve() / Path(path).name not in places
            if not here or endings & names:
                self.forget(path)

    def save(self) -> None:
        """Add what was learned and drop what was forgotten, readable by the owner only.

        What others forgot meanwhile stays forgotten, and a file that is gone is not remembered: its patient may have
        withdrawn.
        """
        if self._learned or self._forgotten:
            learned = {path: facts for path, facts in self._learned.items() if Path(path).exists()}
            with locked_folder(self._path.parent):
                known = {path: facts for path, facts in self._read().items() if path not in self._forgotten}
                write_private(self._path, json.dumps(known | learned))
            self._learned, self._forgotten = {}, set()

    def _read(self) -> dict[str, list[object]]:
        return dict(json.loads(self._path.read_text("utf-8"))) if self._path.exists() else {}


def _no_file(role: str) -> RefusedError:
    text = "its name leads to no file that can be read (a folder, a pipe, a link to nowhere, or no right to read it)."
    return RefusedError("no_file", role, text, "Put the file itself there.")
