"""Public cohorts: which series to fetch, and single files of them, resumed where they broke off and checked by hash."""

from __future__ import annotations

import difflib
import hashlib
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from store.public_index import CT, OUTLINES, PublicSeries, public_collections, public_series

ADDRESS = "https://{bucket}.s3.amazonaws.com"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAME = re.compile(r"[0-9a-zA-Z._-]+")
TIMEOUT_SECONDS, ATTEMPTS, FIRST_PAUSE_SECONDS = 60, 4, 1.0
MOST_LIST_BYTES, BLOCK = 64 << 20, 1 << 18
WHOLE_MD5 = re.compile(r"[0-9a-f]{32}")
PART = ".part"
NETWORK_ERRORS = (urllib.error.URLError, HTTPException, OSError)
PARTIAL_CONTENT = 206
Answer = TypeVar("Answer")


class FetchError(RuntimeError):
    """A file could not be fetched whole."""


class StoppedError(RuntimeError):
    """Somebody stopped the fetching: no reason to try again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a collection is to be fetched, and what was left out: patients without CT and outline of one study."""

    series: tuple[PublicSeries, ...]
    patients: int
    left_out: int

    @property
    def megabytes(self) -> float:
        """Size of all of it."""
        return sum(one.megabytes for one in self.series)


@dataclass(frozen=True, slots=True)
class PublicFile:
    """One file of a series: its address, size, and md5 where the archive knows one (not of files sent in parts)."""

    address: str
    name: str
    size: int
    md5: str


def wanted_series(collection: str, patients: int, annotations: Sequence[str], *, images_only: bool) -> Wanted:
    """The CT of the first patients that have outlines in the same study, with those outlines.

    Outlines are the collection's own and those of the named annotations; with images_only, CT alone. ValueError for a
    collection or annotations that the index does not know, and where no patient has both.
    """
    found = public_series(collection)
    if not any(one.modality == CT for one in found):
        names = [one.collection for one in public_collections()]
        alike = [name for name in names if collection and collection.lower() in name]
        near = ", ".join(alike[:6] or difflib.get_close_matches(collection, names, 5)) or "none is spelled like it"
        raise ValueError(f"the index has no collection with CT of that name; near: {near}; `fetch` alone lists all")
    known = {one.annotations for one in found if one.annotations}
    if unknown := sorted(set(annotations) - known):
        raise ValueError(f"annotations {', '.join(unknown)} are not of this collection; it has {_named(sorted(known))}")
    outlined = {
        one.study_uid
        for one in found
        if images_only or (one.modality in OUTLINES and one.annotations in {"", *annotations})
    }
    ct = {one.study_uid for one in found if one.modality == CT}
    chosen: dict[str, list[PublicSeries]] = {}
    for one in found:
        right = one.modality == CT or (not images_only and one.annotations in {"", *annotations})
        if right and one.study_uid in ct & outlined:
            chosen.setdefault(one.patient, []).append(one)
    if not chosen:
        others = _named(sorted(known))
        raise ValueError(f"no patient has CT and outlines in one study; give --annotations ({others}) or --images-only")
    kept = sorted(chosen)[: patients or None]
    everybody = len({one.patient for one in found})
    return Wanted(tuple(one for patient in kept for one in chosen[patient]), len(kept), everybody - len(chosen))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def files_of(series: PublicSeries, address: str = ADDRESS) -> tuple[PublicFile, ...]:
    """The files of a series as its bucket lists them.

    FetchError where the bucket cannot be asked, answers something else, or holds another number of files than the
    index says; ValueError for an address that is not encrypted, other than of this computer.
    """
    base = address.format(bucket=series.bucket)
    _check_address(base)
    files: list[PublicFile] = []
    mark = ""
    while True:
        asked = {"list-type": "2", "prefix": f"{series.folder}/"} | ({"continuation-token": mark} if mark else {})
        page = _listed(f"{base}/?{urllib.parse.urlencode(asked)}")
        files += [_file(entry, base) for entry in page.findall("{*}Contents")]
        mark = page.findtext("{*}NextContinuationToken", "")
        if not mark:
            break
    if len(files) != series.files:
        raise FetchError(f"the bucket lists {len(files)} files of a series, the index {series.files}")
    return tuple(files)


