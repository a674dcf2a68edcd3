"""A study of a table of random numbers: the smallest that runs through every stage of a table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from engine.acquire.new import new_table_study
from engine.protocol import Outcome, SelectionProtocol, read_protocol, write_protocol

PATIENTS, FEATURES = 60, 30


def random_table_study(place: Path, resamples: int) -> Path:
    """A new study below `place`: 60 patients, every other with an event, and so many bootstraps."""
    rng = np.random.default_rng(3)
    table = place / "table.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["patient", "outcome", *(f"original_glcm_F{number}" for number in range(FEATURES))])
        for number in range(PATIENTS):
            rows.writerow([f"p{number}", number % 2, *rng.normal(size=FEATURES).tolist()])
    folder = place / "study"
    new_table_study(folder, table, (table,))
    selection = SelectionProtocol(resamples=resamples, trees=50, mrmr_features=10, most_kept=3)
    update = {"selection": selection, "outcome": Outcome(kind="binary", event="outcome")}
    write_protocol(folder, read_protocol(folder).model_copy(update=update))
    return folder
