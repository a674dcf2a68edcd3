"""Conformance: our features against IBSI-1's reference values, computed live on its digital and CT phantoms.

Configuration C is met with `bin_origin` ibsi. Where our convention cannot give a value, the row says why: A averages
textures over slices, B, D and E divide the range into a fixed number of bins; neither is offered, so that intensity
and shape values alone are compared (A: its histogram too).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.ibsi_names import HISTOGRAM, OF_LEVELS, PLAIN
from engine.geometry import box_of, grid_of, to_reference
from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.legacy import legacy_rois
from engine.measure.levels import Binning
from engine.measure.shape import shape_features
from engine.metrics.recipe import FEATURES_OF_CLASS, SHAPE, feature_names, recipe_named
from store.records import Conformity
from store.volumes import BoolZyx, Grid

RECIPE = "original-107"
SIGNIFICANT_DIGITS = 3
KURTOSIS_OF_NORMAL = 3.0
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Configuration:
    """One IBSI-1 configuration: files, grid (mm x, y, z; 0 keeps the axis), interpolation, resegmentation, bins."""

    name: str
    folder: str
    table: str
    spacing_mm: tuple[float, float, float]
    interpolator: int
    range_hu: tuple[float, float] | None
    outlier_sd: float
    binning: Binning
    without_levels: str
    backend: str = "engine"


CT, TABLES = "ibsi1_ct_phantom", "ibsi_1_chest_config_"
SLICEWISE = "textures averaged over slices (2D) are not offered"
BIN_NUMBER = "a fixed number of bins is not offered"
CONFIGURATIONS = (
    Configuration(
        "digital",
        "ibsi1_digital_phantom",
        "ibsi_1_dig_phantom",
        (0, 0, 0),
        sitk.sitkLinear,
        None,
        0.0,
        Binning(1.0, 1.0),
        "",
    ),
    Configuration(
        "A", CT, f"{TABLES}a", (0, 0, 0), sitk.sitkLinear, (-500, 400), 0.0, Binning(25.0, -500.0), SLICEWISE
    ),
    Configuration(
        "B", CT, f"{TABLES}b", (2, 2, 0), sitk.sitkLinear, (-500, 400), 0.0, Binning(25.0, -500.0), BIN_NUMBER
    ),
    Configuration("C", CT, f"{TABLES}c", (2, 2, 2), sitk.sitkLinear, (-1000, 400), 0.0, Binning(25.0, -1000.0), ""),
    Configuration("D", CT, f"{TABLES}d", (2, 2, 2), sitk.sitkLinear, None, 3.0, Binning(25.0), BIN_NUMBER),
    Configuration("E", CT, f"{TABLES}e", (2, 2, 2), sitk.sitkBSpline, (-1000, 400), 3.0, Binning(25.0), BIN_NUMBER),
)


def conform(shared: Path, configurations: Sequence[Configuration] = CONFIGURATIONS) -> tuple[Conformity, ...]:
    """Every shared feature of every configuration; FileNotFoundError without the shared data."""
    if not (shared / "data" / "ibsi1_reference_values").is_dir():
        raise FileNotFoundError("conform needs data/ibsi1_* in $COHORTSCOPE_SHARED or ../shared")
    return tuple(row for one in configurations for row in _rows(one, shared / "data"))


def conformity_counts(rows: Sequence[Conformity]) -> dict[str, dict[str, int]]:
    """How many rows of each configuration have which verdict."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        verdicts = counts.setdefault(row.configuration, {})
        verdicts[row.verdict] = verdicts.get(row.verdict, 0) + 1
    return counts


def _rows(one: Configuration, data: Path) -> list[Conformity]:
    ours = _values(one, data / one.folder)
    rows = []
    for tag, (reference, tolerance) in _references(data / "ibsi1_reference_values" / f"{one.table}.csv").items():
        name = PLAIN.get(tag) or OF_LEVELS.get(tag)
        if name is None:
            continue
        offered = not one.without_levels or tag in PLAIN or (one.without_levels == SLICEWISE and tag in HISTOGRAM)
        value = ours[name] if offered else None
        verdict = verdict_of(value, reference, tolerance)
        reason = "" if offered else one.without_levels
        rows.append(Conformity(one.name, tag, "_".join(name), value, reference, tolerance, verdict, reason))
    return rows


