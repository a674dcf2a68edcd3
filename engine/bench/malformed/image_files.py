"""Malformed NIfTI, NRRD and MetaImage files, and masks that do not belong to their image."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.bench.malformed.specimen import Make, Specimen
from store.volumes import Grid

GRID = Grid((12, 14, 16), (1.0, 1.5, 2.0), (-5.0, 3.0, 10.0))
FLIPPED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
Array = NDArray[np.generic]
DIM, DATATYPE, PIXDIM, OFFSET, SLOPE, CODES, SFORM, MAGIC = 40, 70, 76, 108, 112, 252, 280, 344
UNITS = 123
_UNITS = {"metres": bytes([1]), "micrometres": bytes([3])}
_CENTIMETRES = {  # edges of the voxels of a crop, too few pixels for its field of view to tell
    "centimetres": ("voxel_size", (0.07, 0.07, 0.25)),
    "centimetres, a wide field": ("voxel_size", (0.1367, 0.1367, 0.327)),
    "centimetres, coarse": ("narrow_image", (0.2, 0.2, 0.3)),
}


def write_image(path: Path, array: Array | None = None, grid: Grid = GRID) -> Path:
    """Write a volume (default: the image that errors are put into) in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(image_array() if array is None else array)
    image.SetSpacing(grid.spacing_mm)
    image.SetOrigin(grid.origin_mm)
    image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path))
    return path


def image_array() -> NDArray[np.int16]:
    """An image of soft tissue with noise in air, HU, int16."""
    hu = np.full(GRID.shape_zyx, -1000, np.int16)
    hu[2:14, 2:12, 2:10] = 40
    return np.asarray(hu + np.random.default_rng(1).integers(-20, 20, hu.shape).astype(np.int16))


def mask_array(kind: type[np.generic] = np.uint8, value: float = 1) -> Array:
    """A block of 64 voxels inside the tissue."""
    mask = np.zeros(GRID.shape_zyx, kind)
    mask[4:8, 5:9, 3:7] = value
    return mask


