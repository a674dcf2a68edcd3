"""Stage `further`: more outlines of the index tumour by other readers and other programs, where a study has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.acquire.ct_series import stored_grid
from engine.acquire.dicom_frames import read_headers
from engine.acquire.file_cases import further_roles
from engine.acquire.nifti import read_mask_file
from engine.acquire.orientation import turn_of, turned_array, turned_grid
from engine.acquire.outlined_series import outlined_series
from engine.acquire.outlines import named_outlines
from engine.acquire.patient_files import split_label
from engine.geometry import same_grid
from engine.protocol import Acquire, Images
from store.records import RefusedError
from store.sources import CaseSource
from store.volumes import BoolZyx, CtSeries, FurtherMasks, Grid, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Further:
    """The further outlines of one case, in the order in which the protocol names them; none where it has none."""

    masks: FurtherMasks


def read_further_masks(source: CaseSource, ct: CtSeries, images: Images, rules: Acquire) -> Further:
    """One mask (structure tumour, source = the name in the protocol) a reader or program that outlined this case.

    Readers' are independent, programs' automatic. RefusedError as for the reference: another geometry, soft values.
    """
    named = [(name, "independent") for name in images.readers] + [(name, "automatic") for name in images.predictions]
    if not named:
        return Further(FurtherMasks(()))
    read = _in_dicom if source.layout == "dicom" else _in_files
    voxels = read(source, ct.grid, images, rules)
    masks = [Mask("tumour", origin, name, voxels[name], ct.grid, 0, name) for name, origin in named if name in voxels]
    return Further(FurtherMasks(tuple(masks)))


def _in_files(source: CaseSource, grid: Grid, images: Images, rules: Acquire) -> dict[str, BoolZyx]:
    files = {file.role: file for file in source.files}
    return {
        name: read_mask_file(Path(files[role].path), role, grid, split_label(name)[1], rules).voxels
        for name, role in further_roles(images).items()
        if role in files
    }


def _in_dicom(source: CaseSource, grid: Grid, images: Images, rules: Acquire) -> dict[str, BoolZyx]:
    wanted = {name: split_label(name)[0] for name in (*images.readers, *images.predictions)}
    slices = (file for file in source.files if file.role.startswith("CT slice"))
    headers = [header for file in slices for header in read_headers(Path(file.path))]
    stored = stored_grid(headers)
    turn = turn_of(stored)
    if not same_grid(turned_grid(stored, turn), grid):
        text = "the slices are no longer those that the image was read from."
        raise RefusedError("geometry_differs", "CT series", text, "Run the study again.")
    found = named_outlines(source, outlined_series(headers, stored), wanted)
    return {name: turned_array(voxels, turn) for name, voxels in found.items()}
