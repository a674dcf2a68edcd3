"""The tables of the snapshot, made from the record types: one type, one table, one view with run_id and case_id."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
from collections.abc import Sequence

import pyarrow as pa

from store import records
from store.artifacts import arrow_schema

BLOCKED, BLOCK = "feature_block", 64  # features of one row of a vector: see vector_blocks
SHARED_TABLE = {"FeatureVector": BLOCKED, "PerturbedFeatureVector": BLOCKED, "ReaderOverlap": "overlap"}
NEVER_SHOWN = ("OutOfBag",)  # one row a patient, arm and resample: stages read its artifacts, no page does
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
    """Every record type that the snapshot holds, by name."""
    found = inspect.getmembers(records, lambda m: inspect.isclass(m) and dataclasses.is_dataclass(m))
    others = ("Cohort", "Resamples", *NEVER_SHOWN, *LEDGER_RECORDS)
    return {n: t for n, t in found if n not in others and t.__module__ == records.__name__}


def create_statements() -> tuple[str, ...]:
    """DDL of the record tables (r_<table>) and their views."""
    statements: list[str] = []
    seen: set[str] = set()
    for name, record_type in record_types().items():
        table = table_of(name)
        if table in seen:
            continue
        seen.add(table)
        fields = [f'"{field.name}" {DUCK_TYPES[field.type]}' for field in arrow_schema(record_type)]
        if table == BLOCKED:
            fields.append("block BIGINT")
        statements.append(f"CREATE TABLE IF NOT EXISTS r_{table} (key VARCHAR NOT NULL, {', '.join(fields)})")
        statements.append(view_statement(table, [f"r_{table}"], "case_id" in arrow_schema(record_type).names))
    return (*statements, *LEDGER_TABLES)


def view_statement(table: str, sources: Sequence[str], knows_case: bool = False) -> str:
    """The view of a record table, whose rows may lie in several places, with run and case from the ledger."""
    rows = " UNION ALL ".join(f"SELECT * FROM {source}" for source in sources)
    case = "" if knows_case else "CASE WHEN p.by_case THEN p.unit ELSE '' END AS case_id, "
    return (
        f"CREATE OR REPLACE VIEW {table} AS SELECT p.run_id, {case}r.* EXCLUDE (key)"
        f" FROM placement p JOIN ({rows}) r USING (key)"
    )


LEDGER_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (k VARCHAR, v VARCHAR)",
    "CREATE TABLE IF NOT EXISTS ingested (seq BIGINT, kind VARCHAR, key VARCHAR, sha256 VARCHAR)",
    "CREATE TABLE IF NOT EXISTS sealed (name VARCHAR)",
)


def schema_fingerprint() -> str:
    """sha256 of all DDL: a work database made by another schema is rebuilt, never migrated."""
    return hashlib.sha256("\n".join(create_statements()).encode()).hexdigest()
