"""The index of the Imaging Data Commons that comes with a package: every public series, asked without a network."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

PACKAGE = "idc-index-data"
CT, OUTLINES = "CT", ("RTSTRUCT", "SEG")
COLUMNS = {
    "collection": "collection_id",
    "annotations": "analysis_result_id",
    "patient": "PatientID",
    "study_uid": "StudyInstanceUID",
    "modality": "Modality",
    "licence": "license_short_name",
    "doi": "source_DOI",
    "files": "instanceCount",
    "megabytes": "series_size_MB",
    "bucket": "aws_bucket",
    "folder": "crdc_series_uuid",
}


@dataclass(frozen=True, slots=True)
class PublicSeries:
    """One series of a public collection: where it lies, how large it is and on what terms.

    annotations names the analysis that outlined somebody else's images, empty for the collection's own series.
    """

    collection: str
    annotations: str
    patient: str
    study_uid: str
    modality: str
    licence: str
    doi: str
    files: int
    megabytes: float
    bucket: str
    folder: str


@dataclass(frozen=True, slots=True)
class PublicCollection:
    """A public collection that holds CT: patients with CT, gigabytes of it, its own outlines, others', licences."""

    collection: str
    patients: int
    ct_series: int
    ct_gigabytes: float
    outlines: int
    annotations: tuple[str, ...]
    licences: tuple[str, ...]


def index_version() -> str:
    """The version of the index, which names the release of the Imaging Data Commons before its first dot."""
    return version(PACKAGE)


def public_series(collection: str) -> tuple[PublicSeries, ...]:
    """CT, RTSTRUCT and SEG series of a collection by patient and study; none where the index has no such collection."""
    wanted = pc.field("collection_id") == collection
    found = pq.read_table(_path(), columns=list(COLUMNS.values()), filters=wanted & _imaging())
    return tuple(sorted(_rows(found.to_pylist()), key=lambda s: (s.patient, s.study_uid, s.modality, s.folder)))


def public_collections() -> tuple[PublicCollection, ...]:
    """Every collection that holds CT, by name."""
    columns = ("collection_id", "analysis_result_id", "PatientID", "Modality", "license_short_name", "series_size_MB")
    found = pq.read_table(_path(), columns=list(columns), filters=_imaging())
    groups = found.group_by(["collection_id", "analysis_result_id", "Modality", "license_short_name"]).aggregate(
        [("PatientID", "count"), ("series_size_MB", "sum")]
    )
    patients = found.filter(pc.equal(found["Modality"], CT)).group_by("collection_id")
    counts = {row["collection_id"]: row for row in patients.aggregate([("PatientID", "count_distinct")]).to_pylist()}
    parts: dict[str, list[dict[str, str | float]]] = defaultdict(list)
    for row in groups.to_pylist():
        if row["collection_id"] in counts:
            parts[row["collection_id"]].append(row)
    return tuple(
        _collection(name, int(counts[name]["PatientID_count_distinct"]), rows) for name, rows in sorted(parts.items())
    )


def _collection(name: str, patients: int, rows: list[dict[str, str | float]]) -> PublicCollection:
    ct = [row for row in rows if row["Modality"] == CT]
    outlines = [row for row in rows if row["Modality"] in OUTLINES]
    own = [row for row in outlines if not row["analysis_result_id"]]
    return PublicCollection(
        collection=name,
        patients=patients,
        ct_series=sum(int(row["PatientID_count"]) for row in ct),
        ct_gigabytes=sum(float(row["series_size_MB_sum"]) for row in ct) / 1000,
        outlines=sum(int(row["PatientID_count"]) for row in own),
        annotations=tuple(sorted({str(row["analysis_result_id"]) for row in outlines if row["analysis_result_id"]})),
        licences=tuple(sorted({str(row["license_short_name"]) for row in (*ct, *own)})),
    )


def _rows(found: list[dict[str, str | float | None]]) -> list[PublicSeries]:
    return [PublicSeries(**{ours: row[theirs] or "" for ours, theirs in COLUMNS.items()}) for row in found]  # type: ignore[arg-type]


def _imaging() -> pc.Expression:
    return pc.field("Modality").isin([CT, *OUTLINES])


def _path() -> Path:
    from idc_index_data import IDC_INDEX_PARQUET_FILEPATH

    return Path(str(IDC_INDEX_PARQUET_FILEPATH))
