"""Take a drawn mask in: from the viewer or from a file, geometry checked, as a new version; hand one out as a file."""

from __future__ import annotations

import functools
import gzip
import io
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.acquire.ct_series import sort_along_normal, stored_grid
from engine.acquire.dicom import DicomHeader, read_header, read_segmentation_object
from engine.acquire.dicom_frames import read_headers
from engine.acquire.dicom_seg import rasterise_segment
from engine.acquire.nifti import read_mask_file
from engine.acquire.orientation import stored_array, turn_of, turned_array, turned_grid
from engine.acquire.seg_export import MAKER, segmentation_bytes
from engine.geometry import resample_mask, same_grid
from engine.protocol import Acquire
from engine.review.criteria import measured_edit
from engine.review.grants import Grant
from engine.review.nifti_bytes import nifti_gz
from engine.run.review_volumes import automatic_tumour, base_mask, viewed_grid
from engine.run.scan_parts import Extent
from store.layout import StudyFolder
from store.queries.images import load_ct
from store.queries.reviews import read_draft
from store.records import DrawnMask, RefusedError
from store.reviews import (
    BLANK_CANVAS,
    READER_STUDY,
    OvertakenError,
    Reading,
    add_drawn,
    drawing_key,
    drawn_masks,
    load_drawn,
    open_ledger,
)
from store.source_list import read_case_source
from store.volumes import BoolZyx, Grid, Mask, mask_key

MOST_BYTES = 64 * 1024 * 1024
TUMOUR = "tumour"
ROLE = "drawn mask"
VIEWER, FILE = "viewer", "file"
BLIND = (READER_STUDY, BLANK_CANVAS)


@dataclass(frozen=True, slots=True)
class Saved:
    """A stored version: its number and key, how many voxels it has and how many differ from the automatic mask.

    In a blind mode the number counts the versions of this reading, not the case's.
    """

    version: int
    drawn_key: str
    voxels: int
    changed_voxels: int


def save_from_viewer(study: Path, grant: Grant, body: bytes) -> Saved:
    """Store what the viewer sent for a grant; RefusedError for a file that is no mask on the grant's own grid.

    OvertakenError unless the reader's draft holds the mask that the grant names as drawn from. Inside the grant's box
    the sent voxels stand, outside it those of the mask that was drawn on.
    """
    extent = Extent(grant.box, grant.stride)
    if not extent.editable:
        raise RefusedError("not_editable", ROLE, "a preview of blocks cannot be drawn on.", "Open the close-up.")
    if read_draft(study, _reading(grant)).drawn_key != grant.drawn_key:
        raise OvertakenError
    ct = load_ct(study, grant.run_id, grant.case_id)
    with _as_file(study, body, ".nii.gz") as path:
        sent = read_mask_file(path, ROLE, viewed_grid(ct.grid, extent), None, Acquire()).voxels
    base = base_mask(study, grant)
    voxels = np.zeros(ct.grid.shape_zyx, np.bool_) if base is None else base.voxels.copy()
    voxels[extent.slices] = sent
    return _store(study, grant, voxels, ct.grid, VIEWER)


def save_from_file(study: Path, grant: Grant, body: bytes, name: str) -> Saved:
    """Store an uploaded NIfTI or DICOM SEG on the CT's own grid; RefusedError says what is wrong and what to do.

    The name only says the kind; it enters no path.
    """
    grid = load_ct(study, grant.run_id, grant.case_id).grid
    kind = next((kind for kind in (".nii.gz", ".nii", ".nrrd", ".dcm") if name.lower().endswith(kind)), "")
    if not kind:
        raise RefusedError("unknown_kind", ROLE, "a .nii.gz, .nii, .nrrd or .dcm file is needed.", "Export it so.")
    with _as_file(study, body, kind) as path:
        if kind == ".dcm":
            voxels = _segment(path, grid, _slices(study, grant.case_id, grid), grant.case_id)
        else:
            voxels = read_mask_file(path, ROLE, grid, None, Acquire()).voxels
    return _store(study, grant, voxels, grid, FILE)


def own_version(drawn: Sequence[DrawnMask], drawn_key: str) -> int:
    """Which version of its reading a drawing is, from 1: how many saves, itself among them, led to it one from another.

    `drawn`: in order of saving. It tells of no other reader and of no other reading of the case by the same reader.
    """
    return max(1, len(_led_to(drawn, drawn_key)))


