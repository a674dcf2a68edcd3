"""Signed short-lived permissions to fetch the images of one reading, or to send one drawing back.

A grant travels in the header `Authorization`, never in an address. It is JSON, signed with HMAC-SHA256 by a key of the
study; it says who may do what with which part of which case until when, and in which browser session.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from dataclasses import dataclass

LIFETIME_SECONDS = 600.0
LONGEST_TOKEN = 4096
FETCH, SEND, ALIVE = "GET", "PUT", "POST"
Box = tuple[int, int, int, int, int, int]


class ForbiddenError(Exception):
    """A token that gives no right to what was asked; the reason is for logs, never for the asker."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one reader may fetch or send: a box (z, y, x starts and stops) of one case at a stride, in one session."""

    method: str
    run_id: str
    case_id: str
    reader: str
    mode: str
    reading: int
    layers: tuple[str, ...]
    drawn_key: str
    others: tuple[str, ...]  # drawn keys of other readers' masks, in the order of their layers
    box: Box
    stride: tuple[int, int, int]
    session: str  # digest of the session cookie
    identity: str
    expires_at: float
    ends_at: float  # when the session ends: no sign of life prolongs a grant beyond it


def session_digest(cookie: str) -> str:
    """What a grant keeps of a session cookie: enough to compare, nothing to use."""
    return hashlib.sha256(cookie.encode()).hexdigest()[:32]


def token_of(secret: bytes, grant: Grant) -> str:
    """A grant as signed text."""
    body = json.dumps(dataclasses.asdict(grant), separators=(",", ":"), sort_keys=True).encode()
    return f"{_text(body)}.{_text(_signature(secret, body))}"


def grant_of(secret: bytes, token: str, method: str, session: str, now: float) -> Grant:
    """The grant of a token; ForbiddenError unless it is whole, of this study, method and session, and not expired."""
    if not token or len(token) > LONGEST_TOKEN:
        raise ForbiddenError("no token")
    body, _, signature = token.partition(".")
    try:
        raw, signed = _bytes(body), _bytes(signature)
    except ValueError as error:
        raise ForbiddenError("not a token") from error
    if not hmac.compare_digest(signed, _signature(secret, raw)):
        raise ForbiddenError("signed by another key")
    stored = json.loads(raw)
    tuples = ("layers", "others", "box", "stride")
    cells = {key: tuple(value) if key in tuples else value for key, value in stored.items()}
    try:
        grant = Grant(**cells)  # type: ignore[arg-type]
    except TypeError as error:
        raise ForbiddenError("of another version of the app") from error
    if grant.method != method:
        raise ForbiddenError(f"for {grant.method}, not for {method}")
    if not hmac.compare_digest(grant.session, session):
        raise ForbiddenError("of another session")
    if now >= grant.expires_at:
        raise ForbiddenError("expired")
    return grant


def _signature(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
