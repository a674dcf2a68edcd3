"""Features of one mask of one image, without a study: what `python -m engine extract` does."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.ct_series import read_ct_series
from engine.acquire.dicom import DicomHeader, is_dicom
from engine.acquire.dicom_frames import read_headers
from engine.acquire.nifti import read_ct_file, read_mask_file
from engine.acquire.orientation import canonical_ct
from engine.geometry import resample_mask
from engine.measure.extraction import measure
from engine.measure.feature_image import feature_grid, feature_image
from engine.measure.features import missing_features
from engine.measure.regions import status_of
from engine.metrics.recipe import feature_names, recipe_named
from engine.protocol import Acquire, FeatureGrid, Features, Rois
from store.records import STATUSES, RefusedError
from store.volumes import CtSeries

COLUMNS = ("image_type", "feature_class", "feature", "value", "status")


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature of the mask; value None where there is none, status one of STATUSES."""

    image_type: str
    feature_class: str
    feature: str
    value: float | None
    status: str


def extract_one(image: Path, mask: Path, label: int, features: Features) -> tuple[FeatureRow, ...]:
    """All features of a recipe on the default feature grid, in the frozen order.

    Image: a NIfTI or NRRD file or a folder with one DICOM CT series, other objects beside it left alone; mask: a file
    on the image's grid, of whose voxels those of `label` count. RefusedError as in a study, and for a folder with no or
    several CT series. An empty or too small mask gives no values but its status.
    """
    if not mask.is_file():
        raise FileNotFoundError("the mask file does not exist")
    rules, grid, rois = Acquire(), FeatureGrid(), Rois()
    ct = _read_image(image, rules)
    outlined = read_mask_file(mask, "mask", ct.grid, label, rules).voxels
    resampled = resample_mask(outlined, ct.grid, feature_grid(ct.grid, grid))
    status, recipe = status_of(int(resampled.sum()), rois), recipe_named(features.recipe)
    if status == "ok":
        found = measure(feature_image(ct, grid), [resampled], features, grid, rois)[0]
    else:
        found = missing_features(recipe, status)
    rows = zip(feature_names(recipe), found.values, found.statuses, strict=True)
    return tuple(
        FeatureRow(n.image_type, n.feature_class, n.feature, None if v != v else float(v), STATUSES[s])
        for n, v, s in rows
    )


def as_csv(rows: tuple[FeatureRow, ...]) -> str:
    """The rows as CSV with full precision; an absent value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        value = "" if row.value is None else repr(row.value)
        writer.writerow((row.image_type, row.feature_class, row.feature, value, row.status))
    return text.getvalue()


def _read_image(path: Path, rules: Acquire) -> CtSeries:
    if path.is_dir():
        return canonical_ct(read_ct_series(_ct_slices(path), rules).ct)
    if not path.exists():
        raise FileNotFoundError("the image file does not exist")
    return read_ct_file(path, "image", rules).ct


def _ct_slices(folder: Path) -> list[DicomHeader]:
    """The slices of the one CT series below a folder; a file without a modality is left to the gate, which says so."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and is_dicom(file))
    headers = [header for file in files for header in read_headers(file) if not header.is_directory]
    slices = [header for header in headers if header.modality in ("", "CT")]
    series = {header.series_uid for header in slices}
    if not slices:
        raise RefusedError("no_ct", "image folder", "it holds no DICOM CT.", "Name the folder of one CT series.")
    if len(series) > 1:
        text = f"it holds {len(series)} CT series."
        raise RefusedError("several_series", "image folder", text, "Name the folder of one CT series.")
    return slices
