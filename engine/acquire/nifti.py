"""NIfTI, NRRD and MetaImage files: complete, finite, with one geometry, or refused."""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.acquire.ct_series import as_hu_array
from engine.acquire.orientation import axes_name, turn_of, turned_array, turned_grid
from engine.acquire.rtstruct import OutlinedMask
from engine.acquire.text_headers import restated, voxels_elsewhere
from engine.geometry import grid_of, same_grid
from engine.protocol import Acquire
from store.records import Flag, RefusedError
from store.volumes import CtSeries, Grid

NIFTI_SUFFIXES = (".nii.gz", ".nii")
IMAGE_SUFFIXES = (*NIFTI_SUFFIXES, ".nrrd", ".nhdr", ".mha", ".mhd")
NIFTI_HEADER_BYTES = 348
SMALLEST_OFFSET_BYTES, LARGEST_OFFSET_BYTES = 352, 1 << 24
LARGEST_FORM_DIFFERENCE = 1e-3
LARGEST_ORIGIN_DIFFERENCE_MM = 0.01
LARGEST_SHEAR = 1e-3
CHUNK_BYTES = 1 << 22
LARGEST_TAIL_BYTES = 1 << 20
ONE_FILE, TWO_FILES = b"n+1\0", b"ni1\0"
FLOAT_TYPES = {16: "f4", 64: "f8"}
COMPLEX_TYPES = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """What the gate reads of a NIfTI-1 header itself, so that no reader's choice between its geometries is trusted."""

    sizes: tuple[int, ...]
    voxel_bytes: int
    float_type: str  # numpy type of floating-point voxels, empty for others
    spacing_mm: tuple[float, float, float]
    offset_bytes: int
    rescale: tuple[float, float]  # scl_slope, of which 0 stands for unscaled, and scl_inter
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]  # b, c, d, x, y, z
    qfac: float
    sform: tuple[float, ...]  # 12 numbers, row-major 3 x 4
    voxels_here: bool  # else in a file beside it


@dataclass(frozen=True, slots=True, eq=False)
class FileCt:
    """A CT read from one file and what was noticed."""

    ct: CtSeries
    flags: tuple[Flag, ...]
    stored_axes: str = ""


def read_ct_file(path: Path, role: str, rules: Acquire) -> FileCt:
    """A CT from a NIfTI, NRRD or MetaImage file, HU, int16 where whole, else float32, axes turned to left, back, head.

    RefusedError for a truncated or damaged file, voxels in another file, disagreeing or missing orientation, more than
    one volume, too many voxels, values that are not finite, and too few slices.
    """
    image, flags = _read_checked(path, role, rules.max_voxels)
    stored = np.asarray(sitk.GetArrayFromImage(image))
    if not np.isfinite(stored).all():
        raise _not_finite(role)
    grid = grid_of(image)
    turn = turn_of(grid)
    array = turned_array(stored, turn)
    if array.shape[0] < rules.min_slices:
        text = f"{array.shape[0]} slices, at least {rules.min_slices} are needed."
        raise RefusedError("few_slices", role, text, "Use the whole series.")
    whole = bool((array == np.rint(array)).all())
    values = as_hu_array(array.astype(np.float32), whole)
    return FileCt(CtSeries(values, turned_grid(grid, turn)), flags, axes_name(grid))


def grid_of_file(path: Path, role: str, rules: Acquire) -> Grid:
    """The grid of an image or mask file that passes the gate's checks, its axes turned to left, back, head.

    RefusedError as `read_mask_file`.
    """
    grid = grid_of(_read_checked(path, role, rules.max_voxels)[0])
    return turned_grid(grid, turn_of(grid))


