"""kill -9 of a run at random moments, then `run` again at once: nothing lost, nothing computed twice, no orphan."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.bench.soak import soak
from store.layout import StudyFolder
from store.ledger import Ledger
from store.verification import verify
from tests.pages.review_study import build_study
from tests.test_table_study import make_table_study

HOUSE = Path(__file__).resolve().parents[1]
KILLS = 50
ORPHAN_SECONDS = 5.0
HUGE_ZYX = (520, 520, 520)  # 1.1 GB as the feature grid keeps it while it is made
LITTLE_MEMORY = ("prlimit", "--as=3200000000")


def start_run(study: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "engine", "run", str(study)]
    return subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def children_of(study: Path, parent: int) -> list[int]:
    """Processes that descend from a runner: its session's python processes that are not ourselves."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def wait_gone(pids: list[int]) -> list[int]:
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (left := [p for p in pids if Path(f"/proc/{p}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.fixture
def study(shared: Path, tmp_path: Path) -> Path:
    return make_table_study(shared, tmp_path / "study", resamples=24, trees=60)


def test_fifty_kills_lose_nothing_and_double_nothing():
    """`bench soak` with 50 instead of 1000: killed runners are started again; a twin left alone has the same bits."""
    found = soak(KILLS, seed=20261127)
    assert found.kills == KILLS
    assert sum(one.runner_kills for one in found.rounds) > 0 < sum(one.worker_kills for one in found.rounds)
    assert found.passed, found.rounds


def test_no_process_outlives_a_killed_runner(study):
    run = start_run(study)
    deadline = time.monotonic() + ORPHAN_SECONDS * 12
    while len(family := children_of(study, run.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(family) >= 3
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert wait_gone(family) == []


def results(study: Path) -> set[tuple[object, ...]]:
    with Ledger(StudyFolder(study)) as ledger:
        return set(ledger.rows("SELECT kind, key, sha256 FROM artifact"))


def test_a_killed_run_ends_with_the_bits_of_one_left_alone_in_a_single_process(study, tmp_path):
    check = [sys.executable, "-m", "engine", "check", str(study)]
    subprocess.run(check, cwd=HOUSE, check=True, capture_output=True)  # the key of the pseudonyms, which order patients
    twin = Path(shutil.copytree(study, tmp_path / "twin"))
    killed = start_run(study)
    folder = StudyFolder(study)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and sum(kind == "resample.selections" for kind, *_ in known(folder)) < 3:
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert 3 <= sum(kind == "resample.selections" for kind, *_ in results(study)) < 24
    assert start_run(study).wait(timeout=600) == 0
    alone = [sys.executable, "-m", "engine", "run", str(twin), "--backend", "inline"]
    subprocess.run(alone, cwd=HOUSE, check=True, capture_output=True)
    assert results(study) == results(twin)


def known(folder: StudyFolder) -> set[tuple[object, ...]]:
    return results(folder.root) if folder.ledger.exists() else set()


def test_a_second_run_computes_nothing(study):
    assert start_run(study).wait(timeout=300) == 0
    with Ledger(StudyFolder(study)) as ledger:
        before = ledger.rows("SELECT key, finished_at FROM task ORDER BY key")
    assert start_run(study).wait(timeout=300) == 0
    with Ledger(StudyFolder(study)) as ledger:
        assert ledger.rows("SELECT key, finished_at FROM task ORDER BY key") == before


def test_one_changed_choice_recomputes_only_what_follows(study):
    assert start_run(study).wait(timeout=300) == 0
    text = (study / "study.toml").read_text()
    (study / "study.toml").write_text(text.replace("most_kept = 10", "most_kept = 3"))
    with Ledger(StudyFolder(study)) as ledger:
        before = {key for (key,) in ledger.rows("SELECT key FROM task")}
    assert start_run(study).wait(timeout=300) == 0
    with Ledger(StudyFolder(study)) as ledger:
        new = {stage for key, stage in ledger.rows("SELECT key, stage FROM task") if key not in before}
    assert new == {"candidates", "resample", "selection", "final", "prognosis"}


def test_two_runs_at_once_are_refused_clearly(study):
    first = start_run(study)
    time.sleep(3)
    second = subprocess.run(
        [sys.executable, "-m", "engine", "run", str(study)], cwd=HOUSE, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert "a run of this study is going on" in second.stderr
    assert first.wait(timeout=300) == 0


def test_a_damaged_result_is_computed_again_and_the_store_is_clean(study):
    assert start_run(study).wait(timeout=300) == 0
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        row = next(r for r in ledger.artifacts_after(0) if r.kind == "selection.frequencies")
    path = folder.artifact(row.kind, row.key, row.suffix)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert verify(study).damaged
    command = [sys.executable, "-m", "engine", "verify", str(study), "--repair"]
    assert subprocess.run(command, cwd=HOUSE, capture_output=True, check=False).returncode == 0
    assert start_run(study).wait(timeout=300) == 0
    assert verify(study).clean


def test_leases_of_a_lost_machine_are_returned(study):
    assert start_run(study).wait(timeout=300) == 0
    with Ledger(StudyFolder(study)) as ledger:
        ledger.forget_artifacts([ledger.placed(ledger.latest_run().run_id, "prognosis")[0][1]])
        ledger.rows("UPDATE task SET state='running', lease_host='gone', lease_pid=1 WHERE stage='prognosis'")
    assert start_run(study).wait(timeout=300) == 0
    with Ledger(StudyFolder(study)) as ledger:
        assert dict(ledger.rows("SELECT stage, state FROM task"))["prognosis"] == "done"
        assert {state for (state,) in ledger.rows("SELECT state FROM task")} == {"done", "declined"}


def test_a_case_too_large_for_the_memory_fails_after_three_attempts_and_the_others_go_on(tmp_path):
    folder = tmp_path / "study"
    build_study(folder)
    huge = np.full(HUGE_ZYX, -1000, np.int16)
    huge[250:260, 250:260, 250:260] = 30
    for stem, array in (("image", huge), ("tumour", (huge > 0).astype(np.uint8))):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / "images" / f"huge_{stem}.nii.gz"), True, 1)
    command = [*LITTLE_MEMORY, sys.executable, "-m", "engine", "run", str(folder), "--until", "measure"]
    subprocess.run(command, cwd=HOUSE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Ledger(StudyFolder(folder)) as ledger:
        failed = ledger.rows("SELECT unit, reason, attempts FROM task WHERE state='failed'")
        measured = {unit for unit, _, state in ledger.placed(ledger.latest_run().run_id, "features") if state == "done"}
    assert {(unit, attempts) for unit, _, attempts in failed} == {("huge", 3)}
    assert measured == {"plain", "flipped", "permuted", "oblique"}
    assert verify(folder).clean
