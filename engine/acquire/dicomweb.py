"""DICOMweb import: QIDO-RS to find, WADO-RS to fetch the CT, RTSTRUCT and SEG of named patients from an archive."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO

from engine.acquire.archive import appearing
from engine.acquire.dicom import patient_of
from store.records import RefusedError

ROLE = "DICOMweb archive"
WANTED = ("CT", "RTSTRUCT", "SEG")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID = 64
STUDY_UID, SERIES_UID, MODALITY, PATIENT_ID = "0020000D", "0020000E", "00080060", "00100020"
INSTANCES_OF_SERIES = "00201209"
MOST_INSTANCES, MOST_FILE_BYTES, MOST_LIST_BYTES = 50_000, 2 << 30, 64 << 20
TIMEOUT_SECONDS = 60
BLOCK = 1 << 16
ASKED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
NETWORK_ERRORS = (urllib.error.URLError, HTTPException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Archive:
    """A DICOMweb service: its base address, and user and password where it asks for them."""

    address: str
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched."""

    series: int
    instances: int


@dataclass(frozen=True, slots=True)
class _Series:
    """A series that the archive lists; announced is its number of instances, None where the archive does not say."""

    patient: str
    study: str
    uid: str
    announced: int | None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a password must not be carried to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def fetch_studies(archive: Archive, patients: tuple[str, ...], target: Path) -> Fetched:
    """Fetch every CT, RTSTRUCT and SEG series of the patients into a new folder, which appears when all is there.

    Files are named by number: no identifier of the archive enters a path. RefusedError for an unencrypted address
    beyond this computer, a wildcard in a patient id, a patient that the archive does not know, a file of another
    patient, a series of more or fewer files than announced, an answer that breaks off or is no DICOMweb, and more than
    the limits. What was fetched still has to pass the gate.
    """
    _check_address(archive.address)
    with appearing(target) as place:
        series = [one for patient in patients for one in _series_of(archive, patient)]
        count = 0
        for number, one in enumerate(series):
            own = place / f"series-{number:04d}"
            own.mkdir()
            before = count
            for raw in _instances(archive, one.study, one.uid):
                count += 1
                if count > MOST_INSTANCES:
                    raise _refuse("too_large", f"more than {MOST_INSTANCES} files.")
                _check_patient(raw, one.patient)
                (own / f"{count:06d}.dcm").write_bytes(raw)
            if one.announced not in (None, count - before):
                text = f"{count - before} files of a series came, {one.announced} were announced."
                raise _refuse("cut_series", text, "Fetch again; if it stays so, ask whoever runs the archive.")
    return Fetched(len(series), count)


def _check_patient(raw: bytes, patient: str) -> None:
    if patient_of(raw) != patient:
        text = "it sent a file that does not name the patient asked for."
        raise _refuse("other_patient", text, "Ask whoever runs the archive.")


def _check_address(address: str) -> None:
    parts = urllib.parse.urlsplit(address)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if not (parts.scheme == "https" or local) or not parts.hostname:
        text = "the address must begin with https:// (http:// on this computer only)."
        raise _refuse("unencrypted", text, "Ask for the archive's encrypted address.")


def _series_of(archive: Archive, patient: str) -> list[_Series]:
    patient = patient.strip()
    if not patient or any(sign in patient for sign in "*?\\"):
        raise _refuse("wildcard", "a patient id may hold no wildcard.", "Name each patient in full.")
    query = urllib.parse.urlencode({"PatientID": patient, "includefield": PATIENT_ID})
    studies = _list(archive, f"studies?{query}")
    own = [study for study in studies if _value(study, PATIENT_ID).strip() == patient]
    if not own:
        raise _refuse("no_patient", "the archive knows no such patient.", "Check the id, and whose archive it is.")
    found = []
    for study in own:
        uid = _uid(study, STUDY_UID)
        for series in _list(archive, f"studies/{uid}/series"):
            if _value(series, MODALITY) in WANTED:
                announced = _value(series, INSTANCES_OF_SERIES)
                number = int(announced) if announced.isdecimal() else None
                found.append(_Series(patient, uid, _uid(series, SERIES_UID), number))
    return found


