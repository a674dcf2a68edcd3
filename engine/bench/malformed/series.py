"""Malformed DICOM CT series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from engine.bench.malformed.compressed import compressed_frame, set_frame
from engine.bench.malformed.image_files import write_image
from engine.bench.malformed.made_dicom import SIDE, SLICES, Edit, write_series
from engine.bench.malformed.specimen import Specimen, write_outlined

ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"
MPEG2 = "1.2.840.10008.1.2.4.100"


def series_specimens() -> tuple[Specimen, ...]:
    """Series that today's readers take with wrong geometry or values, or that cannot be read."""
    return (
        *_edited("slices missing", ("missing_slices", "variable_spacing"), _MISSING),
        *_edited("slices missing at an end", ("slices_announced",), _ENDS),
        *_edited("step of slices", ("variable_spacing", "missing_slices"), _STEPS),
        *_edited(
            "gantry tilt", ("gantry_tilt",), {f"{mm} mm a slice": (_tilted(mm), None) for mm in (0.05, 0.2, 0.5, 1.0)}
        ),
        *_edited(
            "slice aside",
            ("shifted_slices", "gantry_tilt"),
            {f"{mm} mm": (_aside(mm), None) for mm in (1.5, 5.0, 40.0)},
        ),
        *_edited("position twice", ("duplicate_slices",), _TWICE),
        *_edited("two acquisitions", ("two_acquisitions",), _ACQUISITIONS),
        *_edited("rescale missing", ("no_rescale",), _RESCALE),
        *_edited("not HU", ("not_hu",), {kind: (_tags(None, RescaleType=kind), None) for kind in ("OD", "US", "MGML")}),
        *_edited("rescale differs", ("mixed_rescale",), _MIXED_RESCALE),
        *_edited("not CT", ("no_ct", "not_ct", "no_modality"), _MODALITY),
        *_edited("geometry missing", ("no_position", "no_orientation", "no_spacing"), _GEOMETRY),
        *_edited("spacing impossible", ("no_spacing",), _SPACING),
        *_edited("slices differ", ("mixed_orientation", "mixed_spacing", "mixed_size"), _MIXED),
        *_edited("axes not orthonormal", ("not_orthonormal",), _ORTHONORMAL),
        *_edited("burned-in text", ("burned_in",), {v: (_tags(2, BurnedInAnnotation=v), None) for v in ("YES", "yes")}),
        *_edited("secondary capture", ("not_ct_image",), _CAPTURE),
        *_edited("too few slices", ("few_slices",), {str(n): (_keep, range(n)) for n in (2, 5, 9)}),
        *_edited("enhanced without frames", ("undecodable",), _ENHANCED),
        *_edited("pixels and header", ("undecodable", "mixed_size"), _PIXELS),
        *_edited(
            "sign of values",
            ("hu_range",),
            {"unsigned": (_wrong_sign, None), "slope 100": (_tags(None, RescaleSlope=100), None)},
        ),
        *_edited(
            "no air",
            ("no_air",),
            {
                "stored values": (_tags(None, RescaleIntercept=0), None),
                "shifted": (_tags(None, RescaleIntercept=24), None),
            },
        ),
        *_edited("lossy", ("lossy",), {"said by its tag": (_tags(4, LossyImageCompression="01"), None)}),
        *_edited(
            "no patient id",
            ("no_patient_id",),
            {"absent": (_tags(None, PatientID=None), None), "empty": (_tags(None, PatientID=""), None)},
        ),
        *_edited("compression damaged", ("undecodable",), _COMPRESSED),
        *_edited("transfer syntax", ("undecodable",), _SYNTAX),
        *_spoiled("file cut off", {f"to {share:.0%}": _cut(share) for share in (0.05, 0.3, 0.6, 0.97)}),
        *_spoiled("file replaced", {name: _replace(raw) for name, raw in _REPLACEMENTS.items()}),
        Specimen("series", "copies", "one slice", ("identical_slices",), lambda f: _copied(f, (3,))),
        Specimen("series", "copies", "every slice", ("identical_slices",), lambda f: _copied(f, range(SLICES))),
        Specimen("series", "one patient in two places", "DICOM and NIfTI", ("duplicate_case",), _two_places),
    )


Variants = dict[str, tuple[Edit, Sequence[int] | None]]


def _edited(kind: str, codes: tuple[str, ...], variants: Variants) -> tuple[Specimen, ...]:
    def make(edit: Edit, numbers: Sequence[int] | None) -> Callable[[Path], None]:
        return lambda folder: write_outlined(folder, edit=edit, numbers=numbers or range(SLICES))

    return tuple(Specimen("series", kind, name, codes, make(*how)) for name, how in variants.items())


def _spoiled(kind: str, variants: dict[str, Callable[[Path], None]]) -> tuple[Specimen, ...]:
    def make(spoil: Callable[[Path], None]) -> Callable[[Path], None]:
        def write_spoiled(folder: Path) -> None:
            write_outlined(folder)
            spoil(sorted((folder / "ct").iterdir())[5])

        return write_spoiled

    return tuple(Specimen("series", kind, name, ("undecodable",), make(spoil)) for name, spoil in variants.items())


