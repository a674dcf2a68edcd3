"""Slices that do not belong together or are none, slices under other names, and names that lead to no file."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

from pydicom.dataset import Dataset

from engine.bench.malformed.image_files import SLOPE, write_image
from engine.bench.malformed.made_dicom import Edit
from engine.bench.malformed.specimen import Specimen, write_outlined

LAST_TWO = ("_10", "_11")
PREAMBLE_BYTES = 132
Value = str | int | list[str]


def belonging_specimens() -> tuple[Specimen, ...]:
    """What readers take as one series or one image although its tags, its name or its twin say otherwise."""
    return (
        *_half("two frames of reference", ("mixed_frames",), {"half": {"FrameOfReferenceUID": "1.2.3.10"}}),
        *_half("two studies", ("mixed_studies",), {"half": {"StudyInstanceUID": "1.2.4"}}),
        *_half("two patients", ("shared_series",), {id_: {"PatientID": id_} for id_ in ("P2", "p1")}),
        *_half("two people, one id", ("two_people",), {name: {name: said} for name, said in _OTHER_PERSON.items()}),
        *_half(
            "two reconstructions", ("mixed_acquisition",), {"kernel": {"ConvolutionKernel": "B70f"}, "kVp": {"KVP": 80}}
        ),
        *_half(
            "no slices of a chest", ("not_ct_slice",), {name: {"ImageType": kind} for name, kind in _NO_SLICES.items()}
        ),
        *_half("derived", ("derived",), {"reformat": {"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 MPR"]}}),
        *_half("not MONOCHROME2", ("photometric",), {kind: {"PhotometricInterpretation": kind} for kind in _COLOURS}),
        *(Specimen("series", "slices hidden", name, ("hidden_images",), _renamed(to)) for name, to in _HIDDEN.items()),
        *(
            Specimen("series", "slice under a name of no image", name, ("undecodable",), _bare(name))
            for name in ("DICOMDIR", "Thumbs.db", "LICENSE")
        ),
        Specimen("series", "slices packed", "gzip", ("undecodable",), _packed),
        *(Specimen("image", "name of no file", name, ("no_file",), _no_file(make)) for name, make in _NO_FILES.items()),
        *(
            Specimen("image", "rescale no number", f"{slope}, {shift}", ("undecodable",), _rescaled(slope, shift))
            for slope, shift in (("nan", "0"), ("inf", "0"), ("1", "nan"))
        ),
        Specimen("image", "one image, two patients", "copy", ("same_image",), _twins),
    )


def _half(kind: str, codes: tuple[str, ...], variants: dict[str, dict[str, Value]]) -> tuple[Specimen, ...]:
    """Series whose second half has other tags; a kernel, a birth date and a sex are known of the first."""

    def edit(tags: dict[str, Value]) -> Edit:
        def change(number: int, ds: Dataset) -> None:
            ds.ConvolutionKernel, ds.PatientBirthDate, ds.PatientSex = "B30f", "19500304", "F"
            for name, value in tags.items() if number > 5 else ():
                setattr(ds, name, value)

        return change

    def make(tags: dict[str, Value]) -> Callable[[Path], None]:
        return lambda folder: write_outlined(folder, edit=edit(tags))

    return tuple(Specimen("series", kind, name, codes, make(tags)) for name, tags in variants.items())


def _last_two(folder: Path) -> list[Path]:
    return [path for path in (folder / "ct").iterdir() if path.stem.endswith(LAST_TWO)]


def _renamed(to: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write_outlined(folder)
        for path in _last_two(folder):
            target = path.parent / to.format(path.name)
            target.parent.mkdir(exist_ok=True)
            path.rename(target)

    return make


def _bare(name: str) -> Callable[[Path], None]:
    """A slice without its preamble, which only a name with a DICOM suffix makes readers try."""

    def make(folder: Path) -> None:
        write_outlined(folder)
        (path,) = (folder / "ct").glob(f"*{LAST_TWO[1]}.dcm")
        path.with_name(name).write_bytes(path.read_bytes()[PREAMBLE_BYTES:])
        path.unlink()

    return make


def _packed(folder: Path) -> None:
    write_outlined(folder)
    for path in _last_two(folder):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def _no_file(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def in_folder(folder: Path) -> None:
        (folder / "P1").mkdir()
        make(folder / "P1/image.nii.gz")

    return in_folder


def _rescaled(slope: str, shift: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        path = write_image(folder / "P1/image.nii")
        raw = path.read_bytes()
        path.write_bytes(raw[:SLOPE] + struct.pack("<2f", float(slope), float(shift)) + raw[SLOPE + 8 :])

    return make


def _twins(folder: Path) -> None:
    for patient in ("P1", "P2"):
        write_image(folder / patient / "image.nii.gz")


_NO_SLICES: dict[str, Value] = {
    "screens": ["DERIVED", "SECONDARY", "SCREEN SAVE"],
    "projections": ["DERIVED", "SECONDARY", "AXIAL", "MIP"],
    "projections, a vendor's words": ["DERIVED", "PRIMARY", "MPR", "CT_SOM5 MIP"],
    "a material": ["DERIVED", "PRIMARY", "VOLUME", "MAT_SPECIFIC"],
}
_OTHER_PERSON: dict[str, Value] = {"PatientBirthDate": "19600101", "PatientSex": "M"}
_COLOURS = ("MONOCHROME1", "PALETTE COLOR")
_HIDDEN = {"in a folder": ".part/{}", "by their names": ".{}"}
_NO_FILES: dict[str, Callable[[Path], object]] = {
    "link to nowhere": lambda path: path.symlink_to("/nowhere/image.nii.gz"),
    "link to itself": lambda path: path.symlink_to(path),
    "folder": Path.mkdir,
}
