"""Malformed lists of images, and names of files that do not tell which mask is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.bench.malformed.image_files import mask_array, write_image
from engine.bench.malformed.specimen import Specimen

IMAGE, MASK = "P1/image.nii.gz", "P1/Tumour.nii.gz"
UPLOAD = "upload-0123456789abcdef"
SUPERSCRIPT_TWO = "\N{SUPERSCRIPT TWO}"


def listed_specimens() -> tuple[Specimen, ...]:
    """Cells of an images.csv that leave its folder or name no file, and names that fit two masks."""
    outside = ("outside_folder",)
    missing = ("missing_file",)
    return (
        Specimen("image", "list leaves its folder", "absolute", outside, _absolute),
        *(
            Specimen("image", "list leaves its folder", f"upload, {column}: {cell}", outside, _uploaded(column, cell))
            for column in ("image", "reference", "lungs", "prior")
            for cell in ("../P1/image.nii.gz", "/etc/passwd")
        ),
        Specimen("image", "list leaves its folder", "upload, backslashes", outside, _uploaded("image", r"..\a.nii.gz")),
        Specimen("image", "list leaves its folder", "upload, by a link", outside, _linked),
        *(
            Specimen("image", "list names no file", name, missing, _listed(cell))
            for name, cell in {
                "a label that is no number": f"{MASK}:{SUPERSCRIPT_TWO}",
                "a label of 5000 digits": f"{MASK}:{'9' * 5000}",
                "a name too long": "x" * 300 + ".nii.gz",
                "a folder": "P1",
            }.items()
        ),
        *(
            Specimen("mask", "two masks of one name", name, ("duplicate_mask",), _two_masks(image, *masks))
            for name, (image, *masks) in _TWO_MASKS.items()
        ),
    )


def _listed(cell: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        write_image(folder / IMAGE)
        write_image(folder / MASK, mask_array())
        (folder / "images.csv").write_text(f"case_id,image,reference\nA,{IMAGE},{cell}\n", encoding="utf-8")

    return make


def _absolute(folder: Path) -> None:
    write_image(folder / IMAGE)
    (folder / "images.csv").write_text(f"case_id,image\nA,{folder / IMAGE}\n", encoding="utf-8")


def _uploaded(column: str, cell: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        write_image(folder / IMAGE)
        write_image(folder / UPLOAD / "own.nii.gz")
        cells = {"case_id": "A", "image": "own.nii.gz"} | {column: cell}
        table = f"{','.join(cells)}\n{','.join(cells.values())}\n"
        (folder / UPLOAD / "images.csv").write_text(table, encoding="utf-8")

    return make


def _linked(folder: Path) -> None:
    _uploaded("image", "link.nii.gz")(folder)
    (folder / UPLOAD / "link.nii.gz").symlink_to(folder / IMAGE)


def _two_masks(image: str, *masks: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        write_image(folder / image)
        for number, mask in enumerate(masks):
            write_image(folder / mask, mask_array(value=number + 1))

    return make


_TWO_MASKS = {
    "two formats": (IMAGE, MASK, "P1/Tumour.nrrd"),
    "upper and lower case": (IMAGE, MASK, "P1/TUMOUR.nii.gz"),
    "flat, with and without CT": ("P1/B_image.nii.gz", "P1/B_Tumour.nii.gz", "P1/B_CT_Tumour.nii.gz"),
    "flat, upper and lower case": ("P1/B_image.nii.gz", "P1/B_Tumour.nii.gz", "P1/B_tumour.nii.gz"),
}
