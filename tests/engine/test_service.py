"""Every function of the service layer, tried as every role: what a role may not do changes nothing."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable

import pytest

from store.access import ACTIONS, ROLES, ForbiddenActionError, Person, authorise, set_account
from store.layout import StudyFolder
from store.ledger import Ledger
from tests.test_architecture import ENGINE, HOUSE, PAGES, tree_of

WRITES = re.compile(r"\b(open_ledger|Ledger|Popen|launch\w*|write_\w+|rmtree|unlink|rename)\(|\.transaction\(")
# What pages call that may write and asks for no role itself.
ASKS_ELSEWHERE = {
    "begin_order": "draws a reader's own order once; the page asks for 'view images'",
    "sign_of_life": "counts a reader's own time; page and route ask for 'view images' or 'draw'",
    "show_words": "notes of a reader what he was shown; the pages ask for 'view images', in a meeting for 'judge'",
    "save_from_viewer": "the route asks for a token and 'draw'",
    "viewer_secret": "makes the key of the tokens once",
    "write_private": "remembers which sign-ins have ended; whoever signs out has asked for it",
    "write_for_owner_only": "takes rights away from files that this process will make",
}
READ = {"role_of", "running", "basket", "decisions", "protocol_of", "left_unfinished", "run_standing", "read_progress"}
READ |= {"read_training", "read_live", "tokens", "reviewed_until"}


def services() -> dict[str, Callable[..., object]]:
    """Every function of the engine that takes a person and asks for his role; commands ask as the operator."""
    found = {}
    for path in ENGINE:
        if "authorise(" not in path.read_text("utf-8") or "commands" in path.parts:
            continue
        module = importlib.import_module(".".join(path.relative_to(HOUSE).with_suffix("").parts))
        for name, function in vars(module).items():
            if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
                found[name] = function
    return found


CALLS = services()


def action_of(name: str) -> str:
    """The action that a function asks for in its first statement after the docstring, given "text" for all else."""
    first = ast.parse(inspect.getsource(CALLS[name])).body[0].body[1]
    assert isinstance(first, ast.Expr), f"{name} must begin with authorise(...)"
    call = first.value
    assert call.func.id == "authorise"
    asked = call.args[2].orelse if isinstance(call.args[2], ast.IfExp) else call.args[2]
    return asked.value


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


class LetThroughError(Exception):
    """Raised behind the question for a role, so that nothing is done."""


@pytest.mark.parametrize("how", ["test", "OpenID Connect", "proxy"])
@pytest.mark.parametrize("name", CALLS)
def test_every_role_that_may_is_let_through(name, how, tmp_path, monkeypatch):
    """Else services that refused everybody would pass as services that ask."""

    def asked(study, person, action):
        authorise(study, person, action)
        raise LetThroughError

    monkeypatch.setattr(importlib.import_module(CALLS[name].__module__), "authorise", asked)
    permitted = ROLES[ROLES.index(ACTIONS[action_of(name)]) :]
    assert "administrator" in permitted
    for role in permitted:
        set_account(tmp_path, "ada@example.org", role, "boss")
        with pytest.raises(LetThroughError):
            CALLS[name](tmp_path, Person("ada@example.org", role, how), *arguments_of(name))
    with Ledger(StudyFolder(tmp_path)) as ledger:
        assert ledger.rows("SELECT * FROM audit WHERE action='refused'") == []


def test_every_action_is_asked_for_by_a_service():
    source = "\n".join(inspect.getsource(one) for one in CALLS.values())
    assert [action for action in ACTIONS if f'"{action}"' not in source] == []


def test_a_role_taken_away_ends_what_a_page_still_holds(tmp_path):
    set_account(tmp_path, "ada@example.org", "reader", "boss")
    page = Person("ada@example.org", "reader", "OpenID Connect")
    set_account(tmp_path, "ada@example.org", "viewer", "boss")
    for name in CALLS:
        if ACTIONS[action_of(name)] == "reader":
            with pytest.raises(ForbiddenActionError, match="viewer"):
                CALLS[name](tmp_path, page, *arguments_of(name))


def called_by_pages() -> set[tuple[str, str]]:
    """Module and name of all that pages import from engine and store."""
    nodes = [node for path in PAGES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
    return {
        (node.module, alias.name)
        for node in nodes
        if node.module and node.module.startswith(("engine.", "store."))
        for alias in node.names
    }


def source_of(function: Callable[..., object]) -> str:
    """A function with the functions of its own module that it calls."""
    module, text, todo, seen = inspect.getmodule(function), "", [function], set()
    while todo:
        own = inspect.getsource(todo.pop())
        text += own
        called = {getattr(module, name, None) for name in re.findall(r"\b(\w+)\(", own)} - seen
        todo += [one for one in called if inspect.isfunction(one) and inspect.getmodule(one) is module]
        seen |= called
    return text


def test_pages_change_things_through_functions_that_ask_only():
    found = set()
    for module, name in called_by_pages():
        function = getattr(importlib.import_module(module), name)
        if inspect.isfunction(function) and not module.startswith("store.queries"):
            source = source_of(function)
            if WRITES.search(source) and not re.search(r"^    authorise\(", source, re.MULTILINE):
                found.add(name)
    assert found == ASKS_ELSEWHERE.keys() | READ
