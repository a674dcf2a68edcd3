"""Conformance: our features against IBSI-1's reference values, computed live on its digital and CT phantoms.

Bins of a width begin at IBSI's origin (`bin_origin` ibsi), bins of a number are `bin_count`, and textures of one
table for all directions (IBSI's comb) are `weighting` merged. Textures of each slice by itself, averaged over slices
(2D), are not offered: no setting of PyRadiomics gives them. Three definitions are converted, and their rows say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.ibsi_names import AGGREGATIONS, PLAIN, TEXTURES
from engine.geometry import box_of, grid_of, to_reference
from engine.measure.directions import TextureChoices
from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.levels import Binning
from engine.measure.radiomics import pyradiomics_features, pyradiomics_settings
from engine.measure.resegmentation import resegmented
from engine.measure.shape import shape_features
from engine.metrics.recipe import SHAPE, feature_names, recipe_named
from engine.protocol import Features
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
    range_hu: tuple[float, ...]
    outlier_sd: float
    binning: Binning
    backend: str = "engine"


CT, TABLES = "ibsi1_ct_phantom", "ibsi_1_chest_config_"
DIGITAL, LINEAR, SPLINE = "ibsi1_digital_phantom", sitk.sitkLinear, sitk.sitkBSpline
SLICEWISE = "textures of each slice by itself, averaged over slices (2D), are not offered; 2.5D and 3D are"
IN_BINS = Binning(25.0, count=32)
CONFIGURATIONS = (
    Configuration("digital", DIGITAL, "ibsi_1_dig_phantom", (0, 0, 0), LINEAR, (), 0.0, Binning(1.0, 1.0)),
    Configuration("A", CT, f"{TABLES}a", (0, 0, 0), LINEAR, (-500, 400), 0.0, Binning(25.0, -500.0)),
    Configuration("B", CT, f"{TABLES}b", (2, 2, 0), LINEAR, (-500, 400), 0.0, IN_BINS),
    Configuration("C", CT, f"{TABLES}c", (2, 2, 2), LINEAR, (-1000, 400), 0.0, Binning(25.0, -1000.0)),
    Configuration("D", CT, f"{TABLES}d", (2, 2, 2), LINEAR, (), 3.0, IN_BINS),
    Configuration("E", CT, f"{TABLES}e", (2, 2, 2), SPLINE, (-1000, 400), 3.0, IN_BINS),
)
BEYOND = "our value lies outside the tolerance"
# What is done to our value before it is compared.
CONVERTED = {
    ("firstorder", "Kurtosis"): "compared less 3: PyRadiomics' kurtosis of a normal distribution is 3, IBSI's 0",
    **{
        (SHAPE, f"{axis}AxisLength"): "compared times sqrt(n / (n - 1)): PyRadiomics divides the scatter by n voxels"
        for axis in ("Major", "Minor", "Least")
    },
}


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
    references = _references(data / "ibsi1_reference_values" / f"{one.table}.csv")
    places = {tag: place for tag in references if (place := _place(tag)) is not None}
    ours = _values(one, data / one.folder, {choices for _, choices in places.values() if choices is not None})
    rows = []
    for tag, (feature, choices) in places.items():
        value = None if choices is None else ours[choices][feature]
        rows.append(_row(one.name, tag, feature, value, references[tag]))
    return rows


def _place(tag: str) -> tuple[tuple[str, str], TextureChoices | None] | None:
    """Our class and feature of a tag, and the texture choices that give it; None for a feature that is not shared."""
    if tag in PLAIN:
        return PLAIN[tag], TextureChoices()
    for ending, choices in AGGREGATIONS.items():
        if tag.endswith(f"_{ending}") and tag.removesuffix(f"_{ending}") in TEXTURES:
            return TEXTURES[tag.removesuffix(f"_{ending}")], choices
    return None


def _row(
    name: str, tag: str, feature: tuple[str, str], value: float | None, reference: tuple[float, float]
) -> Conformity:
    verdict = verdict_of(value, *reference)
    reason = {"met": "", "not met": BEYOND, "not offered": SLICEWISE}[verdict]
    return Conformity(name, tag, "_".join(feature), value, *reference, verdict, CONVERTED.get(feature, reason))


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


def _values(
    one: Configuration, folder: Path, wanted: set[TextureChoices]
) -> dict[TextureChoices, dict[tuple[str, str], float]]:
    """Our features by texture choices, class and name, with IBSI's conversions of kurtosis and axis lengths.

    Shape is that of the whole mask, intensities are those of the resegmented one.
    """
    image, whole = prepared(one, folder)
    inside = resegmented(image.intensity_hu, whole, one.range_hu, one.outlier_sd)
    recipe, count, found = recipe_named(RECIPE), int(whole.sum()), {}
    for choices in wanted:
        values = _measured(image, inside, whole, one, choices)
        named = {(name.feature_class, name.feature): float(values[name.place]) for name in feature_names(recipe)}
        named["firstorder", "Kurtosis"] -= KURTOSIS_OF_NORMAL
        for axis in ("MajorAxisLength", "MinorAxisLength", "LeastAxisLength"):
            named[SHAPE, axis] *= float(np.sqrt(count / (count - 1)))
        found[choices] = named
    return found


def _measured(
    image: FeatureImage, inside: BoolZyx, whole: BoolZyx, one: Configuration, choices: TextureChoices
) -> NDArray[np.float64]:
    """A recipe's vector by the configuration's backend; shape, the same in both, is always ours."""
    recipe = recipe_named(RECIPE)
    if one.backend != "legacy":
        return measure_rois(image, [inside], recipe, one.binning, choices, [whole])[0].values
    values = _by_pyradiomics(image, inside, one, choices)
    shape = [name.place for name in feature_names(recipe) if name.feature_class == SHAPE]
    values[shape] = shape_features(whole[box_of(whole)], image.grid.spacing_mm)
    return values


def _by_pyradiomics(
    image: FeatureImage, inside: BoolZyx, one: Configuration, choices: TextureChoices
) -> NDArray[np.float64]:
    chosen = {"weighting": choices.weighting, "distances": choices.distances, "bin_count": one.binning.count}
    features = Features.model_validate({"recipe": RECIPE, "bin_width_hu": one.binning.width, **chosen})
    settings = {**pyradiomics_settings(features), "force2D": choices.in_plane}
    spacing_mm, recipe = image.grid.spacing_mm, recipe_named(RECIPE)
    return pyradiomics_features(image.intensity_hu, inside, spacing_mm, recipe, one.binning.width, True, settings)


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