def read_mask_file(path: Path, role: str, grid: Grid, label: int | None, rules: Acquire) -> OutlinedMask:
    """A mask from a file on exactly the image's grid (corners within a thousandth of a voxel), boolean z, y, x.

    Its axes may be stored in another order than the image's: both are turned to left, back, head.

    Without a label the file holds 0 and at most one other whole number. RefusedError for soft values, several labels
    when none is named, an absent label, and another geometry; an empty mask is flagged.
    """
    array, flags = _read_mask_array(path, role, grid, rules)
    labels = _labels(array, role)
    chosen = _chosen_label(labels, label, role)
    if chosen is None:
        empty = Flag("acquire", "empty_reference", f"{role} is empty.", "Check that nothing was outlined.")
        return OutlinedMask(np.zeros(array.shape, dtype=np.bool_), (*flags, empty))
    if label is None and chosen != 1:
        flags = (
            *flags,
            Flag("acquire", "mask_label", f"{role} uses {chosen} as its only label.", "Nothing if meant so."),
        )
    return OutlinedMask(np.asarray(array == chosen), flags)


def read_lungs_file(path: Path, role: str, grid: Grid, rules: Acquire) -> OutlinedMask:
    """A mask of both lungs: every label but 0 counts; otherwise as `read_mask_file`."""
    array, flags = _read_mask_array(path, role, grid, rules)
    _labels(array, role)
    return OutlinedMask(np.asarray(array != 0), flags)


def read_label_map(path: Path, role: str, grid: Grid, rules: Acquire) -> NDArray[np.int32]:
    """Whole label values from 0 on, z, y, x, on exactly the image's grid; RefusedError for other values or geometry."""
    array, _ = _read_mask_array(path, role, grid, rules)
    labels = _labels(array, role)
    if labels and min(labels) < 0:
        raise RefusedError("negative_label", role, "it holds negative values.", "Number the structures from 1 on.")
    return array.astype(np.int32)


def read_header(path: Path) -> NiftiHeader:
    """The header of a NIfTI-1 file; ValueError where it is none."""
    with _opened(path) as stream:
        raw = stream.read(NIFTI_HEADER_BYTES)
    order = next((o for o in "<>" if len(raw) == NIFTI_HEADER_BYTES and struct.unpack(o + "i", raw[:4])[0] == 348), "")
    if not order or raw[344:348] not in (ONE_FILE, TWO_FILES):
        raise ValueError("not a NIfTI-1 header")
    dim = struct.unpack(order + "8h", raw[40:56])
    pixdim = struct.unpack(order + "8f", raw[76:108])
    float_code = FLOAT_TYPES.get(struct.unpack(order + "h", raw[70:72])[0], "")
    qform_code, sform_code, *rest = struct.unpack(order + "2h18f", raw[252:328])
    return NiftiHeader(
        sizes=tuple(int(n) for n in dim[1 : 1 + max(0, min(7, dim[0]))]),
        voxel_bytes=int(struct.unpack(order + "h", raw[72:74])[0]) // 8,
        float_type=order + float_code if float_code else "",
        spacing_mm=(float(pixdim[1]), float(pixdim[2]), float(pixdim[3])),
        offset_bytes=int(struct.unpack(order + "f", raw[108:112])[0]),
        rescale=struct.unpack(order + "2f", raw[112:120]),
        qform_code=qform_code,
        sform_code=sform_code,
        quaternion=tuple(rest[:6]),
        qfac=-1.0 if pixdim[0] < 0 else 1.0,
        sform=tuple(rest[6:]),
        voxels_here=raw[344:348] == ONE_FILE,
    )


def _read_mask_array(path: Path, role: str, grid: Grid, rules: Acquire) -> tuple[NDArray[np.generic], tuple[Flag, ...]]:
    image, flags = _read_checked(path, role, rules.max_voxels)
    turn = turn_of(grid_of(image))
    own = turned_grid(grid_of(image), turn)
    if not same_grid(own, grid):
        text = f"geometry differs from the image: {_difference(own, grid)}."
        raise RefusedError(
            "geometry_differs", role, text, "Resample the mask onto its image in the software that drew it."
        )
    return turned_array(np.asarray(sitk.GetArrayFromImage(image)), turn), flags


def _read_checked(path: Path, role: str, most_voxels: int) -> tuple[sitk.Image, tuple[Flag, ...]]:
    suffix = next((suffix for suffix in NIFTI_SUFFIXES if path.name.lower().endswith(suffix)), "")
    with TemporaryDirectory() as folder:
        if suffix:
            _check_nifti(path, role, most_voxels)
            alone = Path(folder) / f"image{suffix}"  # beside a.nii, niftilib takes its voxels for those of a.nii.gz
            alone.symlink_to(path.resolve())
            return _as_volume(_read(alone, "NiftiImageIO", role, most_voxels), role)
        alone = restated(path, role, Path(folder))
        library = "NrrdImageIO" if alone.suffix == ".nrrd" else "MetaImageIO"
        return _as_volume(_read(alone, library, role, most_voxels), role)


