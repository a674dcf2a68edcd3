"""What the ledger knows of a training while it goes on."""

import sqlite3

import pytest

from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import TrainingEpoch
from store.training_progress import record_epoch, training_progress
from tests.store.recorded import start_run


@pytest.fixture
def ledger(tmp_path):
    with Ledger(StudyFolder(tmp_path)) as opened:
        yield opened


def epoch(number: int, loss: float = 0.5) -> TrainingEpoch:
    return TrainingEpoch("tumour-only", 1, 0, "training", number, 9, loss, 0.6, 0.4, 0.3, 0.01, 2.0, 1.5)


def test_the_last_epoch_of_a_training_is_its_progress_and_a_repeated_one_stands_once(tmp_path, ledger):
    start_run(tmp_path, "run-1")
    ledger.place_tasks("run-1", "training", [("#train tumour-only 1 0", "k")])
    ledger.claim("k")
    for one in (epoch(1), epoch(2), epoch(2, loss=0.25)):
        record_epoch(ledger, "k", one)
    (row,) = training_progress(ledger, "run-1")
    assert (row.unit, row.state, row.epoch, row.epochs, row.loss) == ("#train tumour-only 1 0", "running", 2, 9, 0.25)
    assert ledger.rows("SELECT count(*) FROM epoch") == [(2,)]


def test_a_ledger_of_the_first_version_gains_the_table_of_epochs(tmp_path):
    Ledger(StudyFolder(tmp_path)).close()
    plain = sqlite3.connect(tmp_path / "ledger.sqlite")
    plain.executescript("DROP TABLE epoch; PRAGMA user_version=1;")
    plain.close()
    with Ledger(StudyFolder(tmp_path)) as again:
        assert training_progress(again, "run-1") == ()
