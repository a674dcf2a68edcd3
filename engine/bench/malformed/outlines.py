"""Malformed structure sets and segmentations on a good series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from engine.bench.malformed.made_dicom import SIDE, ct_slice, square, write, write_rtstruct, write_seg, write_series
from engine.bench.malformed.specimen import TUMOUR_SLICES, Specimen, write_outlined

Roi = tuple[str, Sequence[Dataset]]
CONTOUR_DATA, STRUCTURES, DRAWN = "ContourData", "StructureSetROISequence", "ROIContourSequence"


def outline_specimens() -> tuple[Specimen, ...]:
    """Outlines that today's readers fill wrongly, take from another series or lose without a word."""
    return (
        *(
            _drawn(
                "contour not closed",
                kind or "untyped",
                ("open_contour",),
                [("Tumour", [*_block(), square(8.0, kind=kind)])],
            )
            for kind in ("OPEN_PLANAR", "POINT", "OPEN_NONPLANAR", "")
        ),
        *(
            _drawn(
                "outside the image",
                f"{low} mm",
                ("outside_image",),
                [("Tumour", [*_block(), square(16.0, low, low + 6)])],
            )
            for low in (500.0, -500.0, 12.0)
        ),
        *(
            _drawn(
                "outside the slices", f"at {z} mm", ("outside_image", "off_slice"), [("Tumour", [*_block(), square(z)])]
            )
            for z in (-20.0, 24.0, 4000.0)
        ),
        *(
            _drawn(
                "between slices",
                f"{shift} mm",
                ("off_slice",),
                [("Tumour", [square(2.0 * n + shift) for n in TUMOUR_SLICES])],
            )
            for shift in (0.3, 1.0, 1.7)
        ),
        *(
            _drawn("ROI name twice", f"{one!r} and {two!r}", ("duplicate_roi",), [(one, _block()), (two, _block())])
            for one, two in (("Tumour", "Tumour"), ("Tumour", "TUMOUR"), ("Tumour ", "tumour"))
        ),
        _drawn("ROI without contours", "alone", ("no_contours",), [("Tumour", [])]),
        _drawn("ROI without contours", "beside another", ("no_contours",), [("Tumour", []), ("Heart", _block())]),
        *(
            _drawn("ROI name unknown", name, ("no_reference_roi",), [(name, _block())])
            for name in ("Tumor", "GTV", "tumour_1", "Turnour", "x")
        ),
        *(
            _drawn(
                "contour repeated",
                f"{times} times",
                ("repeated_contours",),
                [("Tumour", [*_block(), *[square(8.0)] * times])],
            )
            for times in (1, 3)
        ),
        *(
            _drawn("contour repeated", name, ("repeated_contours",), [("Tumour", [*_block(), again])])
            for name, again in (
                ("reversed", _turned(square(8.0), -1, 0)),
                ("from another point", _turned(square(8.0), 1, 1)),
                ("0.01 mm apart", square(8.0, -4.51, 1.51)),
            )
        ),
        _drawn(
            "contour within a pixel", "0.6 mm", ("contour_again",), [("Tumour", [*_block(), square(8.0, -3.9, 0.9)])]
        ),
        _drawn("contours by the hundred", "400", ("too_many_contours",), [("Tumour", [*_block(), *_heap(8.0, 400)])]),
        Specimen("outlines", "contours by the hundred", "300 wide", ("too_many_contours",), _wide_heap),
        _drawn("hole with a thin wall", "1.2 mm", ("thin_wall",), [("Tumour", [*_block(), square(8.0, -3.3, 0.3)])]),
        _drawn("contours cross", "two", ("contours_cross",), [("Tumour", [*_block(), square(8.0, -1.5, 4.5)])]),
        _drawn("contours cross", "one itself", ("contours_cross",), [("Tumour", [*_block(), _bow_tie(16.0)])]),
        *(
            _drawn(
                "contour below a pixel",
                f"{width} mm",
                ("subpixel_contours",),
                [("Tumour", [*_block(), square(16.0, -2.3, -2.3 + width)])],
            )
            for width in (0.05, 0.2)
        ),
        *(
            _drawn(
                "slice without contour",
                f"{len(gone)} slices",
                ("contour_gap",),
                [("Tumour", [c for n, c in zip(TUMOUR_SLICES, _block(), strict=True) if n not in gone])],
            )
            for gone in ((5,), (4, 5, 6))
        ),
        *(
            _drawn("lesions that overlap", name, (code,), [("Tumour", _block()), (roi, _block(low, high))])
            for name, code, roi, low, high in (
                ("the tumour again, wider", "same_lesion", "GTV PET", -6.5, 3.5),
                ("the tumour again, narrower", "same_lesion", "GTV old", -4.5, 0.5),
                ("a node in part", "lesions_overlap", "Node", -0.5, 5.5),
            )
        ),
        *(
            _edited("coordinate no number", value, ("not_finite", "undecodable"), _coordinate(value))
            for value in ("nan", "inf", "1e400")
        ),
        _edited("contour to be shifted", "5 mm", ("contour_offset",), _shifted),
        _edited("contour points", "more announced", ("contour_points",), _announced(5)),
        _edited("contour points", "fewer announced", ("contour_points",), _announced(3)),
        _edited("contour points", "two coordinates a point", ("contour_points", "undecodable"), _short),
        _edited("ROI number twice", "structures", ("duplicate_roi_number",), _repeat(STRUCTURES)),
        _edited("ROI number twice", "contours", ("duplicate_roi_number",), _repeat(DRAWN)),
        _edited("ROI number unknown", "contours", ("unnamed_roi",), _renumbered),
        *(
            Specimen(
                "outlines",
                "structure set cut off",
                f"to {share:.0%}",
                ("undecodable", "no_contours", "no_reference_roi"),
                _cut(share),
            )
            for share in (0.2, 0.5, 0.8, 0.95)
        ),
        Specimen("outlines", "other series", "another UID", ("other_series",), lambda f: _referring(f, "9.9.9")),
        Specimen("outlines", "other series", "no series", ("no_reference",), lambda f: _referring(f, "")),
        *(
            _edited("other frame of reference", name, ("other_frame",), edit)
            for name, edit in (("of the ROI", _roi_elsewhere), ("of the structure set", _set_elsewhere))
        ),
        _edited(
            "images named by contours", "of another series", ("other_images",), _name_images(lambda place: "9.9.9")
        ),
        _edited("images named by contours", "the next slice", ("other_images",), _name_images(_next_slice)),
        _segmented("other frame of reference", "of the SEG", ("other_frame",), _frames(6.0, 8.0), frame="8.8.8"),
        *(
            _segmented("SEG on other voxels", name, ("geometry_differs",), frames, **how)
            for name, (frames, how) in _OFF_GRID.items()
        ),
        _segmented("SEG fractional", "half a voxel", ("fractional_seg",), _frames(6.0), kind="FRACTIONAL"),
        _segmented("SEG frame twice", "one slice", ("duplicate_frame",), [*_frames(6.0), *_frames(6.0)]),
        *(
            _edited_seg("SEG numbers", name, codes, edit)
            for name, codes, edit in (
                ("one of two segments", ("duplicate_segment_number",), _number_twice),
                ("a frame of no segment", ("unnamed_segment",), _frame_of_no_segment),
                ("a label map whose frames name segments", ("unnamed_segment",), _as_label_map),
            )
        ),
        _edited_seg("SEG fractional", "called binary", ("fractional_seg",), _called_binary, kind="FRACTIONAL"),
        _segmented("SEG slice left out", "two slices", ("contour_gap",), _frames(6.0, 8.0, 14.0)),
        Specimen("outlines", "SEG label", "unknown", ("no_reference_roi",), lambda f: _relabelled(f, ["Liver"])),
        Specimen(
            "outlines",
            "SEG label",
            "twice",
            ("duplicate_roi", "duplicate_segment"),
            lambda f: _relabelled(f, ["Tumour", "Tumour"]),
        ),
        *(
            Specimen("outlines", "SEG cut off", f"to {share:.0%}", ("undecodable", "no_reference_roi"), _cut_seg(share))
            for share in (0.3, 0.7, 0.97)
        ),
    )


