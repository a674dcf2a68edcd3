"""The rules of the house that ruff, mypy and import-linter cannot say, read off the sources."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
TOP_LEVEL = {
    "app.py",
    "pages",
    "engine",
    "store",
    "tests",
    "requirements.txt",
    "requirements-peers.txt",
    "README.md",
    "Makefile",
    "LICENSE",
}
LONG_FUNCTION = 60
LONG_FUNCTIONS_SHARE = 0.05
LONG_FILE = 500
# One record a table, read as a catalogue: splitting it would hide the schema.
LONG_FILES = {"store/records.py"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
SQL = re.compile(
    r"\b(SELECT\b.*\bFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|(CREATE|DROP|ALTER)\s+(TABLE|VIEW|INDEX))\b",
    re.DOTALL,
)
PAGES_MAY_NOT_IMPORT = {
    "SimpleITK", "duckdb", "lifelines", "nnunetv2", "pydicom", "radiomics", "scipy", "sklearn", "sksurv", "sqlite3",
    "statsmodels", "torch",
}  # fmt: skip

PAGES = [HOUSE / "app.py", *sorted((HOUSE / "pages").rglob("*.py"))]
ENGINE = sorted((HOUSE / "engine").rglob("*.py"))
STORE = sorted((HOUSE / "store").rglob("*.py"))
PRODUCT = [*PAGES, *ENGINE, *STORE]
TESTS = sorted((HOUSE / "tests").rglob("*.py"))
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(HOUSE))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


def functions_of(tree: ast.Module) -> Iterator[FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def length_of(function: FunctionNode) -> int:
    """Lines of a function without its docstring."""
    docstring = function.body[0] if ast.get_docstring(function, clean=False) is not None else None
    described = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - described


def imports_of(tree: ast.Module) -> set[str]:
    """Absolute names of the modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def prose_of(tree: ast.Module) -> set[int]:
    """Identities of the string constants that are docstrings."""
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | FunctionNode))
    return {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}


def strings_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    prose = prose_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def test_import_contracts_are_kept():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def test_the_import_contracts_see_every_package_of_engine():
    text = (HOUSE / ".importlinter").read_text()
    packages = {path.name for path in (HOUSE / "engine").iterdir() if (path / "__init__.py").exists()}
    listed = set(re.findall(r"\((\w+)\)", text))
    assert packages <= listed, f"name {packages - listed} in the layers of .importlinter"


def test_pages_read_queries_and_draw_figures_only():
    roots = {name_of(path): {name.split(".")[0] for name in imports_of(tree_of(path))} for path in PAGES}
    assert not {page: found & PAGES_MAY_NOT_IMPORT for page, found in roots.items() if found & PAGES_MAY_NOT_IMPORT}


def test_nothing_below_imports_pages_or_tests():
    found = {
        name_of(path): name
        for path in [*ENGINE, *STORE]
        for name in imports_of(tree_of(path))
        if name.split(".")[0] in {"app", "pages", "tests", "streamlit"}
    }
    assert not found


def test_imports_are_absolute():
    assert not [name_of(path) for path in PRODUCT for name in imports_of(tree_of(path)) if name.startswith(".")]


def test_only_the_runner_catches_every_exception():
    broad = [
        f"{name_of(path)}:{node.lineno}"
        for path in PRODUCT
        if "engine/run" not in name_of(path)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    ]
    assert not broad


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Whether a handler swallows any exception; cleaning up and raising again is not swallowing."""
    if any(isinstance(node, ast.Raise) and node.exc is None for node in handler.body):
        return False
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(name is None or getattr(name, "id", "") in {"Exception", "BaseException"} for name in caught)


def test_nothing_prints():
    calls = [
        f"{name_of(path)}:{node.lineno}"
        for path in PRODUCT
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"print", "pprint"}
    ]
    assert not calls


def test_sql_is_written_in_store_only():
    found = [
        f"{name_of(path)}:{line}"
        for path in [*PAGES, *ENGINE]
        for line, text in strings_of(tree_of(path))
        if SQL.search(text)
    ]
    assert not found


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT roi FROM overlap", True),
        ("INSERT OR IGNORE INTO runs VALUES (?)", True),
        ("Select a case from the table", False),
        ("UPDATE the protocol", False),
    ],
)
def test_the_sql_rule_tells_sql_from_prose(text, is_sql):
    assert bool(SQL.search(text)) == is_sql


def test_long_functions_hold_at_most_a_twentieth_of_the_code():
    lengths = {
        f"{name_of(path)}:{node.name}": length_of(node) for path in PRODUCT for node in functions_of(tree_of(path))
    }
    long = {name: lines for name, lines in lengths.items() if lines > LONG_FUNCTION}
    assert sum(long.values()) <= LONG_FUNCTIONS_SHARE * sum(lengths.values()), long


def test_files_stay_short_enough_to_read():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in PRODUCT}
    assert not {name: lines for name, lines in lengths.items() if lines > LONG_FILE and name not in LONG_FILES}


def test_every_file_name_says_what_is_in_it():
    assert not [name_of(path) for path in PRODUCT if set(re.split(r"[_.]", path.name)) & EMPTY_NAMES]


def test_public_signatures_say_their_types():
    found = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in [*ENGINE, *STORE]
        for node in functions_of(tree_of(path))
        if not node.name.startswith("_") and any(says_any(annotation) for annotation in annotations_of(node))
    ]
    assert not found


def says_any(annotation: ast.expr) -> bool:
    return any("Any" in (getattr(part, "id", ""), getattr(part, "attr", "")) for part in ast.walk(annotation))


def annotations_of(function: FunctionNode) -> list[ast.expr]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    found = [argument.annotation for argument in every if argument is not None]
    return [annotation for annotation in [*found, function.returns] if annotation is not None]


def test_every_exemption_names_its_rule():
    bare = re.compile(r"type:\s*ignore(?!\[)|noqa(?!:\s*[A-Z])")
    assert not [
        f"{name_of(path)} {text}" for path in [*PRODUCT, *TESTS] for text in comments_of(path) if bare.search(text)
    ]


def comments_of(path: Path) -> list[str]:
    with tokenize.open(path) as source:
        return [token.string for token in tokenize.generate_tokens(source.readline) if token.type == tokenize.COMMENT]


def test_the_visible_top_level_is_the_table_of_contents():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {name.split("/")[0] for name in listed if not name.startswith(".")} == TOP_LEVEL


def test_tests_mirror_the_tree():
    folders = {test.parent.relative_to(HOUSE / "tests") for test in TESTS if test.name.startswith("test_")}
    assert not [str(folder) for folder in folders if not (HOUSE / folder).is_dir()]


def test_every_module_of_engine_and_store_can_be_found():
    names = [
        name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in [*ENGINE, *STORE]
    ]
    assert not [name for name in names if importlib.util.find_spec(name) is None]
