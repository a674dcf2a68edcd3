"""What of a run's sources enters keys and bundles: contents and roles, neither names nor places."""

from __future__ import annotations

import dataclasses

from store.source_list import Sources
from store.sources import (
    AnatomyProgram,
    CaseSource,
    ClinicalSource,
    FeatureTableSource,
    PriorSource,
    ReferenceFiles,
    SourceFile,
)


def without_places(sources: Sources) -> Sources:
    """The same sources by role, hash and case id alone: nothing says where a file lies or who a patient is."""

    def nowhere(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
        return tuple(dataclasses.replace(file, path="") for file in files)

    def prior_nowhere(prior: PriorSource) -> PriorSource:
        others = tuple(prior_nowhere(other) for other in prior.others)
        return dataclasses.replace(prior, files=nowhere(prior.files), others=others)

    def case_nowhere(case: CaseSource) -> CaseSource:
        prior = case.prior and prior_nowhere(case.prior)
        return dataclasses.replace(case, files=nowhere(case.files), prior=prior)

    def known(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((case_id, case_id) for _, case_id in pairs)

    clinical, table, references = sources.clinical, sources.table, sources.references
    return Sources(
        tuple(case_nowhere(case) for case in sources.cases),
        ClinicalSource(nowhere(clinical.files), known(clinical.cases)) if clinical else None,
        FeatureTableSource(nowhere((table.file,))[0], known(table.cases)) if table else None,
        ReferenceFiles("", nowhere(references.files)) if references else None,
        dataclasses.replace(sources.program, place=""),
        nowhere((sources.model,))[0] if sources.model else None,
    )


def program_identity(program: AnatomyProgram) -> object:
    """What of a program enters the key of what it draws: name, version and weights, not where they lie."""
    return [program.name, program.version, [list(file) for file in program.weights], list(program.missing)]


def case_identity(source: CaseSource) -> object:
    """What of a case's source enters its key: contents, roles and choice, neither names nor places."""
    files = sorted([file.role, file.sha256] for file in source.files)
    return [source.layout, files, source.choice, source.alternatives, [list(pair) for pair in source.columns]]


def prior_identity(source: PriorSource) -> object:
    """What of an earlier CT enters the key of reading it: contents, roles and how long before it was made."""
    files = sorted([file.role, file.sha256] for file in source.files)
    return [source.layout, files, source.days_before, source.note, [prior_identity(one) for one in source.others]]


def reference_identity(source: ReferenceFiles) -> object:
    """What of published references enters a key: contents and roles, not where they lie."""
    return sorted([file.role, file.sha256] for file in source.files)


def table_identity(source: ClinicalSource | FeatureTableSource) -> object:
    """What of a table's source enters a key: contents and the case ids it is joined to."""
    files = source.files if isinstance(source, ClinicalSource) else (source.file,)
    return [[file.sha256 for file in files], sorted(case_id for _, case_id in source.cases)]
