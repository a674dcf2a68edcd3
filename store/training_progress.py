"""How far trainings are: one row of the ledger an epoch, so that a page can follow a training while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger, now
from store.records import TrainingEpoch


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far one training is: its unit, state and last finished epoch."""

    unit: str
    state: str
    phase: str
    epoch: int  # from 1
    epochs: int
    loss: float
    pseudo_dice: float | None
    tumour_pseudo_dice: float | None
    seconds: float  # of the last epoch


def record_epoch(ledger: Ledger, key: str, epoch: TrainingEpoch) -> None:
    """Record a finished epoch of a training; a repeated one replaces itself."""
    with ledger.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO epoch VALUES (?,?,?,?,?,?,?,?,?)",
            (key, epoch.phase, epoch.epoch, epoch.epochs, epoch.loss, epoch.pseudo_dice)
            + (epoch.tumour_pseudo_dice, epoch.seconds, now()),
        )


def training_progress(ledger: Ledger, run_id: str) -> tuple[TrainingProgress, ...]:
    """The last recorded epoch of every training of a run that has one, in order of placing; clocks play no part."""
    found = ledger.rows(
        "SELECT p.unit, t.state, e.phase, e.epoch, e.epochs, e.loss, e.pseudo_dice, e.tumour_pseudo_dice, e.seconds"
        " FROM placement p JOIN task t USING (key) JOIN epoch e USING (key) WHERE p.run_id=? AND e.rowid="
        "(SELECT max(rowid) FROM epoch WHERE key=p.key) ORDER BY p.rowid",
        (run_id,),
    )
    return tuple(TrainingProgress(*row) for row in found)  # type: ignore[arg-type]


def read_training(study: Path) -> tuple[TrainingProgress, ...]:
    """Progress of the trainings of the latest run of a study, empty when there is none."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        run = ledger.latest_run()
        return () if run is None else training_progress(ledger, run.run_id)
