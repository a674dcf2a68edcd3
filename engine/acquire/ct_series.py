"""DICOM slices -> one CT series on an exact grid; everything that would be silently wrong is refused or flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.acquire.ct_limits import LARGEST_INT16, SMALLEST_INT16
from engine.acquire.dicom import CT_IMAGE, MULTI_FRAME_CT, DicomHeader
from engine.acquire.dicom_pixels import read_frames
from engine.protocol import Acquire
from store.records import Flag, RefusedError
from store.volumes import CtSeries, Grid

LARGEST_TILT_DEGREES = 0.5
LARGEST_COSINE_DIFFERENCE = 1e-3
LARGEST_SPACING_DIFFERENCE = 1e-4
SAME_POSITION_SHARE = 0.01
ROUNDED_MM = 0.01  # off even steps, of positions written with two decimals: half a hundredth, and as much at an end
ROUNDED_STEP_MM = 0.025  # of one such step, more than by which two of them differ
LARGEST_DRIFT_SHARE = 0.1  # of a step, off even steps, however little each step differs from the next
# values of ImageType from the third on (blanks and vendors' prefixes aside) of what is no slice of a chest in HU:
# screens, scouts, projections, renderings, maps of materials and of other quantities (PS3.3 C.8.15.3, C.8.2.1.1.1)
NO_SLICES = (
    "SCREEN",
    "LOCALIZER",
    "MIP",
    "MINIP",
    "MAXIMUM",
    "MINIMUM",
    "PROJECTION",
    "VRT",
    "SSD",
    "SUBTRACTION",
    "DIVISION",
    "STD_DEVIATION",
    "MATERIAL",
    "MAT_SPECIFIC",
    "MAT_FRACTIONAL",
    "MAT_VALUE_BASED",
    "EFF_ATOMIC_NUM",
    "ELECTRON_DENSITY",
)


@dataclass(frozen=True, slots=True, eq=False)
class DicomCt:
    """A CT series read from DICOM, the headers of the slices kept (along the normal) and what was noticed."""

    ct: CtSeries
    headers: tuple[DicomHeader, ...]
    flags: tuple[Flag, ...]


def read_ct_series(headers: Sequence[DicomHeader], rules: Acquire) -> DicomCt:
    """Read the slices of one CT series in any order.

    HU = stored value x RescaleSlope + RescaleIntercept of its own slice; int16 where all are whole, else float32. The
    grid is that of the slice headers (LPS mm), its z spacing the mean step. RefusedError for a wrong modality, missing
    tags, mixed geometry, gaps, tilt, overlapping acquisitions, repeated or damaged slices, and too few slices.
    """
    _check_tags(headers)
    _check_uniform(headers)
    ordered = sort_along_normal(headers)
    ordered, flags = _drop_identical(ordered)
    if len(ordered) < rules.min_slices:
        raise _refuse("few_slices", "CT series", f"{len(ordered)} slices, at least {rules.min_slices} are needed.")
    if ordered[0].rows * ordered[0].columns * len(ordered) > rules.max_voxels:
        raise _refuse("too_large", "CT series", f"more than {rules.max_voxels} voxels.")
    _check_acquisitions(ordered)
    _check_gaps(_positions(ordered), rules.max_spacing_gap_share)
    _check_tilt(ordered)
    grid = _grid_of(ordered)
    flags = (*flags, *_instance_flags(ordered), *_frame_flags(ordered), *_value_flags(ordered))
    return DicomCt(CtSeries(_read_hu(ordered), grid), tuple(ordered), flags)


def stored_grid(headers: Sequence[DicomHeader]) -> Grid:
    """The grid of a series that the gate let in, as its slices are stored: that on which outlines were drawn."""
    return _grid_of(_drop_identical(sort_along_normal(headers))[0])


def sort_along_normal(headers: Sequence[DicomHeader]) -> list[DicomHeader]:
    """Slices by their position along the normal of the first; by SOP instance where a geometry tag is missing."""
    known = [h for h in headers if h.position is not None and h.orientation is not None]
    if len(known) < len(headers) or not headers:
        return sorted(headers, key=lambda h: h.sop_uid)
    order = np.round(_positions(headers), 3)
    return [
        h for _, _, _, h in sorted(zip(order, [h.sop_uid for h in headers], range(len(headers)), headers, strict=True))
    ]


def _refuse(code: str, role: str, message: str, remedy: str = "Export the whole series again.") -> RefusedError:
    return RefusedError(code, role, message, remedy)


def _check_tags(headers: Sequence[DicomHeader]) -> None:
    for number, header in enumerate(sort_along_normal(headers)):
        problem = _tag_problem(header)
        if problem:
            raise _refuse(problem[0], f"CT slice {number}", problem[1])


def _tag_problem(header: DicomHeader) -> tuple[str, str] | None:
    checks = (
        (header.rows < 1 or header.columns < 1, "undecodable", "Rows or Columns cannot be read."),
        (not header.modality, "no_modality", "Modality is missing."),
        (header.modality != "CT", "not_ct", "Modality must be CT."),
        (not _is_ct_frame(header), "not_ct_image", "CT Image Storage is needed, single-frame or enhanced."),
        (is_no_slice(header), "not_ct_slice", "ImageType says screen, scout, projection, rendering or map."),
        (header.burned_in, "burned_in", "BurnedInAnnotation is YES: the pixels may name the patient."),
        (header.position is None, "no_position", "ImagePositionPatient is missing."),
        (header.orientation is None, "no_orientation", "ImageOrientationPatient is missing."),
        (header.pixel_spacing is None or min(header.pixel_spacing) <= 0, "no_spacing", "PixelSpacing is missing."),
        (not header.slope, "no_rescale", "RescaleSlope is missing or zero: stored values are not HU."),
        (header.intercept is None, "no_rescale", "RescaleIntercept is missing: stored values are not HU."),
        (header.rescale_type not in ("", "HU"), "not_hu", "RescaleType is not HU."),
    )
    return next(((code, message) for broken, code, message in checks if broken), None)


def _is_ct_frame(header: DicomHeader) -> bool:
    return header.sop_class in (CT_IMAGE, *MULTI_FRAME_CT) and header.frames == 1


def is_no_slice(header: DicomHeader) -> bool:
    """Whether ImageType says screen, scout, projection, rendering or map: no slice of a chest in HU."""
    return any(word in NO_SLICES for value in header.image_type[2:] for word in value.split())


def _check_uniform(headers: Sequence[DicomHeader]) -> None:
    first = headers[0]
    for code, name, values in (
        ("mixed_frames", "FrameOfReferenceUID", set() if _own_frames(headers) else _frames_of(headers)),
        ("mixed_studies", "StudyInstanceUID", {h.study_uid for h in headers} - {""}),
    ):
        if len(values) > 1:
            raise _refuse(code, "CT series", f"slices differ in {name}.", "Split the series.")
    for header in headers:
        if (header.rows, header.columns) != (first.rows, first.columns):
            raise _refuse("mixed_size", "CT series", "slices differ in Rows or Columns.", "Split the series.")
        if _differs(header.pixel_spacing, first.pixel_spacing, LARGEST_SPACING_DIFFERENCE):
            raise _refuse("mixed_spacing", "CT series", "slices differ in PixelSpacing.", "Split the series.")
        if _differs(header.orientation, first.orientation, LARGEST_COSINE_DIFFERENCE):
            raise _refuse("mixed_orientation", "CT series", "slices differ in orientation.", "Split the series.")
    row, column = _cosines(first)
    if abs(row @ row - 1) + abs(column @ column - 1) + abs(row @ column) > LARGEST_COSINE_DIFFERENCE:
        raise _refuse("not_orthonormal", "CT series", "ImageOrientationPatient is not orthonormal.")


def _frames_of(headers: Sequence[DicomHeader]) -> set[str]:
    return {header.frame_of_reference for header in headers} - {""}


def _own_frames(headers: Sequence[DicomHeader]) -> bool:
    """Whether each slice names a frame of reference of its own, as some software leaves them that removes names."""
    return 1 < len(_frames_of(headers)) == len({header.sop_uid for header in headers})


def without_own_frames(headers: Sequence[DicomHeader]) -> list[DicomHeader]:
    """The slices, without their frames of reference where each has its own: these tell nothing of any outline."""
    return [replace(h, frame_of_reference="") for h in headers] if _own_frames(headers) else list(headers)


def _frame_flags(ordered: Sequence[DicomHeader]) -> tuple[Flag, ...]:
    if not _own_frames(ordered):
        return ()
    text = "each slice names a FrameOfReferenceUID of its own: only their regular steps say that they belong together."
    return (Flag("acquire", "frame_per_slice", text, "Give the slices the frame of reference that they share."),)


def _differs(one: tuple[float, ...] | None, other: tuple[float, ...] | None, allowed: float) -> bool:
    return bool(np.abs(np.subtract(one or (), other or ())).max() > allowed)


def _cosines(header: DicomHeader) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.array(header.orientation, dtype=np.float64)
    return values[:3], values[3:]


def _normal(header: DicomHeader) -> NDArray[np.float64]:
    row, column = _cosines(header)
    normal = np.cross(row, column)
    return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-12))


def _positions(headers: Sequence[DicomHeader]) -> NDArray[np.float64]:
    return np.array([h.position for h in headers], dtype=np.float64) @ _normal(headers[0])


def _drop_identical(ordered: list[DicomHeader]) -> tuple[list[DicomHeader], tuple[Flag, ...]]:
    positions = _positions(ordered)
    steps = np.diff(positions)
    same = SAME_POSITION_SHARE * (float(np.median(steps[steps > 1e-6])) if (steps > 1e-6).any() else 1.0)
    kept = [ordered[0]]
    for number, step in enumerate(steps, start=1):
        if step > same:
            kept.append(ordered[number])
        elif not _identical(kept[-1], ordered[number], number):
            raise _duplicate(kept[-1], ordered[number], positions[number])
    dropped = len(ordered) - len(kept)
    if not dropped:
        return kept, ()
    text = f"{dropped} slices repeat another pixel by pixel and were read once."
    return kept, (Flag("acquire", "identical_slices", text, "Remove the copies."),)


def _identical(one: DicomHeader, other: DicomHeader, number: int) -> bool:
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    stored = _StoredPixels()
    return np.array_equal(stored.of(one, f"CT slice {number}"), stored.of(other, f"CT slice {number}"))


def _duplicate(one: DicomHeader, other: DicomHeader, position: float) -> RefusedError:
    if one.acquisition_number != other.acquisition_number:
        text = f"two acquisitions share one series (first at {position:.2f} mm)."
        return _refuse("two_acquisitions", "CT series", text, "Split the series by AcquisitionNumber.")
    return _refuse(
        "duplicate_slices", "CT series", f"two different slices lie at {position:.2f} mm.", "Keep one of them."
    )


def _check_acquisitions(ordered: list[DicomHeader]) -> None:
    groups: dict[int | None, list[int]] = {}
    for place, header in enumerate(ordered):
        groups.setdefault(header.acquisition_number, []).append(place)
    spans = sorted((places[0], places[-1]) for places in groups.values())
    if any(later[0] < earlier[1] for earlier, later in pairwise(spans)):
        text = "two acquisitions interleave in one series."
        raise _refuse("two_acquisitions", "CT series", text, "Split the series by AcquisitionNumber.")


def _check_gaps(positions: NDArray[np.float64], allowed_share: float) -> None:
    steps = np.diff(positions)
    usual = float(np.median(steps))
    uneven_mm = np.abs(steps - usual)
    off_mm = float(np.abs(positions - np.linspace(positions[0], positions[-1], len(positions))).max())
    most_mm = LARGEST_DRIFT_SHARE * usual if uneven_mm.max() <= allowed_share * usual else ROUNDED_MM
    if round(off_mm, 6) <= most_mm:
        return
    wrong = np.flatnonzero(uneven_mm > max(allowed_share * usual, ROUNDED_STEP_MM))
    if not len(wrong):
        text = f"slice steps drift: slices lie up to {off_mm:.2f} mm off even ones."
        raise _refuse("variable_spacing", "CT series", text, "Use a series with one slice step.")
    where = ", ".join(f"{positions[k]:.2f}..{positions[k + 1]:.2f}" for k in wrong[:5])
    multiples = steps[wrong] / usual
    if np.all((np.abs(multiples - np.rint(multiples)) < 0.1) & (multiples > 1.5)):
        missing = int(np.rint(multiples - 1).sum())
        raise _refuse(
            "missing_slices", "CT series", f"{missing} slices are missing at {where} mm (step {usual:.3f} mm)."
        )
    text = f"slice steps vary ({steps.min():.3f} to {steps.max():.3f} mm), first at {where} mm."
    raise _refuse("variable_spacing", "CT series", text, "Use a series with one slice step.")


def _check_tilt(ordered: list[DicomHeader]) -> None:
    points = np.array([h.position for h in ordered], dtype=np.float64)
    moved = points - points[0]
    along = moved @ _normal(ordered[0])
    aside = np.linalg.norm(moved - along[:, None] * _normal(ordered[0]), axis=1)
    tilt = float(np.degrees(np.arctan2(aside[-1], along[-1])))
    if tilt > LARGEST_TILT_DEGREES:
        text = f"slices are sheared by {tilt:.2f} degrees (gantry tilt)."
        raise _refuse("gantry_tilt", "CT series", text, "Resample the series to untilted slices first.")
    largest = min(ordered[0].pixel_spacing or (1.0,))
    if float(aside.max()) > largest:
        text = f"a slice lies {aside.max():.2f} mm aside of the others."
        raise _refuse("shifted_slices", "CT series", text)


def _grid_of(ordered: list[DicomHeader]) -> Grid:
    first, positions = ordered[0], _positions(ordered)
    row, column = _cosines(first)
    row_step, column_step = first.pixel_spacing or (0.0, 0.0)
    origin = first.position or (0.0, 0.0, 0.0)
    matrix = np.stack([row, column, _normal(first)], axis=1)
    step = float(positions[-1] - positions[0]) / (len(ordered) - 1)
    return Grid(
        (first.columns, first.rows, len(ordered)),
        (column_step, row_step, step),
        (origin[0], origin[1], origin[2]),
        tuple(float(v) for v in matrix.ravel()),
    )


class _StoredPixels:
    """Stored pixels by header; the frames of one file stay in memory until another file is asked for."""

    def __init__(self) -> None:
        self._path = ""
        self._frames: NDArray[np.generic] = np.empty((0, 0, 0))

    def of(self, header: DicomHeader, role: str) -> NDArray[np.generic]:
        if header.path != self._path:
            self._path, self._frames = header.path, read_frames(header.path, role)
        if header.frame >= len(self._frames):
            raise _refuse("undecodable", role, "the file holds fewer frames than its header says.")
        return np.asarray(self._frames[header.frame])


def _read_hu(ordered: list[DicomHeader]) -> NDArray[np.int16] | NDArray[np.float32]:
    volume = np.empty((len(ordered), ordered[0].rows, ordered[0].columns), dtype=np.float32)
    whole, pixels = True, _StoredPixels()
    for place, header in enumerate(ordered):
        stored = pixels.of(header, f"CT slice {place}")
        if stored.shape != volume.shape[1:]:
            raise _refuse("mixed_size", f"CT slice {place}", f"pixels {stored.shape}, header {volume.shape[1:]}.")
        hu = stored.astype(np.float64) * (header.slope or 1.0) + (header.intercept or 0.0)
        whole = whole and bool((hu == np.rint(hu)).all())
        volume[place] = hu
    return as_hu_array(volume, whole)


def as_hu_array(volume: NDArray[np.float32], whole: bool) -> NDArray[np.int16] | NDArray[np.float32]:
    """int16 where all values are whole and fit, else the float32 array itself."""
    if whole and volume.min() >= SMALLEST_INT16 and volume.max() <= LARGEST_INT16:
        return volume.astype(np.int16)
    return volume


def _value_flags(ordered: list[DicomHeader]) -> tuple[Flag, ...]:
    flags = []
    rescales = {(h.slope, h.intercept) for h in ordered}
    if len(rescales) > 1:
        text = f"slices use {len(rescales)} different rescales; each was read with its own."
        flags.append(Flag("acquire", "mixed_rescale", text, "Look for a slice that is brighter or darker as a whole."))
    if any(h.lossy for h in ordered):
        text = "the images were compressed with loss: textures are not those of the scanner."
        flags.append(Flag("acquire", "lossy", text, "Export the series without lossy compression."))
    return (*flags, *_derived_flags(ordered), *_mixed_flags(ordered))


def _derived_flags(ordered: list[DicomHeader]) -> tuple[Flag, ...]:
    derived = sum("DERIVED" in h.image_type[:2] or "SECONDARY" in h.image_type[:2] for h in ordered)
    if not derived:
        return ()
    text = (
        f"ImageType calls {derived} of {len(ordered)} slices derived or secondary: reformatted or otherwise computed."
    )
    return (Flag("acquire", "derived", text, "Use the original slices where they exist."),)


def _mixed_flags(ordered: list[DicomHeader]) -> tuple[Flag, ...]:
    mixed = [
        name
        for name, values in (
            ("ConvolutionKernel", {h.kernel for h in ordered} - {""}),
            ("KVP", {h.kvp for h in ordered} - {None}),
        )
        if len(values) > 1
    ]
    if not mixed:
        return ()
    text = f"slices differ in {' and '.join(mixed)}: textures are not of one reconstruction."
    return (Flag("acquire", "mixed_acquisition", text, "Check that the series is one scan, reconstructed once."),)


def _instance_flags(ordered: list[DicomHeader]) -> tuple[Flag, ...]:
    numbers = [h.instance_number for h in ordered if h.instance_number is not None]
    announced = max((h.images_in_acquisition or 0 for h in ordered), default=0)
    gap = bool(numbers) and (min(numbers) > 1 or max(numbers) - min(numbers) >= len(ordered))
    if not (gap and len(set(numbers)) == len(ordered)) and announced <= len(ordered):
        return ()
    text = f"instance numbers or ImagesInAcquisition announce more than the {len(ordered)} slices found."
    return (Flag("acquire", "slices_announced", text, "Check that no slices are missing at the ends."),)