def image_specimens() -> tuple[Specimen, ...]:
    """Image files that today's readers take with wrong content or geometry, or that cannot be read."""
    return (
        *(
            _spoiled("file cut off", f"{suffix} to {share:.0%}", ("truncated", "undecodable"), _cut(share), suffix)
            for suffix in ("nii.gz", "nii", "nrrd", "mha")
            for share in (0.2, 0.5, 0.95)
        ),
        *(
            _spoiled("bit flipped", f"at {share:.0%}", ("truncated", "undecodable"), _flip(share))
            for share in (0.3, 0.5, 0.7, 0.9)
        ),
        *(
            _spoiled("file replaced", name, ("undecodable", "truncated"), _replace(raw))
            for name, raw in _REPLACEMENTS.items()
        ),
        *(_patched("forms differ", name, ("forms_differ",), *patch) for name, patch in _FORMS.items()),
        _patched("no orientation", "both codes zero", ("no_orientation",), (CODES, struct.pack("<2h", 0, 0))),
        *(
            _patched(
                "sheared",
                f"by {shear}",
                ("sheared",),
                (CODES, struct.pack("<2h", 0, 1)),
                (SFORM + 4, struct.pack("<f", shear)),
            )
            for shear in (0.01, 0.4, 2.0)
        ),
        *(
            _patched(
                "header impossible", name, ("undecodable", "truncated", "forms_differ", "sheared", "not_finite"), *patch
            )
            for name, patch in _HEADERS.items()
        ),
        *(
            _patched(
                "header claims too much",
                f"{n} cubed",
                ("too_large", "undecodable", "truncated"),
                (DIM, struct.pack("<4h", 3, n, n, n)),
            )
            for n in (1500, 30000, 32767)
        ),
        *(
            _written(
                "not finite",
                f"{value} in {kind.__name__}",
                ("not_finite",),
                _one_value(float(value), kind),
            )
            for value in ("nan", "inf", "-inf")
            for kind in (np.float32, np.float64)
        ),
        *(
            _written(
                "not finite",
                f"NaN in {suffix}",
                ("not_finite",),
                _one_value(np.nan, np.float32, suffix),
            )
            for suffix in ("nrrd", "mha")
        ),
        *(_written("several volumes", str(n), ("several_volumes",), _several(n)) for n in (2, 5)),
        _written("not a volume", "one slice", ("not_a_volume", "few_slices"), _flat),
        _written("not a volume", "colour", ("not_a_volume", "several_volumes"), _colour),
        _written("not a volume", "complex numbers", ("not_a_volume",), _complex),
        *(_patched("another unit of length", name, ("voxel_size",), (UNITS, unit)) for name, unit in _UNITS.items()),
        *(
            _written("another unit of length", name, (code,), _in_centimetres(edges))
            for name, (code, edges) in _CENTIMETRES.items()
        ),
        *(_written("too few slices", str(n), ("few_slices",), _few(n)) for n in (1, 4, 9)),
        *(
            _written(
                "values no CT has",
                str(value),
                ("hu_range",),
                _one_value(float(value), np.float32),
            )
            for value in ("1e6", "-1e20", "65535")
        ),
        *(
            _patched(
                "values no CT has", f"slope {slope}", ("hu_range", "no_air"), (SLOPE, struct.pack("<2f", slope, 0))
            )
            for slope in (1000.0, -1.0)
        ),
        _written(
            "no air",
            "stored values",
            ("no_air",),
            lambda f: write_image(f / "P1/image.nii.gz", image_array() + np.int16(1024)),
        ),
        _written(
            "image twice",
            "two suffixes",
            ("duplicate_case",),
            lambda f: (write_image(f / "P1/image.nii.gz"), write_image(f / "P1/image.nrrd")),
        ),
    )


def mask_specimens() -> tuple[Specimen, ...]:
    """Masks that today's tools use although they do not fit, or that hold something else than a mask."""
    return (
        *(
            _mask(
                "mask elsewhere",
                f"{mm} mm",
                ("geometry_differs",),
                mask_array(),
                Grid(GRID.size_xyz, GRID.spacing_mm, (-5.0 + mm, 3.0, 10.0)),
            )
            for mm in (0.005, 0.1, 1.0, 5.0)
        ),
        *(
            _mask(
                "mask spacing",
                f"{z} mm",
                ("geometry_differs",),
                mask_array(),
                Grid(GRID.size_xyz, (1.0, 1.5, z), GRID.origin_mm),
            )
            for z in (2.01, 1.0)
        ),
        _mask(
            "mask flipped",
            "x and y",
            ("geometry_differs",),
            mask_array(),
            Grid(GRID.size_xyz, GRID.spacing_mm, GRID.origin_mm, FLIPPED),
        ),
        _mask(
            "mask size",
            "a slice less",
            ("geometry_differs",),
            mask_array()[:-1],
            Grid((12, 14, 15), GRID.spacing_mm, GRID.origin_mm),
        ),
        _mask(
            "mask size",
            "axes swapped",
            ("geometry_differs",),
            np.swapaxes(mask_array(), 0, 2),
            Grid((16, 14, 12), (2.0, 1.5, 1.0), GRID.origin_mm),
        ),
        *(_mask("soft mask", str(value), ("soft_mask",), mask_array(np.float32, value)) for value in (0.99, 0.6, 1.6)),
        _mask("soft mask", "NaN", ("not_finite", "soft_mask"), mask_array(np.float32, np.nan)),
        _mask("several labels", "1 and 2", ("several_labels",), _two_labels(2)),
        _mask("several labels", "1 and 255", ("several_labels",), _two_labels(255)),
        _mask("label 255", "alone", ("mask_label",), mask_array(value=255)),
        _mask("label 255", "3 alone", ("mask_label",), mask_array(value=3)),
        _mask("empty mask", "zeros", ("empty_reference",), mask_array(value=0)),
        *(_mask("tiny mask", name, ("tiny_reference",), _block(box)) for name, box in _TINY.items()),
        _mask("one slice", "disc", ("single_slice",), _block(np.s_[6:7, 4:10, 3:9])),
        *(
            _mask("islands", f"{len(places)} strays", ("several_components",), _strays(places))
            for places in (((13, 11, 9),), ((13, 11, 9), (2, 2, 2)))
        ),
        *(_mask("at the border", name, ("touches_border",), _block(box)) for name, box in _BORDERS.items()),
        _mask("inverted mask", "outside of the tumour", ("mask_fills_image",), 1 - mask_array()),
        _mask("mask in air", "beside the body", ("reference_in_air",), _block(np.s_[4:10, 12:14, 3:7])),
        _mask(
            "constant",
            "one value",
            ("constant_reference",),
            mask_array(),
            image=np.where(mask_array().astype(np.bool_), 40, image_array()).astype(np.int16),
        ),
        _mask("padding inside", "-3024", ("padding_in_reference",), mask_array(), image=_padded()),
        Specimen("mask", "mask cut off", "half", ("truncated", "undecodable"), lambda f: _cut(0.5)(_good_mask(f))),
        Specimen("mask", "mask bit flipped", "half", ("truncated", "undecodable"), lambda f: _flip(0.5)(_good_mask(f))),
        Specimen(
            "mask", "mask replaced", "by text", ("undecodable",), lambda f: _replace(b"no consent")(_good_mask(f))
        ),
    )


