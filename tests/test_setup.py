"""What a fresh machine is told, what a second set-up costs, and that the files around the code agree."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.skips import NO_CHROMIUM, NO_SHARED_DATA

HOUSE = Path(__file__).parents[1]
SETUP = HOUSE / ".ci" / "setup"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what .ci/setup needs, and an empty PATH folder `bin` for programs of our own making."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(SETUP, tmp_path / ".ci" / "setup")
    shutil.copy(HOUSE / "requirements.txt", tmp_path)
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "kernel.py").write_text("@njit\ndef one(): return 1\n")
    return tmp_path


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def set_up(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / ".ci" / "setup"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_a_wrong_python_gets_one_sentence(clone):
    old = program(clone / "bin" / "python3", "echo 3.9")
    done = set_up(clone, PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs Python 3.11" in done.stderr
    assert "is 3.9" in done.stderr


def test_a_missing_compiler_gets_one_sentence(clone):
    done = set_up(clone, CC="no-such-compiler")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs a C compiler" in done.stderr


def test_missing_headers_get_one_sentence(clone):
    done = set_up(clone, CC=str(program(clone / "bin" / "cc", "exit 1")))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python.h" in done.stderr


def record_calls(clone: Path, then: str) -> Path:
    """A Python 3.11 in .venv that only writes down how it was called."""
    calls = clone / "calls"
    program(clone / ".venv" / "bin" / "python", f'[ "$1" = -c ] && {{ echo 3.11; exit; }}\necho "$@" >>{calls}\n{then}')
    return calls


def test_a_broken_installation_leaves_no_stamp_and_the_next_one_starts_again(clone):
    calls = record_calls(clone, "exit 1")
    for _ in range(2):
        assert set_up(clone).returncode == 1
        assert not list((clone / ".venv").glob(".installed*"))
    assert calls.read_text().count("pip install") == 2


def test_a_second_setup_does_nothing_until_the_requirements_change(clone):
    calls = record_calls(clone, "exit 0")
    assert set_up(clone).returncode == 0
    installed = calls.read_text()
    assert "--no-build-isolation -r requirements.txt" in installed
    second = set_up(clone)
    assert (second.returncode, second.stdout, calls.read_text()) == (0, "", installed)
    with (clone / "requirements.txt").open("a") as requirements:
        requirements.write("six\n")
    assert set_up(clone).returncode == 0
    assert calls.read_text().count("-r requirements.txt") == 2


def test_kernels_are_compiled_once_and_again_when_their_source_changes(clone):
    calls = record_calls(clone, "exit 0")
    for compiled in (1, 1):
        assert set_up(clone).returncode == 0
        assert calls.read_text().count("engine compile") == compiled
    (clone / "engine" / "kernel.py").write_text("@njit\ndef one(): return 2\n")
    assert set_up(clone).returncode == 0
    assert calls.read_text().count("engine compile") == 2


def test_a_port_in_use_gets_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run([HOUSE / ".ci" / "port", str(port)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"Port {port} is in use: stop the program that listens there, or name another port, "
        f"as in make demo PORT={port + 1}.\n"
    )
    assert subprocess.run([HOUSE / ".ci" / "port", str(port)]).returncode == 0


def test_a_folder_without_study_gets_one_sentence(tmp_path):
    done = subprocess.run([HOUSE / ".ci" / "serve", tmp_path, "8501"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "has no study.toml" in done.stderr


def test_every_requirement_is_pinned_to_one_version():
    lines = [
        line for line in (HOUSE / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9.]+(\s+#.*)?", line)]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """The version of each package in the lock; each line holds at least one hash and nothing else."""
    lines = [line for line in (HOUSE / ".ci" / "locked.txt").read_text().splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9-]+)==(\S+)( --hash=sha256:[0-9a-f]{64})+", line) for line in lines]
    assert all(found)
    return {match[1]: match[2] for match in found if match}


def test_the_lock_holds_every_requirement_in_its_version():
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (HOUSE / "requirements.txt").read_text(), re.MULTILINE)
    assert len(pinned) > 30
    versions = {name: version.partition("+")[0] for name, version in locked().items()}  # torch==2.13.0+cpu
    assert [name for name, version in pinned if versions.get(canonical(name)) != version] == []


def test_the_lock_holds_every_installed_distribution():
    installed = {canonical(one.name) for one in importlib.metadata.distributions()}
    assert installed - set(locked()) == set(), "run .venv/bin/python .ci/lock"


def test_a_locked_setup_takes_hashes_only_and_stays_locked(clone):
    shutil.copy(HOUSE / ".ci" / "locked.txt", clone / ".ci")
    calls = record_calls(clone, "exit 0")
    (clone / ".venv" / ".locked").touch()
    for environment in ({"LOCKED": "1"}, {}):
        assert set_up(clone, **environment).returncode == 0
        installs = [line for line in calls.read_text().splitlines() if "pip install" in line]
        assert len(installs) == 2
        assert all("--require-hashes" in line for line in installs)
    first = (clone / ".venv" / "first.txt").read_text()
    assert re.findall(r"^[a-z]+", first, re.MULTILINE) == [
        "numpy",
        "packaging",
        "pip",
        "setuptools",
        "versioneer",
        "wheel",
    ]


def test_what_was_installed_without_hashes_is_thrown_away_first(clone):
    shutil.copy(HOUSE / ".ci" / "locked.txt", clone / ".ci")
    calls = record_calls(clone, "exit 0")
    python = program(clone / "bin" / "python3", '[ "$1" = -c ] && { echo 3.11; exit; }\nexit 1')
    done = set_up(clone, LOCKED="1", PYTHON=str(python), CC=str(program(clone / "bin" / "cc", "cat >/dev/null")))
    assert done.returncode == 1
    assert not (clone / ".venv").exists()
    assert not calls.exists()


def test_a_commit_is_checked_by_what_continuous_integration_runs():
    hooks = re.findall(r"entry: (make \w+)", (HOUSE / ".pre-commit-config.yaml").read_text())
    assert hooks == ["make lint", "make test"]
    assert "make test" in (HOUSE / ".ci" / "run").read_text()


def run_ci(clone: Path, make: str) -> subprocess.CompletedProcess[str]:
    """.ci/run on a machine that has only shell tools and our own make, apt-get and sudo; no chromium."""
    shutil.copy(HOUSE / ".ci" / "run", clone / ".ci" / "run")
    for name in ("bash", "dirname", "env", "grep", "id", "mktemp", "rm", "sh", "tail", "tee"):
        (clone / "bin" / name).symlink_to(str(shutil.which(name)))
    program(clone / "bin" / "apt-get", 'echo "apt-get $@"')
    program(clone / "bin" / "sudo", 'exec "$@"')
    program(clone / "bin" / "make", make)
    return subprocess.run([clone / ".ci" / "run"], env={"PATH": str(clone / "bin")}, capture_output=True, text=True)


def test_ci_installs_a_browser_and_ends_with_the_count(clone):
    done = run_ci(clone, 'echo "require $COHORTSCOPE_REQUIRE_CHROMIUM"; echo "3 passed in 1.20s"')
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[0] == "apt-get update -q"
    assert lines[1].startswith("apt-get install")
    assert lines[1].endswith(" chromium orthanc orthanc-dicomweb")
    assert lines[2:] == ["require 1", "3 passed in 1.20s"]


@pytest.mark.parametrize(
    ("printed", "last"),
    [("2 failed, 3 passed, 1 warning in 61.20s (0:01:01)", None), ("Found 59 errors.", "0 passed, 1 failed")],
)
def test_ci_ends_with_the_count_when_it_fails(clone, printed, last):
    done = run_ci(clone, f'echo "{printed}"; echo "make: *** Error 1" >&2; exit 2')
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == (last or printed)


@pytest.fixture
def session(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A test project of its own under our rule on skips."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest((HOUSE / "tests" / "skips.py").read_text())
    return pytester


@pytest.mark.parametrize("processes", [(), ("-p", "xdist.plugin", "-n", "2")])
def test_skips_for_known_causes_are_counted(session, processes):
    session.makepyfile(f"""
        import pytest
        def test_data(): pytest.skip({NO_SHARED_DATA!r})
        def test_page(): pytest.skip({NO_CHROMIUM!r})
        @pytest.mark.skipif(True, reason={NO_CHROMIUM!r})
        def test_other_page(): pass
    """)
    result = session.runpytest_inprocess(*processes)
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines([f"skips by cause: {NO_SHARED_DATA} 1, {NO_CHROMIUM} 2"])


def test_any_other_skip_is_a_failure(session):
    session.makepyfile("""
        import pytest
        def test_called(): pytest.skip("not today")
        @pytest.mark.skip(reason="not today")
        def test_marked(): pass
        @pytest.mark.skipif(True, reason="not today")
        def test_marked_if(): pass
        @pytest.mark.xfail(strict=True)
        def test_known_to_fail(): assert False
    """)
    result = session.runpytest_inprocess()
    outcomes = result.parseoutcomes()
    assert (outcomes["xfailed"], outcomes.get("failed", 0) + outcomes.get("errors", 0)) == (1, 3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*'not today'. Only shared data absent and Chromium absent may skip a test.*"])


@pytest.mark.parametrize("reason", ["not today", NO_SHARED_DATA])
def test_a_file_that_skips_itself_is_a_failure(session, reason):
    session.makepyfile(f"import pytest\npytest.skip({reason!r}, allow_module_level=True)")
    assert session.runpytest_inprocess().ret != pytest.ExitCode.OK
