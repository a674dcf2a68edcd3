"""The only door to PyRadiomics 3.0.1: the selectable `legacy` backend, and the oracle of tests and benches.

PyRadiomics is imported on first use, because that takes a second; the engine itself never asks for it. Nothing is
repaired here but `sph_harm`, which SciPy 1.17 removed (without it LBP3D vanishes silently).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import scipy.special
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.metrics.recipe import Recipe, feature_names, full_name
from engine.protocol import Features
from store.volumes import BoolZyx, Triple

CROP_MARGIN_VOXELS = 5
# PyRadiomics' LBP3D takes about 4.5 kB a voxel.
LBP_PIECE_VOXELS = 200_000
# PyRadiomics' names of the image types whose images' names begin so.
IMAGE_TYPES = {
    "original": "Original",
    "log-sigma": "LoG",
    "wavelet": "Wavelet",
    "square": "Square",
    "squareroot": "SquareRoot",
    "logarithm": "Logarithm",
    "exponential": "Exponential",
    "gradient": "Gradient",
    "lbp-2D": "LBP2D",
    "lbp-3D": "LBP3D",
}
Settings = Mapping[str, object]


def pyradiomics_settings(features: Features) -> Settings:
    """What PyRadiomics calls the discretisation, resegmentation and directions of a protocol."""
    settings: dict[str, object] = {"binWidth": features.bin_width_hu, "distances": list(features.distances)}
    if features.directions == "2.5D":
        settings |= {"force2D": True, "force2Ddimension": 0}
    if features.bin_count:
        settings["binCount"] = features.bin_count
    if features.resegment_hu:
        settings |= {"resegmentRange": list(features.resegment_hu), "resegmentMode": "absolute"}
    if features.resegment_sd:
        settings |= {"resegmentRange": [-features.resegment_sd, features.resegment_sd], "resegmentMode": "sigma"}
    if features.weighting != "none":
        settings["weightingNorm"] = "no_weighting" if features.weighting == "merged" else features.weighting
    return settings


def pyradiomics_features(
    intensity_hu: NDArray[np.int16],
    mask: BoolZyx,
    spacing_mm: Triple,
    recipe: Recipe,
    bin_width: float,
    crop: bool,
    settings: Settings | None = None,
) -> NDArray[np.float64]:
    """A recipe's vector by PyRadiomics' own extractor; NaN for what it does not give.

    Arrays z, y, x on one grid, spacing x, y, z in mm. With `crop` filters see the mask's box and 5 voxels around it,
    as after PyRadiomics' own resampling; without it the whole image, as the engine. `settings` are PyRadiomics' own
    and overrule the bin width. ValueError where PyRadiomics refuses, as for a mask that resegmentation empties.
    """
    found = pyradiomics_by_name(
        intensity_hu, mask, spacing_mm, recipe, {"binWidth": bin_width, **(settings or {})}, crop
    )
    return np.array([found.get(full_name(name), np.nan) for name in feature_names(recipe)])


def pyradiomics_by_name(
    intensity_hu: NDArray[np.int16], mask: BoolZyx, spacing_mm: Triple, recipe: Recipe, settings: Settings, crop: bool
) -> dict[str, float]:
    """Everything that PyRadiomics' extractor gives for a recipe's image types, under its names and in its order."""
    bridge_spherical_harmonics()
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    extractor = featureextractor.RadiomicsFeatureExtractor(
        resampledPixelSpacing=None, preCrop=crop, padDistance=CROP_MARGIN_VOXELS, additionalInfo=False, **settings
    )
    extractor.disableAllImageTypes()
    for begins, name in IMAGE_TYPES.items():
        if any(re.fullmatch(rf"{begins}\d*(-.*)?", image) for image in recipe.image_types):
            extractor.enableImageTypeByName(name, customArgs=_arguments(name, recipe))
    extractor.enableAllFeatures()
    extractor.enableFeatureClassByName("shape2D", False)  # with force2D it stops at a mask of several slices
    found = extractor.execute(_image(intensity_hu, spacing_mm), _image(mask.astype(np.uint8), spacing_mm))
    return {name: float(np.real(value)) for name, value in found.items()}


def pyradiomics_classes(
    values: NDArray[np.float64], mask: BoolZyx, spacing_mm: Triple, bin_width: float
) -> dict[tuple[str, str], float]:
    """What PyRadiomics' feature classes but shape make of one image (z, y, x), by class and feature."""
    bridge_spherical_harmonics()
    from radiomics import featureextractor

    logging.getLogger("radiomics").setLevel(logging.CRITICAL)
    extractor = featureextractor.RadiomicsFeatureExtractor(
        resampledPixelSpacing=None, additionalInfo=False, binWidth=bin_width
    )
    extractor.enableAllFeatures()
    for group in ("shape", "shape2D"):
        extractor.enableFeatureClassByName(group, False)
    found = extractor.execute(_image(values, spacing_mm), _image(mask.astype(np.uint8), spacing_mm))
    named = {tuple(name.split("_")[1:]): float(np.real(value)) for name, value in found.items()}
    return {(group, feature): value for (group, feature), value in named.items()}


