"""The only door to PyRadiomics 3.0.1: its filters on a whole image, its feature classes on one ROI.

PyRadiomics is imported on first use, because that takes a second. Here alone is repaired what it lacks: `sph_harm`,
which SciPy 1.17 removed (without it LBP3D vanishes silently); discretisation once per image and ROI instead of once
per feature class; texture counts by `textures.py`; the maximal correlation coefficient by a matrix product; mesh and
diameters in linear time. Formulas stay PyRadiomics', and so do values: those of `RadiomicsFeatureExtractor` on the
same image without pre-crop (tests/engine/measure).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType, ModuleType

import numpy as np
import scipy.special
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.measure.textures import Textures, texture_matrices
from engine.metrics.morphology import maximum_diameters_mm
from engine.metrics.recipe import FEATURES_OF_CLASS, Recipe
from engine.metrics.surfels import mesh_areas_mm2, mesh_volume_mm3, neighbour_codes
from store.volumes import BoolZyx, Triple

ValuesZyx = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int16]
Values = dict[str, float]
SMALLEST_VARIANCE = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Grey levels of one ROI of one image: levels from 1 in `matrix` (0 outside), and which of them occur."""

    matrix: NDArray[np.int32]
    present: NDArray[np.int64]

    @property
    def single(self) -> bool:
        """Whether the ROI holds one grey level only, so that its textures say nothing."""
        return len(self.present) == 1


@dataclass(frozen=True, slots=True)
class _Classes:
    """PyRadiomics' feature classes by the name of their group, made to take ready grey levels and a fast mesh."""

    by_name: dict[str, type]
    filters: ModuleType


def discretise(values: ValuesZyx, mask: BoolZyx, bin_width: float) -> Levels:
    """Grey levels of fixed width, bins anchored at 0, as PyRadiomics has them; ValueError where not finite."""
    inside = values[mask]
    low, high = inside.min(), inside.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("grey levels need finite values in the ROI")
    edges = np.arange(low - (low % bin_width), high + 2 * bin_width, bin_width)
    levels = np.digitize(inside, edges) if len(edges) > 1 else np.ones(inside.shape, dtype=np.int64)
    matrix = np.zeros(values.shape, dtype=np.int32)
    matrix[mask] = levels
    return Levels(matrix, np.unique(levels))


def intensity_features(
    group: str, values: ValuesZyx, mask: BoolZyx, levels: Levels, textures: Textures, spacing_mm: Triple
) -> tuple[float, ...]:
    """The features of one intensity class of one ROI of one image in the frozen order; spacing x, y, z in mm."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing_mm)
    calculator = _classes().by_name[group](image, image, levels=levels, textures=textures, ready_mask=mask)
    return _in_order(group, calculator.execute())


def shape_features(mask: BoolZyx, spacing_mm: Triple) -> tuple[float, ...]:
    """The 14 shape features of one ROI in the frozen order; array z, y, x, spacing x, y, z in mm."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing_mm)
    return _in_order("shape", _classes().by_name["shape"](image, image).execute())


def first_order(values: ValuesZyx, mask: BoolZyx, spacing_mm: Triple, bin_width: float) -> Values:
    """The 18 first-order features of one ROI by name."""
    levels = discretise(values, mask, bin_width)
    found = intensity_features("firstorder", values, mask, levels, texture_matrices(levels.matrix), spacing_mm)
    return dict(zip(FEATURES_OF_CLASS["firstorder"], found, strict=True))


def filtered_images(
    intensity_hu: NDArray[np.int16], spacing_mm: Triple, recipe: Recipe
) -> Iterator[tuple[str, ValuesZyx]]:
    """PyRadiomics' filtered images of a whole image, one after the other: LoG, wavelet, pointwise, gradient.

    An image too small for a filter yields nothing for it (fewer than four voxels, or fewer than sigma, on an axis).
    """
    filters = _classes().filters
    image = sitk.GetImageFromArray(intensity_hu)
    image.SetSpacing(spacing_mm)
    steps: tuple[Callable[..., Iterator[tuple[sitk.Image, str, object]]], ...] = (
        filters.getLoGImage,
        filters.getWaveletImage,
        filters.getSquareImage,
        filters.getSquareRootImage,
        filters.getLogarithmImage,
        filters.getExponentialImage,
        filters.getGradientImage,
    )
    for step in steps:
        for filtered, name, _ in step(image, None, sigma=list(recipe.log_sigma_mm), wavelet=recipe.wavelet):
            yield name, sitk.GetArrayViewFromImage(filtered)


