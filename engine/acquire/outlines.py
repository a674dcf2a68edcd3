"""The outlined structures of one case, whatever the file they came in: reference lesions and lungs by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from engine.acquire.dicom import SegmentationObject, read_segmentation_object
from engine.acquire.dicom_seg import rasterise_segment
from engine.acquire.dicom_structures import OutlinedRoi, read_structure_set
from engine.acquire.file_cases import LUNG_ROLES, REFERENCE_LABEL, REFERENCE_NAME, REFERENCE_ROLE
from engine.acquire.known_words import STRUCTURES
from engine.acquire.lungs import is_lung_name, side_of_name
from engine.acquire.nifti import read_lungs_file, read_mask_file
from engine.acquire.outlined_series import OutlinedSeries, check_frame_of_reference, frame_flags, image_flags
from engine.acquire.patient_files import split_label
from engine.acquire.rtstruct import OutlinedMask, find_roi, near_names, rasterise_roi
from engine.protocol import Acquire, Images
from store.records import Flag, RefusedError
from store.sources import CaseSource, SourceFile
from store.volumes import BoolZyx, Grid

LESION_NAME = re.compile(r"(gtv|ctv|ptv|tumou?r|lesion|node|ln|neoplasm)([-_ \d.].*|s|n.*|p.*|$)", re.IGNORECASE)
# GTVn, GTV-N2, GTV_nL, GTVnod, GTVnHilar, GTV LN4R; but not GTVnew, GTVnecrosis, GTVnative nor GTVn+p
NODE_PLACE = r"(ods?|left|right|hil\w*|med\w*|sub\w*|ips\w*|con\w*|sup\w*|ct|pet|x|i+|[a-dlrs])"
NODE_NAME = re.compile(rf"(gtv[-_ ]*(n|ln){NODE_PLACE}?([^a-z+&].*|\+)?|.*(node|nodal).*|ln.*)", re.IGNORECASE)
MARGIN_NAME = re.compile(r"(ctv|ptv).*", re.IGNORECASE)
MOST_SHARED = 0.5  # of the smaller of two lesions, of the larger for a node: outlines that share more are of one lesion
SMALLEST_LESION = 27  # voxels as stored; [rois] smallest_voxels judges the feature grid


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedLesion:
    """One outlined lesion: its name, as far as it is no free text, and its voxels; role index | node | other."""

    name: str
    role: str
    voxels: BoolZyx


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedLung:
    """One outlined lung mask and the side its name says: left | right | both."""

    side: str
    voxels: BoolZyx


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Lesions (the index lesion first, where there is one), lungs, and what was noticed."""

    lesions: tuple[OutlinedLesion, ...]
    lungs: tuple[OutlinedLung, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class _Shared:
    """Voxels that two lesions share, and as a share of the smaller and of the larger of them."""

    voxels: int
    of_smaller: float
    of_larger: float


@dataclass(frozen=True, slots=True, eq=False)
class _Outline:
    role: str
    name: str
    drawing: OutlinedRoi | SegmentationObject


@dataclass(frozen=True, slots=True, eq=False)
class _Again:
    """An outline of the index lesion again, maybe with others: what it shares with it."""

    lesion: OutlinedLesion
    shared: _Shared


def outlines_in_dicom(source: CaseSource, images: Images, series: OutlinedSeries) -> Outlines:
    """Reference, other lesions and lungs in the RTSTRUCT and SEG files of a case, on the CT's grid.

    An outline that shares most of itself or of the reference with it is the same lesion again: it is flagged, and only
    its parts of SMALLEST_LESION voxels or more off all outlined lesions are another lesion.
    RefusedError where files hold outlines but none has a wanted name (with near names), two have the same, or one was
    drawn in another frame of reference.
    """
    outlines = [one for file in source.files if not file.role.startswith("CT ") for one in _outlines_of_file(file)]
    names = [one.name for one in outlines]
    wanted = [split_label(name)[0] for name in images.reference]
    index = find_roi(names, wanted, "outlines")
    if index is None and wanted and outlines:
        raise _no_reference(names, wanted)
    lesions, flags = _lesions(outlines, index, images, series)
    lungs = []
    for one in outlines:
        if is_lung_name(one.name, images.lungs) and one.name != index:
            find_roi(names, [one.name], one.role)
            mask = _rasterise(one, series)
            lungs.append(OutlinedLung(side_of_name(one.name), mask.voxels))
            flags += mask.flags
    return Outlines(tuple(lesions), tuple(lungs), tuple(flags))


def named_outlines(source: CaseSource, series: OutlinedSeries, wanted: dict[str, str]) -> dict[str, BoolZyx]:
    """Voxels of the ROIs or segments wanted (key -> name in the file) that a case has; two of one name are refused."""
    outlines = [one for file in source.files if not file.role.startswith("CT ") for one in _outlines_of_file(file)]
    names = [one.name for one in outlines]
    found = {key: find_roi(names, [name], "outlines") for key, name in wanted.items()}
    return {
        key: _rasterise(next(one for one in outlines if one.name == name), series).voxels
        for key, name in found.items()
        if name is not None
    }


def outlines_in_files(source: CaseSource, grid: Grid, rules: Acquire) -> Outlines:
    """Reference and lungs in the mask files of a case; each must lie on exactly the image's grid."""
    columns = dict(source.columns)
    lesions: list[OutlinedLesion] = []
    lungs: list[OutlinedLung] = []
    flags: list[Flag] = []
    sides = {role: side for side, role in LUNG_ROLES.items()}
    for file in source.files:
        if file.role == REFERENCE_ROLE:
            label = int(columns[REFERENCE_LABEL]) if REFERENCE_LABEL in columns else None
            mask = read_mask_file(Path(file.path), file.role, grid, label, rules)
            lesions.append(OutlinedLesion(columns.get(REFERENCE_NAME, "reference"), "index", mask.voxels))
        elif file.role in sides:
            mask = read_lungs_file(Path(file.path), file.role, grid, rules)
            lungs.append(OutlinedLung(sides[file.role], mask.voxels))
        else:
            continue
        flags += mask.flags
    return Outlines(tuple(lesions), tuple(lungs), tuple(flags))


def _outlines_of_file(file: SourceFile) -> list[_Outline]:
    if file.role.startswith("RTSTRUCT"):
        return [_Outline(file.role, roi.name, roi) for roi in read_structure_set(file.path, file.role)]
    segments = read_segmentation_object(file.path, file.role)
    return [_Outline(file.role, label, segments) for _, label in segments.labels]


def _rasterise(one: _Outline, series: OutlinedSeries) -> OutlinedMask:
    if isinstance(one.drawing, SegmentationObject):
        check_frame_of_reference(one.drawing.frame_of_reference, series, one.role)
        return rasterise_segment(one.drawing, one.name, series.grid, one.role)
    frames = frame_flags(one.drawing, series, one.role)
    mask = rasterise_roi(one.drawing, series.grid, one.role)
    return replace(mask, flags=(*mask.flags, *frames, *image_flags(one.drawing, series)))


def _lesions(
    outlines: Sequence[_Outline], index: str | None, images: Images, series: OutlinedSeries
) -> tuple[list[OutlinedLesion], list[Flag]]:
    lesions: list[OutlinedLesion] = []
    flags: list[Flag] = []
    again: list[_Again] = []
    for one in sorted(outlines, key=lambda o: o.name != index):
        if one.name == index:
            mask = _rasterise(one, series)
            lesions.append(OutlinedLesion(one.name, "index", mask.voxels))
            flags += mask.flags
        elif _is_other_lesion(one.name, images):
            again += _add_other(one, series, lesions, flags)
    for outline in again:  # after all others: what they hold is no lesion more
        _add_parts(outline, lesions, flags)
    return lesions, flags


def _is_other_lesion(name: str, images: Images) -> bool:
    plain = LESION_NAME.fullmatch(name) and not MARGIN_NAME.fullmatch(name)
    same = {split_label(one)[0].strip().lower() for one in (*images.readers, *images.predictions)}
    return bool(plain) and not is_lung_name(name, images.lungs) and name.strip().lower() not in same


def _add_other(
    one: _Outline, series: OutlinedSeries, lesions: list[OutlinedLesion], flags: list[Flag]
) -> tuple[_Again, ...]:
    """Add another outlined lesion; what outlines the index lesion again is handed back instead."""
    try:
        mask = _rasterise(one, series)
    except RefusedError as error:
        text = f"another outlined lesion could not be read: {error.code}."
        flags.append(Flag("acquire", "other_lesion_unread", text, error.remedy))
        return ()
    name, is_node = STRUCTURES.shortened(one.name), bool(NODE_NAME.fullmatch(one.name))
    index = lesions[0].voxels if lesions and lesions[0].role == "index" else np.zeros_like(mask.voxels)
    lesion, shared = OutlinedLesion(name, "node" if is_node else "other", mask.voxels), _shared(mask.voxels, index)
    if (shared.of_larger if is_node else shared.of_smaller) > MOST_SHARED:
        return (_Again(lesion, shared),)
    if shared.voxels:
        text = f"the other lesion {name!r} shares {shared.voxels} voxels with the tumour, to which they are left."
        flags.append(Flag("acquire", "lesions_overlap", text, "Check the two outlines where they overlap."))
    lesions.append(lesion)
    return ()


def _add_parts(again: _Again, lesions: list[OutlinedLesion], flags: list[Flag]) -> None:
    """Add the parts of an outline of the tumour again that are no lesion yet, and say what remained of it."""
    lesion, others = again.lesion, [one.voxels for one in lesions[1:]]
    known = np.logical_or.reduce(others) if others else np.zeros_like(lesion.voxels)
    voxels, strays = _parts_off(lesion.voxels, lesions[0].voxels, known)
    text = f"{lesion.name!r} shares {again.shared.of_smaller:.0%} of its own or of the tumour's voxels and counts as"
    text += " the tumour again; "
    if voxels.any():
        lesions.append(replace(lesion, voxels=voxels))
        text += f"its parts off all outlined lesions, {int(voxels.sum())} voxels, are another lesion"
    else:
        text += f"no part of {SMALLEST_LESION} voxels or more lies off all outlined lesions"
    text += f"; {strays} voxels in smaller parts are left out." if strays else "."
    flags.append(Flag("acquire", "same_lesion", text, "Check that it is the tumour outlined again."))


def _shared(voxels: BoolZyx, index: BoolZyx) -> _Shared:
    """What an outline shares with the index lesion."""
    shared = int((voxels & index).sum())
    smaller, larger = sorted((int(voxels.sum()), int(index.sum())))
    return _Shared(shared, shared / max(1, smaller), shared / max(1, larger))


def _parts_off(voxels: BoolZyx, index: BoolZyx, known: BoolZyx) -> tuple[BoolZyx, int]:
    """The connected parts of an outline off the index lesion, and how many voxels lie in parts too small for a lesion.

    One of which other lesions known hold more than MOST_SHARED is theirs; of another, what they do not hold is left.
    """
    box = ndimage.find_objects(voxels.astype(np.uint8))[0]
    parts, count = ndimage.label(voxels[box], structure=np.ones((3, 3, 3)))
    sizes, taken = (np.bincount(of.ravel(), minlength=count + 1) for of in (parts, parts * known[box]))
    is_off = taken <= MOST_SHARED * sizes
    is_off[np.unique(parts[index[box]])] = False
    is_off[0] = False
    left = sizes - taken
    is_lesion = is_off & (left >= SMALLEST_LESION)
    off = np.zeros_like(voxels)
    off[box] = is_lesion[parts] & ~known[box]
    return off, int(left[is_off & ~is_lesion].sum())


def _no_reference(names: Sequence[str], wanted: Sequence[str]) -> RefusedError:
    near = [STRUCTURES.shortened(name) for name in near_names(names, wanted)]
    text = f"none of {', '.join(map(repr, wanted))} is among the {len(names)} outlined structures."
    remedy = f"Did you mean {', '.join(map(repr, near))}?" if near else "Name the tumour in images.reference."
    return RefusedError("no_reference_roi", "outlines", text, remedy)
