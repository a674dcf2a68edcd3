"""What a run reads from outside the store, kept for its workers in DIR/private: files by case, never in the ledger."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

from store.layout import StudyFolder
from store.sources import AnatomyProgram, CaseSource, ClinicalSource, FeatureTableSource, ReferenceFiles, SourceFile

SOURCES_FILE = "sources.json"
OWNER_ONLY = 0o600
NO_PROGRAM = AnatomyProgram()


@dataclass(frozen=True, slots=True)
class Sources:
    """The cases, clinical files and imported table of one run; published references and a program for anatomy."""

    cases: tuple[CaseSource, ...] = ()
    clinical: ClinicalSource | None = None
    table: FeatureTableSource | None = None
    references: ReferenceFiles | None = None
    program: AnatomyProgram = NO_PROGRAM
    model: SourceFile | None = None

    def case(self, case_id: str) -> CaseSource:
        """The source of one case; KeyError when it is not in the run."""
        found = next((c for c in self.cases if c.case_id == case_id), None)
        if found is None:
            raise KeyError(f"no source for case {case_id}")
        return found


def write_sources(study: Path, sources: Sources) -> None:
    """Write the sources where only their owner may read them, atomically."""
    private = StudyFolder(study).private
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = private / f"{SOURCES_FILE}.{os.getpid()}.tmp"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY), "w") as file:
        json.dump(dataclasses.asdict(sources), file)
    temporary.replace(private / SOURCES_FILE)


def read_sources(study: Path) -> Sources:
    """The sources of the latest run."""
    return sources_of((StudyFolder(study).private / SOURCES_FILE).read_text(encoding="utf-8"))


def sources_of(text: str) -> Sources:
    """The sources of their JSON."""
    stored = json.loads(text)
    clinical, table, references = stored["clinical"], stored["table"], stored.get("references")
    return Sources(
        tuple(_case(c) for c in stored["cases"]),
        ClinicalSource(_files(clinical["files"]), _pairs(clinical["cases"])) if clinical else None,
        FeatureTableSource(SourceFile(**table["file"]), _pairs(table["cases"])) if table else None,
        ReferenceFiles(references["folder"], _files(references["files"])) if references else None,
        _program(stored["program"]),
        SourceFile(**stored["model"]) if stored.get("model") else None,
    )


def without_places(sources: Sources) -> Sources:
    """The same sources by role, hash and case id alone: nothing says where a file lies or who a patient is."""

    def nowhere(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
        return tuple(dataclasses.replace(file, path="") for file in files)

    def known(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((case_id, case_id) for _, case_id in pairs)

    clinical, table, references = sources.clinical, sources.table, sources.references
    return Sources(
        tuple(dataclasses.replace(case, files=nowhere(case.files)) for case in sources.cases),
        ClinicalSource(nowhere(clinical.files), known(clinical.cases)) if clinical else None,
        FeatureTableSource(nowhere((table.file,))[0], known(table.cases)) if table else None,
        ReferenceFiles("", nowhere(references.files)) if references else None,
        dataclasses.replace(sources.program, place=""),
        nowhere((sources.model,))[0] if sources.model else None,
    )


def _files(stored: list[dict[str, str]]) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(**file) for file in stored)


def _program(stored: dict[str, object]) -> AnatomyProgram:
    weights, missing = stored["weights"], stored["missing"]
    if not isinstance(weights, list) or not isinstance(missing, list):
        raise ValueError("the stored sources are damaged; start the run again")
    sizes = tuple((str(name), int(size)) for name, size in weights)
    words = (str(stored[part]) for part in ("name", "version", "place"))
    name, version, place = words
    return AnatomyProgram(name, version, sizes, tuple(map(str, missing)), place)


def program_identity(program: AnatomyProgram) -> object:
    """What of a program enters the key of what it draws: name, version and weights, not where they lie."""
    return [program.name, program.version, [list(file) for file in program.weights], list(program.missing)]


def _pairs(stored: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in stored)


def _case(stored: dict[str, object]) -> CaseSource:
    files, columns = stored["files"], stored["columns"]
    if not isinstance(files, list) or not isinstance(columns, list):
        raise ValueError("the stored sources are damaged; start the run again")
    plain = {k: stored[k] for k in ("case_id", "layout", "choice", "alternatives")}
    return CaseSource(**plain, files=_files(files), columns=_pairs(columns))  # type: ignore[arg-type]


def case_identity(source: CaseSource) -> object:
    """What of a case's source enters its key: contents, roles and choice, neither names nor places."""
    files = sorted([file.role, file.sha256] for file in source.files)
    return [source.layout, files, source.choice, source.alternatives, [list(pair) for pair in source.columns]]


def reference_identity(source: ReferenceFiles) -> object:
    """What of published references enters a key: contents and roles, not where they lie."""
    return sorted([file.role, file.sha256] for file in source.files)


def table_identity(source: ClinicalSource | FeatureTableSource) -> object:
    """What of a table's source enters a key: contents and the case ids it is joined to."""
    files = source.files if isinstance(source, ClinicalSource) else (source.file,)
    return [[file.sha256 for file in files], sorted(case_id for _, case_id in source.cases)]
