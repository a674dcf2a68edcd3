"""Harmless copies of one good case: other file names, order, compression, format, order of axes, units of storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from engine.bench.malformed.compressed import LOSSLESS, compress
from engine.bench.malformed.image_files import GRID, image_array, mask_array, write_image
from engine.bench.malformed.made_dicom import SIDE, SLICES, ct_slice, square, write, write_rtstruct
from engine.bench.malformed.specimen import TUMOUR_SLICES
from store.volumes import Grid

Array = NDArray[np.generic]
SUFFIXES = ("nii.gz", "nii", "nrrd", "mha")
KINDS = (np.int16, np.int32, np.float32, np.float64)


@dataclass(frozen=True, slots=True)
class Copy:
    """One way of storing the good case of a group; all copies of a group hold the same patient."""

    group: str  # dicom | files
    name: str
    make: Callable[[Path], object]


def every_copy() -> tuple[Copy, ...]:
    """More than a hundred copies; what the gate reads of a group must be equal in every bit of image and mask."""
    plain = LOSSLESS[0]
    return (
        *(Copy("dicom", f"{UID(s).name}, order {seed}", _series(s, seed)) for s in LOSSLESS for seed in (0, 1, 2)),
        *(Copy("dicom", f"shuffled {seed}", _series(plain, seed)) for seed in range(3, 20)),
        Copy("dicom", "enhanced multi-frame", _enhanced),
        Copy("dicom", "mixed compressions", _series_of_many),
        *(Copy("files", f"{s} {k.__name__}", _files(s, k)) for s in SUFFIXES for k in KINDS),
        *(Copy("files", f"axes {axes} flips {flips}", _turned(axes, flips))
          for axes in permutations(range(3)) for flips in product((False, True), repeat=3)),
    )  # fmt: skip


def _slices(ordered: NDArray[np.int64]) -> list[Dataset]:
    noise = np.random.default_rng(11).integers(0, 4000, (SLICES, SIDE, SIDE)).astype(np.uint16)
    found = []
    for number in ordered:
        ds = ct_slice(int(number), "1.2.3.4", "P1")
        ds.PixelData = noise[number].tobytes()
        found.append(ds)
    return found


def _outline(folder: Path) -> None:
    write_rtstruct(folder / "rs.dcm", [("Tumour", [square(2.0 * number) for number in TUMOUR_SLICES])])


def _series(syntax: UID, seed: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        order = np.random.default_rng(seed).permutation(SLICES)
        for place, ds in enumerate(_slices(order)):
            compress(ds, syntax)
            write(ds, folder / "ct" / f"{place:03d}.dcm")
        _outline(folder)

    return make


def _series_of_many(folder: Path) -> None:
    for place, ds in enumerate(_slices(np.arange(SLICES))):
        compress(ds, LOSSLESS[place % len(LOSSLESS)])
        write(ds, folder / "ct" / f"{place:03d}.dcm")
    _outline(folder)


def _enhanced(folder: Path) -> None:
    slices = _slices(np.random.default_rng(5).permutation(SLICES))
    whole = slices[0]
    frames = [_groups(ds) for ds in slices]
    raw = b"".join(ds.PixelData for ds in slices)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(whole, name)
    whole.SOPClassUID, whole.NumberOfFrames, whole.PixelData = "1.2.840.10008.5.1.4.1.1.2.1", SLICES, raw
    whole.PerFrameFunctionalGroupsSequence, whole.SharedFunctionalGroupsSequence = frames, [_shared()]
    write(whole, folder / "enhanced.dcm")
    _outline(folder)
    _name_image(folder / "rs.dcm", whole.SOPInstanceUID)


def _name_image(outlines: Path, uid: str) -> None:
    """Let all contours name one multi-frame image instead of slices."""
    dataset = pydicom.dcmread(outlines)
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourImageSequence[0].ReferencedSOPInstanceUID = uid
    write(dataset, outlines)


def _groups(ds: Dataset) -> Dataset:
    own, plane = Dataset(), Dataset()
    plane.ImagePositionPatient = ds.ImagePositionPatient
    own.PlanePositionSequence = [plane]
    return own


def _shared() -> Dataset:
    shared, turn, measures, rescale = Dataset(), Dataset(), Dataset(), Dataset()
    turn.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [1.0, 1.0], 2.0
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 1, -1024, "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turn], [measures]
    shared.PixelValueTransformationSequence = [rescale]
    return shared


def _files(suffix: str, kind: type[np.generic]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write_image(folder / f"P1/image.{suffix}", image_array().astype(kind))
        write_image(folder / f"P1/Tumour.{suffix}", mask_array())

    return make


def _turned(axes: tuple[int, ...], flips: tuple[bool, ...]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for name, array in (("image", image_array()), ("Tumour", mask_array())):
            turned, grid = stored_otherwise(array, axes, flips)
            write_image(folder / f"P1/{name}.nii.gz", turned, grid)

    return make


def stored_otherwise(
    array: Array, axes: tuple[int, ...], flips: tuple[bool, ...], grid: Grid = GRID
) -> tuple[Array, Grid]:
    """The same voxels stored with other axes: new axis k (x, y, z) is the old `axes[k]`, turned round where flipped."""
    moved = np.transpose(array, tuple(2 - axes[2 - k] for k in range(3)))
    moved = moved[tuple(slice(None, None, -1 if flip else 1) for flip in reversed(flips))]
    matrix = np.zeros((3, 3))
    origin = np.array(grid.origin_mm)
    for k, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        matrix[axis, k] = -1 if flip else 1
        origin[axis] += (grid.size_xyz[axis] - 1) * grid.spacing_mm[axis] if flip else 0
    size = tuple(grid.size_xyz[axis] for axis in axes)
    spacing = tuple(grid.spacing_mm[axis] for axis in axes)
    return np.ascontiguousarray(moved), Grid(
        (size[0], size[1], size[2]),
        (spacing[0], spacing[1], spacing[2]),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(v) for v in matrix.ravel()),
    )
