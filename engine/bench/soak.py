"""Bench: kill -9 at random moments over runner, workers and publisher, again and again; nothing lost, nothing doubled.

Every round is a small table study of its own. Whoever is killed, the round goes on (a killed runner is started again)
until a run ends by itself; then the ledger, every artifact, the rebuilt snapshot and a twin that was left alone are
compared.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.acquire.check import check
from engine.acquire.new import new_table_study
from engine.protocol import Outcome, SelectionProtocol, read_protocol, write_protocol
from engine.run.backends.local import DIED
from engine.run.children import PUBLISHER_NAME
from engine.run.provenance import HOUSE
from store.export import EXPORTS, export_table
from store.foresight import failed_stages
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import rebuild
from store.snapshot import close_snapshots
from store.verification import verify

PATIENTS, FEATURES, RESAMPLES = 60, 40, 400
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 4.0
RUNNER_SHARE = 0.25  # of kills that take the runner, and all its processes with it
LONGEST_RUN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Round:
    """One study: how often runner and others were killed, its tasks, and what went wrong with them."""

    runner_kills: int
    worker_kills: int
    publisher_kills: int
    tasks: int
    given_up: tuple[str, ...]  # stages of tasks recorded as failed because a kill met them three times; then run again
    lost: int  # tasks without a result after that, but for those that an undisturbed run declines too
    doubled: int  # tasks that recorded a result more than once
    clean: bool  # every artifact as recorded, no orphan
    rebuilt_alike: bool  # all exported tables, before and after the snapshot was rebuilt
    twin_alike: bool  # every artifact has the bits of a run in one process that nobody disturbed


@dataclass(frozen=True, slots=True)
class Soak:
    """All rounds of a soak."""

    rounds: tuple[Round, ...]
    seconds: float

    @property
    def kills(self) -> int:
        """Processes that were killed."""
        return sum(one.runner_kills + one.worker_kills + one.publisher_kills for one in self.rounds)

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, doubled, damaged or different in any round."""
        return all(
            not one.lost and not one.doubled and one.clean and one.rebuilt_alike and one.twin_alike
            for one in self.rounds
        )


