"""Bench: the store with thousands of cases: ingest, size, memory, page queries, viewers beside a busy publisher.

The cohort is simulated from a finished run (store/simulated.py): real records, three regions, a base and perturbed
vectors of all features, every value moved, so that nothing compresses better than it would. Results that name no case
(ICC, selection, comparison) are the template's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.bench.store_queries import ONE_PREFIX, OTHER_PREFIX, every_feature, page_queries
from engine.run.provenance import HOUSE
from store.layout import StudyFolder
from store.simulated import Template, add_cases, add_cohort, begin, end, read_template
from store.snapshot import close_snapshots, open_snapshot
from store.vector_blocks import SEALED_GLOB

CASES = (100, 1_000, 10_000)
PERTURBATIONS = 20
VIEWERS, VIEW_SECONDS = 25, 60.0
OTHER_CASES = 100  # of the second study that the viewers look at
ADDED_AT_ONCE = 50
ROUNDS = 5
MB = 1e6


@dataclass(frozen=True, slots=True)
class Size:
    """The store with so many cases: what taking them in cost, and what one more publication costs."""

    cases: int
    values: int  # of features, all that were taken in at this step
    ingest_seconds: float
    values_per_second: float
    publish_seconds: float  # again, with nothing new: a copy of the open part
    peak_mb: float  # of the publisher
    artifacts_mb: float
    ledger_mb: float
    generation_mb: float
    sealed_mb: float


@dataclass(frozen=True, slots=True)
class QueryTime:
    """One question of a page at one size; the first asking is the coldest."""

    name: str
    cases: int
    rows: int
    first_ms: float
    median_ms: float


@dataclass(frozen=True, slots=True)
class Viewing:
    """Viewers of two studies at once, while the larger one grows and is published again and again."""

    viewers: int
    seconds: float
    queries: int
    median_ms: float
    p95_ms: float
    slowest_ms: float
    slowest: str
    errors: int
    foreign_rows: int
    publications: int
    cases_added: int

    @property
    def sound(self) -> bool:
        """Whether every viewer saw his own study and no error."""
        return not self.errors and not self.foreign_rows


@dataclass(frozen=True, slots=True)
class StoreBench:
    """Everything that was measured; load is the machine's before it began."""

    sizes: tuple[Size, ...]
    queries: tuple[QueryTime, ...]
    viewing: Viewing
    load: float


