"""Feature recipes as data: which images, which features, in which frozen order; needs no feature library."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from engine.protocol import digest
from store.records import FeatureName

ORIGINAL = "original"
SHAPE = "shape"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names and order (alphabetical within a class) of PyRadiomics 3.0.1, deprecated features left out.
FEATURES_OF_CLASS: dict[str, tuple[str, ...]] = {
    "shape": _words(
        "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
        "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea "
        "SurfaceVolumeRatio VoxelVolume"
    ),
    "firstorder": _words(
        "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum MeanAbsoluteDeviation Mean "
        "Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness TotalEnergy Uniformity Variance"
    ),
    "glcm": _words(
        "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation DifferenceAverage "
        "DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance JointAverage JointEnergy "
        "JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares"
    ),
    "glrlm": _words(
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
        "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis RunEntropy "
        "RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance ShortRunEmphasis "
        "ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis"
    ),
    "glszm": _words(
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
        "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis "
        "SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
        "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance"
    ),
    "gldm": _words(
        "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
        "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
        "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
        "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis"
    ),
    "ngtdm": ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength"),
}
OPTIONAL = ("wavelet_level", "wavelet_start_level", "lbp2d_radius", "lbp2d_samples")
INTENSITY_CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One feature set: LoG widths in mm, a wavelet, and image types in the order of the vector; `original` is first.

    wavelet_level: how many levels give images, after wavelet_start_level low passes; lbp2d_radius in voxels.
    """

    name: str
    count: int
    image_types: tuple[str, ...]
    log_sigma_mm: tuple[float, ...]
    wavelet: str
    wavelet_level: int = 1
    wavelet_start_level: int = 0
    lbp2d_radius: float = 1.0
    lbp2d_samples: int = 8

    def __post_init__(self) -> None:
        if self.image_types[0] != ORIGINAL or len(set(self.image_types)) != len(self.image_types):
            raise ValueError(f"image_types must begin with {ORIGINAL!r} and be distinct, got {self.image_types}")
        if self.wavelet_level < 1 or self.wavelet_start_level < 0:
            levels = (self.wavelet_level, self.wavelet_start_level)
            raise ValueError(f"wavelet_level must be at least 1 and wavelet_start_level at least 0, got {levels}")
        if self.lbp2d_radius <= 0 or self.lbp2d_samples < 1:
            circle = (self.lbp2d_radius, self.lbp2d_samples)
            raise ValueError(f"lbp2d_radius must be above 0 and lbp2d_samples at least 1, got {circle}")
        found = len(names_of(self))
        if found != self.count:
            raise ValueError(f"recipe {self.name} must have {self.count} features, its images give {found}")


def names_of(recipe: Recipe) -> list[tuple[str, str, str]]:
    """Image type, feature class and feature of every place of a recipe, in order; shape of the original only."""
    return [
        (image, group, feature)
        for image in recipe.image_types
        for group in ((SHAPE, *INTENSITY_CLASSES) if image == ORIGINAL else INTENSITY_CLASSES)
        for feature in FEATURES_OF_CLASS[group]
    ]


def log_name(sigma_mm: float) -> str:
    """The image type of a LoG width as PyRadiomics spells it."""
    return f"log-sigma-{str(float(sigma_mm)).replace('.', '-')}-mm-3D"


def _read(name: str) -> Recipe:
    """A recipe from its file; KeyError for a missing entry, ValueError where names do not add up."""
    entries = tomllib.loads((Path(__file__).parent / "recipes" / f"{name}.toml").read_text(encoding="utf-8"))
    return Recipe(
        name=entries["name"],
        count=entries["count"],
        image_types=tuple(entries["image_types"]),
        log_sigma_mm=tuple(entries["log_sigma_mm"]),
        wavelet=entries["wavelet"],
        **{name: entries[name] for name in OPTIONAL if name in entries},
    )


PAPER_1967 = _read("paper-1967")
RECIPES = (
    PAPER_1967,
    *map(_read, ("paper-1967-wavelet2", "paper-1967-log5", "paper-1967-log6", "paper-1967-log7", "paper-1967-all")),
    _read("original-107"),
)


def recipe_named(name: str) -> Recipe:
    """The recipe of a name; ValueError for one that does not exist."""
    for recipe in RECIPES:
        if recipe.name == name:
            return recipe
    raise ValueError(f"recipe must be one of {[r.name for r in RECIPES]}, got {name!r}")


@lru_cache(maxsize=len(RECIPES))
def feature_names(recipe: Recipe) -> tuple[FeatureName, ...]:
    """Every place of a recipe's vector; feature_set is the sha256 of the ordered names."""
    names = names_of(recipe)
    feature_set = digest(["_".join(parts) for parts in names])
    return tuple(FeatureName(feature_set, place, *parts) for place, parts in enumerate(names))


def feature_set_of(recipe: Recipe) -> str:
    """The sha256 of a recipe's ordered names."""
    return feature_names(recipe)[0].feature_set


def full_name(name: FeatureName) -> str:
    """The name as PyRadiomics spells it: image type, class and feature joined by underscores."""
    return f"{name.image_type}_{name.feature_class}_{name.feature}"