def drawn_over(drawn: Sequence[DrawnMask], drawn_key: str) -> str:
    """Key of the automatic mask that a drawing goes back to over all saves; empty where it began on a blank canvas.

    `drawn`: in order of saving.
    """
    saves = _led_to(drawn, drawn_key)
    return saves[-1].parent_key if saves else ""


def _led_to(drawn: Sequence[DrawnMask], drawn_key: str) -> list[DrawnMask]:
    """The saves that led to a drawing one from another, the last first."""
    saves, key = [], drawn_key
    for mask in reversed(drawn):
        if key and mask.drawn_key == key:
            saves.append(mask)
            key = mask.parent_key
    return saves


def measured_now(study: Path, run_id: str, edit: DrawnMask) -> DrawnMask:
    """A correction with its numbers to the automatic mask of a run, whichever mask it was drawn over.

    One that was drawn on other images of the case is measured as it is shown on these.
    """
    drawn, judged = load_drawn(StudyFolder(study), edit.drawn_key), automatic_tumour(study, run_id, edit.case_id)
    if judged is not None and not same_grid(drawn.grid, judged.grid):
        drawn = replace(drawn, voxels=resample_mask(drawn.voxels, drawn.grid, judged.grid), grid=judged.grid)
    now = measured_edit(drawn, judged)
    return replace(
        edit, changed_voxels=now.changed_voxels, edit_dsc=now.dsc, volume_change_percent=now.volume_change_percent
    )


def exported(study: Path, grant: Grant) -> bytes:
    """The mask that a drawing would begin with, on the CT's whole grid, as NIfTI for 3D Slicer or ITK-SNAP."""
    mask, grid = base_mask(study, grant), load_ct(study, grant.run_id, grant.case_id).grid
    voxels = np.zeros(grid.shape_zyx, np.uint8) if mask is None else mask.voxels.astype(np.uint8)
    return nifti_gz(voxels, grid)


def exported_seg(study: Path, grant: Grant) -> bytes:
    """The same as a DICOM SEG on the study's own slices; ValueError where `has_segment` says that there is none."""
    mask, grid = base_mask(study, grant), load_ct(study, grant.run_id, grant.case_id).grid
    if mask is None or not has_segment(study, grant):
        raise ValueError("a DICOM SEG needs a case read from DICOM, a mask that is not empty, and no blind mode")
    slices = _slices(study, grant.case_id, grid)
    voxels = stored_array(mask.voxels, turn_of(stored_grid(slices)))
    return segmentation_bytes([header.path for header in slices], voxels, TUMOUR, grant.case_id)


def has_segment(study: Path, grant: Grant) -> bool:
    """Whether a reading's mask can go out as a DICOM SEG: one file a slice of the CT, a voxel in it, no blind mode.

    A SEG names its series, and with it the case.
    """
    if grant.mode in BLIND:
        return False
    shape = load_ct(study, grant.run_id, grant.case_id).grid.shape_zyx
    if len(_slice_files(study, grant.case_id)) not in shape:
        return False
    if grant.drawn_key:
        return _is_drawn(study, grant.drawn_key)
    mask = base_mask(study, grant)
    return mask is not None and bool(mask.voxels.any())


@functools.lru_cache(maxsize=256)
def _is_drawn(study: Path, drawn_key: str) -> bool:
    """Whether a drawn mask holds a voxel; its key is of its content, and to read it takes a tenth of a second."""
    return bool(load_drawn(StudyFolder(study), drawn_key).voxels.any())


def exported_ct(study: Path, grant: Grant) -> bytes:
    """The CT that a mask belongs to, as NIfTI without any name or date."""
    ct = load_ct(study, grant.run_id, grant.case_id)
    return nifti_gz(ct.intensity_hu, ct.grid)


def _reading(grant: Grant) -> Reading:
    return Reading(grant.case_id, grant.reader, grant.mode, grant.reading)


def _slice_files(study: Path, case_id: str) -> list[Path]:
    """The DICOM files that the latest run read a case's CT from; none where it was no DICOM."""
    try:
        files = read_case_source(study, case_id).files
    except (FileNotFoundError, KeyError):
        return []
    return [Path(file.path) for file in files if file.role.startswith("CT slice")]


