"""Who may do what: three roles, one table of actions, accounts in the ledger; nothing is allowed that is not listed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger, now

SIGNED_IN = ("OpenID Connect", "proxy")  # whose roles lie in the accounts, whatever a page still holds
ROLES = ("viewer", "reader", "administrator")  # each may do what those before it may
ACTIONS: dict[str, str] = {
    "view study": "viewer",
    "keep figure": "viewer",
    "export report": "viewer",
    "view images": "reader",
    "judge": "reader",
    "draw": "reader",
    "note decision": "reader",
    "bring up to date": "reader",
    "start run": "administrator",
    "cancel run": "administrator",
    "train": "administrator",
    "lock plan": "administrator",
    "change choices": "administrator",
    "take list": "administrator",
    "upload images": "administrator",
    "upload table": "administrator",
    "name patient": "administrator",
    "withdraw patient": "administrator",
    "see audit": "administrator",
    "set accounts": "administrator",
    "export pseudonymised": "administrator",
}
SCHEMA = """CREATE TABLE IF NOT EXISTS account (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, set_at TEXT NOT NULL, set_by TEXT NOT NULL) STRICT"""
LONGEST_NAME = 200


class ForbiddenActionError(Exception):
    """An action that the person's role does not allow; carries no detail of what was asked for."""

    def __init__(self, action: str, role: str) -> None:
        super().__init__(f"{action!r} is not allowed to {role or 'somebody without a role'}")
        self.action, self.role = action, role


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signed in: name as the audit records it, role in this study (empty: none), how he signed in."""

    name: str
    role: str
    how: str  # open on this computer | OpenID Connect | proxy | command line


@dataclass(frozen=True, slots=True)
class Account:
    """A name and its role in one study."""

    name: str
    role: str
    set_at: str
    set_by: str


def allowed(person: Person, action: str) -> bool:
    """Whether a person's role allows an action; False for any action that is not in ACTIONS."""
    least = ACTIONS.get(action)
    return least is not None and person.role in ROLES and ROLES.index(person.role) >= ROLES.index(least)


def authorise(study: Path, person: Person, action: str) -> None:
    """Let an action pass, or refuse it and say so in the audit; ForbiddenActionError.

    The role of whoever signed in is read anew: a button or a download of a page drawn before it was taken away fails.
    """
    if person.how in SIGNED_IN:
        person = replace(person, role=role_of(study, person.name))
    if allowed(person, action):
        return
    folder = StudyFolder(study)
    if folder.ledger.exists():
        with Ledger(folder) as ledger:
            ledger.audit(person.name, "refused", f"{action} as {person.role or 'no role'}")
    raise ForbiddenActionError(action, person.role)


def record_action(study: Path, person: Person, action: str, detail: str = "") -> None:
    """Write what a person did into the audit."""
    with Ledger(StudyFolder(study)) as ledger:
        ledger.audit(person.name, action, detail)


def set_account(study: Path, name: str, role: str, by: str) -> None:
    """Give a name a role, or take it away (empty role); ValueError for another role or an impossible name."""
    clean = name.strip().lower()
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise ValueError("an account is named by the e-mail address or subject that the provider sends")
    if role and role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}, or empty to take it away, got {role!r}")
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        connection.execute(SCHEMA)
        connection.execute("DELETE FROM account WHERE name=?", (clean,))
        if role:
            connection.execute("INSERT INTO account VALUES (?,?,?,?)", (clean, role, now(), by))
        ledger.append_audit(connection, by, "set account", f"{clean} {role or 'no role'}")


def accounts(study: Path) -> tuple[Account, ...]:
    """The accounts of a study by name."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        if not ledger.rows("SELECT 1 FROM sqlite_master WHERE name='account'"):
            return ()
        found = ledger.rows("SELECT name, role, set_at, set_by FROM account ORDER BY name")
    return tuple(Account(*row) for row in found)  # type: ignore[arg-type]


def role_of(study: Path, name: str) -> str:
    """The role of a name in a study, empty where it has none; read anew each time, so that taking it away counts."""
    wanted = name.strip().lower()
    return next((account.role for account in accounts(study) if account.name == wanted), "")