def verdict_of(value: float | None, reference: float, tolerance: float) -> str:
    """Within the tolerance, beyond which the reference's own rounding to three digits is allowed."""
    if value is None:
        return "not offered"
    rounding = HALF * 10.0 ** (np.floor(np.log10(abs(reference))) - SIGNIFICANT_DIGITS + 1) if reference else HALF
    return "met" if abs(value - reference) <= tolerance + rounding * (1 + 1e-9) else "not met"


def _references(table: Path) -> dict[str, tuple[float, float]]:
    """Reference and tolerance by tag; tags without a consensus value are left out."""
    lines = table.read_text(encoding="utf-8").splitlines()[1:]
    cells = (line.split(";") for line in lines)
    return {tag: (float(value), float(tolerance)) for value, tolerance, tag in cells if value}


def _values(one: Configuration, folder: Path) -> dict[tuple[str, str], float]:
    """Our features by class and name: shape of the whole mask, intensities of the resegmented one.

    Two conversions: IBSI's kurtosis is less 3, and its axis lengths divide the scatter by n - 1 where ours divide by n.
    """
    image, whole = prepared(one, folder)
    recipe = recipe_named(RECIPE)
    inside = _resegmented(image, whole, one)
    values = _measured(image, inside, one)
    found = {(name.feature_class, name.feature): float(values[name.place]) for name in feature_names(recipe)}
    shape = shape_features(whole[box_of(whole)], image.grid.spacing_mm)
    found |= {(SHAPE, name): value for name, value in zip(FEATURES_OF_CLASS[SHAPE], shape, strict=True)}
    found["firstorder", "Kurtosis"] -= KURTOSIS_OF_NORMAL
    count = int(whole.sum())
    for axis in ("MajorAxisLength", "MinorAxisLength", "LeastAxisLength"):
        found[SHAPE, axis] *= float(np.sqrt(count / (count - 1)))
    return found


def _measured(image: FeatureImage, inside: BoolZyx, one: Configuration) -> NDArray[np.float64]:
    recipe = recipe_named(RECIPE)
    if one.backend == "legacy":
        return legacy_rois(image, [inside], recipe, one.binning.width)[0].values
    return measure_rois(image, [inside], recipe, one.binning)[0].values


def prepared(one: Configuration, folder: Path) -> tuple[FeatureImage, BoolZyx]:
    """A configuration's image in whole HU and its mask, both on its grid."""
    image, mask = (sitk.ReadImage(str(folder / f"{role}.nii.gz")) for role in ("image", "mask"))
    if any(one.spacing_mm):
        target = to_reference(_centred_grid(grid_of(image), one.spacing_mm))
        image = sitk.Resample(sitk.Cast(image, sitk.sitkFloat64), target, sitk.Transform(), one.interpolator, 0.0)
        mask = sitk.Resample(sitk.Cast(mask, sitk.sitkFloat64), target, sitk.Transform(), sitk.sitkLinear, 0.0)
    hu = np.rint(sitk.GetArrayFromImage(image)).astype(np.int16)
    return FeatureImage(hu, np.zeros((0, 0, 0), dtype=np.bool_), grid_of(image)), sitk.GetArrayFromImage(mask) >= HALF


def _centred_grid(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """IBSI's grid: as many voxels as cover the extent, its centre on the old one."""
    old = np.array(grid.spacing_mm)
    new = np.where(np.array(spacing_mm) > 0, spacing_mm, old)
    size = np.maximum(1, np.ceil(np.round(np.array(grid.size_xyz) * old / new, 3))).astype(int)
    shift = ((np.array(grid.size_xyz) - 1) * old - (size - 1) * new) / 2.0
    origin = np.array(grid.origin_mm) + np.array(grid.direction).reshape(3, 3) @ shift
    x, y, z = (int(n) for n in size)
    return Grid((x, y, z), tuple(new.tolist()), tuple(origin.tolist()), grid.direction)


def _resegmented(image: FeatureImage, mask: BoolZyx, one: Configuration) -> BoolZyx:
    kept = mask.copy()
    if one.range_hu is not None:
        kept &= (image.intensity_hu >= one.range_hu[0]) & (image.intensity_hu <= one.range_hu[1])
    if one.outlier_sd:
        values = image.intensity_hu[kept]
        kept &= np.abs(image.intensity_hu - values.mean()) <= one.outlier_sd * values.std()
    return kept
