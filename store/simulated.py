"""A cohort of any size from a finished run, for the bench of the store: its results again under other ids.

Every case of the template stands for many: its records as they are, its feature vectors moved a little, so that no two
are alike, and as many perturbed vectors as asked for. Tables of the whole cohort get a row for every case where they
have one (clinical table, outcomes, predictions); the rest of them is the template's own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from store.artifacts import sha256_of_file
from store.bundled import PlacedTask, newest_finished_run, place_done, placed_tasks, take_tasks
from store.layout import StoredFile, StudyFolder
from store.ledger import Ledger, RunRow
from store.records import FeatureVector, PerturbedFeatureVector, PerturbedMask

RUN = "simulated"
RESHAPED = (FeatureVector.__name__, PerturbedFeatureVector.__name__, PerturbedMask.__name__)
CASES_AT_ONCE = 200
SPREAD_OF_CASES, SPREAD_OF_PERTURBED = 0.1, 0.03


@dataclass(frozen=True, slots=True)
class Template:
    """One finished run: its tasks, the base vectors of its cases, and where its files lie."""

    folder: StudyFolder
    run: RunRow
    tasks: tuple[PlacedTask, ...]


def read_template(study: Path) -> Template:
    """The newest finished run of a study; ValueError without one, or where it has no features."""
    folder = StudyFolder(study.resolve())
    with Ledger(folder) as ledger:
        run_id = newest_finished_run(ledger)
        if not run_id:
            raise ValueError("this study has no run that went to its end; run it first")
        tasks = placed_tasks(ledger, run_id)
        run = ledger.latest_run()
    if run is None or not any(task.stage == "features" for task in tasks):
        raise ValueError("the run of this study has no features; take one with images, such as the demo")
    return Template(folder, run, tasks)


def begin(template: Template, study: Path) -> None:
    """A new study with one run, and no case yet."""
    found = template.run
    row = RunRow(
        *(RUN, found.started_at, None, "running", found.protocol_sha256, found.protocol_json, ""),
        *(found.seed, found.pid, found.pid_start, found.host),
    )
    with Ledger(StudyFolder(study)) as ledger:
        ledger.start_run(row, "simulated", "{}")


def add_cohort(template: Template, study: Path, count: int, prefix: str) -> None:
    """Enter the results of the whole cohort as they are with so many cases, in place of those with fewer."""
    folder = StudyFolder(study)
    copies = partial(_for_all_cases, [task.unit for task in template.tasks if _by_case(task)], count, prefix)
    entered = []
    for task in template.tasks:
        if not _by_case(task):
            key = hashlib.sha256(f"{task.stage}/{task.unit}/{count}".encode()).hexdigest()
            entered.append(_copied(template, folder, task, key, copies))
    with Ledger(folder) as ledger:
        _enter(ledger, entered)


def _for_all_cases(own: Sequence[str], count: int, prefix: str, _: StoredFile, path: Path) -> pa.Table | None:
    """A table by case with the rows of the template's cases under the ids of many; any other table as it is."""
    if "case_id" not in pq.read_schema(path).names:
        return None
    table = pq.read_table(path)
    ids = list(dict.fromkeys(own))
    rows: dict[str, list[int]] = {case_id: [] for case_id in ids}
    for place, case_id in enumerate(table["case_id"].to_pylist()):
        rows.setdefault(case_id, []).append(place)
    taken = [(place, number) for number in range(count) for place in rows[ids[number % len(ids)]]]
    found = table.take(pa.array([place for place, _ in taken], pa.int64()))
    names = pa.array([name_of(prefix, number) for _, number in taken], pa.string())
    return found.set_column(table.column_names.index("case_id"), "case_id", names)


def name_of(prefix: str, number: int) -> str:
    """The id of a simulated case."""
    return f"{prefix}{number:07d}"


def add_cases(template: Template, study: Path, first: int, until: int, prefix: str, perturbations: int) -> int:
    """Enter cases number first to until (exclusive), ids of prefix and number; returns the feature values written."""
    folder, written = StudyFolder(study), 0
    stages: dict[str, list[PlacedTask]] = {}
    for task in filter(_by_case, template.tasks):
        stages.setdefault(task.stage, []).append(task)
    with Ledger(folder) as ledger:
        for start in range(first, until, CASES_AT_ONCE):
            entered = []
            for number in range(start, min(start + CASES_AT_ONCE, until)):
                case = _Case(template, folder, name_of(prefix, number), number, perturbations)
                entered += [case.task(stage, tasks) for stage, tasks in stages.items()]
                written += case.values
            _enter(ledger, entered)
    return written


