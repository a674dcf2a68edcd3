"""The gate on the malformed corpus: what it answers to each specimen, by the same `check` that a study uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.acquire.archive import ArchiveLimits, unpack
from engine.acquire.check import check
from engine.acquire.clinical import read_clinical, refused_rows
from engine.acquire.discover import clinical_source
from engine.bench.malformed.belonging import belonging_specimens
from engine.bench.malformed.headers import header_specimens
from engine.bench.malformed.image_files import image_specimens, mask_specimens
from engine.bench.malformed.listed import listed_specimens
from engine.bench.malformed.outlines import outline_specimens
from engine.bench.malformed.series import series_specimens
from engine.bench.malformed.specimen import Specimen
from engine.bench.malformed.tables import ARCHIVE, MONTHS, TABLE, YEARS, archive_specimens, table_specimens
from engine.protocol import (
    Clinical,
    CovariateColumn,
    Covariates,
    Eligibility,
    Images,
    Outcome,
    Protocol,
    Study,
    write_protocol,
)
from store.records import RefusedError

SMALL = ArchiveLimits(entries=200, file_bytes=64 << 20, total_bytes=64 << 20, ratio=200)
CLINICAL = Clinical(files=(TABLE,), id=("id",))
OUTCOME = Outcome(kind="time", time="days", event="event")
COVARIATES = Covariates(columns=(CovariateColumn(column="age", kind="number"), CovariateColumn(column="stage")))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate said: the codes of refusals and of flags."""

    refused: tuple[str, ...]
    flagged: tuple[str, ...]

    @property
    def codes(self) -> frozenset[str]:
        """All codes."""
        return frozenset((*self.refused, *self.flagged))


def every_specimen() -> tuple[Specimen, ...]:
    """The whole corpus, in order of its parts."""
    return (
        *series_specimens(),
        *belonging_specimens(),
        *outline_specimens(),
        *image_specimens(),
        *header_specimens(),
        *mask_specimens(),
        *listed_specimens(),
        *table_specimens(),
        *archive_specimens(),
    )


def answer_of_gate(specimen: Specimen, folder: Path) -> Answer:
    """Make a specimen in an empty folder and put it through the gate."""
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    specimen.make(inputs)
    if specimen.part == "table":
        return _of_table(inputs)
    if specimen.part == "archive":
        return _of_archive(inputs / ARCHIVE, folder / "unpacked")
    images = Images(root=str(inputs), reference=("Tumour",))
    write_protocol(folder, Protocol(study=Study(public_ids=True), images=images))
    found = check(folder)
    return Answer(tuple(one.code for one in found.refused), tuple(one.code for one in found.flagged))


def _of_table(folder: Path) -> Answer:
    patients = [(name, f"CASE{name}") for name in "ABCDEFGHIJKL"]
    outcome = _declared_over((folder / TABLE).read_bytes())
    try:
        source = clinical_source(folder, Protocol(clinical=CLINICAL), patients)
        if source is None:
            raise ValueError("the specimen has no table")
        rows = refused_rows(source, CLINICAL, outcome)
        flags = read_clinical(source, CLINICAL, outcome, COVARIATES, Eligibility()).flags
    except RefusedError as error:
        return Answer((error.code,), ())
    return Answer(tuple(row.code for row in rows), tuple(flag.code for flag in flags))


def _declared_over(table: bytes) -> Outcome:
    """The outcome that a study declares: days, or the column of the table that is named by another unit."""
    named = (name for name in (MONTHS, YEARS) if name.encode() in table)
    return OUTCOME.model_copy(update={"time": next(named, OUTCOME.time)})


def _of_archive(archive: Path, target: Path) -> Answer:
    try:
        unpack(archive, target, limits=SMALL)
    except RefusedError as error:
        return Answer((error.code,), ())
    return Answer((), ())
