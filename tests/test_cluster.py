"""A real Dask scheduler and two worker processes on this machine: the same bits as local, whoever dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.layout import StudyFolder
from store.ledger import Ledger
from store.verification import verify
from tests.test_table_study import engine, make_table_study

HOUSE = Path(__file__).resolve().parents[1]
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
PATIENCE_SECONDS = 300
TIMED = "segment.segmentation"  # holds the seconds that each step took


class Cluster:
    """A scheduler and its workers, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.scheduler = self._start(
            *("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"),
            *("--scheduler-file", str(self.file)),
        )
        self.workers = [self.add_worker() for _ in range(2)]

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            *("dask_worker", "--scheduler-file", str(self.file), "--nthreads", "1", "--no-dashboard"),
            *("--local-directory", str(self.folder)),
        )

    def _start(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{program}", *options]
        return subprocess.Popen(command, cwd=HOUSE, env=os.environ | {"PYTHONPATH": str(HOUSE)}, **QUIET)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def checked_study(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that no test changes; it has the key of the pseudonyms, which order patients."""
    made = make_table_study(shared, tmp_path_factory.mktemp("cluster") / "study", resamples=16, trees=60)
    engine("check", made)
    return made


@pytest.fixture
def study(checked_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checked_study, tmp_path / "study"))


def run_on(cluster: Cluster, study: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine", "run", str(study), "--scheduler", str(cluster.file)]
    return subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = run.communicate(timeout=PATIENCE_SECONDS)
    return run.returncode, said


def results(study: Path) -> set[tuple[object, ...]]:
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return set()
    with Ledger(folder) as ledger:
        return set(ledger.rows("SELECT kind, key, sha256 FROM artifact"))


def wait_for_resamples(study: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(kind == "resample.selections" for kind, *_ in results(study)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def results_of(study: Path, cases: set[str]) -> set[tuple[object, ...]]:
    """The results that belong to single cases."""
    with Ledger(StudyFolder(study)) as ledger:
        keys = {key for unit, key in ledger.rows("SELECT unit, key FROM placement") if unit in cases}
    return {row for row in results(study) if row[1] in keys}


def units_of(study: Path, stage: str) -> list[str]:
    with Ledger(StudyFolder(study)) as ledger:
        run = ledger.latest_run()
        assert run is not None
        return [unit for unit, _, _ in ledger.placed(run.run_id, stage)]


def computed_once(study: Path) -> bool:
    with Ledger(StudyFolder(study)) as ledger:
        counts = ledger.rows("SELECT computed FROM task WHERE state='done'")
        return {count for (count,) in counts} == {1} and not ledger.leases()


def test_a_cluster_gives_the_bits_of_one_process_though_a_worker_dies(cluster, study, tmp_path):
    twin = Path(shutil.copytree(study, tmp_path / "twin"))
    run = run_on(cluster, study)
    wait_for_resamples(study, 3)
    os.kill(cluster.workers[0].pid, signal.SIGKILL)  # the nanny, and with it its worker
    assert ended(run)[0] == 0
    engine("run", twin, "--backend", "inline")
    assert results(study) == results(twin)
    assert computed_once(study)
    assert verify(study).clean


def test_without_its_scheduler_a_run_says_so_and_goes_on_elsewhere(cluster, study):
    run = run_on(cluster, study)
    wait_for_resamples(study, 2)
    cluster.close()
    code, said = ended(run)
    assert code == 1
    assert "scheduler" in said
    assert "`run` goes on from there" in said
    engine("run", study)
    assert computed_once(study)
    assert verify(study).clean


def test_a_cancelled_run_frees_the_workers_and_can_be_taken_up(cluster, study):
    run = run_on(cluster, study)
    wait_for_resamples(study, 2)
    started = time.monotonic()
    run.send_signal(signal.SIGTERM)
    ended(run)
    assert time.monotonic() - started < 30
    assert all(worker.poll() is None for worker in cluster.workers)  # the cluster itself stays
    again = run_on(cluster, study)
    assert ended(again)[0] == 0
    assert computed_once(study)


def test_a_scheduler_that_is_not_there_is_said_before_anything_begins(study):
    command = [sys.executable, "-m", "engine", "run", str(study), "--scheduler", "tcp://127.0.0.1:9"]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no scheduler answers at tcp://127.0.0.1:9" in done.stderr
    assert results(study) == set()


def test_images_measured_by_a_cluster_are_those_of_local_artifact_by_artifact(cluster, demo_study, tmp_path):
    """Three demo cases on two workers, one of which dies: whatever both runs hold of a case has the same bits."""
    study = tmp_path / "three"
    shutil.copytree(demo_study / "images", study / "images")
    for name in ("study.toml", "clinical.csv"):
        shutil.copy(demo_study / name, study / name)
    if (demo_study / "private").exists():
        shutil.copytree(demo_study / "private", study / "private")
    perturbed = units_of(demo_study, "perturbed_features")
    kept = set(perturbed[:2]) | set(units_of(demo_study, "features")[-1:])
    for folder in (study / "images").iterdir():
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)
    text = (study / "images" / "images.csv").read_text().splitlines()
    rows = [text[0], *(line for line in text[1:] if line.split(",")[0] in kept)]
    (study / "images" / "images.csv").write_text("\n".join(rows) + "\n")
    twin = Path(shutil.copytree(study, tmp_path / "twin"))
    command = [sys.executable, "-m", "engine", "run", str(study), "--scheduler", str(cluster.file)]
    run = subprocess.Popen(
        [*command, "--until", "features"], cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(str(kind).startswith("segment") for kind, *_ in results(study)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    code, said = ended(run)
    assert code == 0, said
    engine("run", twin, "--until", "features")
    of_cases, local = results_of(study, kept), results_of(twin, kept)
    assert {row[:2] for row in of_cases} == {row[:2] for row in local}
    assert {row for row in of_cases if row[0] != TIMED} == {row for row in local if row[0] != TIMED}
    assert {str(kind).partition(".")[0] for kind, *_ in of_cases} >= {"acquire", "segment", "regions", "features"}
    assert computed_once(study)