def bridge_spherical_harmonics() -> None:
    """Give SciPy >= 1.17 the `sph_harm` that PyRadiomics' own LBP3D imports; does nothing where it exists."""
    if not hasattr(scipy.special, "sph_harm"):
        scipy.special.sph_harm = lambda m, n, theta, phi: scipy.special.sph_harm_y(n, m, phi, theta)


@contextmanager
def lbp3d_in_pieces() -> Iterator[None]:
    """Within, PyRadiomics' own LBP3D is asked for pieces of the mask that are put together: same values, less memory.

    A voxel's pattern does not depend on the mask; the sphere of a voxel is sampled from the whole image each time.
    """
    bridge_spherical_harmonics()
    from radiomics import imageoperations

    whole = imageoperations.getLBP3DImage

    def in_pieces(image: sitk.Image, mask: sitk.Image, **settings: object) -> Iterator[tuple[sitk.Image, str, object]]:
        inside = np.flatnonzero(sitk.GetArrayViewFromImage(mask).ravel() == 1)
        joined: dict[str, NDArray[np.float64]] = {}
        for start in range(0, len(inside), LBP_PIECE_VOXELS):
            places = inside[start : start + LBP_PIECE_VOXELS]
            piece = np.zeros(mask.GetSize()[::-1], dtype=np.uint8)
            piece.ravel()[places] = 1
            part = sitk.GetImageFromArray(piece)
            part.CopyInformation(mask)
            for made, name, _ in whole(image, part, **settings):
                filled = joined.setdefault(name, np.zeros(piece.shape))
                filled.ravel()[places] = sitk.GetArrayViewFromImage(made).ravel()[places]
        for name in list(joined):
            result = sitk.GetImageFromArray(joined.pop(name))
            result.CopyInformation(image)
            yield result, name, settings

    imageoperations.getLBP3DImage = in_pieces
    try:
        yield
    finally:
        imageoperations.getLBP3DImage = whole


def pyradiomics_images(
    intensity_hu: NDArray[np.int16], mask: BoolZyx, spacing_mm: Triple, recipe: Recipe, image_type: str
) -> dict[str, NDArray[np.float64]]:
    """The values in a mask, in the order of nonzero, of all images of PyRadiomics' own filter that makes a type."""
    bridge_spherical_harmonics()
    from radiomics import imageoperations

    name = next(n for b, n in IMAGE_TYPES.items() if image_type == b or image_type.startswith(f"{b}-"))
    make = getattr(imageoperations, f"get{name}Image")
    whole, inside = _image(intensity_hu, spacing_mm), _image(mask.astype(np.uint8), spacing_mm)
    return {
        found: np.asarray(sitk.GetArrayViewFromImage(made)[mask], dtype=np.float64)
        for made, found, _ in make(whole, inside, **_arguments(name, recipe))
    }


def _arguments(name: str, recipe: Recipe) -> dict[str, object]:
    """An image type's own settings."""
    if name == "LoG":
        return {"sigma": list(recipe.log_sigma_mm)}
    if name == "LBP2D":
        return {"lbp2DRadius": recipe.lbp2d_radius, "lbp2DSamples": recipe.lbp2d_samples}
    levels = {"level": recipe.wavelet_level, "start_level": recipe.wavelet_start_level}
    return {"wavelet": recipe.wavelet, **levels} if name == "Wavelet" else {}


def _image(array: NDArray[np.int16] | NDArray[np.uint8] | NDArray[np.float64], spacing_mm: Triple) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm)
    return image