def _block(low_mm: float = -4.5, high_mm: float = 1.5) -> list[Dataset]:
    return [square(2.0 * number, low_mm, high_mm) for number in TUMOUR_SLICES]


def _drawn(kind: str, name: str, codes: tuple[str, ...], rois: Sequence[Roi]) -> Specimen:
    def make(folder: Path) -> None:
        write_series(folder / "ct")
        write_rtstruct(folder / "rs.dcm", rois)

    return Specimen("outlines", kind, name, codes, make)


def _edited(kind: str, name: str, codes: tuple[str, ...], edit: Callable[[Dataset], None]) -> Specimen:
    def make(folder: Path) -> None:
        write_outlined(folder)
        dataset = pydicom.dcmread(folder / "rs.dcm")
        edit(dataset)
        write(dataset, folder / "rs.dcm")

    return Specimen("outlines", kind, name, codes, make)


def _turned(contour: Dataset, way: int, first: int) -> Dataset:
    """The same contour, run along another way or from another point."""
    points = np.array([float(value) for value in contour.ContourData]).reshape(-1, 3)
    contour.ContourData = np.roll(points[::way], -first, axis=0).ravel().tolist()
    return contour


def _bow_tie(z_mm: float) -> Dataset:
    contour = square(z_mm)
    contour.ContourData = [v for x, y in ((-4.5, -4.5), (1.5, 1.5), (1.5, -4.5), (-4.5, 1.5)) for v in (x, y, z_mm)]
    return contour


def _heap(z_mm: float, count: int, low_mm: float = -7.0, high_mm: float = 7.0) -> list[Dataset]:
    """Contours of four corners each, drawn at random upon each other."""
    corners = np.random.default_rng(3).uniform(low_mm, high_mm, (count, 4, 2))
    heap = [square(z_mm) for _ in corners]
    for contour, points in zip(heap, corners, strict=True):
        contour.ContourData = [v for x, y in points.round(2).tolist() for v in (x, y, z_mm)]
    return heap


