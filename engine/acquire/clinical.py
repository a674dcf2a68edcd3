"""Stage `clinical`: declared covariates and outcomes of every case, from tables as hospitals export them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.acquire.csv_table import are_ranges_of_years, are_serials, check_no_dates, holds_date, is_missing
from engine.acquire.joined import Joined, join_tables
from engine.acquire.outcomes import (
    BEFORE_TIME_ZERO,
    STAGE,
    UNDATED_DEATH,
    check_causes,
    check_event_codes,
    contradiction_flags,
    days_before_zero,
    has_recurrence,
    has_undated_death,
    is_no_event_code,
    outcome_of,
    refused_outcome,
    rounded_days_flags,
    unknown_day_flags,
)
from engine.acquire.treatments import treatment_of
from engine.acquire.units_of_time import check_units, short_follow_up_flags
from engine.protocol import Clinical, CovariateColumn, Covariates, Eligibility, Outcome
from store import records
from store.records import Covariate, Flag, Refusal, RefusedError, Treatment
from store.sources import ClinicalSource

FEWEST_TO_JUDGE = 10  # filled rows, under which a category may well differ in each
LARGEST_DISTINCT_SHARE = 0.8
REASONS = {"negative_time": BEFORE_TIME_ZERO, "undated_death": UNDATED_DEATH}


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalTable:
    """Covariates and outcomes in the order of case ids, and what was noticed."""

    covariates: tuple[Covariate, ...]
    outcomes: tuple[records.Outcome, ...]
    treatments: tuple[Treatment, ...]
    flags: tuple[Flag, ...]


def read_clinical(
    source: ClinicalSource, clinical: Clinical, outcome: Outcome, covariates: Covariates, eligibility: Eligibility
) -> ClinicalTable:
    """Read the declared columns for the study's cases; other patients of the tables are ignored.

    A case without a row is flagged. A row with a day before time zero, or a cause of death and no day of any event, is
    refused as an outcome: the patient counts as censored at day 0, undetermined, and is flagged. RefusedError, with
    line numbers and no cell, for tables that cannot be trusted: repeated patients, ragged rows, decimal commas,
    undeclared event codes, missing columns, months or years where days are declared.
    """
    joined = join_tables(source, clinical)
    check_units(joined, outcome, eligibility)
    cases = sorted((case_id, patient) for patient, case_id in source.cases)
    known = [(case_id, patient) for case_id, patient in cases if joined.knows(patient)]
    refused = {refusal.case_id: refusal for refusal in refused_rows(source, clinical, outcome)}
    outcomes = []
    if outcome.kind != "none":
        check_event_codes(joined, tuple(patient for _, patient in known), outcome)
        check_causes(joined, tuple(patient for _, patient in known), outcome)
        for case_id, patient in known:
            if case_id in refused:
                reason = REASONS[refused[case_id].code]
                outcomes.append(refused_outcome(case_id, clinical.time_zero, outcome.kind, reason))
            else:
                outcomes.append(outcome_of(joined, patient, case_id, outcome, clinical.time_zero))
    flags = [Flag(STAGE, r.code, f"case {r.case_id}: {r.file}: {r.message}", r.remedy) for r in refused.values()]
    flags += _missing_row_flags(cases, known)
    flags += rounded_days_flags(joined, tuple(patient for _, patient in known), outcome)
    flags += unknown_day_flags(joined, tuple(patient for _, patient in known), outcome)
    flags += [flag for one in outcomes for flag in contradiction_flags(one)]
    flags += short_follow_up_flags(outcomes, outcome.horizon_days)
    for name in (*(c.column.strip() for c in covariates.columns if c.kind == "number"), eligibility.scan_days):
        _check_number(joined, [patient for _, patient in known], name)
    for column in covariates.columns:
        _check_category(joined, [patient for _, patient in known], column)
    flags += _unpaired_flags(joined, [pair for pair in known if pair[0] not in refused], outcome)
    values = [_covariate(joined, patient, case_id, c) for case_id, patient in known for c in covariates.columns]
    treatments = tuple(treatment_of(joined, patient, case_id, eligibility) for case_id, patient in known)
    return ClinicalTable(tuple(values), tuple(outcomes), treatments, tuple(flags))


def refused_rows(source: ClinicalSource, clinical: Clinical, outcome: Outcome) -> tuple[Refusal, ...]:
    """Rows of the study's cases whose outcome cannot be: a day before time zero, a death without its day."""
    if outcome.kind == "none":
        return ()
    joined = join_tables(source, clinical)
    refusals = []
    for patient, case_id in sorted(source.cases, key=lambda pair: pair[1]):
        for column in days_before_zero(joined, patient, outcome):
            text = f"column {column!r}, line {joined.line(patient, column)} lies before time zero."
            remedy = "Correct the dates, or leave the patient out."
            refusals.append(Refusal(case_id, "negative_time", joined.role(column), text, remedy))
        if has_undated_death(joined, patient, outcome) and not has_recurrence(joined, patient, outcome):
            text = f"column {outcome.cause!r}, line {joined.line(patient, outcome.cause)} has a cause without a day."
            remedy = "Give the day of death, or empty its cause."
            refusals.append(Refusal(case_id, "undated_death", joined.role(outcome.cause), text, remedy))
    return tuple(refusals)


def _check_number(joined: Joined, patients: list[str], name: str) -> None:
    if name:
        check_no_dates(name, {joined.line(p, name): joined.cell(p, name) for p in patients}, joined.role(name))


def _check_category(joined: Joined, patients: list[str], column: CovariateColumn) -> None:
    """Refuse a category that holds dates, or as many values as patients: both name people once they are stored."""
    if column.kind == "number":
        return
    name = column.column.strip()
    cells = {patient: joined.cell(patient, name) for patient in patients}
    filled = {patient: cell for patient, cell in cells.items() if not is_missing(cell)}
    dates = sorted(joined.line(patient, name) for patient, cell in filled.items() if holds_date(cell))
    dates = [] if are_ranges_of_years(tuple(filled.values())) else dates
    if not dates and are_serials(name, tuple(filled.values())):
        dates = sorted(joined.line(patient, name) for patient in filled)
    if dates:
        text = f"column {name!r} holds dates, first at line {dates[0]}."
        remedy = "Give days from time zero; a date is not stored."
        raise RefusedError("date_in_category", joined.role(name), text, remedy)
    if len(filled) >= FEWEST_TO_JUDGE and len(set(filled.values())) > LARGEST_DISTINCT_SHARE * len(filled):
        text = f"column {name!r} has another value in almost every row: free text or an identifier, not a category."
        raise RefusedError("identifying_category", joined.role(name), text, "Take it out of covariates.columns.")


def _unpaired_flags(joined: Joined, known: list[tuple[str, str]], outcome: Outcome) -> list[Flag]:
    flags = []
    for case_id, patient in known:
        if has_undated_death(joined, patient, outcome):
            text = f"case {case_id} has a cause of death without its day."
            flags.append(Flag(STAGE, "unpaired_outcome", text, "Fill both or neither."))
        if outcome.kind != "time":
            continue
        has_time = not is_missing(joined.cell(patient, outcome.time))
        if has_time == is_no_event_code(joined.cell(patient, outcome.event)):
            text = f"case {case_id} has {'a time without event code' if has_time else 'an event code without time'}."
            flags.append(Flag(STAGE, "unpaired_outcome", text, "Fill both or neither."))
    return flags


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