def bridge_spherical_harmonics() -> None:
    """Give SciPy >= 1.17 the `sph_harm` that PyRadiomics' own LBP3D imports; does nothing where it exists."""
    if not hasattr(scipy.special, "sph_harm"):
        scipy.special.sph_harm = lambda m, n, theta, phi: scipy.special.sph_harm_y(n, m, phi, theta)


def _in_order(group: str, found: dict[str, NDArray[np.float64]]) -> tuple[float, ...]:
    return tuple(float(np.real(found[feature])) for feature in FEATURES_OF_CLASS[group])


@lru_cache(maxsize=1)
def _classes() -> _Classes:
    """Import PyRadiomics and give each class its mixin; all below this line knows PyRadiomics' insides."""
    bridge_spherical_harmonics()
    import radiomics
    from radiomics import firstorder, glcm, gldm, glrlm, glszm, imageoperations, ngtdm, shape

    radiomics.logger.setLevel(logging.CRITICAL)
    parts: dict[str, tuple[type, ...]] = {
        "shape": (_Mesh, shape.RadiomicsShape),
        "firstorder": (_Ready, firstorder.RadiomicsFirstOrder),
        "glcm": (_QuickCorrelation, _Counted, _Ready, glcm.RadiomicsGLCM),
        "glrlm": (_Counted, _Ready, glrlm.RadiomicsGLRLM),
        "glszm": (_Zones, _Ready, glszm.RadiomicsGLSZM),
        "gldm": (_Counted, _Ready, gldm.RadiomicsGLDM),
        "ngtdm": (_Counted, _Ready, ngtdm.RadiomicsNGTDM),
    }
    by_name = {name: type(name, bases, {"__module__": bases[-1].__module__}) for name, bases in parts.items()}
    return _Classes(by_name, imageoperations)


class _Ready:
    """Takes the mask and the grey levels from its settings instead of working them out once per class."""

    settings: dict[str, object]
    coefficients: dict[str, object]

    def _initSegmentBasedCalculation(self) -> None:  # noqa: N802
        self.maskArray = self.settings["ready_mask"]

    def _applyBinning(self, _: object) -> NDArray[np.int32]:  # noqa: N802
        levels = self.settings["levels"]
        if not isinstance(levels, Levels):
            raise TypeError(f"levels must be Levels, got {type(levels).__name__}")
        self.coefficients["grayLevels"] = levels.present
        self.coefficients["Ng"] = int(levels.present[-1])
        return levels.matrix