def _read(path: Path, library: str, role: str, most_voxels: int) -> sitk.Image:
    """The image by one of SimpleITK's readers, never by another that also claims the file."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(library)
    try:
        reader.ReadImageInformation()
        _check_size([int(n) for n in reader.GetSize()], role, most_voxels)
        return reader.Execute()
    except RuntimeError as error:
        raise RefusedError("undecodable", role, "the image file cannot be read.", "Export it again.") from error


def _as_volume(image: sitk.Image, role: str) -> tuple[sitk.Image, tuple[Flag, ...]]:
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetDimension() < 3:
        raise RefusedError("not_a_volume", role, "one grey volume is needed.", "Export a three-dimensional image.")
    if image.GetPixelID() in COMPLEX_TYPES:
        raise RefusedError("not_a_volume", role, "its values are complex numbers.", "Export the magnitude, in HU.")
    axes = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)
    _check_shear(axes[:3, :3], "its axes", role)
    if image.GetDimension() == 3:
        return image, ()
    flag = Flag("acquire", "singleton_axis", f"{role} has a fourth axis of length 1; it was dropped.", "Nothing.")
    return sitk.Extract(image, [*image.GetSize()[:3], *[0] * (image.GetDimension() - 3)]), (flag,)


def _check_size(sizes: list[int], role: str, most_voxels: int) -> None:
    if len(sizes) > 3 and max(sizes[3:]) > 1:
        text = f"the file holds {max(sizes[3:])} volumes."
        raise RefusedError("several_volumes", role, text, "Export one three-dimensional image.")
    if float(np.prod(np.array(sizes, dtype=float))) > most_voxels:
        raise RefusedError("too_large", role, f"the header claims more than {most_voxels} voxels.", "Crop the image.")


def _check_nifti(path: Path, role: str, most_voxels: int) -> None:
    try:
        header = read_header(path)
        if not header.sizes or min(header.sizes) < 1 or header.voxel_bytes < 1 or len(header.sizes) > 7:
            raise ValueError("impossible sizes")
        numbers = (*header.spacing_mm, *header.rescale, *header.quaternion, *header.sform)
        if not np.isfinite(numbers).all():
            raise ValueError("numbers that are none")
        if not SMALLEST_OFFSET_BYTES <= header.offset_bytes <= LARGEST_OFFSET_BYTES:
            raise ValueError("voxels inside the header, or absurdly far behind it")
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, struct.error) as error:
        raise RefusedError("undecodable", role, "the NIfTI header cannot be read.", "Export it again.") from error
    if not header.voxels_here:
        raise voxels_elsewhere(role)
    _check_size(list(header.sizes), role, most_voxels)
    _check_content(path, role, header)
    _check_forms(header, role)


def _check_content(path: Path, role: str, header: NiftiHeader) -> None:
    """Read the file to its end (checksum, length, finite values): niftilib turns NaN into 0 without a word."""
    left = header.voxel_bytes * int(np.prod(np.array(header.sizes, dtype=np.int64)))
    finite = True
    try:
        with _opened(path) as stream:
            stream.read(max(0, header.offset_bytes))
            while left > 0 and (chunk := stream.read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
                whole = len(chunk) - len(chunk) % header.voxel_bytes
                finite = finite and _all_finite(chunk[:whole], header.float_type)
            too_long = len(stream.read(LARGEST_TAIL_BYTES + 1)) > LARGEST_TAIL_BYTES  # to the checksum at the end
    except (OSError, EOFError, zlib.error) as error:
        text = "the compressed data are truncated or damaged (checksum)."
        raise RefusedError("truncated", role, text, "Copy or export it again.") from error
    if too_long:
        text = f"more than {LARGEST_TAIL_BYTES} bytes stand behind the voxels."
        raise RefusedError("undecodable", role, text, "Export it again.")
    if left > 0:
        text = f"the file ends {left} bytes early (truncated)."
        raise RefusedError("truncated", role, text, "Copy or export it again.")
    if not finite:
        raise _not_finite(role)


def _opened(path: Path) -> BufferedIOBase:
    """The file's bytes, unpacked where its name says so in small or capital letters, as SimpleITK has it."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _all_finite(chunk: bytes, float_type: str) -> bool:
    return not float_type or bool(np.isfinite(np.frombuffer(chunk, dtype=float_type)).all())