def _good_mask(folder: Path) -> Path:
    write_image(folder / "P1/image.nii.gz")
    return write_image(folder / "P1/Tumour.nii.gz", mask_array())


def _mask(
    kind: str, name: str, codes: tuple[str, ...], mask: Array, grid: Grid = GRID, image: Array | None = None
) -> Specimen:
    def make(folder: Path) -> None:
        write_image(folder / "P1/image.nii.gz", image)
        write_image(folder / "P1/Tumour.nii.gz", mask, grid)

    return Specimen("mask", kind, name, codes, make)


def _written(kind: str, name: str, codes: tuple[str, ...], make: Callable[[Path], object]) -> Specimen:
    return Specimen("image", kind, name, codes, make)


def _spoiled(
    kind: str, name: str, codes: tuple[str, ...], spoil: Callable[[Path], object], suffix: str = "nii.gz"
) -> Specimen:
    return Specimen("image", kind, name, codes, lambda folder: spoil(write_image(folder / f"P1/image.{suffix}")))


def _patched(kind: str, name: str, codes: tuple[str, ...], *patches: tuple[int, bytes]) -> Specimen:
    def make(folder: Path) -> None:
        path = write_image(folder / "P1/image.nii.gz")
        content = bytearray(gzip.decompress(path.read_bytes()))
        for offset, raw in patches:
            content[offset : offset + len(raw)] = raw
        path.write_bytes(gzip.compress(bytes(content)))

    return Specimen("image", kind, name, codes, make)


def _cut(share: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _flip(share: float) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        raw = bytearray(path.read_bytes())
        raw[int(len(raw) * share)] ^= 1
        path.write_bytes(bytes(raw))

    return spoil


def _replace(raw: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(raw)


def _one_value(value: float, kind: type[np.generic], suffix: str = "nii.gz") -> Make:
    """Write the image with one other voxel."""
    array = image_array().astype(kind)
    array[6, 6, 5] = value
    return lambda folder: write_image(folder / f"P1/image.{suffix}", array)


def _in_centimetres(edges: tuple[float, float, float]) -> Make:
    grid = Grid(GRID.size_xyz, edges, GRID.origin_mm)
    return lambda folder: write_image(folder / "P1/image.nii.gz", image_array(), grid)


def _several(count: int) -> Make:
    def make(folder: Path) -> None:
        (folder / "P1").mkdir()
        image = sitk.JoinSeries([sitk.GetImageFromArray(image_array())] * count)
        sitk.WriteImage(image, str(folder / "P1/image.nii.gz"))

    return make


def _flat(folder: Path) -> None:
    (folder / "P1").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(image_array()[6]), str(folder / "P1/image.nii.gz"))


def _colour(folder: Path) -> None:
    (folder / "P1").mkdir()
    colours = np.repeat(np.zeros(GRID.shape_zyx, np.uint8)[..., None], 3, axis=3)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(folder / "P1/image.nii.gz"))


