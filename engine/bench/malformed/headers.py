"""Image files whose headers lead elsewhere or leave the geometry open, and names in capital letters."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.bench.malformed.image_files import MAGIC, image_array, write_image
from engine.bench.malformed.specimen import Specimen

NRRD_GEOMETRY = (b"space: ", b"space directions: ", b"space origin: ")
META_GEOMETRY = (b"TransformMatrix", b"Offset", b"ElementSpacing")


def header_specimens() -> tuple[Specimen, ...]:
    """Files that readers take with another file's voxels, with 1 mm voxels, or unchecked for their name's sake."""
    elsewhere = ("detached_data",)
    return (
        _made("voxels elsewhere", "mhd with raw", elsewhere, lambda f: write_image(f / "image.mhd")),
        _made("voxels elsewhere", "nhdr with raw", elsewhere, lambda f: write_image(f / "image.nhdr")),
        _made("voxels elsewhere", "mha names a file", elsewhere, _names_a_file("mha", b"ElementDataFile = LOCAL")),
        _made("voxels elsewhere", "nrrd names a file", elsewhere, _names_a_file("nrrd", b"encoding: raw")),
        _made("voxels elsewhere", "nrrd names a list", elsewhere, _lists_files),
        _made("voxels elsewhere", "NIfTI pair", elsewhere, _pair),
        *(
            _made("no orientation", f"nrrd without {field.decode().strip(' :')}", ("no_orientation",), _without(field))
            for field in NRRD_GEOMETRY
        ),
        *(
            _made("no orientation", f"mha without {field.decode()}", ("no_orientation",), _without(field, "mha"))
            for field in META_GEOMETRY
        ),
        _made("no orientation", "nrrd in scanner axes", ("no_orientation",), _scanner_axes),
        _made("not millimetres", "nrrd in metres", ("not_millimetres",), _nrrd_in_metres),
        _made("not millimetres", "mha in micrometres", ("not_millimetres",), _meta_in_micrometres),
        _made("sheared", "mha", ("sheared",), _sheared),
        _made("capital letters", "forms differ", ("forms_differ",), _capital(_moved_sform)),
        _made("capital letters", "cut off", ("truncated",), _capital(lambda raw: raw[:-4000])),
        _made("capital letters", "not finite", ("not_finite",), _capital(lambda raw: raw, np.nan)),
        _made("file goes on", "two megabytes behind the voxels", ("undecodable",), _tail),
    )


def _made(kind: str, name: str, codes: tuple[str, ...], make: Callable[[Path], object]) -> Specimen:
    def in_folder(folder: Path) -> None:
        (folder / "P1").mkdir()
        make(folder / "P1")

    return Specimen("image", kind, name, codes, in_folder)


def _replaced(path: Path, old: bytes, new: bytes) -> None:
    raw = path.read_bytes()
    if old not in raw:
        raise ValueError(f"{path.suffix} has no {old!r}")
    path.write_bytes(raw.replace(old, new, 1))


def _names_a_file(suffix: str, line: bytes) -> Callable[[Path], None]:
    """The voxels of another file in the study's reach, by a line of the header."""

    def make(folder: Path) -> None:
        (folder.parent / "other.raw").write_bytes(image_array().tobytes())
        new = b"ElementDataFile = ../other.raw" if suffix == "mha" else b"encoding: raw\ndata file: ../other.raw"
        _replaced(write_image(folder / f"image.{suffix}"), line, new)

    return make


def _lists_files(folder: Path) -> None:
    (folder / "0.raw").write_bytes(image_array().tobytes())
    _replaced(write_image(folder / "image.nrrd"), b"encoding: raw", b"encoding: raw\ndatafile: LIST\n0.raw")


def _pair(folder: Path) -> None:
    path = write_image(folder / "image.nii")
    raw = bytearray(path.read_bytes())
    (folder / "image.img").write_bytes(raw[352:])
    raw[MAGIC : MAGIC + 4] = b"ni1\x00"
    path.write_bytes(raw)


def _without(field: bytes, suffix: str = "nrrd") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        path = write_image(folder / f"image.{suffix}")
        start = path.read_bytes().index(field)
        line = path.read_bytes()[start:].split(b"\n", 1)[0]
        _replaced(path, line + b"\n", b"")

    return make


def _scanner_axes(folder: Path) -> None:
    _replaced(write_image(folder / "image.nrrd"), b"space: left-posterior-superior", b"space: scanner-xyz")


def _nrrd_in_metres(folder: Path) -> None:
    _replaced(write_image(folder / "image.nrrd"), b"kinds:", b'space units: "m" "m" "m"\nkinds:')


def _meta_in_micrometres(folder: Path) -> None:
    _replaced(write_image(folder / "image.mha"), b"ElementSpacing", b"DistanceUnits = um\nElementSpacing")


def _sheared(folder: Path) -> None:
    _replaced(
        write_image(folder / "image.mha"), b"TransformMatrix = 1 0 0 0 1 0", b"TransformMatrix = 1 0 0 0.1 0.995 0"
    )


def _capital(spoil: Callable[[bytes], bytes], value: float = 0.0) -> Callable[[Path], None]:
    """An uncompressed NIfTI file called image.NII."""

    def make(folder: Path) -> None:
        array = image_array().astype(np.float32)
        array[6, 6, 5] = value
        path = write_image(folder / "image.nii", array)
        (folder / "image.NII").write_bytes(spoil(path.read_bytes()))
        path.unlink()

    return make


def _moved_sform(raw: bytes) -> bytes:
    return raw[:292] + struct.pack("<f", 77.0) + raw[296:]


def _tail(folder: Path) -> None:
    path = write_image(folder / "image.nii.gz")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(2_000_000)))
