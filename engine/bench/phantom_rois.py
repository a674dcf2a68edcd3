"""The image and masks that the extraction bench measures: IBSI's CT phantom at 1 mm with randomised contours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from engine.geometry import Box, box_of, grid_of, resample_mask
from engine.measure.feature_image import FeatureImage, feature_image
from engine.metrics.margins import ring_mm, signed_distance_mm
from engine.protocol import FeatureGrid
from store.volumes import BoolZyx, CtSeries

CONTOUR_SD_MM = 1.5
CORRELATION_MM = 6.0
MARGIN_VOXELS = 8
SMALL_VOXELS = 33_000
RING_MM = 10.0
RING_HU = (-950, 300)
LUNG_HU = -400
FULL_ROIS = ("tumour", "ring", "lung")
QUICK_ROIS = ("small",)


def phantom_image(shared: Path) -> tuple[FeatureImage, BoolZyx]:
    """IBSI-1's CT phantom on the 1 mm feature grid and its tumour there; FileNotFoundError without the shared data."""
    folder = shared / "data" / "ibsi1_ct_phantom"
    if not folder.is_dir():
        raise FileNotFoundError("the bench needs data/ibsi1_ct_phantom in $COHORTSCOPE_SHARED or ../shared")
    image, mask = (sitk.ReadImage(str(folder / f"{role}.nii.gz")) for role in ("image", "mask"))
    ct = CtSeries(sitk.GetArrayFromImage(image).astype(np.int16), grid_of(image))
    made = feature_image(ct, FeatureGrid())
    return made, resample_mask(sitk.GetArrayFromImage(mask) > 0, ct.grid, made.grid)


def roi_mask(name: str, image: FeatureImage, tumour: BoolZyx) -> BoolZyx:
    """A region by name: tumour (360 ml), small (its core of 33 ml), ring (10 mm of lung around it), lung (right)."""
    if name == "tumour":
        return tumour
    if name == "small":
        depth = np.where(tumour, ndimage.distance_transform_edt(tumour), 0.0)
        return np.asarray(depth >= np.sort(depth, axis=None)[-SMALL_VOXELS])
    if name == "ring":
        inside = (image.intensity_hu > RING_HU[0]) & (image.intensity_hu < RING_HU[1])
        return ring_mm(tumour, image.grid.spacing_zyx_mm, RING_MM) & inside
    if name == "lung":
        return _lung_around(image, tumour) | tumour
    raise ValueError(f"name must be one of {(*FULL_ROIS, *QUICK_ROIS)}, got {name!r}")


def randomised(mask: BoolZyx, spacing_zyx_mm: tuple[float, float, float], count: int) -> Iterator[BoolZyx]:
    """So many versions of a mask whose boundary was moved by a smooth random field (sd 1.5 mm); seeds 1, 2, ..."""
    box: Box = box_of(mask, (MARGIN_VOXELS,) * 3)
    distance = signed_distance_mm(mask[box], spacing_zyx_mm)
    for seed in range(1, count + 1):
        white = np.random.default_rng(seed).standard_normal(distance.shape, dtype=np.float32)
        field = ndimage.gaussian_filter(white, CORRELATION_MM / np.array(spacing_zyx_mm), mode="wrap")
        moved = np.zeros(mask.shape, dtype=np.bool_)
        moved[box] = distance + CONTOUR_SD_MM * field / field.std() <= 0
        yield moved


def _lung_around(image: FeatureImage, tumour: BoolZyx) -> BoolZyx:
    """The connected air that touches most of the tumour's surroundings."""
    air = ndimage.binary_opening(image.intensity_hu < LUNG_HU, iterations=2)
    labels, _ = ndimage.label(air)
    near = labels[ring_mm(tumour, image.grid.spacing_zyx_mm, RING_MM)]
    return np.asarray(labels == np.bincount(near[near > 0]).argmax())
