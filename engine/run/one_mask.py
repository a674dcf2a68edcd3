"""Features of one mask of one image, without a study: what `python -m engine extract` does."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.ct_series import read_ct_series
from engine.acquire.dicom import is_dicom, read_header
from engine.acquire.nifti import read_ct_file, read_mask_file
from engine.geometry import resample_mask
from engine.measure.extraction import measure
from engine.measure.feature_image import feature_grid, feature_image
from engine.measure.features import missing_features
from engine.measure.regions import status_of
from engine.metrics.recipe import feature_names, recipe_named
from engine.protocol import Acquire, FeatureGrid, Features, Rois
from store.records import STATUSES
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

    Image: a NIfTI or NRRD file or a folder of one DICOM CT series; mask: a file on the image's grid. RefusedError as in
    a study. An empty or too small mask gives no values but its status.
    """
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
        return read_ct_series([read_header(file) for file in _dicom_files(path)], rules).ct
    if not path.exists():
        raise FileNotFoundError("the image file does not exist")
    return read_ct_file(path, "image", rules).ct


def _dicom_files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and is_dicom(file):
            yield file
