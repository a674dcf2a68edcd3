"""Who is let in by a proxy's header, and what each role sees; sign-in by OpenID is in test_sign_in.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.access import set_account
from store.audit import audit_lines
from store.publisher import publish
from tests.store.recorded import finish_run, start_run

SECRET = "a secret of the proxy"
RIGHT = {"X-Cohortscope-Proxy": SECRET, "X-Forwarded-User": "Ada@example.org"}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    start_run(tmp_path, "run-1")
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def behind_proxy(monkeypatch):
    """Pretend that a proxy sent these headers."""

    def send(headers: dict[str, str], secret: str = SECRET) -> None:
        monkeypatch.setenv("COHORTSCOPE_SIGN_IN", "proxy")
        monkeypatch.setenv("COHORTSCOPE_PROXY_SECRET", secret)
        monkeypatch.setattr("pages.gate.header", lambda name: headers.get(name, ""))

    return send


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({}, SECRET),
        ({"X-Forwarded-User": "ada@example.org"}, SECRET),
        (RIGHT | {"X-Cohortscope-Proxy": "a guess"}, SECRET),
        (RIGHT | {"X-Forwarded-User": ""}, SECRET),
        (RIGHT | {"X-Cohortscope-Proxy": "short"}, "short"),
        (RIGHT | {"X-Cohortscope-Proxy": ""}, ""),
    ],
)
def test_without_the_proxys_secret_and_a_name_nothing_is_shown(show, study, behind_proxy, headers, secret):
    set_account(study, "ada@example.org", "administrator", "boss")
    behind_proxy(headers, secret)
    app = show(study, "study/runs.py")
    assert "through the proxy" in app.error[0].value
    assert not app.title


@pytest.mark.parametrize(
    ("role", "page", "seen"),
    [
        ("viewer", "study/runs.py", True),
        ("viewer", "segmentation/review.py", False),
        ("reader", "segmentation/review.py", True),
        ("reader", "study/upload.py", False),
        ("administrator", "study/upload.py", True),
        ("", "study/runs.py", False),
    ],
)
def test_each_role_sees_its_pages(show, study, behind_proxy, role, page, seen):
    set_account(study, "ada@example.org", role, "boss")
    behind_proxy(RIGHT)
    app = show(study, page)
    assert bool(app.title) == seen
    assert bool(app.error) != seen


@pytest.mark.parametrize(("role", "starts"), [("viewer", False), ("reader", False), ("administrator", True)])
def test_only_administrators_are_offered_a_run(show, study, behind_proxy, role, starts):
    set_account(study, "ada@example.org", role, "boss")
    behind_proxy(RIGHT)
    labels = [button.label for button in show(study, "study/runs.py").sidebar.button]
    assert ("Start a run" in labels) == starts


def test_an_unknown_way_of_signing_in_lets_nobody_in(show, study, monkeypatch):
    monkeypatch.setenv("COHORTSCOPE_SIGN_IN", "anybody")
    app = show(study, "study/runs.py")
    assert "must be oidc, proxy or empty" in app.error[0].value
    assert not app.title
    assert audit_lines(study) == ()
