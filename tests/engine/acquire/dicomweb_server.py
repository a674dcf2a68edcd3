"""A DICOMweb service over a folder of DICOM files, QIDO-RS and WADO-RS, on a port of loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pydicom
from pydicom.dataset import Dataset

USER, PASSWORD = "reader", "secret of the archive"
BOUNDARY = "part-of-an-answer"


class Handler(BaseHTTPRequestHandler):
    """Answers from the data sets of the server."""

    server: Service

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            return self._send(401, b"", "text/plain")
        address = urlsplit(self.path)
        parts = address.path.strip("/").split("/")[1:]
        if parts == ["studies"]:
            patient = parse_qs(address.query).get("PatientID", [""])[0]
            files = [ds for _, ds in self.server.files if self.server.unfiltered or str(ds.PatientID) == patient]
            found = {str(ds.StudyInstanceUID): ds for ds in files}
            names = ("StudyInstanceUID",) if self.server.unfiltered else ("StudyInstanceUID", "PatientID")
            return self._list(found.values(), names)
        if len(parts) == 3:
            found = {str(d.SeriesInstanceUID): d for _, d in self.server.files if str(d.StudyInstanceUID) == parts[1]}
            for uid, ds in found.items():
                uids = [str(d.SeriesInstanceUID) for _, d in self.server.files]
                ds.NumberOfSeriesRelatedInstances = uids.count(uid)
            return self._list(found.values(), ("SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances"))
        raw = [path.read_bytes() for path, ds in self.server.files if str(ds.SeriesInstanceUID) == parts[3]]
        raw = raw[: len(raw) - self.server.kept_back]
        body = b"".join(self._part(one) for one in raw) + f"--{BOUNDARY}--\r\n".encode()
        body = body[: int(len(body) * self.server.share)]
        return self._send(200, body, f'multipart/related; type="application/dicom"; boundary={BOUNDARY}')

    def _part(self, raw: bytes) -> bytes:
        return f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + raw + b"\r\n"

    def _list(self, found: object, names: tuple[str, ...]) -> None:
        rows = []
        for ds in found:
            row = Dataset()
            for name in names:
                setattr(row, name, getattr(ds, name))
            rows.append(row.to_json_dict())
        self._send(200, json.dumps(rows).encode(), "application/dicom+json") if rows else self._send(204, b"", "")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Service(ThreadingHTTPServer):
    """The service, its files and its faults."""

    def __init__(self, folder: Path, share: float, unfiltered: bool, kept_back: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.share, self.unfiltered, self.kept_back = share, unfiltered, kept_back
        self.files = [(path, pydicom.dcmread(path)) for path in sorted(folder.rglob("*.dcm"))]


@contextmanager
def serving(folder: Path, share: float = 1.0, unfiltered: bool = False, kept_back: int = 0) -> Iterator[str]:
    """Serve a folder; yields the base address.

    `share` below 1 breaks answers of WADO-RS off; `unfiltered` lists every study and no patient id; `kept_back` files
    of each series are announced and not sent.
    """
    service = Service(folder, share, unfiltered, kept_back)
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{service.server_port}/dicom-web"
    service.shutdown()
    thread.join()
