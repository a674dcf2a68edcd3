"""The tables of the snapshot, made from the record types: one type, one table, one view with run_id and case_id."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re

import pyarrow as pa

from store import records
from store.artifacts import arrow_schema

SHARED_TABLE = {"PerturbedFeatureVector": "feature_vector", "ReaderOverlap": "overlap"}
LEDGER_RECORDS = ("Verdict", "DrawnMask", "Refusal", "Failure", "Declined")

DUCK_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.list_(pa.float64()): "DOUBLE[]",
    pa.list_(pa.uint8()): "UTINYINT[]",
}


def table_of(record_type: str) -> str:
    """Table name of a record type: snake_case, perturbed vectors beside the base ones."""
    return SHARED_TABLE.get(record_type) or re.sub(r"(?<!^)(?=[A-Z])", "_", record_type).lower()


def record_types() -> dict[str, type]:
    """Every record type that is stored as Parquet, by name."""
    found = inspect.getmembers(records, lambda m: inspect.isclass(m) and dataclasses.is_dataclass(m))
    generic = ("Cohort", "Resamples")
    return {n: t for n, t in found if n not in generic and n not in LEDGER_RECORDS and t.__module__ == records.__name__}


def create_statements() -> tuple[str, ...]:
    """DDL of the record tables (r_<table>) and their views."""
    statements: list[str] = []
    seen: set[str] = set()
    for name, record_type in record_types().items():
        table = table_of(name)
        if table in seen:
            continue
        seen.add(table)
        columns = ", ".join(f'"{field.name}" {DUCK_TYPES[field.type]}' for field in arrow_schema(record_type))
        statements.append(f"CREATE TABLE IF NOT EXISTS r_{table} (key VARCHAR NOT NULL, {columns})")
        statements.append(_view(table, arrow_schema(record_type).names))
    return (*statements, *LEDGER_TABLES)


def _view(table: str, names: list[str]) -> str:
    case = "" if "case_id" in names else "CASE WHEN p.by_case THEN p.unit ELSE '' END AS case_id, "
    return (
        f"CREATE OR REPLACE VIEW {table} AS SELECT p.run_id, {case}r.* EXCLUDE (key)"
        f" FROM placement p JOIN r_{table} r USING (key)"
    )


LEDGER_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (k VARCHAR, v VARCHAR)",
    "CREATE TABLE IF NOT EXISTS ingested (seq BIGINT, kind VARCHAR, key VARCHAR, sha256 VARCHAR)",
)


def schema_fingerprint() -> str:
    """sha256 of all DDL: a work database made by another schema is rebuilt, never migrated."""
    return hashlib.sha256("\n".join(create_statements()).encode()).hexdigest()
