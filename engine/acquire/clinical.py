"""Stage `clinical`: declared covariates and outcomes of every case, from tables as hospitals export them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.acquire.csv_table import is_missing
from engine.acquire.joined import Joined, join_tables
from engine.acquire.outcomes import (
    STAGE,
    before_time_zero,
    check_event_codes,
    contradiction_flags,
    days_before_zero,
    outcome_of,
)
from engine.protocol import Clinical, CovariateColumn, Covariates, Outcome
from store import records
from store.records import Covariate, Flag, Refusal
from store.sources import ClinicalSource


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalTable:
    """Covariates and outcomes in the order of case ids, and what was noticed."""

    covariates: tuple[Covariate, ...]
    outcomes: tuple[records.Outcome, ...]
    flags: tuple[Flag, ...]


def read_clinical(
    source: ClinicalSource, clinical: Clinical, outcome: Outcome, covariates: Covariates
) -> ClinicalTable:
    """Read the declared columns for the study's cases; other patients of the tables are ignored.

    A case without a row is flagged. A row with a day before time zero is refused as an outcome: the patient counts as
    censored at day 0, undetermined, and is flagged. RefusedError, with line numbers and no cell, for tables that
    cannot be trusted: repeated patients, ragged rows, decimal commas, undeclared event codes, missing columns.
    """
    joined = join_tables(source, clinical)
    cases = sorted((case_id, patient) for patient, case_id in source.cases)
    known = [(case_id, patient) for case_id, patient in cases if joined.knows(patient)]
    refused = {refusal.case_id: refusal for refusal in refused_rows(source, clinical, outcome)}
    outcomes = []
    if outcome.kind != "none":
        check_event_codes(joined, tuple(patient for _, patient in known), outcome)
        for case_id, patient in known:
            if case_id in refused:
                outcomes.append(before_time_zero(case_id, clinical.time_zero, outcome.kind))
            else:
                outcomes.append(outcome_of(joined, patient, case_id, outcome, clinical.time_zero))
    flags = [Flag(STAGE, r.code, f"case {r.case_id}: {r.file}: {r.message}", r.remedy) for r in refused.values()]
    flags += _missing_row_flags(cases, known)
    flags += [flag for one in outcomes for flag in contradiction_flags(one)]
    values = [_covariate(joined, patient, case_id, c) for case_id, patient in known for c in covariates.columns]
    return ClinicalTable(tuple(values), tuple(outcomes), tuple(flags))


def refused_rows(source: ClinicalSource, clinical: Clinical, outcome: Outcome) -> tuple[Refusal, ...]:
    """Rows of the study's cases whose outcome cannot be: a day before time zero."""
    if outcome.kind == "none":
        return ()
    joined = join_tables(source, clinical)
    refusals = []
    for patient, case_id in sorted(source.cases, key=lambda pair: pair[1]):
        for column in days_before_zero(joined, patient, outcome):
            text = f"column {column!r}, line {joined.line(patient, column)} lies before time zero."
            remedy = "Correct the dates, or leave the patient out."
            refusals.append(Refusal(case_id, "negative_time", joined.role(column), text, remedy))
    return tuple(refusals)


def _missing_row_flags(cases: list[tuple[str, str]], known: list[tuple[str, str]]) -> list[Flag]:
    found = {case_id for case_id, _ in known}
    remedy = "Check the id column of the clinical table."
    return [
        Flag(STAGE, "no_clinical_row", f"case {case_id} has no row in the clinical tables.", remedy)
        for case_id, _ in cases
        if case_id not in found
    ]


def _covariate(joined: Joined, patient: str, case_id: str, column: CovariateColumn) -> Covariate:
    name = column.column.strip()
    number = joined.number(patient, name) if column.kind == "number" else None
    cell = joined.cell(patient, name)
    category = None if column.kind == "number" or is_missing(cell) else cell
    return Covariate(
        case_id=case_id,
        name=column.column,
        kind=column.kind,
        unit=column.unit,
        when_known=column.when_known,
        number=number,
        category=category,
        tnm_edition=column.tnm_edition,
        tnm_prefix=column.tnm_prefix,
    )