def _file(entry: ElementTree.Element, base: str) -> PublicFile:
    key, etag = entry.findtext("{*}Key", ""), entry.findtext("{*}ETag", "").strip('"')
    name = key.rsplit("/", 1)[-1]
    if not NAME.fullmatch(name) or name.startswith("."):
        raise FetchError("the bucket lists a file with an unusable name")
    md5 = etag if WHOLE_MD5.fullmatch(etag) else ""
    return PublicFile(f"{base}/{urllib.parse.quote(key)}", name, int(entry.findtext("{*}Size", "0")), md5)


def _listed(address: str) -> ElementTree.Element:
    def read(answer: HTTPResponse) -> bytes:
        return answer.read(MOST_LIST_BYTES + 1)

    text = _tried(lambda: _asked(address, {}, read))
    try:
        if len(text) > MOST_LIST_BYTES or b"<!ENTITY" in text:
            raise ElementTree.ParseError
        return ElementTree.fromstring(text)
    except ElementTree.ParseError:
        raise FetchError("the bucket's list of files could not be read") from None


def fetch_file(file: PublicFile, target: Path, told: Callable[[int], None]) -> bool:
    """Fetch a file into a folder, going on where an earlier try stopped; whether anything had to be fetched.

    `told` hears the bytes as they come (negative: thrown away again). The file appears under its name when its size
    and md5 are right; FetchError when they are not after several tries.
    """
    done = target / file.name
    if done.exists() and done.stat().st_size == file.size:
        return False
    target.mkdir(parents=True, exist_ok=True)
    part = target / f"{file.name}{PART}"
    _tried(lambda: _fetch_rest(file, part, told))
    part.replace(done)
    return True


def _fetch_rest(file: PublicFile, part: Path, told: Callable[[int], None]) -> None:
    """Fetch what a partial file lacks and check the whole; one that turns out wrong is thrown away."""
    have = part.stat().st_size if part.exists() else 0
    if have < file.size or not have:
        ranged = {"Range": f"bytes={have}-"} if have else {}
        _asked(file.address, ranged, lambda answer: _write(answer, part, have, told))
    if part.stat().st_size < file.size:
        raise FetchError("the connection broke off")
    with part.open("rb") as stream:
        right = part.stat().st_size == file.size
        right = right and (not file.md5 or hashlib.file_digest(stream, "md5").hexdigest() == file.md5)
    if not right:
        told(-part.stat().st_size)
        part.unlink()
        raise FetchError("a file came with another size or hash than the bucket says")


def _write(answer: HTTPResponse, part: Path, have: int, told: Callable[[int], None]) -> None:
    goes_on = answer.status == PARTIAL_CONTENT and have > 0
    if have and not goes_on:
        told(-have)
    with part.open("ab" if goes_on else "wb") as stream:
        while block := answer.read(BLOCK):
            stream.write(block)
            told(len(block))


def _asked(address: str, headers: dict[str, str], use: Callable[[HTTPResponse], Answer]) -> Answer:
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS) as answer:
        return use(answer)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what a bucket lists lies in it."""

    def redirect_request(self, *_: object) -> None:
        return None


def _tried(step: Callable[[], Answer]) -> Answer:
    """A step tried again after a pause while the network is at fault; FetchError with the reason at last."""
    for attempt in range(ATTEMPTS):
        try:
            return step()
        except (*NETWORK_ERRORS, FetchError) as error:
            if attempt == ATTEMPTS - 1:
                raise FetchError(_reason(error)) from None
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt)
    raise AssertionError


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the bucket answered {error.code}"
    return str(error) if isinstance(error, FetchError) else f"no answer: {type(error).__name__}"


def _check_address(address: str) -> None:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("the address must begin with https:// (http:// on this computer only)")
