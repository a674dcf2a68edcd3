"""The volumes of one reading as the viewer fetches them: a box of the CT, its outlines as bits, the mask to draw on."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.geometry import (
    corners_mm,
    cropped_grid,
    index_to_points_mm,
    points_to_index,
    resample_mask,
    same_grid,
)
from engine.metrics.margins import signed_distance_mm
from engine.review.grants import LIFETIME_SECONDS, Grant, token_of
from engine.review.nifti_bytes import nifti_gz
from engine.run.review_layers import Layer, case_layers
from engine.run.scan_parts import Extent, preview_of, widened
from store.layout import StudyFolder
from store.queries.images import AUTOMATIC, load_ct, load_masks, load_prior, load_prior_scan
from store.records import PriorScan
from store.reviews import load_drawn
from store.volumes import BoolZyx, Grid, Mask, VolumeZyx

PRIOR_MARGIN_MM = 10.0  # around where the box of the index series lies in an earlier CT
SECRET_FILE = "viewer.key"
ERROR_STEP_MM = 0.1
LARGEST_BYTE = 255


def viewer_secret(study: Path) -> bytes:
    """The key that signs this study's grants: random, readable by its owner only, kept over restarts of the server."""
    private = StudyFolder(study).private
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = private / SECRET_FILE
    if not path.exists():
        temporary = private / f"{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_bytes()


