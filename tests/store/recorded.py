"""Small studies written straight into ledger and artifacts, as the runner would have written them."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from engine.protocol import Protocol, protocol_sha256
from store.artifacts import store_value
from store.layout import StudyFolder
from store.ledger import Ledger, RunRow, now, process_start
from store.records import IccEstimate


def start_run(study: Path, run_id: str, until: str = "", protocol: Protocol | None = None) -> None:
    """A new run of this process."""
    chosen = protocol or Protocol()
    pid = os.getpid()
    row = RunRow(
        *(run_id, now(), None, "running", protocol_sha256(chosen), chosen.model_dump_json(), until, 1),
        *(pid, process_start(pid), "host"),
    )
    with Ledger(StudyFolder(study)) as ledger:
        ledger.start_run(row, "code", "{}")


def finish_run(study: Path, run_id: str, state: str = "finished") -> None:
    with Ledger(StudyFolder(study)) as ledger:
        ledger.finish_run(run_id, state)


def record(study: Path, run_id: str, stage: str, unit: str, *records: Sequence[object]) -> None:
    """Results of one task, one artifact a record type; a task with a result is placed and not computed again."""
    folder = StudyFolder(study)
    key = hashlib.sha256(f"{stage}/{unit}".encode()).hexdigest()
    with Ledger(folder) as ledger:
        if ledger.place_tasks(run_id, stage, [(unit, key)]):
            ledger.claim(key)
            made = [(type(rows[0]), tuple(rows)) for rows in records]
            files = [store_value(folder, f"{stage}.{kind.__name__}", key, kind, rows) for kind, rows in made]
            ledger.finish_task(key, files, 1.0, 1.0)


def icc_row(roi: str, family: str, feature: str = "Entropy", icc_class: str = "good") -> IccEstimate:
    """All three forms at once, as the stage records them: (1,1) at 0.1, (2,1) at 0.8, (3,1) at 0.9."""
    tested = icc_class != "not_tested"
    forms = (0.1, 0.05, 0.2, 0.8, 0.78, 0.85, 0.9, 0.88, 0.95) if tested else (None,) * 9
    return IccEstimate(
        *(roi, "original", "glcm", feature, family, 10, 3),
        *forms,
        *(None, None, False, icc_class, tested),
    )


def text_of_member(name: str, raw: bytes) -> bytes:
    """Everything that a file of an archive says, by its name and bytes, unpacked."""
    if name.endswith(".parquet"):
        table = pq.read_table(io.BytesIO(raw))
        return raw + str(table.schema.metadata).encode() + table.to_pandas().to_csv().encode()
    if name.endswith(".npz"):
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            parts = [packed.read(part) for part in packed.namelist()]
        return raw + b"".join([*parts, *(part.replace(b"\0", b"") for part in parts)])  # text is UTF-32 in arrays
    return raw
