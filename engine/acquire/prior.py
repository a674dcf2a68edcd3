"""Stage `prior`: an earlier CT of a case's patient, to be looked at beside the index series; nothing measures it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from engine.acquire.acquisition import contrast_of, kernel_group
from engine.acquire.ct_limits import check_hu_range, check_voxel_size
from engine.acquire.ct_series import read_ct_series
from engine.acquire.dicom_frames import read_headers
from engine.acquire.known_words import KERNELS
from engine.acquire.nifti import read_ct_file
from engine.acquire.orientation import canonical_ct
from engine.geometry import corners_mm, resample_mask
from engine.protocol import Acquire
from store.records import Flag, PriorScan, RefusedError
from store.sources import PriorSource
from store.volumes import IDENTITY_DIRECTION, BoolZyx, CtSeries, Grid, PriorImage, Triple

PRIOR_SLICE_ROLE, PRIOR_IMAGE_ROLE = "prior CT slice", "prior CT image"
AIR_IN_LUNG_HU = -400
COARSE_MM = 4.0
SMALLEST_LUNG_ML = 50.0
LEAST_OVERLAP = 0.6
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """The earlier CT and how it was made; an image without voxels, no scan and a flag where it could not be read."""

    image: PriorImage
    scan: tuple[PriorScan, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """How far one chest has to be moved (x, y, z in mm) to lie on another, and how well the lungs then match."""

    shift_mm: Triple
    overlap: float


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    ct: CtSeries
    kernel: str = UNKNOWN
    manufacturer: str = ""
    contrast: str = UNKNOWN
    slice_thickness_mm: float | None = None


def read_prior(source: PriorSource, ct: CtSeries, rules: Acquire) -> Prior:
    """Read an earlier CT through the same gate as the index series `ct`, and find where the one lies on the other.

    Of several the first whose lungs match is taken (a head CT may be the latest), else the first that can be read. What
    the gate would refuse is not shown and flagged: the case itself stands on its index series.
    """
    tried = []
    for one in (source, *source.others):
        tried.append(_read_one(one, ct, rules))
        if any(scan.shift_z_mm is not None for scan in tried[-1].scan):
            return tried[-1]
    return next((prior for prior in tried if prior.scan), tried[0])


def _read_one(source: PriorSource, ct: CtSeries, rules: Acquire) -> Prior:
    noted = (Flag("prior", "prior_note", source.note, "Correct it in the image folder."),) if source.note else ()
    nothing = PriorImage(np.zeros((0, 0, 0), np.int16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY_DIRECTION)
    if not source.files:
        return Prior(nothing, (), noted)
    try:
        read = _read_dicom(source, rules) if source.layout == "dicom" else _read_file(source, rules)
        check_hu_range(read.ct, "earlier CT")
        check_voxel_size(read.ct.grid, "earlier CT")
    except RefusedError as error:
        text = f"the earlier CT is not shown: {error.message}"
        return Prior(nothing, (), (Flag("prior", "prior_refused", text, error.remedy),))
    grid, whole = read.ct.grid, np.rint(read.ct.intensity_hu).astype(np.int16)
    image = PriorImage(whole, grid.spacing_mm, grid.origin_mm, grid.direction)
    found = align_lungs(read.ct, ct)
    matched = found is not None and found.overlap >= LEAST_OVERLAP
    shift = found.shift_mm if found is not None and matched else (None, None, None)
    scan = PriorScan(
        days_before=source.days_before,
        convolution_kernel=read.kernel,
        kernel_group=kernel_group(read.kernel, read.manufacturer),
        contrast=read.contrast,
        slice_thickness_mm=read.slice_thickness_mm,
        spacing_x_mm=grid.spacing_mm[0],
        spacing_y_mm=grid.spacing_mm[1],
        spacing_z_mm=grid.spacing_mm[2],
        shift_x_mm=shift[0],
        shift_y_mm=shift[1],
        shift_z_mm=shift[2],
        lung_overlap=None if found is None else found.overlap,
    )
    return Prior(image, (scan,), noted)


def align_lungs(moving: CtSeries, fixed: CtSeries) -> Alignment | None:
    """The translation that lays the lungs of one CT on those of another, to the nearest 4 mm along each axis of LPS.

    It is the maximum of the cross-correlation of the air in both lungs; the overlap is its Dice coefficient, 0 to 1.
    None where one of the two shows no lung. It takes no account of breathing or of how the patient lies.
    """
    ours, theirs = _lungs(moving), _lungs(fixed)
    if ours is None or theirs is None:
        return None
    (a, from_mm), (b, to_mm) = ours, theirs
    both = signal.correlate(b.astype(np.float32), a.astype(np.float32), mode="full", method="fft")
    peak = np.unravel_index(int(both.argmax()), both.shape)
    lag_zyx = np.array(peak) - (np.array(a.shape) - 1)
    shift = (to_mm - from_mm) + COARSE_MM * lag_zyx[::-1]
    overlap = 2 * float(both[peak]) / (int(a.sum()) + int(b.sum()))
    return Alignment((float(shift[0]), float(shift[1]), float(shift[2])), min(1.0, overlap))


def _lungs(ct: CtSeries) -> tuple[BoolZyx, NDArray[np.float64]] | None:
    """Air inside the body on a coarse grid along LPS, and the place of its first voxel in mm."""
    corners = corners_mm(ct.grid)
    first = corners.min(axis=0)
    size = np.maximum(1, np.ceil((corners.max(axis=0) - first) / COARSE_MM)).astype(int)
    target = Grid(
        (int(size[0]), int(size[1]), int(size[2])),
        (COARSE_MM, COARSE_MM, COARSE_MM),
        (float(first[0]), float(first[1]), float(first[2])),
    )
    air = resample_mask(ct.intensity_hu < AIR_IN_LUNG_HU, ct.grid, target)
    labels, _ = ndimage.label(air)
    faces = [labels[:, side].ravel() for side in (0, -1)] + [labels[:, :, side].ravel() for side in (0, -1)]
    outside = np.unique(np.concatenate(faces))
    volume_ml = np.bincount(labels.ravel()) * target.voxel_ml
    inside = volume_ml >= SMALLEST_LUNG_ML
    inside[outside] = False
    inside[0] = False
    lungs = inside[labels]
    return (lungs, first) if lungs.any() else None


def _read_dicom(source: PriorSource, rules: Acquire) -> _Read:
    series = read_ct_series([header for file in source.files for header in read_headers(Path(file.path))], rules)
    header = series.headers[0]
    return _Read(
        canonical_ct(series.ct),
        KERNELS.stated(header.kernel) or UNKNOWN,
        header.manufacturer,
        contrast_of(header.contrast_agent, header.contrast_route, header.contrast_text).contrast,
        header.slice_thickness_mm,
    )


def _read_file(source: PriorSource, rules: Acquire) -> _Read:
    (file,) = source.files
    return _Read(read_ct_file(Path(file.path), file.role, rules).ct)
