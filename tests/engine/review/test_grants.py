"""A token gives one reader one thing in one session for ten minutes, and nothing else."""

import base64
import dataclasses
import hmac
import json
from dataclasses import replace

import pytest

from engine.review.grants import ForbiddenError, Grant, grant_of, session_digest, token_of

KEY = b"k" * 32
SESSION = session_digest("cookie")
GRANT = Grant(
    "GET", "run-1", "A", "Ada", "work list", 1, ("lungs", "automatic"), "", (), (0, 4, 0, 4, 0, 4), (1, 1, 1), SESSION,
    "named himself", 100.0, 1000.0,
)  # fmt: skip
TOKEN = token_of(KEY, GRANT)


def test_a_token_says_what_was_granted():
    assert grant_of(KEY, TOKEN, "GET", SESSION, now=99.9) == GRANT


@pytest.mark.parametrize(
    ("token", "key", "method", "session", "now", "why"),
    [
        ("", KEY, "GET", SESSION, 0, "no token"),
        ("nonsense", KEY, "GET", SESSION, 0, "signed by another"),
        ("%%%.%%%", KEY, "GET", SESSION, 0, "not a token"),
        ("a" * 5000, KEY, "GET", SESSION, 0, "no token"),
        (TOKEN, b"x" * 32, "GET", SESSION, 0, "signed by another"),
        (TOKEN, KEY, "PUT", SESSION, 0, "not for PUT"),
        (TOKEN, KEY, "GET", session_digest("another"), 0, "another session"),
        (TOKEN, KEY, "GET", SESSION, 100.0, "expired"),
    ],
)
def test_everything_else_is_forbidden(token, key, method, session, now, why):
    with pytest.raises(ForbiddenError, match=why):
        grant_of(key, token, method, session, now)


def test_a_token_of_an_older_app_is_forbidden():
    stored = dataclasses.asdict(GRANT)
    del stored["ends_at"]
    body = json.dumps(stored).encode()
    text = [base64.urlsafe_b64encode(raw).decode() for raw in (body, hmac.digest(KEY, body, "sha256"))]
    with pytest.raises(ForbiddenError, match="another version"):
        grant_of(KEY, ".".join(part.rstrip("=") for part in text), "GET", SESSION, 0)


def test_a_token_for_another_case_cannot_be_made_from_one():
    body, _, signature = TOKEN.partition(".")
    stored = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(stored | {"case_id": "B"}).encode()).decode().rstrip("=")
    with pytest.raises(ForbiddenError, match="another key"):
        grant_of(KEY, f"{forged}.{signature}", "GET", SESSION, 0)


def test_the_same_grant_gives_the_same_token_and_another_end_another():
    assert token_of(KEY, GRANT) == TOKEN
    assert token_of(KEY, replace(GRANT, expires_at=101.0)) != TOKEN
