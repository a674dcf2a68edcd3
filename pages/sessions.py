"""What tells one browser session from another, and which ended: kept in DIR/private, so that a restart forgets none."""

from __future__ import annotations

import functools
import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.acquire.pseudonyms import private_folder, write_private
from store.layout import StudyFolder

SESSION_COOKIE = "_streamlit_xsrf"
MASKED_COOKIE = re.compile(r"2\|([0-9a-f]{8})\|([0-9a-f]+)\|\d+")


SIGN_OUTS_FILE = "signed_out.json"
KEPT_SECONDS = 30 * 86_400.0  # as long as Streamlit's cookie of a sign-in lives
WRITING = threading.Lock()


def session_of(cookies: Mapping[str, str]) -> str:
    """What tells one browser session from another; empty without the session cookie.

    Streamlit masks the cookie anew with every answer ("2|mask|masked token|time"), so the mask is taken off.
    """
    found = MASKED_COOKIE.fullmatch(str(cookies.get(SESSION_COOKIE, "")).strip("\"'"))
    if found is None:
        return ""
    mask, masked = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    return bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked)).hex()


def note_sign_out(study: Path, digests: Iterable[str]) -> None:
    """Remember that sign-ins and browsers, each by a digest, were signed out now; the record is on disk afterwards."""
    with WRITING:
        known = {digest: at for digest, at in _sign_outs(study).items() if at > time.time() - KEPT_SECONDS}
        known |= dict.fromkeys(digests, time.time())
        write_private(private_folder(study) / SIGN_OUTS_FILE, json.dumps(known))


def sign_out_of(study: Path, digest: str) -> float:
    """When a sign-in or a browser was last signed out, 0 where it was not."""
    return _sign_outs(study).get(digest, 0.0)


def _sign_outs(study: Path) -> Mapping[str, float]:
    path = StudyFolder(study).private / SIGN_OUTS_FILE
    try:
        facts = path.stat()
    except FileNotFoundError:
        return {}
    return _read_sign_outs(path, (facts.st_ino, facts.st_mtime_ns, facts.st_size))


@functools.lru_cache(maxsize=1)
def _read_sign_outs(path: Path, _mark: tuple[int, int, int]) -> Mapping[str, float]:
    return {str(digest): float(at) for digest, at in json.loads(path.read_text("utf-8")).items()}