def viewed_grid(grid: Grid, extent: Extent) -> Grid:
    """The grid of a part: its own voxels, or blocks of them with the centre of each block."""
    cropped = cropped_grid(grid, extent.slices)
    if extent.editable:
        return cropped
    z, y, x = extent.stride
    centre = index_to_points_mm(np.array([[(x - 1) / 2, (y - 1) / 2, (z - 1) / 2]]), cropped)[0]
    size, spacing = cropped.size_xyz, cropped.spacing_mm
    return Grid(
        (size[0] // x, size[1] // y, size[2] // z),
        (spacing[0] * x, spacing[1] * y, spacing[2] * z),
        (float(centre[0]), float(centre[1]), float(centre[2])),
        cropped.direction,
    )


def tokens(study: Path, grant: Grant, *methods: str) -> dict[str, str]:
    """One token a method, each valid for ten minutes from now, at most until the session ends."""
    secret, until = viewer_secret(study), min(time.time() + LIFETIME_SECONDS, grant.ends_at)
    return {method: token_of(secret, replace(grant, method=method, expires_at=until)) for method in methods}


def ct_bytes(study: Path, grant: Grant) -> bytes:
    """The CT of a grant: its own voxels, or means of blocks."""
    ct, extent = load_ct(study, grant.run_id, grant.case_id), Extent(grant.box, grant.stride)
    return nifti_gz(_blocks(ct.intensity_hu[extent.slices], extent.stride), viewed_grid(ct.grid, extent))


def prior_bytes(study: Path, grant: Grant) -> bytes:
    """The part of the earlier CT that belongs beside a grant's images; KeyError where the case has none."""
    prior, scan = load_prior(study, grant.run_id, grant.case_id), load_prior_scan(study, grant.run_id, grant.case_id)
    if prior is None or scan is None:
        raise KeyError("this case has no earlier CT")
    ct = load_ct(study, grant.run_id, grant.case_id)
    extent = prior_extent(prior.grid, ct.grid, scan, Extent(grant.box, grant.stride))
    return nifti_gz(_blocks(prior.intensity_hu[extent.slices], extent.stride), viewed_grid(prior.grid, extent))


def prior_extent(prior: Grid, grid: Grid, scan: PriorScan, extent: Extent) -> Extent:
    """The part of an earlier CT beside a part of the index series.

    Its own voxels around the same place where that was found, or all of them beside the whole series; else all of it,
    at most 256 voxels a side.
    """
    size_z, size_y, size_x = prior.shape_zyx
    everything = (0, size_z, 0, size_y, 0, size_x)
    if not extent.editable:
        return preview_of(everything)
    if extent.box == tuple(bound for side in grid.shape_zyx for bound in (0, side)):
        return Extent(everything, (1, 1, 1))
    shift = (scan.shift_x_mm, scan.shift_y_mm, scan.shift_z_mm)
    if None in shift:
        return preview_of(everything)
    corners = corners_mm(cropped_grid(grid, extent.slices)) - np.array(shift, dtype=np.float64)
    index = points_to_index(corners, prior)
    margin = PRIOR_MARGIN_MM / np.array(prior.spacing_mm)
    first = np.clip(np.floor(index.min(axis=0) - margin), 0, np.array(prior.size_xyz) - 1).astype(int)
    last = np.clip(np.ceil(index.max(axis=0) + margin), first, np.array(prior.size_xyz) - 1).astype(int) + 1
    x, y, z = zip(map(int, first), map(int, last), strict=True)
    return Extent((*z, *y, *x), (1, 1, 1))


def matching_slice(grid: Grid, prior: Grid, scan: PriorScan, axial: int) -> int | None:
    """The axial slice of an earlier CT nearest to one of the index series, both counted from the feet.

    None where the two are not linked; below 0 or beyond the last where the earlier CT does not reach so far.
    """
    if scan.shift_x_mm is None or scan.shift_y_mm is None or scan.shift_z_mm is None:
        return None
    x, y, _ = grid.size_xyz
    middle = index_to_points_mm(np.array([[x / 2, y / 2, float(axial)]]), grid)
    place = points_to_index(middle - np.array([[scan.shift_x_mm, scan.shift_y_mm, scan.shift_z_mm]]), prior)[0, 2]
    return int(np.rint(place))


def layers_bytes(study: Path, grant: Grant) -> bytes:
    """The outlines of a grant: bit n of a voxel is layer n in the grant's order."""
    ct, extent = load_ct(study, grant.run_id, grant.case_id), Extent(grant.box, grant.stride)
    target = viewed_grid(ct.grid, extent)
    bits = np.zeros(target.shape_zyx, np.uint8)
    for place, layer in enumerate(granted_layers(study, grant)):
        for mask in layer.masks:
            bits[_on(mask, ct.grid, extent, target)] |= np.uint8(1 << place)
    return nifti_gz(bits, target)


def error_bytes(study: Path, grant: Grant) -> bytes:
    """How far the automatic tumour lies from the reference's surface: tenths of a millimetre, at most 25.5 mm.

    0 outside the automatic mask and where the reader may not see the reference. A reference that reaches beyond what is
    shown is measured whole.
    """
    ct, extent = load_ct(study, grant.run_id, grant.case_id), Extent(grant.box, grant.stride)
    found = {layer.name: layer.masks for layer in granted_layers(study, grant)}
    target = viewed_grid(ct.grid, extent)
    if not (found.get("reference") and found.get("automatic")):
        return nifti_gz(np.zeros(target.shape_zyx, np.uint8), target)
    reference = found["reference"][0]
    wide = widened(extent, reference, ct.grid)
    grid = viewed_grid(ct.grid, wide)
    error = _error(_on(found["automatic"][0], ct.grid, wide, grid), _on(reference, ct.grid, wide, grid), grid)
    if wide == extent:
        return nifti_gz(error, target)
    first = [low - start for low, start in zip(extent.box[::2], wide.box[::2], strict=True)]
    z, y, x = (slice(low, low + side) for low, side in zip(first, target.shape_zyx, strict=True))
    return nifti_gz(error[z, y, x], target)


def _error(automatic: BoolZyx, reference: BoolZyx, grid: Grid) -> NDArray[np.uint8]:
    """Tenths of a millimetre to the reference's surface in the automatic mask, 0 outside it or without a reference."""
    error = np.zeros(grid.shape_zyx, np.uint8)
    if automatic.any() and reference.any():
        tenths = np.abs(signed_distance_mm(reference, grid.spacing_zyx_mm)) / ERROR_STEP_MM
        error[automatic] = np.clip(np.rint(tenths[automatic]), 1, LARGEST_BYTE).astype(np.uint8)
    return error


def drawing_bytes(study: Path, grant: Grant) -> bytes:
    """The mask that a reader draws on: his own so far, else the automatic one where he may see it, else nothing."""
    ct, extent = load_ct(study, grant.run_id, grant.case_id), Extent(grant.box, grant.stride)
    target = viewed_grid(ct.grid, extent)
    base = base_mask(study, grant)
    voxels = np.zeros(target.shape_zyx, np.bool_) if base is None else _on(base, ct.grid, extent, target)
    return nifti_gz(voxels.astype(np.uint8), target)


def base_mask(study: Path, grant: Grant) -> Mask | None:
    """The mask that a drawing of this grant begins with; never one that was drawn on other images of the case."""
    drawn = load_drawn(StudyFolder(study), grant.drawn_key) if grant.drawn_key else None
    if drawn is not None and same_grid(drawn.grid, load_ct(study, grant.run_id, grant.case_id).grid):
        return drawn
    return automatic_tumour(study, grant.run_id, grant.case_id) if "automatic" in grant.layers else None


def automatic_tumour(study: Path, run_id: str, case_id: str) -> Mask | None:
    """What readers judge: the automatic tumour as it was segmented."""
    return load_masks(study, run_id, case_id, AUTOMATIC).find("tumour")


def granted_layers(study: Path, grant: Grant) -> tuple[Layer, ...]:
    """The layers of a grant, in its order."""
    return case_layers(study, grant.run_id, grant.case_id, grant.layers, grant.drawn_key, grant.others)


def _on(mask: Mask, grid: Grid, extent: Extent, target: Grid) -> BoolZyx:
    """A mask on the viewed grid; its own voxels, untouched, where it lies on the CT's grid and no block is taken."""
    if extent.editable and same_grid(mask.grid, grid):
        return np.asarray(mask.voxels[extent.slices], dtype=np.bool_)
    return resample_mask(mask.voxels, mask.grid, target)


def _blocks(array: VolumeZyx, stride: tuple[int, int, int]) -> NDArray[np.generic]:
    """Means of blocks, rounded for whole numbers; what does not fill a block at the far ends is left out."""
    if stride == (1, 1, 1):
        return array
    z, y, x = stride
    sides = (array.shape[0] // z, array.shape[1] // y, array.shape[2] // x)
    cut = array[: sides[0] * z, : sides[1] * y, : sides[2] * x]
    means = cut.reshape(sides[0], z, sides[1], y, sides[2], x).mean(axis=(1, 3, 5), dtype=np.float32)
    return np.asarray(np.rint(means), dtype=np.int16) if array.dtype == np.int16 else np.asarray(means)