def soak(kills: int, seed: int = 1, tell: Callable[[int, int], None] | None = None) -> Soak:
    """Kill so many processes, study after study; tell is called after every round with kills so far and wanted."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    rounds: list[Round] = []
    while (so_far := Soak(tuple(rounds), time.monotonic() - started)).kills < kills:
        with tempfile.TemporaryDirectory(prefix="cohortscope-soak-") as folder:
            rounds.append(_round(Path(folder), kills - so_far.kills, rng))
        if tell is not None:
            tell(Soak(tuple(rounds), 0.0).kills, kills)
    return so_far


def soak_lines(found: Soak) -> list[str]:
    """The soak in words."""
    runners = sum(one.runner_kills for one in found.rounds)
    publishers = sum(one.publisher_kills for one in found.rounds)
    given_up = sorted(stage for one in found.rounds for stage in one.given_up)
    tasks = sum(one.tasks for one in found.rounds)
    wrong = {
        "lost": sum(one.lost for one in found.rounds),
        "doubled": sum(one.doubled for one in found.rounds),
        "unclean stores": sum(not one.clean for one in found.rounds),
        "rebuilds that differ": sum(not one.rebuilt_alike for one in found.rounds),
        "studies unlike an undisturbed twin": sum(not one.twin_alike for one in found.rounds),
    }
    return [
        f"{found.kills} kill -9 ({runners} of the runner, {publishers} of the publisher) over {len(found.rounds)} "
        f"studies with {tasks} tasks in {found.seconds:.0f} s: {'passed' if found.passed else 'FAILED'}",
        ", ".join(f"{name} {count}" for name, count in wrong.items()),
        f"{len(given_up)} tasks were killed three times, recorded as failed and computed by the next run"
        + (f": {', '.join(given_up)}" if given_up else ""),
    ]


def _round(folder: Path, most: int, rng: np.random.Generator) -> Round:
    environment = {**os.environ, "COHORTSCOPE_HOME": str(folder / "home")}
    study = _make_study(folder, rng)
    twin = Path(shutil.copytree(study, folder / "twin"))
    undisturbed = _run(twin, environment, "--backend", "inline")
    kills = _disturbed(study, most, rng, environment)
    undisturbed.wait(timeout=LONGEST_RUN_SECONDS)
    given_up = failed_stages(study, DIED)
    if given_up:
        _run(study, environment).wait(timeout=LONGEST_RUN_SECONDS)
    rows, alone = _tasks(study), _tasks(twin)
    before = _tables(study)
    rebuild(study)
    return Round(
        runner_kills=kills["runner"],
        worker_kills=kills["worker"],
        publisher_kills=kills["publisher"],
        tasks=len(rows),
        given_up=given_up,
        lost=(_done(alone) - _done(rows)).total() + sum(state not in ("done", "declined") for _, state, _ in rows),
        doubled=sum(computed > 1 for _, _, computed in rows),
        clean=verify(study).clean,
        rebuilt_alike=before == _tables(study),
        twin_alike=_artifacts(study) == _artifacts(twin),
    )


def _tasks(study: Path) -> Sequence[tuple[str, str, int]]:
    """Stage, state and number of recorded results of each task."""
    with Ledger(StudyFolder(study)) as ledger:
        return ledger.computed_counts()


def _done(tasks: Sequence[tuple[str, str, int]]) -> Counter[str]:
    """How many tasks of each stage have a result."""
    return Counter(stage for stage, state, _ in tasks if state == "done")


def _disturbed(study: Path, most: int, rng: np.random.Generator, environment: dict[str, str]) -> Counter[str]:
    """Run a study to its end while killing at most so many of its processes; how often which of them was killed."""
    kills: Counter[str] = Counter()
    run = _run(study, environment)
    while True:
        with suppress(subprocess.TimeoutExpired):
            run.wait(timeout=float(rng.uniform(SHORTEST_SECONDS, LONGEST_SECONDS)))
        if run.returncode == 0:
            return kills
        if run.returncode is not None:
            run = _run(study, environment)
            continue
        if kills.total() >= most:
            run.wait(timeout=LONGEST_RUN_SECONDS)
            continue
        children = _children(run.pid)
        if rng.random() < RUNNER_SHARE:
            run.kill()
            run.wait()
            kills["runner"] += 1
        elif children:
            victim = int(rng.choice(children))
            role = _role(victim)
            kills[role] += _killed(victim)


def _role(pid: int) -> str:
    """What a child is: the publisher by its name, or a worker; one that still starts counts as a worker."""
    with suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == PUBLISHER_NAME:
            return "publisher"
    return "worker"


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _children(parent: int) -> list[int]:
    """Processes that a runner started and that are alive: workers and publisher."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] not in ("Z", "X"):
            found.append(int(place.parent.name))
    return sorted(found)


def _run(study: Path, environment: dict[str, str], *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "engine", "run", str(study), *options]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=HOUSE, env=environment, stdin=silent, stdout=silent, stderr=silent)


def _make_study(folder: Path, rng: np.random.Generator) -> Path:
    """A table study of noise with its pseudonyms made, which order patients."""
    values, label = rng.lognormal(size=(PATIENTS, FEATURES)), rng.permutation(np.arange(PATIENTS) % 2)
    table = folder / "table.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["patient", "outcome", *(f"original_glcm_Feature{number}" for number in range(FEATURES))])
        for number, (own, outcome) in enumerate(zip(values, label, strict=True)):
            rows.writerow([f"patient {number}", int(outcome), *map(repr, own.tolist())])
    study = folder / "study"
    new_table_study(study, table, (table,))
    quick = SelectionProtocol(resamples=RESAMPLES, trees=20, mrmr_features=10, most_kept=3)
    update = {"selection": quick, "outcome": Outcome(kind="binary", event="outcome")}
    write_protocol(study, read_protocol(study).model_copy(update=update))
    check(study)
    return study


def _tables(study: Path) -> dict[str, object]:
    """Every table that can be exported, as plain rows."""
    found: dict[str, object] = {name: export_table(study, name).to_pylist() for name in EXPORTS}
    close_snapshots()
    return found


def _artifacts(study: Path) -> set[tuple[str, str, str]]:
    with Ledger(StudyFolder(study)) as ledger:
        return {(row.kind, row.key, row.sha256) for row in ledger.artifacts_after(0)}
