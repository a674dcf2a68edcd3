"""Roles, accounts and the audit: deny by default, take away at once, a cut end is seen."""

from __future__ import annotations

import sqlite3

import pytest

from store.access import (
    ACTIONS,
    ROLES,
    ForbiddenActionError,
    Person,
    accounts,
    allowed,
    authorise,
    role_of,
    set_account,
)
from store.audit import audit_lines, verify_audit
from store.layout import StudyFolder
from store.ledger import Ledger

ADMINISTRATORS_ONLY = {name for name, least in ACTIONS.items() if least == "administrator"}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["", "visitor", "Administrator", *ROLES])
def test_every_action_as_every_role(role, action):
    viewer = {"view study", "keep figure", "export report"}
    may = {"viewer": viewer, "reader": viewer | {"view images", "judge", "draw", "note decision", "bring up to date"}}
    expected = role == "administrator" or action in may.get(role, set())
    assert allowed(Person("somebody", role, "test"), action) == expected


def test_an_action_that_nobody_listed_is_denied_to_everybody():
    assert not any(allowed(Person("somebody", role, "test"), "drop tables") for role in ROLES)


def test_a_refused_action_is_in_the_audit(tmp_path):
    Ledger(StudyFolder(tmp_path)).close()
    with pytest.raises(ForbiddenActionError):
        authorise(tmp_path, Person("eve", "viewer", "test"), "withdraw patient")
    assert [(line.actor, line.action) for line in audit_lines(tmp_path)] == [("eve", "refused")]


def test_a_role_is_given_changed_and_taken_away(tmp_path):
    set_account(tmp_path, "Ada@Example.org", "reader", "boss")
    set_account(tmp_path, "ada@example.org", "viewer", "boss")
    assert role_of(tmp_path, "ADA@example.org") == "viewer"
    set_account(tmp_path, "ada@example.org", "", "boss")
    assert role_of(tmp_path, "ada@example.org") == ""
    assert accounts(tmp_path) == ()
    assert len(audit_lines(tmp_path)) == 3


@pytest.mark.parametrize(("name", "role"), [("", "viewer"), ("a\nb", "viewer"), ("x" * 300, "viewer"), ("a", "root")])
def test_accounts_that_cannot_be_are_refused(tmp_path, name, role):
    with pytest.raises(ValueError, match=r"account is named|role must be"):
        set_account(tmp_path, name, role, "boss")


def _break_audit(study, sql):
    with sqlite3.connect(StudyFolder(study).ledger) as connection:
        for name in ("audit_stays", "audit_keeps"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE audit SET actor='nobody' WHERE seq=2", "changed"),
        ("DELETE FROM audit WHERE seq=2", "taken out"),
        ("DELETE FROM audit WHERE seq>=2", "cut off"),
    ],
)
def test_an_audit_that_was_tampered_with_is_seen(tmp_path, sql, problem):
    (tmp_path / "private").mkdir()
    with Ledger(StudyFolder(tmp_path)) as ledger:
        for number in range(3):
            ledger.audit("ada", "look", str(number))
    assert verify_audit(tmp_path).whole
    _break_audit(tmp_path, sql)
    assert problem in verify_audit(tmp_path).problem
