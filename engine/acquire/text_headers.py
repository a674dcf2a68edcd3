"""NRRD and MetaImage before a reader sees them: the header is written anew from the fields that the gate knows.

Both formats may name other files as their voxels; a reader follows such a name anywhere. And both go without geometry,
for which readers put 1 mm and the patient's axes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from store.records import RefusedError

LONGEST_HEADER_BYTES = 1 << 20
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NUMBERS = rf"{NUMBER}(?:\s+{NUMBER})*"
VECTOR = rf"\(\s*{NUMBER}(?:\s*,\s*{NUMBER})*\s*\)"
WHOLE = r"\d{1,9}(?:\s+\d{1,9})*"
TRUTH = r"(?i:true|false)"

NRRD_MAGIC = re.compile(rb"NRRD000[1-5]\r?\n")
# the three spaces that ITK turns into the patient's left, back and head; of any other the directions mean nothing here
NRRD_SPACE = r"(?i:left-posterior-superior|lps|right-anterior-superior|ras|left-anterior-superior|las)"
NRRD_FIELDS = {
    "type": r"[a-z0-9_]+(?: [a-z]+)*",
    "dimension": r"\d",
    "sizes": WHOLE,
    "encoding": r"(?i:raw|gzip|gz|bzip2|bz2|txt|text|ascii|hex)",
    "endian": r"(?i:little|big)",
    "kinds": r"[\w?-]+(?:\s+[\w?-]+)*",
    "space": NRRD_SPACE,
    "space directions": rf"(?:{VECTOR}|none)(?:\s+(?:{VECTOR}|none))*",
    "space origin": VECTOR,
}
NRRD_GEOMETRY = ("space", "space directions", "space origin")
NRRD_ELSEWHERE = ("data file", "datafile")
NRRD_SKIPS = ("line skip", "lineskip", "byte skip", "byteskip")

META_FIELDS = {
    "NDims": r"\d",
    "DimSize": WHOLE,
    "ElementType": r"MET_[A-Z]+(?:_[A-Z]+)*",
    "ElementNumberOfChannels": r"\d{1,3}",
    "ElementSpacing": NUMBERS,
    "TransformMatrix": NUMBERS,
    "Offset": NUMBERS,
    "BinaryData": TRUTH,
    "BinaryDataByteOrderMSB": TRUTH,
    "CompressedData": TRUTH,
    "CompressedDataSize": r"\d{1,18}",
}
META_OTHER_NAMES = {
    "Rotation": "TransformMatrix",
    "Orientation": "TransformMatrix",
    "Position": "Offset",
    "Origin": "Offset",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}
META_GEOMETRY = ("ElementSpacing", "TransformMatrix", "Offset")
META_HERE = ("LOCAL", "Local", "local")
MILLIMETRES = frozenset(("mm", "?", "millimeter", "millimetre"))


def restated(path: Path, role: str, folder: Path) -> Path:
    """A copy of an NRRD or MetaImage file in a folder, of whose header only known fields with known values are left.

    RefusedError for voxels in another file, absent geometry, lengths in another unit than millimetres, and a header
    that is none.
    """
    is_nrrd = path.name.lower().endswith((".nrrd", ".nhdr"))
    made = folder / ("image.nrrd" if is_nrrd else "image.mha")
    try:
        with path.open("rb") as stream, made.open("wb") as out:
            header = _nrrd_header(stream, role) if is_nrrd else _meta_header(stream, role)
            out.write(header.encode("ascii"))
            shutil.copyfileobj(stream, out, 1 << 22)
    except OSError as error:
        raise _undecodable(role) from error
    return made


def voxels_elsewhere(role: str) -> RefusedError:
    """The refusal of an image whose voxels its header looks for in another file."""
    text = "the voxels are in another file, which could be any and is not watched for changes."
    return RefusedError("detached_data", role, text, "Write header and voxels as one file: .nii.gz, .nrrd or .mha.")


def _nrrd_header(stream: BinaryIO, role: str) -> str:
    fields: dict[str, str] = {}
    if not NRRD_MAGIC.fullmatch(stream.readline(16)):
        raise _undecodable(role)
    while line := _line(stream, role):
        if line.startswith("#") or ":=" in line:
            continue
        name, colon, value = line.partition(":")
        if name.strip().lower() in NRRD_ELSEWHERE:
            raise voxels_elsewhere(role)
        if not colon or fields.setdefault(name.strip().lower(), value.strip()) != value.strip():
            raise _undecodable(role)
    if any(fields.get(name, "0") != "0" for name in NRRD_SKIPS):
        raise _undecodable(role)
    if not MILLIMETRES.issuperset(word.lower() for word in re.findall(r'"([^"]*)"', fields.get("space units", ""))):
        raise _other_unit(role)
    known = _known(fields, NRRD_FIELDS, NRRD_GEOMETRY, role)
    return "\n".join(["NRRD0005", *(f"{name}: {value}" for name, value in known.items()), "", ""])


def _meta_header(stream: BinaryIO, role: str) -> str:
    fields: dict[str, str] = {}
    while "ElementDataFile" not in fields:
        name, equals, value = _line(stream, role).partition("=")
        name = META_OTHER_NAMES.get(name.strip(), name.strip())
        if not equals or fields.setdefault(name, value.strip()) != value.strip():
            raise _undecodable(role)
    if fields["ElementDataFile"] not in META_HERE:
        raise voxels_elsewhere(role)
    if fields.get("HeaderSize", "0") != "0":
        raise _undecodable(role)
    if fields.get("DistanceUnits", "mm").lower() not in MILLIMETRES:
        raise _other_unit(role)
    known = _known(fields, META_FIELDS, META_GEOMETRY, role)
    lines = ("ObjectType = Image", *(f"{name} = {value}" for name, value in known.items()))
    return "\n".join([*lines, "ElementDataFile = LOCAL", ""])


def _line(stream: BinaryIO, role: str) -> str:
    """The next line without its end; empty where the header of an NRRD ends. RefusedError where the file ends."""
    raw = stream.readline(LONGEST_HEADER_BYTES)
    if not raw.endswith(b"\n") or stream.tell() > LONGEST_HEADER_BYTES:
        raise _undecodable(role)
    return raw.decode("latin-1").rstrip("\r\n")


def _known(fields: Mapping[str, str], forms: Mapping[str, str], geometry: tuple[str, ...], role: str) -> dict[str, str]:
    """The fields of known form, in the order of the forms."""
    if any(name not in fields for name in geometry):
        text = (
            f"its header lacks {', '.join(name for name in geometry if name not in fields)}: the geometry is unknown."
        )
        raise _no_geometry(role, text)
    if "space" in forms and not re.fullmatch(forms["space"], fields["space"]):
        raise _no_geometry(role, "its space is not one of the patient's axes.")
    found = {name: " ".join(fields[name].split()) for name in forms if name in fields}
    if any(not re.fullmatch(forms[name], value) for name, value in found.items()):
        raise _undecodable(role)
    return found


def _undecodable(role: str) -> RefusedError:
    return RefusedError("undecodable", role, "the header of the image file cannot be read.", "Export it again.")


def _no_geometry(role: str, text: str) -> RefusedError:
    return RefusedError("no_orientation", role, text, "Convert again from DICOM with a tool that keeps the geometry.")


def _other_unit(role: str) -> RefusedError:
    text = "its lengths are not in millimetres."
    return RefusedError("not_millimetres", role, text, "Write the file again in millimetres.")