def _list(archive: Archive, path: str) -> list[dict[str, object]]:
    try:
        with _open(archive, path, "application/dicom+json") as answer:
            raw = answer.read(MOST_LIST_BYTES + 1)
        if not raw:
            return []  # 204: nothing matches
        found = json.loads(raw)
    except NETWORK_ERRORS as error:
        raise _unreachable(error) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _refuse("not_dicomweb", "the answer is no list of data sets.")
    return found


def _value(one: dict[str, object], tag: str) -> str:
    element = one.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""


def _uid(one: dict[str, object], tag: str) -> str:
    value = _value(one, tag)
    if not UID.fullmatch(value) or len(value) > LONGEST_UID:
        raise _refuse("not_dicomweb", "a UID of the answer is none.")
    return value


def _open(archive: Archive, path: str, accept: str) -> IO[bytes]:
    request = urllib.request.Request(f"{archive.address.rstrip('/')}/{path}", headers={"Accept": accept})
    if archive.user:
        token = base64.b64encode(f"{archive.user}:{archive.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    answer: IO[bytes] = opener.open(request, timeout=TIMEOUT_SECONDS)
    return answer


def _instances(archive: Archive, study: str, series: str) -> Iterator[bytes]:
    try:
        with _open(archive, f"studies/{study}/series/{series}", ASKED) as answer:
            kind = str(answer.headers.get("Content-Type", ""))  # type: ignore[attr-defined]
            found = re.search(r'boundary="?([^";,\s]{1,200})"?', kind)
            if not kind.lower().startswith("multipart/related") or found is None:
                raise _refuse("not_dicomweb", "the answer to WADO-RS is not multipart/related.")
            yield from parts_of(answer, found[1].encode())
    except RefusedError:
        raise
    except NETWORK_ERRORS as error:
        raise _unreachable(error) from error


def parts_of(stream: IO[bytes], boundary: bytes) -> Iterator[bytes]:
    """The bodies of a multipart answer, one in memory at a time.

    RefusedError where the answer ends before its closing boundary or a part is larger than a file may be.
    """
    mark = b"\r\n--" + boundary
    buffer = b"\r\n" + stream.read(BLOCK)
    start = buffer.find(mark)
    if start < 0:
        raise _refuse("broken_off", "the answer holds no part.")
    buffer = buffer[start + len(mark) :]
    while True:
        while len(buffer) < 2:
            buffer += _more(stream)
        if buffer.startswith(b"--"):
            return
        pieces = bytearray(buffer)
        scanned = 0
        while (end := pieces.find(mark, scanned)) < 0:
            scanned = max(0, len(pieces) - len(mark))
            pieces += _more(stream)
            if len(pieces) > MOST_FILE_BYTES:
                raise _refuse("too_large", "a file of the answer is too large.")
        headers, gap, body = bytes(pieces[:end]).partition(b"\r\n\r\n")
        if not gap:
            raise _refuse("not_dicomweb", "a part of the answer has no end of headers.")
        del headers
        yield body
        buffer = bytes(pieces[end + len(mark) :])


def _more(stream: IO[bytes]) -> bytes:
    block = stream.read(BLOCK)
    if not block:
        raise _refuse("broken_off", "the answer broke off.", "Fetch again.")
    return block


def _unreachable(error: Exception) -> RefusedError:
    code = getattr(error, "code", None)
    why = f"it answers with HTTP {code}" if isinstance(code, int) else f"it cannot be reached ({type(error).__name__})"
    return _refuse("unreachable", f"{why}.", "Check address, user and password.")


def _refuse(code: str, message: str, remedy: str = "Check the address of the service.") -> RefusedError:
    return RefusedError(code, ROLE, message, remedy)
