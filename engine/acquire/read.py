"""Stage `acquire`: one case from its files, gated; the reference masks as outlined, precedence decided later."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from engine.acquire.acquisition import clean_tag, contrast_of, kernel_group, manufacturer_of, vendor_of
from engine.acquire.ct_limits import air_flags, check_hu_range, check_voxel_size, size_flags
from engine.acquire.ct_series import read_ct_series, without_own_frames
from engine.acquire.dicom import DicomHeader
from engine.acquire.dicom_frames import read_headers
from engine.acquire.file_cases import IMAGE_ROLE, NO, YES, same_image_flags
from engine.acquire.known_words import KERNELS, MODELS
from engine.acquire.lungs import split_by_side
from engine.acquire.nifti import read_ct_file
from engine.acquire.orientation import axes_name, canonical_ct, turn_of, turned_array
from engine.acquire.outlined_series import outlined_series
from engine.acquire.outlines import (
    SMALLEST_LESION,
    OutlinedLesion,
    OutlinedLung,
    Outlines,
    outlines_in_dicom,
    outlines_in_files,
)
from engine.acquire.persons import person_flags
from engine.geometry import index_to_points_mm
from engine.protocol import Acquire, Images
from store.records import Acquisition, Flag, Lesion, MaskVersion, RefusedError
from store.sources import CaseSource
from store.volumes import BoolZyx, CtSeries, Grid, Mask, ReferenceMasks

SOURCE = "reference"
PADDING_HU = -1100
AIR_INSIDE_HU = -900
LARGEST_REFERENCE_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Acquired:
    """One case let in: its CT, outlined masks on the CT's grid, how it was acquired, its lesions, and flags."""

    ct: CtSeries
    references: ReferenceMasks
    acquisition: tuple[Acquisition, ...]
    lesions: tuple[Lesion, ...]
    masks: tuple[MaskVersion, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    ct: CtSeries
    outlines: Outlines
    acquisition: Acquisition
    flags: tuple[Flag, ...]


def acquire(source: CaseSource, images: Images, rules: Acquire) -> Acquired:
    """Read one case in full.

    The index lesion (lesion 0) is the first wanted name; other outlined lesions follow as 1, 2, ... Masks keep the
    voxels as outlined, so tumour and lung may overlap. An empty or absent reference is flagged, never refused.
    RefusedError, with file role and remedy, for every input that would be silently wrong.
    """
    read = _read_dicom(source, images, rules) if source.layout == "dicom" else _read_files(source, images, rules)
    role = "CT series" if source.layout == "dicom" else IMAGE_ROLE
    check_hu_range(read.ct, role)
    check_voxel_size(read.ct.grid, role)
    masks = _masks(read.outlines, images, read.ct.grid)
    noted = (*read.flags, *air_flags(read.ct), *size_flags(read.ct.grid))
    return Acquired(
        ct=read.ct,
        references=ReferenceMasks(tuple(masks)),
        acquisition=(read.acquisition,),
        lesions=tuple(_lesion(m, o.role) for m, o in zip(masks, read.outlines.lesions, strict=False) if m.voxels.any()),
        masks=tuple(_version(mask) for mask in masks),
        flags=tuple(dict.fromkeys((*noted, *_mask_flags(read.ct, masks)))),
    )


def _read_dicom(source: CaseSource, images: Images, rules: Acquire) -> _Read:
    slices = (file for file in source.files if file.role.startswith("CT slice"))
    headers = [header for file in slices for header in read_headers(Path(file.path))]
    series = read_ct_series(headers, rules)
    outlines = outlines_in_dicom(source, images, outlined_series(without_own_frames(headers), series.ct.grid))
    ct = canonical_ct(series.ct)
    acquisition = _dicom_acquisition(series.headers[0], ct.grid, source)
    acquisition = dataclasses.replace(acquisition, stored_axes=axes_name(series.ct.grid))
    flags = (*series.flags, *person_flags(source), *outlines.flags)
    return _Read(ct, _canonical_outlines(outlines, series.ct.grid), acquisition, flags)


def _canonical_outlines(outlines: Outlines, grid: Grid) -> Outlines:
    turn = turn_of(grid)
    if turn.is_nothing:
        return outlines
    return Outlines(
        tuple(dataclasses.replace(one, voxels=turned_array(one.voxels, turn)) for one in outlines.lesions),
        tuple(dataclasses.replace(one, voxels=turned_array(one.voxels, turn)) for one in outlines.lungs),
        outlines.flags,
    )


def _read_files(source: CaseSource, images: Images, rules: Acquire) -> _Read:
    image = next((file for file in source.files if file.role == IMAGE_ROLE), None)
    if image is None:
        raise RefusedError("no_ct", IMAGE_ROLE, "the case has no image.", "Add its image file.")
    read = read_ct_file(Path(image.path), image.role, rules)
    outlines = outlines_in_files(source, read.ct.grid, rules)
    kind = "nrrd" if image.path.lower().endswith((".nrrd", ".nhdr")) else "nifti"
    acquisition = dataclasses.replace(_file_acquisition(source, kind, read.ct.grid), stored_axes=read.stored_axes)
    return _Read(read.ct, outlines, acquisition, (*read.flags, *same_image_flags(source), *outlines.flags))


def _dicom_acquisition(header: DicomHeader, grid: Grid, source: CaseSource) -> Acquisition:
    contrast = contrast_of(header.contrast_agent, header.contrast_route, header.contrast_text)
    return Acquisition(
        source_format="dicom",
        manufacturer=manufacturer_of(header.manufacturer) or "unknown",
        vendor=vendor_of(header.manufacturer),
        model=MODELS.stated(header.model) or "unknown",
        convolution_kernel=KERNELS.stated(header.kernel) or "unknown",
        kernel_group=kernel_group(header.kernel, header.manufacturer),
        contrast=contrast.contrast,
        contrast_evidence=contrast.evidence,
        slice_thickness_mm=header.slice_thickness_mm,
        kvp=header.kvp,
        spacing_x_mm=grid.spacing_mm[0],
        spacing_y_mm=grid.spacing_mm[1],
        spacing_z_mm=grid.spacing_mm[2],
        size_x=grid.size_xyz[0],
        size_y=grid.size_xyz[1],
        size_z=grid.size_xyz[2],
        scan_days=None,
        series_choice=source.choice,
        series_alternatives=source.alternatives,
    )


def _file_acquisition(source: CaseSource, kind: str, grid: Grid) -> Acquisition:
    cells = {name: clean_tag(value) for name, value in source.columns}
    kernel, manufacturer = cells.get("convolution_kernel", ""), cells.get("manufacturer", "")
    contrast = cells.get("contrast", "").lower()
    known = {**dict.fromkeys(YES, "yes"), **dict.fromkeys(NO, "no")}.get(contrast, "unknown")
    days = _cell_number(cells, "scan_days")
    return Acquisition(
        source_format=kind,
        manufacturer=manufacturer_of(manufacturer) or "unknown",
        vendor=vendor_of(manufacturer),
        model=MODELS.stated(cells.get("model", "")) or "unknown",
        convolution_kernel=KERNELS.stated(kernel) or "unknown",
        kernel_group=kernel_group(kernel, manufacturer),
        contrast=known,
        contrast_evidence="images.csv" if known != "unknown" else "none",
        slice_thickness_mm=_cell_number(cells, "slice_thickness_mm"),
        kvp=_cell_number(cells, "kvp"),
        spacing_x_mm=grid.spacing_mm[0],
        spacing_y_mm=grid.spacing_mm[1],
        spacing_z_mm=grid.spacing_mm[2],
        size_x=grid.size_xyz[0],
        size_y=grid.size_xyz[1],
        size_z=grid.size_xyz[2],
        scan_days=None if days is None else int(days),
        series_choice=source.choice,
        series_alternatives=source.alternatives,
        synthetic=cells.get("synthetic", "").lower() in YES,
    )


def _cell_number(cells: dict[str, str], name: str) -> float | None:
    if not cells.get(name):
        return None
    try:
        value = float(cells[name])
    except ValueError as error:
        text = f"column {name} is not a number."
        raise RefusedError("not_a_number", "images.csv", text, "Correct the cell or leave it empty.") from error
    return value if np.isfinite(value) else None


def _masks(outlines: Outlines, images: Images, grid: Grid) -> list[Mask]:
    masks = []
    others = 0
    for one in outlines.lesions:
        others += one.role != "index"
        masks.append(_tumour(one, 0 if one.role == "index" else others, images, grid))
    return masks + _lung_masks(outlines.lungs, images, grid)


def _tumour(one: OutlinedLesion, lesion: int, images: Images, grid: Grid) -> Mask:
    return Mask("tumour", images.reference_origin, SOURCE, one.voxels, grid, lesion, one.name)


def _lung_masks(lungs: tuple[OutlinedLung, ...], images: Images, grid: Grid) -> list[Mask]:
    sides: dict[str, BoolZyx] = {}
    named = {lung.side for lung in lungs} >= {"left", "right"}
    for lung in lungs:
        if lung.side != "both":
            sides[lung.side] = sides[lung.side] | lung.voxels if lung.side in sides else lung.voxels
        elif not named:
            split = split_by_side(lung.voxels, grid)
            sides.setdefault("left", split.left)
            sides.setdefault("right", split.right)
    return [Mask(f"lung_{side}", images.reference_origin, SOURCE, sides[side], grid) for side in sorted(sides)]


def _lesion(mask: Mask, role: str) -> Lesion:
    centre = np.argwhere(mask.voxels).mean(axis=0)[::-1]
    x, y, z = index_to_points_mm(np.array([centre]), mask.grid)[0]
    return Lesion(
        lesion=mask.lesion,
        name=mask.name,
        role=role,
        origin=mask.origin,
        source=mask.source,
        volume_ml=mask.volume_ml,
        centroid_x_mm=float(x),
        centroid_y_mm=float(y),
        centroid_z_mm=float(z),
        rule="named",
    )


def _version(mask: Mask) -> MaskVersion:
    return MaskVersion(
        structure=mask.structure,
        origin=mask.origin,
        source=mask.source,
        lesion=mask.lesion,
        version=1,
        voxels=int(mask.voxels.sum()),
        volume_ml=mask.volume_ml,
        components=_components(mask.voxels),
        touches_border=_touches_border(mask.voxels),
    )


def _components(voxels: BoolZyx) -> int:
    if not voxels.any():
        return 0
    box = ndimage.find_objects(voxels.astype(np.uint8))[0]
    return int(ndimage.label(voxels[box], structure=np.ones((3, 3, 3)))[1])


def _touches_border(voxels: BoolZyx) -> bool:
    faces = (voxels[0], voxels[-1], voxels[:, 0], voxels[:, -1], voxels[:, :, 0], voxels[:, :, -1])
    return any(bool(face.any()) for face in faces)


def _mask_flags(ct: CtSeries, masks: list[Mask]) -> tuple[Flag, ...]:
    tumour = next((m for m in masks if m.structure == "tumour" and m.lesion == 0), None)
    if tumour is None:
        return (_flag("no_reference", "no reference tumour is outlined.", "Nothing if it is to be segmented."),)
    if not tumour.voxels.any():
        return (_flag("empty_reference", "the reference tumour is empty.", "Check that nothing was outlined."),)
    return tuple(_tumour_flags(ct, tumour.voxels))


def _tumour_flags(ct: CtSeries, voxels: BoolZyx) -> list[Flag]:
    flags = []
    parts = _components(voxels)
    if parts > 1:
        flags.append(
            _flag("several_components", f"the reference has {parts} separate parts.", "Look for stray voxels.")
        )
    count = int(voxels.sum())
    if count < SMALLEST_LESION:
        text = f"the reference holds {count} voxels: too few for features."
        flags.append(_flag("tiny_reference", text, "Check the outline."))
    if count > LARGEST_REFERENCE_SHARE * voxels.size:
        text = f"the reference fills {100 * count / voxels.size:.0f} % of the image."
        flags.append(_flag("mask_fills_image", text, "Check that it is the tumour and not its inverse."))
    if int(voxels.any(axis=(1, 2)).sum()) == 1:
        flags.append(_flag("single_slice", "the reference covers one slice.", "Shape is not meaningful."))
    if _touches_border(voxels):
        flags.append(_flag("touches_border", "the reference touches the edge of the image.", "It may be cut off."))
    inside = ct.intensity_hu[voxels]
    if inside.min() < PADDING_HU:
        text = f"the reference holds values below {PADDING_HU} HU (padding)."
        flags.append(_flag("padding_in_reference", text, "Outline tissue only."))
    if float(np.median(inside)) < AIR_INSIDE_HU:
        text = f"half of the reference lies below {AIR_INSIDE_HU} HU: in air."
        flags.append(_flag("reference_in_air", text, "Check that the outline belongs to this image."))
    if inside.min() == inside.max():
        flags.append(_flag("constant_reference", "the reference holds one value only.", "Check the image."))
    return flags


def _flag(code: str, message: str, remedy: str) -> Flag:
    return Flag("acquire", code, message, remedy)