def end(study: Path) -> None:
    """The run is over."""
    with Ledger(StudyFolder(study)) as ledger:
        ledger.finish_run(RUN, "finished")


Reshape = Callable[[StoredFile, Path], pa.Table | None]  # None: the file as it is


class _Case:
    """One simulated case: tasks of the template under its own keys."""

    def __init__(self, template: Template, folder: StudyFolder, case_id: str, number: int, perturbations: int) -> None:
        self._template, self._folder, self._case_id, self._number = template, folder, case_id, number
        self._perturbations = perturbations
        self._rng = np.random.default_rng([number, *case_id.encode()])
        self._base = pa.table({})
        self.values = 0

    def task(self, stage: str, tasks: Sequence[PlacedTask]) -> PlacedTask:
        """The task of one stage, after one of the template's cases."""
        model = tasks[self._number % len(tasks)]
        key = hashlib.sha256(f"{stage}/{self._case_id}".encode()).hexdigest()
        copied = _copied(self._template, self._folder, model, key, self._reshaped)
        return PlacedTask(stage, self._case_id, key, model.state, model.reason, copied.files)

    def _reshaped(self, file: StoredFile, path: Path) -> pa.Table | None:
        """Vectors of this case, and perturbed ones of every region; other records are the template's."""
        if file.record_type not in RESHAPED:
            return None
        table = _read(path)
        if file.record_type == FeatureVector.__name__:
            self._base = _moved(table, self._rng, SPREAD_OF_CASES)
            self.values += _cells(self._base)
            return self._base
        names = [f"random-{n:02d}" for n in range(1, self._perturbations + 1)]
        if file.record_type == PerturbedFeatureVector.__name__:
            made = pa.concat_tables(
                _with(_moved(self._base, self._rng, SPREAD_OF_PERTURBED), "perturbation", name) for name in names
            )
            self.values += _cells(made)
            return made
        one, regions = table.slice(0, 1), sorted(set(self._base["roi"].to_pylist()))
        return pa.concat_tables(_with(_with(one, "roi", r), "perturbation", n) for r in regions for n in names)


def _copied(template: Template, folder: StudyFolder, task: PlacedTask, key: str, reshape: Reshape) -> PlacedTask:
    """The template's Parquet files of a task under another key; images, masks and arrays are no part of a snapshot."""
    files = []
    for file in (file for file in task.files if file.suffix == ".parquet"):
        source = template.folder.artifact(file.kind, task.key, file.suffix)
        path = folder.artifact(file.kind, key, file.suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        table = reshape(file, source)
        if table is None:
            shutil.copyfile(source, path)
            files.append(file)
            continue
        pq.write_table(table, path, compression="zstd")
        files.append(StoredFile(file.kind, file.record_type, file.suffix, sha256_of_file(path), path.stat().st_size))
    return PlacedTask(task.stage, task.unit, key, task.state, task.reason, tuple(files))


@cache
def _read(path: Path) -> pa.Table:
    """A file of the template, which is asked for again and again."""
    return pq.read_table(path)


def _by_case(task: PlacedTask) -> bool:
    return bool(task.unit) and not task.unit.startswith("#")


def _enter(ledger: Ledger, tasks: Sequence[PlacedTask]) -> None:
    take_tasks(ledger, tasks)
    for stage in dict.fromkeys(task.stage for task in tasks):
        place_done(ledger, RUN, stage, [(task.unit, task.key) for task in tasks if task.stage == stage])


def _moved(table: pa.Table, rng: np.random.Generator, spread: float) -> pa.Table:
    """The same vectors, every value times a factor of its own about 1; NULL stays NULL."""
    column = table["values"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    moved = pa.array(flat * rng.normal(1.0, spread, len(flat)), pa.float64(), from_pandas=True)
    place = table.column_names.index("values")
    return table.set_column(place, "values", pa.ListArray.from_arrays(column.offsets, moved))


def _with(table: pa.Table, name: str, text: str) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array([text] * table.num_rows, pa.string()))


def _cells(table: pa.Table) -> int:
    return len(table["values"].combine_chunks().flatten())
