"""The audit of what is installed: known advisories, nothing known, and nobody to ask are three different answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import HOUSE

KNOWN = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["1.1"], "withdrawn": None}
ANSWERS = {
    "/bad/1.0/json": {"vulnerabilities": [KNOWN]},
    "/good/2.0/json": {"vulnerabilities": []},
    "/withdrawn/1.0/json": {"vulnerabilities": [KNOWN | {"withdrawn": "2026-01-01"}]},
    "/mute/1.0/json": {"info": {}},
}


class Database(BaseHTTPRequestHandler):
    """Answers as PyPI does, for a few packages."""

    def do_GET(self) -> None:
        """One version of one package."""
        found = ANSWERS.get(self.path)
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Database)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{{name}}/{{version}}/json"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ("good==2.0 --hash=sha256:0", 0, "1 packages in list.txt: 0 advisories, 0 without an answer"),
        ("good==2.0\nbad==1.0+cpu", 1, "bad 1.0: PYSEC-1 CVE-1, fixed in 1.1"),
        ("withdrawn==1.0", 0, "0 advisories"),
        ("bad==1.0\nabsent==1.0", 2, "NOT AUDITED"),
        ("mute==1.0", 2, "says nothing of advisories"),
        ("# nothing", 2, "NOT AUDITED"),
    ],
)
def test_what_is_known_of_a_list(database: str, tmp_path: Path, lines: str, code: int, said: str):
    (tmp_path / "list.txt").write_text(lines + "\n")
    done = subprocess.run(
        [sys.executable, str(HOUSE / ".ci" / "audit"), str(tmp_path / "list.txt")],
        env=os.environ | {"COHORTSCOPE_ADVISORIES": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