def _keep(number: int, ds: Dataset) -> None:
    """An edit that changes nothing."""


def _tags(place: int | None, **tags: object) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        if place is None or number == place:
            for name, value in tags.items():
                if value is None:
                    delattr(ds, name)
                else:
                    setattr(ds, name, value)

    return edit


def _height(position: Callable[[int], float]) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], position(number)]

    return edit


def _tilted(step_mm: float) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [-8.0, -8.0 + step_mm * number, 2.0 * number]

    return edit


def _aside(mm: float) -> Edit:
    return _tags(5, ImagePositionPatient=[-8.0 + mm, -8.0, 10.0])


def _acquisition(of: Callable[[int], int]) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        ds.AcquisitionNumber = of(number)

    return edit


def _over_each_other(number: int, ds: Dataset) -> None:
    ds.AcquisitionNumber = 1 + number % 2
    ds.ImagePositionPatient = [-8.0, -8.0, 4.0 * (number // 2)]


def _smaller(number: int, ds: Dataset) -> None:
    if number == 4:
        ds.Rows = SIDE - 2
        ds.PixelData = ds.PixelData[: 2 * (SIDE - 2) * SIDE]


def _wrong_sign(number: int, ds: Dataset) -> None:
    ds.PixelData = np.full((SIDE, SIDE), -1000, np.int16).tobytes()
    ds.RescaleIntercept = 0


def _pixels(raw: Callable[[bytes], bytes]) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        if number == 4:
            ds.PixelData = raw(ds.PixelData)

    return edit


def _colour(number: int, ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(SIDE * SIDE * 3)


def _capture(number: int, ds: Dataset) -> None:
    ds.SOPClassUID = SecondaryCaptureImageStorage


def _enhanced(frames: int) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        ds.SOPClassUID, ds.NumberOfFrames = ENHANCED, frames
        ds.PerFrameFunctionalGroupsSequence = [Dataset()] * (frames // 2)

    return edit


def _compressed(syntax: UID, spoil: Callable[[bytes], bytes]) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        frame = compressed_frame(ds, syntax)
        set_frame(ds, spoil(frame) if number == 6 else frame, syntax)

    return edit


def _claimed(syntax: str) -> Edit:
    def edit(number: int, ds: Dataset) -> None:
        if number == 6:
            set_frame(ds, ds.PixelData, UID(syntax))

    return edit


def _half(frame: bytes) -> bytes:
    return frame[: len(frame) // 2]


def _half_ended(frame: bytes) -> bytes:
    return _half(frame) + b"\xff\xd9"


def _cut(share: float) -> Callable[[Path], None]:
    return lambda path: _write(path, path.read_bytes()[: int(path.stat().st_size * share)])


def _replace(raw: bytes) -> Callable[[Path], None]:
    return lambda path: _write(path, raw)


def _write(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def _copied(folder: Path, numbers: Sequence[int]) -> None:
    write_outlined(folder)
    write_series(folder / "again", numbers=numbers)


def _two_places(folder: Path) -> None:
    write_outlined(folder)
    write_image(folder / "P1" / "image.nii.gz")


_MISSING: Variants = {
    f"without {', '.join(map(str, gone))}": (_keep, [n for n in range(14) if n not in gone])
    for gone in ((4,), (4, 5), (3, 8), (2, 5, 9), (12,), (1,))
}
_ENDS: Variants = {
    "the first two": (_keep, range(2, 14)),
    "the last, by ImagesInAcquisition": (_tags(None, ImagesInAcquisition=SLICES + 3), None),
    "half, by ImagesInAcquisition": (_tags(None, ImagesInAcquisition=2 * SLICES), None),
    "the first one": (_keep, range(1, 13)),
}
_STEPS: Variants = {
    "2 then 5 mm": (_height(lambda n: 2.0 * n if n < 6 else 10.0 + 5.0 * (n - 5)), None),
    "one 0.1 mm off": (_height(lambda n: 2.0 * n + 0.1 * (n == 7)), None),
    "growing": (_height(lambda n: 2.0 * n + 0.02 * n * n), None),
    "1 % more from the middle on": (_height(lambda n: n + 0.01 * max(0, n - 20)), range(60)),
    "one 3 % off": (_height(lambda n: 2.0 * n + 0.06 * (n >= 8)), None),
}
_TWICE: Variants = {
    "the last": (_height(lambda n: 2.0 * min(n, SLICES - 2)), None),
    "one in the middle": (_height(lambda n: 2.0 * (n - (n > 5))), None),
    "all": (_height(lambda n: 0.0), None),
}
_ACQUISITIONS: Variants = {
    "interleaved": (_acquisition(lambda n: 1 + n % 2), None),
    "one slice of another": (_acquisition(lambda n: 2 if n == 5 else 1), None),
    "over each other": (_over_each_other, None),
}
_RESCALE: Variants = {
    "slope": (_tags(None, RescaleSlope=None), None),
    "slope of one slice": (_tags(5, RescaleSlope=None), None),
    "intercept": (_tags(None, RescaleIntercept=None), None),
    "intercept of one slice": (_tags(7, RescaleIntercept=None), None),
    "slope zero": (_tags(2, RescaleSlope=0), None),
}
_MIXED_RESCALE: Variants = {
    "intercept of one slice": (_tags(5, RescaleIntercept=-24), None),
    "slope of one slice": (_tags(5, RescaleSlope=2), None),
}
_MODALITY: Variants = {
    "MR": (_tags(None, Modality="MR"), None),
    "PT": (_tags(None, Modality="PT"), None),
    "one slice MR": (_tags(3, Modality="MR"), None),
    "no modality": (_tags(None, Modality=None), None),
    "localizers only": (_tags(None, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), None),
}
_GEOMETRY: Variants = {
    "position": (_tags(1, ImagePositionPatient=None), None),
    "orientation": (_tags(1, ImageOrientationPatient=None), None),
    "pixel spacing": (_tags(1, PixelSpacing=None), None),
    "position of two numbers": (_tags(1, ImagePositionPatient=[0, 0]), None),
    "orientation of three numbers": (_tags(1, ImageOrientationPatient=[1, 0, 0]), None),
}
_SPACING: Variants = {
    "zero": (_tags(1, PixelSpacing=[0, 1]), None),
    "negative": (_tags(None, PixelSpacing=[-1, 1]), None),
    "one number": (_tags(None, PixelSpacing=1), None),
}
_MIXED: Variants = {
    "orientation": (_tags(6, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), None),
    "orientation by a degree": (_tags(6, ImageOrientationPatient=[0.99985, 0.01745, 0, -0.01745, 0.99985, 0]), None),
    "pixel spacing": (_tags(6, PixelSpacing=[1.5, 1.5]), None),
    "pixel spacing by 1 %": (_tags(6, PixelSpacing=[1.01, 1.01]), None),
    "rows": (_smaller, None),
}
_ORTHONORMAL: Variants = {
    "too long": (_tags(None, ImageOrientationPatient=[1.1, 0, 0, 0, 1, 0]), None),
    "not at right angles": (_tags(None, ImageOrientationPatient=[1, 0, 0, 0.1, 0.995, 0]), None),
    "parallel": (_tags(None, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), None),
}
_CAPTURE: Variants = {
    "whole series": (_capture, None),
    "one slice": (lambda n, ds: _capture(n, ds) if n == 3 else None, None),
}
_ENHANCED: Variants = {"no frames": (_enhanced(1), range(1)), "half the frames": (_enhanced(6), range(1))}
_PIXELS: Variants = {
    "half the pixels": (_pixels(lambda raw: raw[: len(raw) // 2]), None),
    "two frames, one announced": (_pixels(lambda raw: raw + raw), None),
    "none": (_pixels(lambda raw: b""), None),
    "one row less": (_pixels(lambda raw: raw[: -2 * SIDE]), None),
    "rows claimed 60000": (_tags(4, Rows=60000, Columns=60000), None),
    "colour": (_colour, None),
    "12 bits allocated": (_tags(4, BitsAllocated=12), None),
}
_COMPRESSED: Variants = {
    "RLE cut": (_compressed(RLELossless, _half), None),
    "RLE without segments": (_compressed(RLELossless, lambda frame: bytes(64)), None),
    "JPEG-LS cut": (_compressed(JPEGLSLossless, _half), None),
    "JPEG-LS text": (_compressed(JPEGLSLossless, lambda frame: b"\xff\xd8 text \xff\xd9"), None),
    "JPEG lossless cut": (_compressed(JPEGLosslessSV1, _half), None),
    "JPEG lossless, cut but ended": (_compressed(JPEGLosslessSV1, _half_ended), None),
    "JPEG 2000 cut": (_compressed(JPEG2000Lossless, _half), None),
    "JPEG 2000, cut but ended": (_compressed(JPEG2000Lossless, _half_ended), None),
}
_SYNTAX: Variants = {
    "a video": (_claimed(MPEG2), None),
    "another video": (_claimed("1.2.840.10008.1.2.4.107"), None),
    "JPEG lossless over plain pixels": (_claimed("1.2.840.10008.1.2.4.70"), None),
    "JPEG 2000 over plain pixels": (_claimed("1.2.840.10008.1.2.4.90"), None),
}
_REPLACEMENTS = {
    "by text": b"This slice was removed on request.\n",
    "by nothing": b"",
    "by zeros": bytes(4096),
    "by noise": np.random.default_rng(7).integers(0, 256, 4096, dtype=np.uint8).tobytes(),
    "by a preamble alone": bytes(128) + b"DICM",
    "by a picture": b"\x89PNG\r\n\x1a\n" + bytes(400),
}
