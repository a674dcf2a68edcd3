"""A real Dask scheduler and two worker processes on this machine: the same bits as local, whoever dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from distributed import Client

from store.artifacts import read_value, suffix_of
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import Segmentation
from store.verification import verify
from tests.test_table_study import engine, make_table_study

HOUSE = Path(__file__).resolve().parents[1]
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
PATIENCE_SECONDS = 300
RESULTS = ("artifacts", "snapshots", "complete")
COMPUTED = ("run", "task", "worked", "placement", "skipped", "artifact", "refusal")  # signed verdicts stay
TIMED = "segment.segmentation"  # holds the seconds that each step took
SECONDS = tuple(field.name for field in fields(Segmentation) if field.name.startswith("seconds_"))


class Cluster:
    """A scheduler and its workers, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.scheduler = self._start(
            *("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"),
            *("--scheduler-file", str(self.file)),
        )
        self.workers = [self.add_worker() for _ in range(2)]

    def add_worker(self, *options: str) -> subprocess.Popen[bytes]:
        return self._start(
            *("dask_worker", "--scheduler-file", str(self.file), "--nthreads", "1", "--no-dashboard"),
            *("--local-directory", str(self.folder), *options),
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


def run_on(cluster: Cluster, study: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine", "run", str(study), "--scheduler", str(cluster.file), *options]
    return subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def ended(run: subprocess.Popen[str], patience_seconds: float = PATIENCE_SECONDS) -> tuple[int, str]:
    _, said = run.communicate(timeout=patience_seconds)
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


def test_the_demo_on_a_cluster_is_the_local_one_artifact_by_artifact(cluster, demo_study, tmp_path):
    """The whole demo study on two workers, one of which dies while it segments, to its last stage."""
    study = Path(shutil.copytree(demo_study, tmp_path / "demo", ignore=shutil.ignore_patterns(*RESULTS)))
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        for table in COMPUTED:
            connection.execute(f"DELETE FROM {table}")
    run = run_on(cluster, study)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(kind == TIMED for kind, *_ in results(study)) < 5:
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.1)
    os.kill(cluster.workers[0].pid, signal.SIGKILL)
    cluster.workers.append(cluster.add_worker())
    code, said = ended(run, 3 * PATIENCE_SECONDS)
    assert code == 0, said
    there, here = results(study), results(demo_study)
    assert {kind for kind, _, _ in there} == {kind for kind, _, _ in here}
    assert {row for row in there if row[0] != TIMED} == {row for row in here if row[0] != TIMED}
    assert untimed(study) == untimed(demo_study)
    assert computed_once(study)
    assert verify(study).clean


def untimed(study: Path) -> dict[str, Segmentation]:
    """What was said of every segmentation, by key, but for the seconds that its steps took."""
    folder, found = StudyFolder(study), {}
    for kind, key, _ in results(study):
        if kind == TIMED:
            (said,) = read_value(folder.artifact(TIMED, str(key), suffix_of(Segmentation)), Segmentation)
            found[str(key)] = replace(said, **dict.fromkeys(SECONDS, 0.0))
    return found


def test_segmentation_goes_to_the_worker_that_offers_a_gpu_and_the_rest_to_all(cluster, demo_study, tmp_path):
    """Three demo cases; the scheduler itself tells which worker computed what."""
    study = tmp_path / "three"
    cut_demo(demo_study, study, 3)
    cluster.workers.append(cluster.add_worker("--resources", "GPU=1"))
    with Client(scheduler_file=str(cluster.file), set_as_default=False) as client:
        client.wait_for_workers(3, timeout=PATIENCE_SECONDS)
        known = client.scheduler_info(n_workers=-1)["workers"]
        with_gpu = {address for address, worker in known.items() if worker["resources"].get("GPU")}
        client.get_task_stream()  # from now on the scheduler keeps what each worker computed
        run = run_on(cluster, study, "--until", "segment")
        code, said = ended(run)
        assert code == 0, said
        stream = client.get_task_stream()
    with Ledger(StudyFolder(study)) as ledger:
        stages = {str(key)[:16]: str(stage) for key, stage in ledger.rows("SELECT key, stage FROM task")}
    where: dict[str, set[str]] = {}
    for task in stream:
        where.setdefault(stages[task["key"].split("-")[1]], set()).add(task["worker"])
    assert len(with_gpu) == 1
    assert where["segment"] == with_gpu
    assert where["acquire"] - with_gpu


def cut_demo(demo: Path, study: Path, cases: int) -> None:
    """The inputs of a demo study with its first cases alone."""
    shutil.copytree(demo, study, ignore=shutil.ignore_patterns(*RESULTS, "ledger.sqlite*"))
    listed = study / "images" / "images.csv"
    head, *lines = listed.read_text().splitlines()
    kept = [line for line in lines if line][:cases]
    listed.write_text("\n".join([head, *kept]) + "\n")
    for folder in (study / "images").iterdir():
        if folder.is_dir() and folder.name not in {line.split(",")[0] for line in kept}:
            shutil.rmtree(folder)
