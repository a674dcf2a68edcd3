"""Start a study: a study.toml with every default and cautious proposals; nothing is copied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.acquire.csv_table import Table, are_days, as_float, read_table
from engine.acquire.feature_table import feature_column
from engine.acquire.proposals import guess_id, guess_outcome, propose_covariates
from engine.protocol import (
    PROTOCOL_FILE,
    Clinical,
    Covariates,
    Images,
    ImportedFeatures,
    Outcome,
    Protocol,
    Reproducibility,
    Study,
    write_protocol,
)

RATER_COLUMNS = ("rater", "scan", "reader", "observer")


def new_image_study(
    directory: Path, images: Path, reference: Sequence[str], lungs: str, clinical: Sequence[Path]
) -> Path:
    """Write the study.toml of a study of images; returns its path.

    ValueError where the folder already holds a study or an input is absent; RefusedError for an unusable table.
    """
    if not images.is_dir():
        raise ValueError("--images must name an existing folder")
    tables = _tables(clinical)
    names = tuple(dict.fromkeys(name.strip() for name in reference if name.strip()))
    chosen = Images(root=_path(images, directory), reference=names, lungs=lungs or Images().lungs)
    ids = tuple(guess_id(table, _all_ids(tables)) for table in tables)
    protocol = Protocol(
        study=Study(name=directory.resolve().name),
        images=chosen,
        clinical=Clinical(files=tuple(_path(p, directory) for p in clinical), id=ids),
        outcome=guess_outcome(tables),
        covariates=Covariates(columns=propose_covariates(tables, ids)),
    )
    return _write(directory, protocol)


def new_table_study(directory: Path, features: Path, clinical: Sequence[Path]) -> Path:
    """Write the study.toml of a table-only study (imported features); returns its path.

    Feature columns are those named like features; where none is, every numeric column but the id. ValueError where
    the folder already holds a study or a file is absent; RefusedError for an unusable table.
    """
    table, *tables = _tables((features, *clinical))
    rater = next((c for c in table.columns if c.lower() in RATER_COLUMNS), "")
    own_id = guess_id(table, _all_ids(tables), repeated=bool(rater))
    columns = tuple(c for c in table.columns if feature_column(c) is not None)
    ids = tuple(guess_id(one, frozenset(table.column(own_id))) for one in tables)
    protocol = Protocol(
        study=Study(name=directory.resolve().name, kind="table"),
        clinical=Clinical(files=tuple(_path(p, directory) for p in clinical), id=ids),
        outcome=guess_outcome(tables) if tables else Outcome(),
        covariates=Covariates(columns=propose_covariates(tables, ids)),
        features_table=ImportedFeatures(
            file=_path(features, directory), id=own_id, rater=rater, columns=columns or _numeric(table, own_id, rater)
        ),
        reproducibility=Reproducibility(families=("random", "fixed", "readers")),
    )
    return _write(directory, protocol)


def _write(directory: Path, protocol: Protocol) -> Path:
    if (directory / PROTOCOL_FILE).exists():
        raise ValueError(f"this folder already holds a {PROTOCOL_FILE}; choose another or edit it")
    directory.mkdir(parents=True, exist_ok=True)
    return write_protocol(directory, protocol)


def _tables(paths: Sequence[Path]) -> list[Table]:
    missing = [number for number, path in enumerate(paths, 1) if not path.is_file()]
    if missing:
        raise ValueError(f"table {missing[0]} of {len(paths)} must be an existing CSV file")
    return [read_table(path, f"table {number}") for number, path in enumerate(paths, 1)]


def _path(path: Path, directory: Path) -> str:
    full, home = path.resolve(), directory.resolve()
    return str(full.relative_to(home)) if full.is_relative_to(home) else str(full)


def _all_ids(tables: Sequence[Table]) -> frozenset[str]:
    return frozenset(value for table in tables for value in table.column(guess_id(table, frozenset())))


def _numeric(table: Table, own_id: str, rater: str) -> tuple[str, ...]:
    return tuple(c for c in table.columns if c not in (own_id, rater) and _is_numeric(table.column(c)))


def _is_numeric(cells: Sequence[str]) -> bool:
    try:
        filled = [cell for cell in cells if cell]
        return not are_days(filled) and all(as_float(cell) is not None for cell in filled)
    except ValueError:
        return False
