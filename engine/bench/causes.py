"""Why a value differs from PyRadiomics': every cause is a claim that is tested on the numbers, else `unexplained`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.bench.oracle import oracle_image
from engine.geometry import box_of
from engine.measure.feature_image import FeatureImage
from engine.measure.filters.lbp3d import KURTOSIS_OF_CONSTANT
from engine.measure.filters.registry import filtered_images
from engine.measure.filters.source import FilterSource
from engine.measure.radiomics import pyradiomics_classes
from engine.metrics.recipe import PAPER_1967, feature_names
from engine.protocol import Features
from store.records import FeatureName
from store.volumes import BoolZyx

UNEXPLAINED = "unexplained"
CONSTANT_NEIGHBOURHOOD = "kurtosis of equal samples"
PATTERN_KURTOSIS = "lbp-3D-k"
ROBUST_DEVIATION = "RobustMeanAbsoluteDeviation"
# Rounding of a sum is about 1e-16 of its summands' size, of a long one less than this.
ROUNDING_OF_SUMMANDS = 1e-10
SAME_IMAGE, SAME_VALUE = 1e-9, 1e-6
TIE_DECIMALS = 9
LOW_PERCENT, HIGH_PERCENT = 10.0, 90.0

Values = NDArray[np.float64]
Lookup = Callable[[str], float]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One region and its two vectors (1967,); `kept` is where PyRadiomics' images may lie."""

    image: FeatureImage
    mask: BoolZyx
    mine: Values
    theirs: Values
    kept: Path


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the robust mean absolute deviation of some values keeps, and its value; as PyRadiomics computes it."""

    count: int
    value: float

    @classmethod
    def of(cls, values: Values) -> _Kept:
        low, high = np.percentile(values, [LOW_PERCENT, HIGH_PERCENT])
        inside = values[(values >= low) & (values <= high)]
        return cls(len(inside), float(np.abs(inside - inside.mean()).mean()) if len(inside) else float("nan"))


# A lower bound of the size of what is summed, from features of the same image and class.
# Skewness: mean |d|^3 >= (mean d^2)^1.5. Mean: mean |x| >= half the mean |x - mean|. ClusterShade as skewness, also
# averaged over directions. Imc1: (HXY - HXY1) / HX with HXY >= HX.
SUMMANDS: dict[tuple[str, str], Callable[[Lookup], float]] = {
    ("firstorder", "Skewness"): lambda _: 1.0,
    ("firstorder", "Mean"): lambda feature: feature("MeanAbsoluteDeviation") / 2.0,
    ("glcm", "ClusterShade"): lambda feature: feature("ClusterTendency") ** 1.5,
    ("glcm", "Imc1"): lambda _: 1.0,
}


def cause_of(name: FeatureName, evidence: Evidence) -> str:
    """The cause of one value's deviation with the numbers that show it, or `unexplained`."""
    if name.image_type == PATTERN_KURTOSIS and _equal_samples(evidence):
        return _kurtosis_of_equal_samples(name, evidence)
    if name.feature == ROBUST_DEVIATION:
        return _ties_at_percentile(name, evidence)
    if (name.feature_class, name.feature) in SUMMANDS:
        return _cancellation(name, evidence)
    return UNEXPLAINED


def family_of(cause: str) -> str:
    """The cause without its numbers, to be counted."""
    return cause.partition(":")[0]


@dataclass(frozen=True, slots=True, eq=False)
class _EqualSamples:
    """Voxels whose 42 samples are equal, and PyRadiomics' features of its own image with -3 in their place."""

    voxels: int
    features: dict[tuple[str, str], float]


