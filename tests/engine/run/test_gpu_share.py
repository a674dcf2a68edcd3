"""GPUs of one machine shared among the local backend's workers; how many tasks a card takes is told by its memory."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from engine.pipeline import IMAGE_STUDY
from engine.processes import Gpu
from engine.protocol import Protocol, Segment
from engine.run.backends.local import LocalBackend
from engine.run.gpu_share import VISIBLE, GpuShare, share_of
from engine.run.planning import Plan
from engine.run.runner import most_at_once
from store.layout import StudyFolder
from store.ledger import Ledger
from store.source_list import Sources
from tests.store.recorded import start_run

LARGE, SMALL = Gpu("NVIDIA H200", 0.0, 0.5, 150.8), Gpu("NVIDIA RTX A4000", 0.0, 0.4, 17.2)


@pytest.mark.parametrize(
    ("found", "visible", "names", "tasks_each"),
    [
        ((LARGE,), None, ("0",), 8),
        ((LARGE, SMALL), None, ("0", "1"), 2),  # the smaller card decides
        ((LARGE, LARGE, LARGE), "2, 0", ("2", "0"), 8),
        ((Gpu("old", None, 0.0, 6.0),), None, ("0",), 1),  # never none
    ],
)
def test_the_cards_that_may_be_used_and_how_many_tasks_each_takes(found, visible, names, tasks_each):
    share = share_of(found, visible)
    assert share == GpuShare(names, tasks_each)
    assert share.tasks == len(names) * tasks_each


@pytest.mark.parametrize(("found", "visible"), [((), None), ((LARGE,), ""), ((LARGE,), "-1"), ((), "0")])
def test_without_a_card_that_may_be_used_there_is_nothing_to_share(found, visible):
    assert share_of(found, visible) is None


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Tasks that no worker can compute: each ends at once, failed."""
    start_run(tmp_path, "run-1")
    return tmp_path


def place(study: Path, stage: str, count: int) -> tuple[str, ...]:
    with Ledger(StudyFolder(study)) as ledger:
        return ledger.place_tasks("run-1", stage, [(f"case-{n}", f"{stage}{n}") for n in range(count)])


def seen_gpus() -> dict[int, str]:
    """The GPU that every child process was started to see."""
    found = {}
    for child in multiprocessing.active_children():
        variables = Path(f"/proc/{child.pid}/environ").read_text().split("\0")
        found[child.pid] = next((v.partition("=")[2] for v in variables if v.startswith(f"{VISIBLE}=")), "")
    return found


def test_a_stage_of_the_gpu_uses_few_workers_which_stay_and_each_sees_its_own_card(study, monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    backend = LocalBackend(study, workers=3, gpus=GpuShare(("4", "6"), 1))
    try:
        backend.execute(place(study, "segment", 8), lambda: None, backend.gpu_tasks)
        first = seen_gpus()
        assert sorted(first.values()) == ["4", "6"]
        backend.execute(place(study, "features", 8), lambda: None)
        everyone = seen_gpus()
        assert len(everyone) == 3
        assert everyone.items() >= first.items()
    finally:
        backend.close()
    assert seen_gpus() == {}


def test_without_a_gpu_workers_see_what_the_run_sees(study, monkeypatch):
    monkeypatch.setenv(VISIBLE, "5")
    backend = LocalBackend(study, workers=1)
    try:
        assert backend.gpu_tasks is None
        backend.execute(place(study, "segment", 1), lambda: None, backend.gpu_tasks)
        assert list(seen_gpus().values()) == ["5"]
    finally:
        backend.close()


def test_only_stages_of_the_gpu_wait_for_it_and_only_where_the_study_uses_one(study):
    stages = {stage.name: stage for stage in IMAGE_STUDY}
    backend = LocalBackend(study, workers=8, gpus=GpuShare(("0",), 2))

    def most(name: str, protocol: Protocol) -> int | None:
        return most_at_once(Plan("run-1", IMAGE_STUDY, protocol, Sources(()), ""), stages[name], backend)

    by_default, on_cpu = Protocol(), Protocol(segment=Segment(device="cpu"))
    assert [most(name, by_default) for name in ("acquire", "segment", "embeddings", "features")] == [None, 2, 2, None]
    assert most("segment", on_cpu) is None
