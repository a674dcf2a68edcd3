"""One malformed input: what is wrong with it, how it is made, and with which code the gate must answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.bench.malformed.made_dicom import square, write_rtstruct, write_series

Make = Callable[[Path], object]
TUMOUR_SLICES = range(3, 8)


@dataclass(frozen=True, slots=True)
class Specimen:
    """A malformed input, written into an empty folder by `make`; any of `codes` is a right answer of the gate.

    `kind` is the class of error; `part` says which readers of other software it is meant for.
    """

    part: str  # series | outlines | image | mask | table | archive
    kind: str
    name: str
    codes: tuple[str, ...]
    make: Make

    @property
    def title(self) -> str:
        """A name that no other specimen has."""
        return f"{self.part}: {self.kind}: {self.name}"


def write_outlined(folder: Path, **changes: object) -> None:
    """A good series with a structure set that outlines `Tumour` on five slices: what an error is put into."""
    write_series(folder / "ct", **changes)  # type: ignore[arg-type]
    contours = [square(2.0 * number) for number in TUMOUR_SLICES]
    write_rtstruct(folder / "rs.dcm", [("Tumour", contours)])