def _not_finite(role: str) -> RefusedError:
    return RefusedError(
        "not_finite", role, "the file holds NaN or infinite values.", "Replace them and export it again."
    )


def _check_forms(header: NiftiHeader, role: str) -> None:
    if header.qform_code <= 0 and header.sform_code <= 0:
        text = "neither sform nor qform is set: orientation and position are unknown."
        raise RefusedError(
            "no_orientation", role, text, "Convert again from DICOM with a tool that keeps the geometry."
        )
    sform = np.array(header.sform).reshape(3, 4)
    if header.sform_code > 0:
        _check_shear(sform[:, :3], "the axes of sform", role)
        lengths = np.linalg.norm(sform[:, :3], axis=0)
        if np.abs(lengths - np.abs(header.spacing_mm)).max() > LARGEST_FORM_DIFFERENCE * float(lengths.max()):
            text = "sform and pixdim give different voxel sizes."
            raise RefusedError("forms_differ", role, text, "Write the file again with one geometry.")
    if header.qform_code > 0 and header.sform_code > 0:
        apart = np.abs(_qform(header) - sform)
        if apart[:, :3].max() > LARGEST_FORM_DIFFERENCE or apart[:, 3].max() > LARGEST_ORIGIN_DIFFERENCE_MM:
            text = "sform and qform place the image differently."
            raise RefusedError("forms_differ", role, text, "Write the file again with one geometry.")


def _check_shear(matrix: NDArray[np.float64], named: str, role: str) -> None:
    lengths = np.linalg.norm(matrix, axis=0)
    unit = matrix / np.where(lengths > 0, lengths, 1)
    if lengths.min() <= 0 or np.abs(unit.T @ unit - np.eye(3)).max() > LARGEST_SHEAR:
        text = f"{named} are not orthogonal (sheared)."
        raise RefusedError("sheared", role, text, "Resample the image to orthogonal axes.")


def _qform(header: NiftiHeader) -> NDArray[np.float64]:
    b, c, d, *offset = header.quaternion
    a = float(np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d)))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    scaled = rotation * np.array([*header.spacing_mm[:2], header.spacing_mm[2] * header.qfac])
    return np.column_stack([scaled, offset])


def _labels(array: NDArray[np.generic], role: str) -> list[int]:
    values = np.unique(array)
    if not np.isfinite(values).all() or (values != np.rint(values)).any() or len(values) > 4096:
        text = "a mask must hold whole labels; this one holds fractions."
        raise RefusedError("soft_mask", role, text, "Threshold it in the software that drew it.")
    return [int(v) for v in values if v != 0]


def _chosen_label(labels: list[int], label: int | None, role: str) -> int | None:
    if label is None and len(labels) > 1:
        text = f"the mask holds {len(labels)} labels: {labels[:8]}."
        raise RefusedError("several_labels", role, text, "Name one as `name:label` in images.reference.")
    if label is not None and labels and label not in labels:
        raise RefusedError(
            "no_label", role, f"label {label} is absent; the mask holds {labels[:8]}.", "Name another label."
        )
    return (label if label is not None else labels[0]) if labels else None


def _difference(one: Grid, other: Grid) -> str:
    if one.size_xyz != other.size_xyz:
        return f"size {one.size_xyz} against {other.size_xyz}"
    if np.abs(np.subtract(one.spacing_mm, other.spacing_mm)).max() > 1e-6:
        return f"spacing {one.spacing_mm} against {other.spacing_mm} mm"
    if np.abs(np.subtract(one.direction, other.direction)).max() > 1e-6:
        return "direction"
    return f"origin {one.origin_mm} against {other.origin_mm} mm"
