"""A public cohort into a folder: several files at a time, resumed where it stopped, with what must be cited."""

from __future__ import annotations

import csv
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.acquire.public_cohort import ADDRESS, FetchError, PublicFile, StoppedError, Wanted, fetch_file, files_of
from store.public_index import PublicSeries, index_version

TERMS = " (**not for commercial purposes**)"
AT_A_TIME = 8
SECONDS_BETWEEN = 5.0
SPARE_SHARE = 1.05
MEGABYTE = 1_000_000
TABLE, CITE = "series.csv", "CITE.md"
COLUMNS = ("folder", "collection", "annotations", "modality", "licence", "doi", "files", "megabytes")


@dataclass(frozen=True, slots=True)
class FetchedCohort:
    """What came: files fetched now, files that were there, files without a hash to check, and why series failed."""

    fetched: int
    present: int
    unhashed: int
    failures: tuple[str, ...]


@dataclass(slots=True)
class _Meter:
    """Bytes as they come from several threads, told every few seconds."""

    total: float
    tell: Callable[[float, float, float], None]
    lock: threading.Lock
    started: float
    told_at: float
    had: float = 0.0

    def add(self, count: int) -> None:
        """Count bytes; `tell` hears megabytes had, of all, and the seconds that remain at the rate so far."""
        with self.lock:
            self.had += count / MEGABYTE
            now = time.monotonic()
            if now - self.told_at >= SECONDS_BETWEEN and self.had > 0:
                self.told_at = now
                rest = (now - self.started) * max(self.total - self.had, 0.0) / self.had
                self.tell(self.had, self.total, rest)


def fetch_cohort(
    wanted: Wanted, target: Path, tell: Callable[[float, float, float], None], address: str = ADDRESS
) -> FetchedCohort:
    """Fetch series into TARGET/<series folder>/; a second call fetches only what is not there.

    TARGET/series.csv lists them and CITE.md says what must be cited and on what terms. A series that cannot be
    fetched is told in `failures`, the others go on. ValueError where the disk has too little room.
    """
    target.mkdir(parents=True, exist_ok=True)
    missing = [one for one in wanted.series if not _complete(target / one.folder, one)]
    needed = sum(one.megabytes for one in missing)
    free = shutil.disk_usage(target).free / MEGABYTE
    if needed * SPARE_SHARE > free:
        raise ValueError(
            f"{needed / 1000:.1f} GB are to come and {free / 1000:.1f} GB are free; ask for fewer patients"
        )
    _write_table(wanted, target / TABLE)
    (target / CITE).write_text(citation_text(wanted), encoding="utf-8")
    now = time.monotonic()
    meter = _Meter(needed, tell, threading.Lock(), now, now)
    fetched, unhashed, failures = 0, 0, []
    present = sum(one.files for one in wanted.series) - sum(one.files for one in missing)
    stop = threading.Event()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        try:
            for one in missing:
                try:
                    files = files_of(one, address)
                    came = list(pool.map(partial(_fetch, target / one.folder, meter, stop), files))
                except FetchError as error:
                    failures.append(f"series {one.folder}: {error}")
                    continue
                fetched += sum(came)
                present += len(came) - sum(came)
                unhashed += sum(not file.md5 for file in files)
        except BaseException:
            stop.set()
            raise
    return FetchedCohort(fetched, present, unhashed, tuple(failures))


def _fetch(target: Path, meter: _Meter, stop: threading.Event, file: PublicFile) -> bool:
    def told(count: int) -> None:
        if stop.is_set():
            raise StoppedError("the fetching was stopped")
        meter.add(count)

    return fetch_file(file, target, told)


def _complete(folder: Path, one: PublicSeries) -> bool:
    """Whether as many whole files are there as the index says: each got its name when it had passed its check."""
    return folder.is_dir() and sum(path.suffix == ".dcm" for path in folder.iterdir()) == one.files


def citation_text(wanted: Wanted) -> str:
    """The sources of the series, their licences and what these ask for."""
    sources = sorted({(one.collection, one.annotations, one.doi, one.licence) for one in wanted.series})
    lines = [f"# Sources (index {index_version()} of the Imaging Data Commons)", ""]
    for collection, outlines, doi, licence in sources:
        what = f"{outlines} (outlines of {collection})" if outlines else collection
        lines.append(f"- {what}: https://doi.org/{doi}, {licence}{TERMS if 'NC' in licence else ''}")
    lines += ["", "Cite every source that you use, and the Imaging Data Commons (https://doi.org/10.1148/rg.230180)."]
    return "\n".join(lines) + "\n"


def _write_table(wanted: Wanted, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows([getattr(one, column) for column in COLUMNS] for one in wanted.series)
