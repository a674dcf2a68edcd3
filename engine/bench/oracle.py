"""PyRadiomics 3.0.1 on the very image and mask that the engine measures, its vectors kept so that it runs once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.measure.feature_image import FeatureImage
from engine.measure.radiomics import lbp3d_in_pieces, pyradiomics_features, pyradiomics_images
from engine.metrics.recipe import Recipe, feature_set_of
from store.volumes import BoolZyx


def oracle_vector(
    image: FeatureImage, mask: BoolZyx, recipe: Recipe, bin_width: float, kept: Path
) -> NDArray[np.float64]:
    """PyRadiomics' vector of a mask, its filters on the whole given image; read from `kept` where it is there.

    The file is named by the hash of everything the vector depends on: image, mask, spacing, recipe, bin width.
    """
    file = kept / f"{_key(image, mask, recipe, bin_width)}.npy"
    if file.exists():
        return np.asarray(np.load(file), dtype=np.float64)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with lbp3d_in_pieces():
        found = pyradiomics_features(image.intensity_hu, mask, image.grid.spacing_mm, recipe, bin_width, crop=False)
    _keep(file, found)
    return found


def oracle_image(
    image: FeatureImage, mask: BoolZyx, recipe: Recipe, image_type: str, kept: Path
) -> NDArray[np.float64]:
    """The values of one of PyRadiomics' own filtered images in a mask, in the order of nonzero; kept likewise."""
    key = _key(image, mask, recipe, 0.0)
    if not (kept / f"{key}-{image_type}.npy").exists():
        with lbp3d_in_pieces():
            made = pyradiomics_images(image.intensity_hu, mask, image.grid.spacing_mm, recipe, image_type)
        for name, found in made.items():
            _keep(kept / f"{key}-{name}.npy", found)
    return np.asarray(np.load(kept / f"{key}-{image_type}.npy"), dtype=np.float64)


def _keep(file: Path, found: NDArray[np.float64]) -> None:
    """Write whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part.npy")
    np.save(partial, found)
    partial.replace(file)


def _key(image: FeatureImage, mask: BoolZyx, recipe: Recipe, bin_width: float) -> str:
    spacing = [float(step) for step in image.grid.spacing_mm]
    digest = hashlib.sha256(repr((image.intensity_hu.shape, spacing, feature_set_of(recipe), bin_width)).encode())
    digest.update(np.ascontiguousarray(image.intensity_hu).tobytes())
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()[:32]
