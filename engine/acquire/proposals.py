"""What a new study proposes from its tables: id column, outcome columns, preoperative covariates. Read them over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from engine.acquire.csv_table import Table, are_days, as_float, is_missing
from engine.protocol import CovariateColumn, Outcome
from store.records import RefusedError

ID_NAMES = ("patient id", "patientid", "case id", "caseid", "patient", "subject id", "subject", "case", "pid", "id")
OUTCOME_SMELL = re.compile(
    r"recur|relaps|progress|death|dead|died|alive|status|follow|surviv|dfs|pfs|rfs|efs|\bos\b|date|event|outcome|censor"
    r"|label|target|days|months|cause|last|contact"
)
KNOWN_LATER = re.compile(
    r"patholog|histopath|invasion|margin|adjuvant|chemo|radiation|radiother|treat|surgery|mutation"
)
PREDICTORS = re.compile(
    r"\bage\b|\bsex\b|gender|smok|pack|stage|histolog|ecog|performance|karnofsky|fev1|dlco|\bbmi\b|clinical [tnm]\b"
)
COLUMN_FIELDS = {
    "recurrence_days": ("recurrence days", "days to recurrence", "relapse days"),
    "death_days": ("death days", "days to death", "time to death days"),
    "cause": ("cause of death", "cause", "death cause"),
    "last_imaging_days": ("last imaging days", "days to last imaging"),
    "last_contact_days": ("last contact days", "days to last contact", "follow up days", "last follow up days"),
}
ENDPOINTS = {
    "dfs": "any-cause disease-free survival",
    "rfs": "recurrence-free survival",
    "pfs": "progression-free survival",
    "efs": "event-free survival",
    "os": "overall survival",
}
FEWEST_NUMBERS = 6
MOST_LEVELS = 8
LARGEST_MISSING_SHARE = 0.3
LARGEST_COMMON_SHARE = 0.95


def guess_id(table: Table, ids: Collection[str], *, repeated: bool = False) -> str:
    """The patient id column of a table: the name that says so, among columns that could be one; else the best match.

    A column could be one where every cell is filled and, unless rows repeat patients, differs. RefusedError where
    there is none.
    """
    possible = [c for c in table.columns if _could_be_id(table.column(c), repeated=repeated)]
    if not possible:
        text = "no column could be the patient id (filled and different in every row)."
        raise RefusedError("no_id_column", table.role, text, "Add a patient id column.")

    def rank(column: str) -> tuple[int, int, int]:
        shared = len(set(ids) & set(table.column(column)))
        name = plain(column)
        named = ID_NAMES.index(name) if name in ID_NAMES else len(ID_NAMES)
        return -shared, named, table.columns.index(column)

    return min(possible, key=rank)


def guess_outcome(tables: Sequence[Table]) -> Outcome:
    """The outcome columns by their names: recurrence, death and contact, or time and event; kind none where unclear."""
    names = {plain(c): c for table in tables for c in table.columns}
    fields = {field: names[spelled[0]] for field, spelled in _spelled(names).items() if spelled}
    for prefix, endpoint in ENDPOINTS.items():
        time = next((names[n] for n in (f"{prefix} days", f"{prefix} time days") if n in names), "")
        event = next((names[n] for n in (f"{prefix} event", f"{prefix} status") if n in names), "")
        if time and event and "recurrence_days" not in fields:
            return Outcome(kind="time", time=time, event=event, endpoint=endpoint)
    if "recurrence_days" in fields and ("last_contact_days" in fields or "last_imaging_days" in fields):
        return Outcome.model_validate({"kind": "columns", **fields})
    return Outcome()


def propose_covariates(tables: Sequence[Table], ids: Sequence[str]) -> tuple[CovariateColumn, ...]:
    """Clinical predictors known before surgery, by name and content; never a column that smells of the outcome.

    A column that stands in two tables, is missing in more than 30 %, or hardly varies is not proposed.
    """
    counts = Counter(c for table in tables for c in table.columns)
    proposed = []
    for table, own_id in zip(tables, ids, strict=True):
        for column in table.columns:
            if column and column != own_id and counts[column] == 1 and _is_predictor(plain(column)):
                proposed.append(_covariate(column, table.column(column)))
    return tuple(p for p in proposed if p is not None)


def plain(name: str) -> str:
    """A column name in lower case with everything but letters and digits as single blanks."""
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


def _could_be_id(cells: Sequence[str], *, repeated: bool) -> bool:
    return all(cells) and (repeated or len(set(cells)) == len(cells))


def _spelled(names: dict[str, str]) -> dict[str, list[str]]:
    return {field: [n for n in spellings if n in names] for field, spellings in COLUMN_FIELDS.items()}


def _is_predictor(name: str) -> bool:
    return bool(PREDICTORS.search(name)) and not OUTCOME_SMELL.search(name) and not KNOWN_LATER.search(name)


def _covariate(column: str, cells: Sequence[str]) -> CovariateColumn | None:
    known = [cell for cell in cells if not is_missing(cell)]
    levels = Counter(known)
    if len(known) < (1 - LARGEST_MISSING_SHARE) * len(cells) or len(levels) < 2:
        return None
    if max(levels.values()) > LARGEST_COMMON_SHARE * len(known):
        return None
    name = plain(column)
    if "stage" in name and not name.endswith(("prefix", "edition")):
        return CovariateColumn(column=column, kind="stage", tnm_prefix="c" if "clinical" in name else "")
    if _numbers(known) and len(levels) >= FEWEST_NUMBERS:
        return CovariateColumn(column=column, kind="number", unit="years" if "age" in name.split() else "")
    if "stage" in name or len(levels) > MOST_LEVELS:
        return None
    return CovariateColumn(column=column, kind="category")


def _numbers(cells: Sequence[str]) -> bool:
    try:
        return not are_days(cells) and all(as_float(cell) == as_float(cell) for cell in cells)
    except ValueError:
        return False