def _complex(folder: Path) -> None:
    write_image(folder / "P1/image.nii", image_array().astype(np.complex64))


def _few(count: int) -> Make:
    grid = Grid((12, 14, count), GRID.spacing_mm, GRID.origin_mm)
    return lambda folder: write_image(folder / "P1/image.nii.gz", image_array()[:count], grid)


def _two_labels(other: int) -> Array:
    mask = mask_array()
    mask[0, 0, 0] = other
    return mask


def _block(box: tuple[slice, slice, slice]) -> Array:
    mask = np.zeros(GRID.shape_zyx, np.uint8)
    mask[box] = 1
    return mask


def _strays(places: tuple[tuple[int, int, int], ...]) -> Array:
    mask = np.zeros(GRID.shape_zyx, np.uint8)
    mask[4:8, 5:9, 3:7] = 1
    for place in places:
        mask[place] = 1
    return mask


def _padded() -> Array:
    array = np.array(image_array())
    array[4, 5, 3:5] = -3024
    return array


_REPLACEMENTS = {"by text": b"patient withdrew consent", "by nothing": b"", "by an empty gzip": gzip.compress(b"")}
_FORMS = {
    "offset": ((SFORM + 12, struct.pack("<f", 7.0)),),
    "pixdim without qform": ((PIXDIM + 4, struct.pack("<3f", 3, 3, 3)), (CODES, struct.pack("<h", 0))),
    "pixdim with qform": ((PIXDIM + 4, struct.pack("<f", 1.2)),),
    "mirrored": ((SFORM, struct.pack("<f", 1.0)),),
}
_HEADERS = {
    "size of the header": ((0, struct.pack("<i", 347)),),
    "magic": ((MAGIC, b"abc\x00"),),
    "dimension negative": ((DIM, struct.pack("<4h", 3, -12, 14, 16)),),
    "dimension zero": ((DIM, struct.pack("<4h", 3, 0, 14, 16)),),
    "nine dimensions": ((DIM, struct.pack("<h", 9)),),
    "datatype unknown": ((DATATYPE, struct.pack("<2h", 77, 16)),),
    "no bits": ((DATATYPE, struct.pack("<2h", 4, 0)),),
    "datatype larger than the file": ((DATATYPE, struct.pack("<2h", 64, 64)),),
    "spacing zero": ((PIXDIM + 4, struct.pack("<3f", 0, 0, 0)), (SFORM, bytes(48))),
    "spacing NaN": ((PIXDIM + 4, struct.pack("<f", float("nan"))),),
    "sform NaN": ((SFORM, struct.pack("<f", float("nan"))),),
    "offset beyond the file": ((OFFSET, struct.pack("<f", 1e9)),),
    "offset inside the header": ((OFFSET, struct.pack("<f", 8.0)),),
}
_TINY = {"one voxel": np.s_[6:7, 6:7, 5:6], "a line": np.s_[6:7, 6:7, 3:8], "eight voxels": np.s_[6:8, 6:8, 5:7]}
_BORDERS = {
    "first slice": np.s_[0:4, 5:9, 3:7],
    "last column": np.s_[4:8, 5:9, 8:12],
    "first row": np.s_[4:8, 0:5, 3:7],
}
