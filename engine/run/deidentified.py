"""A copy of a study's images and tables that may leave the house: pseudonyms, no header text, days instead of dates."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import SimpleITK as sitk

from engine.geometry import to_image
from store.artifacts import Artifacts
from store.export import export_table, latest_run_id, write_export
from store.queries.cohort import cases as query_cases
from store.snapshot import open_snapshot

REFERENCES = "acquire.references"
TABLES = ("cases", "morphology", "location", "overlap")
DESCRIPTION, AUXILIARY, INTENT = slice(148, 228), slice(228, 252), slice(328, 344)  # NIfTI-1: texts of a writer
NOTICE = (
    "Pseudonymised, not anonymous: whoever holds the study's key can name the patients, and a face or an outline can be"
    " recognised. Days count from time zero; no dates, names, numbers or free texts of the source are contained."
)


def write_deidentified(study: Path, to: Path) -> int:
    """Write image and outlines of every case as NIfTI, tables as CSV and a manifest; returns the number of cases.

    ValueError where the folder exists and is not empty.
    """
    if to.exists() and any(to.iterdir()):
        raise ValueError("the folder to export to must be empty")
    snapshot = open_snapshot(study)
    run_id = latest_run_id(snapshot)
    artifacts = Artifacts(study)
    cases = [case.case_id for case in query_cases(snapshot, run_id)]
    written = []
    for case_id in cases:
        try:
            ct = artifacts.load_ct(run_id, case_id)
        except KeyError:  # refused at the gate: it has no image
            continue
        written.append(case_id)
        folder = to / case_id
        folder.mkdir(parents=True)
        _write_clean(folder / "image.nii.gz", to_image(ct.intensity_hu, ct.grid))
        for mask in artifacts.load_masks(run_id, case_id, REFERENCES).masks:
            name = mask.structure if mask.lesion == 0 else f"{mask.structure}_{mask.lesion}"
            _write_clean(folder / f"{name}.nii.gz", to_image(mask.voxels, mask.grid))
    for table in TABLES:
        write_export(export_table(study, table, run_id), to / f"{table}.csv")
    (to / "manifest.json").write_text(
        json.dumps({"notice": NOTICE, "run": run_id, "cases": written}, indent=1), "utf-8"
    )
    return len(written)


def _write_clean(path: Path, image: sitk.Image) -> None:
    """Write a NIfTI whose text fields are empty."""
    plain = path.with_name(path.name.removesuffix(".gz"))
    sitk.WriteImage(image, str(plain))
    raw = bytearray(plain.read_bytes())
    for text in (DESCRIPTION, AUXILIARY, INTENT):
        raw[text] = bytes(text.stop - text.start)
    path.write_bytes(gzip.compress(bytes(raw), 1, mtime=0))
    plain.unlink()
