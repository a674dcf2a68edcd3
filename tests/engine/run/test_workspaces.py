"""What trainings leave on the disk goes once nobody can go on from it, and is counted before a run."""

import os
import time

import pytest

from engine.protocol import Protocol
from engine.run.disk import check_disk
from engine.run.runner import run_lock
from engine.run.sources import Sources
from engine.run.workspaces import KEPT_SECONDS, held_bytes, sweep_trainings, training_bytes
from engine.segment.train import USES
from engine.training_protocol import Strategies, Train
from store.layout import StudyFolder
from store.ledger import Ledger
from store.sources import CaseSource, SourceFile
from tests.store.recorded import start_run

STATES = ("done", "declined", "failed", "pending")


@pytest.fixture
def folder(tmp_path):
    """A training in every state, one that the ledger does not know, and the prepared cases of two plans."""
    start_run(tmp_path, "run-1")
    made = StudyFolder(tmp_path)
    with Ledger(made) as ledger:
        ledger.place_tasks("run-1", "training", [(f"#train tumour-only {n} 0", key(s)) for n, s in enumerate(STATES)])
        for state in STATES[:3]:
            ledger.end_task(key(state), state, "")
    for state in (*STATES, "unknown"):
        own = made.training / key(state)
        (own / "training").mkdir(parents=True)
        (own / USES).write_text("a" * 16 if state == "pending" else "b" * 16)
        (own / "training" / "checkpoint_latest.pth").write_bytes(b"0" * 1000)
    for plans in ("a", "b"):
        (made.training / "prepared" / (plans * 16)).mkdir(parents=True)
    return made


def key(state: str) -> str:
    return "0123456789"[(*STATES, "unknown").index(state)] * 64


def left(folder: StudyFolder) -> set[str]:
    return {p.name for p in folder.training.glob("*")} | {p.name for p in folder.training.glob("prepared/*")}


def age(folder: StudyFolder, state: str, seconds: float) -> None:
    own = folder.training / key(state)
    for path in (own, *own.rglob("*")):
        os.utime(path, (time.time() - seconds,) * 2)


def test_only_what_can_still_be_gone_on_with_stays(folder):
    sweep_trainings(folder)
    assert left(folder) == {key("failed"), key("pending"), "prepared", "a" * 16, "b" * 16}


def test_a_training_that_is_never_gone_on_with_is_given_up_with_its_prepared_cases(folder):
    age(folder, "failed", KEPT_SECONDS + 3600)
    age(folder, "pending", KEPT_SECONDS - 3600)
    sweep_trainings(folder)
    assert left(folder) == {key("pending"), "prepared", "a" * 16}


def test_nothing_is_left_when_nothing_is_unfinished(folder):
    for state in ("failed", "pending"):
        age(folder, state, KEPT_SECONDS + 3600)
    sweep_trainings(folder)
    assert not folder.training.exists()


def test_a_run_that_begins_leaves_the_oldest_training_to_be_gone_on_with(folder, monkeypatch):
    """Typing `train` after two months goes on from the checkpoint; only the end of a run gives it up."""
    from engine.run import runner

    age(folder, "pending", 2 * KEPT_SECONDS)
    with run_lock(folder):
        runner._tidy(folder)
    assert key("pending") in left(folder)
    assert key("done") not in left(folder)


def sized(tmp_path, images_bytes: int) -> Sources:
    path = tmp_path / "image"
    path.write_bytes(b"0" * images_bytes)
    return Sources((CaseSource("A", "files", (SourceFile("CT image", str(path), "a" * 64),)),))


def protocol(names, seeds=(1,), **sizes) -> Protocol:
    return Protocol(strategies=Strategies(names=names, seeds=seeds), train=Train(**sizes))


def test_trainings_are_counted_before_they_write(tmp_path):
    """One strategy, one seed, a network of 4 * 27 * 3 * 100 weights: 4 bytes an image byte, 2 * 12 a weight."""
    folder, sources = StudyFolder(tmp_path), sized(tmp_path, 1000)
    one = training_bytes(folder, protocol(("tumour-only",), features=(10, 10, 10)), sources)
    assert one == 4 * 1000 + 2 * 12 * (4 * 27 * 3 * 100)
    more = training_bytes(folder, protocol(("tumour-only", "anatomy-pretraining"), (1, 2), features=(10,) * 3), sources)
    assert more == 2 * 4 * 1000 + 4 * 2 * 12 * (4 * 27 * 3 * 100)


def test_what_a_stopped_training_already_holds_is_not_counted_twice(folder, tmp_path):
    sources, chosen = sized(tmp_path, 1000), protocol(("tumour-only",), features=(10, 10, 10))
    before = held_bytes(folder)
    assert before >= 5 * 1000
    assert training_bytes(folder, chosen, sources) == 4 * 1000 + 2 * 12 * (4 * 27 * 3 * 100) - before


def test_a_disk_too_small_for_the_trainings_is_said_before_the_run(tmp_path):
    with pytest.raises(RuntimeError, match=r"of them for trainings\)"):
        check_disk(tmp_path, Sources(()), 10**15)
