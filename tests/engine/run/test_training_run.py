"""`train` on a small study: a strategy that is declined, a program that is missing and then installed."""

import csv
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.commands.studies import run_lines
from engine.phantom.strategy_demo import build_strategy_demo
from engine.protocol import read_protocol, write_protocol
from engine.run import runner
from engine.run.runner import train
from engine.training_protocol import Anatomy, Strategies
from store.artifacts import read_value
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import ComparedTraining, StrategySummary
from tests.engine.segment.trainings import TINY

SIZES = TINY.model_copy(update={"epochs": 1, "pretraining_epochs": 1, "iterations": 1})
CHOSEN = Strategies(names=("tumour-only", "tumour-and-anatomy"), seeds=(1,))


@pytest.fixture(scope="module")
def chests(tmp_path_factory) -> Path:
    """One chest without and six with a tumour, those six without label maps."""
    study = tmp_path_factory.mktemp("chests")
    build_strategy_demo(study, SIZES, lambda done, total: None, (1, 6))
    table = study / "images" / "images.csv"
    rows = list(csv.DictReader(table.read_text().splitlines()))
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "anatomy": "" if row["reference"] else row["anatomy"]} for row in rows)
    return study


@pytest.fixture
def study(chests, tmp_path) -> Path:
    return Path(shutil.copytree(chests, tmp_path / "study"))


def rows_of(study: Path, kind: str, record_type: type):
    folder = StudyFolder(study)
    with Ledger(folder) as ledger:
        ((_, key),) = ledger.latest_done(kind.partition(".")[0])
    return read_value(folder.artifact(kind, key, ".parquet"), record_type)


def test_one_declined_strategy_is_said_and_the_other_is_trained_scored_and_compared(study):
    result = train(study, CHOSEN, SIZES, "inline")
    assert (result.failures, result.refusals) == (0, 0)
    (declined,) = result.declined
    assert (declined.stage, declined.tasks) == ("training", 1)
    assert "4 of the 4 cases that tumour-and-anatomy would train on lack anatomical labels" in declined.reason
    assert f"  training: {declined.reason}" in run_lines(result)
    (summary,) = rows_of(study, "strategies.summaries", StrategySummary)
    assert (summary.strategy, summary.cases, summary.trainings) == ("tumour-only", 2, 1)
    left_out = [row for row in rows_of(study, "strategies.trainings", ComparedTraining) if not row.compared]
    assert [(row.strategy, row.reason) for row in left_out] == [("tumour-and-anatomy", "gave no result")]
    assert not StudyFolder(study).training.exists()


def without_anatomy_program(study: Path) -> None:
    protocol = read_protocol(study)
    write_protocol(study, protocol.model_copy(update={"anatomy": Anatomy(source="lungmask")}))


def by_threshold(image: sitk.Image) -> np.ndarray:
    """What a lungmask could say of a phantom: air of the right half 1, of the left half 2."""
    values = sitk.GetArrayFromImage(image)
    right = np.arange(values.shape[2]) < values.shape[2] // 2
    return np.where(values < -500, np.where(right, 1, 2), 0)


def install(monkeypatch, folder: Path) -> None:
    weights = folder / "weights.pth"
    weights.write_bytes(b"weights")
    module = types.ModuleType("lungmask")
    module.LMInferer = lambda **_: types.SimpleNamespace(apply=by_threshold)
    module.__spec__ = types.SimpleNamespace(name="lungmask")
    monkeypatch.setitem(sys.modules, "lungmask", module)
    monkeypatch.setenv("COHORTSCOPE_LUNGMASK_WEIGHTS", str(weights))


def test_a_missing_program_is_the_reason_of_all_that_follows_and_installing_it_heals(study, tmp_path, monkeypatch):
    planning = tuple(s for s in runner.training_pipeline() if s.name not in ("training", "trained_overlap"))
    monkeypatch.setattr(runner, "training_pipeline", lambda: tuple(s for s in planning if s.name != "strategies"))
    without_anatomy_program(study)
    before = train(study, CHOSEN, SIZES, "inline")
    assert {item.stage: item.tasks for item in before.declined} == {"anatomy": 7, "training_plan": 1}
    assert all("lungmask, which is not installed" in item.reason for item in before.declined)
    assert len(run_lines(before)) == 2
    install(monkeypatch, tmp_path)
    after = train(study, CHOSEN, SIZES, "inline")
    assert (after.failures, after.declined) == (0, ())
    with Ledger(StudyFolder(study)) as ledger:
        assert ledger.latest_done("training_plan")