def _wide_heap(folder: Path) -> None:
    """Contours that each cover much of a slice of common size."""
    write_series(folder / "ct", _enlarge)
    write_rtstruct(folder / "rs.dcm", [("Tumour", [*_block(), *_heap(8.0, 300, 0.0, 500.0)])])


def _enlarge(number: int, slice_: Dataset) -> None:
    slice_.Rows = slice_.Columns = 512
    slice_.PixelData = np.full((512, 512), 1000 + number, dtype=np.uint16).tobytes()


def _first_contour(dataset: Dataset) -> Dataset:
    return dataset.ROIContourSequence[0].ContourSequence[0]


def _coordinate(value: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        contour = _first_contour(dataset)
        text = "\\".join([value, *(str(v) for v in contour.ContourData[1:])])
        contour.add(pydicom.DataElement(0x30060050, "LO", text))
        contour[CONTOUR_DATA].VR = "UT"

    return edit


def _announced(count: int) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        _first_contour(dataset).NumberOfContourPoints = count

    return edit


def _short(dataset: Dataset) -> None:
    contour = _first_contour(dataset)
    contour.ContourData = list(contour.ContourData[:-1])


def _repeat(sequence: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        dataset[sequence].value.append(dataset[sequence].value[0])

    return edit


def _renumbered(dataset: Dataset) -> None:
    dataset.ROIContourSequence[0].ReferencedROINumber = 77


def _roi_elsewhere(dataset: Dataset) -> None:
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "8.8.8"


def _set_elsewhere(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = "8.8.8"


def _name_images(uid_of: Callable[[int], str]) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        for place, contour in zip(TUMOUR_SLICES, dataset.ROIContourSequence[0].ContourSequence, strict=True):
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = uid_of(place)

    return edit


def _next_slice(place: int) -> str:
    return str(ct_slice(place + 1, "1.2.3.4", "P1").SOPInstanceUID)


def _cut(share: float) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write_outlined(folder)
        raw = (folder / "rs.dcm").read_bytes()
        (folder / "rs.dcm").write_bytes(raw[: int(len(raw) * share)])

    return make


def _referring(folder: Path, series_uid: str) -> None:
    write_series(folder / "ct")
    write_rtstruct(folder / "rs.dcm", [("Tumour", _block())], series_uid=series_uid or "9.9.9")
    if not series_uid:
        (folder / "rs.dcm").unlink()


def _frames(*heights: float) -> list[tuple[float, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]]:
    block = np.zeros((SIDE, SIDE), np.uint8)
    block[4:10, 4:10] = 1
    return [(z, block) for z in heights]


def _segmented(
    group: str, name: str, codes: tuple[str, ...], frames: Sequence[tuple[float, object]], **how: object
) -> Specimen:
    def make(folder: Path) -> None:
        write_series(folder / "ct")
        write_seg(folder / "seg.dcm", frames, **how)  # type: ignore[arg-type]

    return Specimen("outlines", group, name, codes, make)


def _edited_seg(
    group: str, name: str, codes: tuple[str, ...], edit: Callable[[Dataset], None], **how: object
) -> Specimen:
    def make(folder: Path) -> None:
        write_series(folder / "ct")
        dataset = pydicom.dcmread(write_seg(folder / "seg.dcm", _frames(6.0, 8.0), **how))  # type: ignore[arg-type]
        edit(dataset)
        write(dataset, folder / "seg.dcm")

    return Specimen("outlines", group, name, codes, make)


def _number_twice(dataset: Dataset) -> None:
    node = Dataset()
    node.SegmentNumber, node.SegmentLabel = 1, "Node"
    dataset.SegmentSequence.append(node)


def _frame_of_no_segment(dataset: Dataset) -> None:
    dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2


def _as_label_map(dataset: Dataset) -> None:
    dataset.SegmentationType = "LABELMAP"


def _called_binary(dataset: Dataset) -> None:
    dataset.SegmentationType = "BINARY"


def _shifted(dataset: Dataset) -> None:
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourOffsetVector = [5.0, 0.0, 0.0]


def _relabelled(folder: Path, labels: Sequence[str]) -> None:
    write_series(folder / "ct")
    write_seg(folder / "seg.dcm", _frames(6.0, 8.0))
    dataset = pydicom.dcmread(folder / "seg.dcm")
    segments = []
    for number, label in enumerate(labels, start=1):
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, label
        segments.append(segment)
    dataset.SegmentSequence = segments
    write(dataset, folder / "seg.dcm")


def _cut_seg(share: float) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write_series(folder / "ct")
        raw = write_seg(folder / "seg.dcm", _frames(6.0, 8.0)).read_bytes()
        (folder / "seg.dcm").write_bytes(raw[: int(len(raw) * share)])

    return make


_OFF_GRID: dict[str, tuple[list[tuple[float, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]], dict[str, object]]] = {
    "between slices": (_frames(7.0), {}),
    "beyond the slices": (_frames(80.0), {}),
    "pixel spacing": (_frames(6.0), {"spacing": 1.1}),
}