def _slices(study: Path, case_id: str, grid: Grid) -> list[DicomHeader]:
    """The slices of a case's CT in stored order, none where it was no DICOM; RefusedError where they are others now."""
    headers = [header for path in _slice_files(study, case_id) for header in read_headers(path)]
    if not headers:
        return []
    stored = stored_grid(headers)
    if not same_grid(turned_grid(stored, turn_of(stored)), grid):
        text = "the slices are no longer those that the image was read from."
        raise RefusedError("geometry_differs", "CT series", text, "Run the study again.")
    return sort_along_normal(headers)


def _segment(path: Path, grid: Grid, slices: Sequence[DicomHeader], case_id: str) -> BoolZyx:
    """The one segment of a DICOM SEG on the CT's grid; RefusedError for another case's, or another number of them."""
    _check_series(read_header(path), slices, case_id)
    segments = read_segmentation_object(str(path), ROLE)
    labels = [label for _, label in segments.labels]
    if len(labels) != 1:
        raise RefusedError("several_segments", ROLE, f"{len(labels)} segments; one is needed.", "Export one segment.")
    stored = stored_grid(slices) if slices else grid
    return turned_array(rasterise_segment(segments, labels[0], stored, ROLE).voxels, turn_of(stored))


def _check_series(sent: DicomHeader, slices: Sequence[DicomHeader], case_id: str) -> None:
    """Refuse a SEG that names other series than the case's; where none can be compared, one of ours of another case."""
    if slices and sent.referenced_series:
        foreign = slices[0].series_uid not in sent.referenced_series
    else:
        foreign = sent.manufacturer == MAKER and sent.patient_id != case_id
    if foreign:
        text = "it was drawn on another series than the one shown."
        remedy = "Open the case it belongs to; if it is this one, export the mask as NIfTI from where it was drawn."
        raise RefusedError("other_series", ROLE, text, remedy)


def _store(study: Path, grant: Grant, voxels: BoolZyx, grid: Grid, via: str) -> Saved:
    unseen = grant.mode == BLANK_CANVAS
    origin = "independent" if unseen else "corrected"
    mask = Mask(TUMOUR, origin, grant.reader, voxels, grid)
    parent = None if unseen else automatic_tumour(study, grant.run_id, grant.case_id)
    edit = measured_edit(mask, parent)
    folder = StudyFolder(study)
    goes_on = bool(grant.drawn_key) and same_grid(load_drawn(folder, grant.drawn_key).grid, grid)
    about = DrawnMask(
        case_id=grant.case_id,
        structure=TUMOUR,
        version=0,
        reader=grant.reader,
        origin=origin,
        drawn_key="",
        parent_key=grant.drawn_key if goes_on else "" if parent is None else mask_key(parent),
        via=via,
        voxels=0,
        changed_voxels=0,
        volume_ml=0.0,
        edit_dsc=None,
        volume_change_percent=None,
        saved_at="",
        identity=grant.identity,
    )
    key = drawing_key(grant.case_id, mask)
    with open_ledger(study) as ledger:
        version = add_drawn(folder, ledger, _reading(grant), mask, edit, about, grant.drawn_key)
        if grant.mode in BLIND:
            version = own_version(drawn_masks(ledger, grant.case_id), key)
    stored = load_drawn(folder, key)
    return Saved(version, key, int(stored.voxels.sum()), edit.changed_voxels)


@contextmanager
def _as_file(study: Path, body: bytes, kind: str) -> Iterator[Path]:
    """Sent bytes as a file of our own naming, gone afterwards; RefusedError for too many, packed or unpacked."""
    if len(body) > MOST_BYTES or (kind == ".nii.gz" and not _unpacks_small(body)):
        raise RefusedError("too_large", ROLE, "it is larger than a mask can be.", "Send one structure's mask.")
    folder = StudyFolder(study).unfinished
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"drawn-{uuid.uuid4().hex}{kind}"
    path.write_bytes(body)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _unpacks_small(body: bytes) -> bool:
    """Whether gzipped bytes unpack to at most the largest CT we read; damaged ones are left to the gate."""
    most, total = Acquire().max_voxels * 2, 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            while block := stream.read(1 << 20):
                total += len(block)
                if total > most:
                    return False
    except (OSError, EOFError, zlib.error):
        return True
    return True
