"""What many tests share: the shared data, a browser, one small demo study brought up to date by the real runner."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import skips
from tests.skips import NO_CHROMIUM, NO_SHARED_DATA

pytest_plugins = ["pytester"]

HOUSE = Path(__file__).parents[1]
DEMO_CASES = 32
LONGEST = ("test_cluster", "test_kills", "test_canaries", "test_review_lung1", "test_review_browser")
MAIN = sys.modules["__main__"]
THREAD_LIMITS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def pytest_configure(config: pytest.Config) -> None:
    # Runs note their selections beside the user's models; those of tests are nobody's business.
    os.environ["COHORTSCOPE_HOME"] = tempfile.mkdtemp(prefix="cohortscope-home-")
    config.pluginmanager.register(skips)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Files of many minutes begin first, so that no process waits at the end for one of them.
    rank = {f"{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    # A page run by AppTest leaves itself as __main__, which processes that a later test spawns would run again.
    sys.modules["__main__"] = MAIN


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data: $COHORTSCOPE_SHARED, else ../shared beside the checkout."""
    folder = Path(os.environ.get("COHORTSCOPE_SHARED") or HOUSE.parent / "shared").resolve()
    if not (folder / "data").is_dir():
        pytest.skip(NO_SHARED_DATA)
    return folder


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser of the page tests; where it is required (.ci/run) its absence fails instead of skipping."""
    for name in ("chromium", "chromium-browser"):
        if found := shutil.which(name):
            return Path(found)
    if os.environ.get("COHORTSCOPE_REQUIRE_CHROMIUM"):
        pytest.fail("Chromium is required here and absent: apt-get install chromium", pytrace=False)
    pytest.skip(NO_CHROMIUM)


@pytest.fixture(scope="session")
def demo_study(pytestconfig: pytest.Config) -> Path:
    """A demo study, made and run by the command line, kept until a source changes; write to demo_copy instead."""
    kept = pytestconfig.cache.mkdir("demo-study")
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        study = kept / hash_of_sources()
        if not (study / "complete").exists():
            drop_other_studies(kept)
            command_line("demo", str(study), "--cases", str(DEMO_CASES))
            command_line("run", str(study))
            (study / "complete").touch()
    return study


@pytest.fixture
def demo_copy(demo_study: Path, tmp_path: Path) -> Path:
    """A copy of the demo study that a test may write to."""
    return Path(shutil.copytree(demo_study, tmp_path / "study"))


def hash_of_sources() -> str:
    """16 hex digits of what decides the demo study: engine, store, the models shipped beside them, the packages."""
    digest = hashlib.sha256(str(DEMO_CASES).encode())
    sources = [path for part in ("engine", "store") for path in (HOUSE / part).rglob("*") if decides_results(path)]
    for path in sorted([*sources, HOUSE / "requirements.txt"]):
        digest.update(str(path.relative_to(HOUSE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def decides_results(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"


def drop_other_studies(kept: Path) -> None:
    for folder in kept.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)


def command_line(*arguments: str) -> None:
    """Run `python -m engine`; a failure shows the end of its log."""
    done = subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        cwd=HOUSE,
        env=os.environ | THREAD_LIMITS,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.fail(f"engine {' '.join(arguments)} exited {done.returncode}:\n{done.stderr[-4000:]}", pytrace=False)