def bench_store(
    study: Path,
    cases: Sequence[int] = CASES,
    viewers: int = VIEWERS,
    seconds: float = VIEW_SECONDS,
    folder: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> StoreBench:
    """Grow a simulated cohort step by step and measure it at every size; it needs about 2.5 MB of disk a case."""
    load, template = os.getloadavg()[0], read_template(study)
    with tempfile.TemporaryDirectory(prefix="cohortscope-store-", dir=folder) as place:
        one, other = Path(place) / "one", Path(place) / "other"
        sizes, queries = [], []
        have = 0
        for count in sorted(cases):
            sizes.append(_grown(template, one, have, count, tell))
            queries += _query_times(one, count)
            have = count
        _grown(template, other, 0, OTHER_CASES, tell)
        viewing = _viewing(template, one, other, have, viewers, seconds)
    return StoreBench(tuple(sizes), tuple(queries), viewing, round(load, 1))


def store_lines(found: StoreBench) -> list[str]:
    """The bench in words."""
    lines = [
        f"{size.cases} cases: {size.values / 1e6:.0f} million values taken in at {size.values_per_second / 1e6:.1f} "
        f"million a second ({size.ingest_seconds:.0f} s), published again in {size.publish_seconds:.1f} s, publisher's "
        f"peak {size.peak_mb:.0f} MB; on disk artifacts {size.artifacts_mb:.0f}, ledger {size.ledger_mb:.0f}, a "
        f"generation {size.generation_mb:.0f}, sealed vectors (once for all) {size.sealed_mb:.0f} MB"
        for size in found.sizes
    ]
    most = max((query.cases for query in found.queries), default=0)
    slow = sorted((q for q in found.queries if q.cases == most), key=lambda q: -q.median_ms)[:6]
    lines += [
        f"  {q.name}: {q.rows} rows, median {q.median_ms:.0f} ms, first {q.first_ms:.0f} ms ({most} cases)"
        for q in slow
    ]
    seen = found.viewing
    return [
        *lines,
        f"{seen.viewers} viewers of two studies for {seen.seconds:.0f} s beside {seen.publications} publications "
        f"({seen.cases_added} cases added): {seen.queries} queries, median {seen.median_ms:.0f} ms, p95 "
        f"{seen.p95_ms:.0f} ms, slowest {seen.slowest_ms:.0f} ms ({seen.slowest}); {seen.errors} errors, "
        f"{seen.foreign_rows} rows of the other study; load of the machine before {found.load}",
    ]


def _grown(template: Template, study: Path, have: int, count: int, tell: Callable[[str], None]) -> Size:
    if not StudyFolder(study).ledger.exists():
        begin(template, study)
    prefix = ONE_PREFIX if study.name == "one" else OTHER_PREFIX
    tell(f"writing cases {have + 1} to {count}")
    values = add_cases(template, study, have, count, prefix, PERTURBATIONS)
    add_cohort(template, study, count, prefix)
    end(study)
    tell(f"publishing {count} cases")
    first, peak = _publish(study)
    again, _ = _publish(study)
    folder = StudyFolder(study)
    generation = folder.snapshots / folder.current.read_text().strip()
    return Size(
        cases=count,
        values=values,
        ingest_seconds=round(first - again, 2),
        values_per_second=round(values / max(first - again, 0.01)),
        publish_seconds=round(again, 2),
        peak_mb=peak,
        artifacts_mb=_mb(folder.artifacts.rglob("*.parquet")),
        ledger_mb=_mb([folder.ledger]),
        generation_mb=_mb([generation]),
        sealed_mb=_mb(folder.snapshots.glob(SEALED_GLOB)),
    )


PUBLISH = """
import resource, sys, time; from pathlib import Path; from store.publisher import publish
begun = time.monotonic(); publish(Path(sys.argv[1])); took = time.monotonic() - begun
sys.stdout.write(f"{took} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}")
"""


def _publish(study: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of one publication, in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", PUBLISH, str(study)], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    took, peak = found.stdout.splitlines()[-1].split()
    return float(took), round(float(peak))


def _mb(files: Iterable[Path]) -> float:
    return round(sum(path.stat().st_size for path in files) / MB, 1)


def _query_times(study: Path, count: int) -> list[QueryTime]:
    snapshot = open_snapshot(study)
    rng = np.random.default_rng(1)
    found = []
    for name, ask in page_queries(snapshot, every_feature(snapshot)).items():
        taken, rows = [], 0
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            rows = len(ask(rng))
            taken.append(1000 * (time.perf_counter() - begun))
        found.append(QueryTime(name, count, rows, round(taken[0], 1), round(statistics.median(taken), 1)))
    close_snapshots()
    return found


def _viewing(template: Template, one: Path, other: Path, have: int, viewers: int, seconds: float) -> Viewing:
    """Viewers in a process of their own, as the app is; this one adds cases and publishes as fast as it can."""
    command = [sys.executable, "-m", "engine.bench.store_queries", str(one), str(other), str(viewers), str(seconds)]
    watching = subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True)
    publications, count = 0, have
    while watching.poll() is None:
        add_cases(template, one, count, count + ADDED_AT_ONCE, ONE_PREFIX, PERTURBATIONS)
        count += ADDED_AT_ONCE
        _publish(one)
        publications += 1
    said, _ = watching.communicate()
    if watching.returncode:
        raise RuntimeError("the viewers' process ended badly")
    return Viewing(**json.loads(said), publications=publications, cases_added=count - have)
