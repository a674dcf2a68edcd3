"""What a run reads from outside the store, kept for its workers in DIR/private: files by case, never in the ledger.

One file: a line with everything but the cases and where each case's line begins, then a line a case. A worker reads the
first line once and then single cases, so that what a task costs does not grow with the cohort.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from store.layout import StudyFolder
from store.sources import (
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    FeatureTableSource,
    PriorSource,
    ReferenceFiles,
    SourceFile,
)

SOURCES_FILE = "sources.json"
OWNER_ONLY = 0o600
NO_PROGRAM = AnatomyProgram()
Mark = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Sources:
    """The cases, clinical files and imported table of one run; published references and a program for anatomy."""

    cases: tuple[CaseSource, ...] = ()
    clinical: ClinicalSource | None = None
    table: FeatureTableSource | None = None
    references: ReferenceFiles | None = None
    program: AnatomyProgram = NO_PROGRAM
    model: SourceFile | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """The first line of the file: all but the cases, and the place of each case's line.

    Older versions wrote all cases into that line: then they are in `inline`.
    """

    rest: Sources
    places: dict[str, tuple[int, int]]
    inline: tuple[CaseSource, ...] = ()


def write_sources(study: Path, sources: Sources) -> None:
    """Write the sources where only their owner may read them, atomically."""
    private = StudyFolder(study).private
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = [_line(case) for case in sources.cases]
    places, start = {}, 0
    for case, line in zip(sources.cases, lines, strict=True):
        places[case.case_id] = (start, len(line))
        start += len(line)
    head = dataclasses.asdict(replace(sources, cases=())) | {"cases": places}
    temporary = private / f"{SOURCES_FILE}.{os.getpid()}.tmp"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "wb") as file:
        file.write(json.dumps(head).encode("utf-8") + b"\n")
        file.writelines(lines)
    temporary.replace(private / SOURCES_FILE)


def has_sources(study: Path) -> bool:
    """Whether a run has written down what it reads."""
    return _file(study).exists()


def read_sources(study: Path) -> Sources:
    """The sources of the latest run, all cases of them."""
    opened = _opened(study)
    if opened.inline:
        return replace(opened.rest, cases=opened.inline)
    with _file(study).open("rb") as file:
        file.readline()
        return replace(opened.rest, cases=tuple(_case(json.loads(line)) for line in file))


def read_common_sources(study: Path) -> Sources:
    """The sources of the latest run without its cases."""
    return _opened(study).rest


def read_case_source(study: Path, case_id: str) -> CaseSource:
    """The source of one case of the latest run; KeyError when it is not in it."""
    opened = _opened(study)
    if opened.inline:
        return {case.case_id: case for case in opened.inline}[case_id]
    start, length = opened.places[case_id]
    with _file(study).open("rb") as file:
        after = len(file.readline())
        file.seek(after + start)
        line = file.read(length)
    if line.count(b"\n") != 1 or (found := _case(json.loads(line))).case_id != case_id:
        return {case.case_id: case for case in read_sources(study).cases}[case_id]  # written anew just now
    return found


def sources_of(stored: dict[str, object]) -> Sources:
    """The sources of a bundle's manifest."""
    cases = stored["cases"]
    if not isinstance(cases, list):
        raise _damaged()
    return replace(_rest(stored), cases=tuple(_case(case) for case in cases))


def forget_source(study: Path, case_id: str) -> tuple[str, ...]:
    """Take a case out of the sources, wherever it stands; returns the paths of its files."""
    if not has_sources(study):
        return ()
    sources = read_sources(study)
    clinical, table = sources.clinical, sources.table
    kept = replace(
        sources,
        cases=tuple(case for case in sources.cases if case.case_id != case_id),
        clinical=clinical and replace(clinical, cases=tuple(pair for pair in clinical.cases if pair[1] != case_id)),
        table=table and replace(table, cases=tuple(pair for pair in table.cases if pair[1] != case_id)),
    )
    write_sources(study, kept)
    return tuple(file.path for case in sources.cases if case.case_id == case_id for file in case.every_file)


def _file(study: Path) -> Path:
    return StudyFolder(study).private / SOURCES_FILE


def _opened(study: Path) -> _Opened:
    path = _file(study)
    facts = path.stat()
    return _first_line(path, (facts.st_ino, facts.st_mtime_ns, facts.st_size))


@functools.lru_cache(maxsize=1)
def _first_line(path: Path, _mark: Mark) -> _Opened:
    with path.open("rb") as file:
        stored = json.loads(file.readline())
    if isinstance(stored["cases"], list):
        return _Opened(_rest(stored), {}, tuple(_case(case) for case in stored["cases"]))
    return _Opened(_rest(stored), {case: (start, length) for case, (start, length) in stored["cases"].items()})


def _line(case: CaseSource) -> bytes:
    return json.dumps(dataclasses.asdict(case)).encode("utf-8") + b"\n"


def _rest(stored: dict[str, Any]) -> Sources:
    clinical, table, references = stored["clinical"], stored["table"], stored.get("references")
    return Sources(
        (),
        ClinicalSource(_files(clinical["files"]), _pairs(clinical["cases"])) if clinical else None,
        FeatureTableSource(SourceFile(**table["file"]), _pairs(table["cases"])) if table else None,
        ReferenceFiles(references["folder"], _files(references["files"])) if references else None,
        _program(stored["program"]),
        SourceFile(**stored["model"]) if stored.get("model") else None,
    )


def _damaged() -> ValueError:
    return ValueError("the stored sources are damaged; start the run again")


def _files(stored: list[dict[str, str]]) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(**file) for file in stored)


def _pairs(stored: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in stored)


def _program(stored: dict[str, object]) -> AnatomyProgram:
    weights, missing = stored["weights"], stored["missing"]
    if not isinstance(weights, list) or not isinstance(missing, list):
        raise _damaged()
    sizes = tuple((str(name), int(size)) for name, size in weights)
    words = (str(stored[part]) for part in ("name", "version", "place"))
    name, version, place = words
    return AnatomyProgram(name, version, sizes, tuple(map(str, missing)), place)


def _case(stored: dict[str, object]) -> CaseSource:
    files, columns = stored["files"], stored["columns"]
    if not isinstance(files, list) or not isinstance(columns, list):
        raise _damaged()
    plain = {k: stored[k] for k in ("case_id", "layout", "choice", "alternatives")}
    prior = _prior(stored.get("prior"))
    return CaseSource(**plain, files=_files(files), columns=_pairs(columns), prior=prior)  # type: ignore[arg-type]


def _prior(stored: object) -> PriorSource | None:
    """The earlier CT of a case; none in lists that were written before there was one."""
    if stored is None:
        return None
    if not isinstance(stored, dict):
        raise _damaged()
    others = tuple(other for one in stored["others"] if (other := _prior(one)) is not None)
    return PriorSource(stored["layout"], _files(stored["files"]), stored["days_before"], stored["note"], others)
