"""Every function of the service layer, tried as every role: what a role may not do changes nothing."""

from __future__ import annotations

import ast
import inspect

import pytest

import engine.service
from store.access import ACTIONS, ROLES, ForbiddenActionError, Person
from store.layout import StudyFolder
from store.ledger import Ledger

CALLS = {
    name: function
    for name, function in vars(engine.service).items()
    if inspect.isfunction(function) and function.__module__ == "engine.service" and not name.startswith("_")
}


def action_of(name: str) -> str:
    """The action that a function asks for in its first statement after the docstring."""
    first = ast.parse(inspect.getsource(CALLS[name])).body[0].body[1]
    assert isinstance(first, ast.Expr), f"{name} must begin with authorise(...)"
    call = first.value
    assert call.func.id == "authorise"
    return call.args[2].value


def arguments_of(name: str) -> list[object]:
    parameters = list(inspect.signature(CALLS[name]).parameters)
    assert parameters[:2] == ["study", "person"], name
    return ["text"] * (len(parameters) - 2)


@pytest.mark.parametrize("name", CALLS)
def test_every_service_asks_for_a_listed_action_before_anything_else(name):
    assert action_of(name) in ACTIONS


@pytest.mark.parametrize("role", ["", *ROLES])
@pytest.mark.parametrize("name", CALLS)
def test_a_role_that_may_not_is_refused_and_changes_nothing(name, role, tmp_path):
    least = ACTIONS[action_of(name)]
    if role in ROLES and ROLES.index(role) >= ROLES.index(least):
        return
    Ledger(StudyFolder(tmp_path)).close()
    with pytest.raises(ForbiddenActionError):
        CALLS[name](tmp_path, Person("eve", role, "test"), *arguments_of(name))
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}
    with Ledger(StudyFolder(tmp_path)) as ledger:
        assert ledger.rows("SELECT action FROM audit") == [("refused",)]


def test_pages_change_things_through_the_service_layer_only():
    from tests.test_architecture import PAGES, imports_of, tree_of

    changing = (
        "engine.run.launch",
        "engine.run.plan_lock",
        "engine.run.withdrawal",
        "engine.acquire.pseudonyms",
        "store.access.set_account",
    )
    found = {path.name: set(changing) & imports_of(tree_of(path)) for path in PAGES}
    assert not {name: names for name, names in found.items() if names}