@lru_cache(maxsize=1)
def _equal_samples(evidence: Evidence) -> _EqualSamples | None:
    """Where PyRadiomics' own image is NaN and the engine's -3, all else equal; None where the images are not so."""
    mine = _own_image(PATTERN_KURTOSIS, evidence)
    theirs = oracle_image(evidence.image, evidence.mask, PAPER_1967, PATTERN_KURTOSIS, evidence.kept)
    undefined = np.isnan(theirs)
    rest = np.abs(mine - theirs)[~undefined]
    scale = np.abs(theirs[~undefined]).max(initial=0.0)
    if not undefined.any() or (mine[undefined] != KURTOSIS_OF_CONSTANT).any() or rest.max() > SAME_IMAGE * scale:
        return None
    image = np.zeros(evidence.mask.shape)
    image[evidence.mask] = np.where(undefined, KURTOSIS_OF_CONSTANT, theirs)
    box = box_of(evidence.mask, (1, 1, 1))
    spacing, width = evidence.image.grid.spacing_mm, Features().bin_width_hu
    found = pyradiomics_classes(image[box].copy(), evidence.mask[box].copy(), spacing, width)
    return _EqualSamples(int(undefined.sum()), found)


def _kurtosis_of_equal_samples(name: FeatureName, evidence: Evidence) -> str:
    """PyRadiomics' own classes give the engine's value once its NaN are the -3 of SciPy at its time."""
    equal = _equal_samples(evidence)
    if equal is None:
        return UNEXPLAINED
    value = equal.features[name.feature_class, name.feature]
    if not _same(float(evidence.mine[name.place]), value):
        return UNEXPLAINED
    return (
        f"{CONSTANT_NEIGHBOURHOOD}: {equal.voxels} voxels of PyRadiomics' image are NaN with this SciPy, -3 with SciPy "
        f"of its time; with -3 its own feature classes give {value:.9g}"
    )


def _ties_at_percentile(name: FeatureName, evidence: Evidence) -> str:
    """Both images agree, give each side's value by the same formula, keep different counts, and agree once rounded."""
    mine = _own_image(name.image_type, evidence)
    theirs = oracle_image(evidence.image, evidence.mask, PAPER_1967, name.image_type, evidence.kept)
    ours, other = _Kept.of(mine), _Kept.of(theirs)
    rounded = [_Kept.of(np.round(values, TIE_DECIMALS)) for values in (mine, theirs)]
    shown = (
        bool(np.abs(mine - theirs).max() <= SAME_IMAGE * np.abs(theirs).max())
        and _same(ours.value, evidence.mine[name.place])
        and _same(other.value, evidence.theirs[name.place])
        and ours.count != other.count
        and rounded[0].count == rounded[1].count
        and _same(rounded[0].value, rounded[1].value)
    )
    if not shown:
        return UNEXPLAINED
    return (
        f"ties at a percentile: images equal to {np.abs(mine - theirs).max():.0e}, engine keeps {ours.count} voxels, "
        f"PyRadiomics {other.count}; with both rounded to {TIE_DECIMALS} decimals both keep {rounded[0].count} and "
        f"give {rounded[0].value:.9g}"
    )


def _cancellation(name: FeatureName, evidence: Evidence) -> str:
    """The difference is within rounding of what is summed; the sum itself is smaller by orders."""
    places = {
        other.feature: other.place
        for other in feature_names(PAPER_1967)
        if (other.image_type, other.feature_class) == (name.image_type, name.feature_class)
    }
    scale = SUMMANDS[name.feature_class, name.feature](lambda feature: float(evidence.theirs[places[feature]]))
    apart = abs(float(evidence.mine[name.place] - evidence.theirs[name.place]))
    if not apart <= ROUNDING_OF_SUMMANDS * scale:
        return UNEXPLAINED
    return f"cancellation: differs by {apart:.1e}, the summands' size is {scale:.3g} or more"


def _own_image(image_type: str, evidence: Evidence) -> Values:
    """The engine's values of one filtered image in the mask, in the order of nonzero."""
    box = box_of(evidence.mask)
    union = evidence.mask[box]
    source = FilterSource(evidence.image.intensity_hu, evidence.image.grid.spacing_mm, box, union, PAPER_1967)
    found = next(values for name, values in filtered_images(source) if name == image_type)
    return np.asarray(found[union], dtype=np.float64)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_VALUE * abs(other)