class _Counts:
    """Stands in PyRadiomics' `_calculateMatrix` for its C module and hands over what was counted already."""

    def __init__(self, textures: Textures) -> None:
        self.textures = textures
        self.angles = np.zeros((textures.co_occurrence.shape[2], 3))  # PyRadiomics only logs them

    def calculate_glcm(self, *_: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shape (1, Ng, Ng, angles)."""
        return self.textures.co_occurrence[None], self.angles

    def calculate_glrlm(self, *_: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shape (1, Ng, run length, angles)."""
        return self.textures.run_length[None], self.angles

    def calculate_gldm(self, *_: object) -> NDArray[np.float64]:
        """Shape (1, Ng, dependence)."""
        return self.textures.dependence[None]

    def calculate_ngtdm(self, *_: object) -> NDArray[np.float64]:
        """Shape (1, Ng, 3)."""
        return self.textures.tone_difference[None]


class _Counted:
    """Runs PyRadiomics' own `_calculateMatrix` on counts from `textures`, which all classes of an ROI share."""

    settings: dict[str, object]
    P_glrlm: object

    def _calculateMatrix(self, voxels: object = None) -> NDArray[np.float64]:  # noqa: N802
        theirs = super()._calculateMatrix.__func__  # type: ignore[misc]
        textures = self.settings["textures"]
        if not isinstance(textures, Textures):
            raise TypeError(f"textures must be Textures, got {type(textures).__name__}")
        if hasattr(self, "P_glrlm") and textures.all_runs_single:
            return np.asarray(theirs(self, voxels))
        ours = FunctionType(theirs.__code__, {**theirs.__globals__, "cMatrices": _Counts(textures)})
        return np.asarray(ours(self, voxels))


class _Zones:
    """The GLSZM class with columns only for zone sizes that occur (PyRadiomics makes one for every size)."""

    settings: dict[str, object]
    coefficients: dict[str, NDArray[np.float64]]
    P_glszm: NDArray[np.float64]

    def _calculateMatrix(self, _: object = None) -> NDArray[np.float64]:  # noqa: N802
        textures, present = self.settings["textures"], self.coefficients["grayLevels"]
        if not isinstance(textures, Textures):
            raise TypeError(f"textures must be Textures, got {type(textures).__name__}")
        sizes, column = np.unique(textures.zones[:, 1], return_inverse=True)
        row = np.searchsorted(present, textures.zones[:, 0])
        counts = np.bincount(row * len(sizes) + column, minlength=len(present) * len(sizes))
        self.coefficients["jvector"] = sizes.astype(np.float64)
        return counts.reshape(1, len(present), len(sizes)).astype(np.float64)

    def _calculateCoefficients(self) -> None:  # noqa: N802
        by_size = self.P_glszm.sum(axis=1)
        self.coefficients["ps"] = by_size
        self.coefficients["pg"] = self.P_glszm.sum(axis=2)
        self.coefficients["ivector"] = self.coefficients["grayLevels"].astype(np.float64)
        self.coefficients["Nz"] = self.P_glszm.sum(axis=(1, 2))
        self.coefficients["Np"] = (by_size * self.coefficients["jvector"]).sum(axis=1)


class _Mesh:
    """The shape class with surface, volume and diameters in time linear in the surface (cShape compares all pairs)."""

    inputImage: sitk.Image  # noqa: N815
    inputMask: sitk.Image  # noqa: N815

    def _initSegmentBasedCalculation(self) -> None:  # noqa: N802
        x, y, z = self.inputImage.GetSpacing()
        mask = sitk.GetArrayFromImage(self.inputMask) > 0
        codes = neighbour_codes(mask)
        self.pixelSpacing = np.array([z, y, x])
        self.labelledVoxelCoordinates = np.nonzero(mask)
        self.SurfaceArea = float(np.bincount(codes.ravel(), minlength=256) @ mesh_areas_mm2((z, y, x)))
        self.Volume = mesh_volume_mm3(codes, (z, y, x))
        self.diameters = maximum_diameters_mm(mask, (z, y, x))
        centred = np.array(self.labelledVoxelCoordinates, dtype=np.float64).T * self.pixelSpacing
        centred -= centred.mean(axis=0)
        variances = np.linalg.eigvalsh(centred.T @ centred / len(centred))
        self.eigenValues = np.where(np.abs(variances) < SMALLEST_VARIANCE, 0.0, variances)


class _QuickCorrelation:
    """The GLCM class with its maximal correlation coefficient by a matrix product."""

    P_glcm: NDArray[np.float64]
    coefficients: dict[str, NDArray[np.float64]]

    def getMCCFeatureValue(self) -> NDArray[np.float64]:  # noqa: N802
        """The MCC averaged over angles, shape (1,)."""
        return _maximal_correlation(self.P_glcm, self.coefficients)


def _maximal_correlation(
    joint: NDArray[np.float64], coefficients: dict[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """PyRadiomics' MCC: its sum over grey levels, eps included, as one matrix product; joint (1, n, n, angles)."""
    table = joint[0].transpose(2, 0, 1)
    rows, columns = coefficients["px"][0].transpose(2, 0, 1), coefficients["py"][0].transpose(2, 0, 1)
    quotient = (table / (rows * columns + coefficients["eps"])) @ table.transpose(0, 2, 1)
    values = np.linalg.eigvals(quotient)
    values.sort()
    if values.shape[1] < 2:
        return np.ones(1)
    return np.atleast_1d(np.nanmean(np.sqrt(values[:, -2])).real)
