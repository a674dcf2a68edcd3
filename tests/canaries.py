"""Names, ids and dates planted wherever a hospital's files have room for them, and all that a file says, unpacked."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from engine.bench.malformed.made_dicom import ct_slice, square, write, write_rtstruct, write_series
from engine.phantom.demo import build_demo, demo_protocol
from engine.protocol import Clinical, Covariates, Perturb, Protocol, SelectionProtocol, Study, write_protocol
from engine.service import TableMapping, keep_images, keep_table, take_archive, take_table
from pages.gate import OPEN
from tests.store.recorded import text_of_member

CANARIES = (
    *("Canariensis", "CANARY-4711", "19470731", "1947-07-31", "31.07.1947", "31.07.47", "ACC-90210", "Castle Hospital"),
    *("Dr. Serinus", "Dr Serinus", "1.2.826.4711"),
)
NAME, BIRTH = "Canariensis^Serinus", "19470731"
COHORT, UPLOADED = 24, 2
EARLIER = "Canariensis 19470731 earlier.nii.gz"
SEED = 20250617
FEW = ("age_years", "stage", "sex")  # more singular than 24 patients can bear
# NIfTI-1: data_type, db_name, descrip, aux_file and intent_name, the places where writers put what they like
HEADER_TEXTS = {4: (10, b"CANARY-47"), 14: (18, b"Canariensis db"), 148: (80, b"Canariensis 1947-07-31")}
HEADER_TEXTS |= {228: (24, b"Canariensis aux"), 328: (16, b"Canariensis int")}
EXTENSION_AT, COMMENT_CODE, EXTENSION_BYTES, OFFSET_AT = 348, 6, 64, 108


def named(number: int, ds: Dataset) -> None:
    """Identifiers wherever DICOM has room for them."""
    ds.PatientName, ds.PatientBirthDate, ds.StudyDate = NAME, BIRTH, BIRTH
    ds.AccessionNumber, ds.InstitutionName = "ACC-90210", "Castle Hospital"
    ds.ReferringPhysicianName = "Dr. Serinus"
    ds.StudyDescription = ds.SeriesDescription = "CHEST WITH CONTRAST Canariensis"
    ds.ContrastBolusAgent = "Canariensis agent"
    ds.StudyID, ds.StationName, ds.OtherPatientIDs = "CANARY-4711", "Canariensis CT", "CANARY-4711"
    ds.PatientComments = ds.ImageComments = ds.ProtocolName = "Canariensis, born 31.07.1947"
    ds.Manufacturer, ds.ManufacturerModelName = "Castle Hospital", "Canariensis model"
    ds.ConvolutionKernel, ds.DeviceSerialNumber = "Canariensis kernel", "CANARY-4711"
    private = ds.private_block(0x0009, "Canariensis creator", create=True)
    private.add_new(0x01, "LO", "Canariensis private")
    inner = Dataset()
    inner.PatientName = NAME
    private.add_new(0x02, "SQ", [inner])


def broken(number: int, ds: Dataset) -> None:
    """The same, and not readable as HU."""
    named(number, ds)
    del ds.RescaleSlope


def plant_cohort(study: Path) -> None:
    """A study of phantoms under a patient's names: 22 listed in images.csv, one DICOM and one NIfTI uploaded."""
    build_demo(study, COHORT, SEED, lambda done, all_: None)
    for left in ("truth", "truth.json"):
        path = study / left
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    names = {f"PH-{n:04d}": f"CANARY-4711-{n:02d}" for n in range(1, COHORT + 1)}
    for old, new in names.items():
        (study / "images" / old).rename(study / "images" / folder_of(new))
    second = study / "images" / folder_of("CANARY-4711-02")
    shutil.copy(second / "image.nii.gz", study / "images" / EARLIER)
    for path in (study / "images").rglob("*.nii.gz"):
        plant_header(path)
    uploaded = list(names.values())[-UPLOADED:]
    _rewrite(study / "images" / "images.csv", names, "case_id", leave_out=set(uploaded))
    _rewrite(study / "clinical.csv", names, "patient_id")
    _rewrite(study / "verdicts.csv", names, "patient_id")
    _plant_odd_dicom(study / "images" / "Canariensis PACS")
    protocol = demo_protocol(SEED)
    write_protocol(study, _quick(protocol))
    _upload(study, uploaded)
    table = (study / "clinical.csv").read_bytes()
    (study / "clinical.csv").unlink()
    token = take_table(study, OPEN, table)
    few = Covariates(columns=tuple(one for one in protocol.covariates.columns if one.column in FEW))
    keep_table(study, OPEN, token, TableMapping("patient_id", protocol.outcome, few))


def folder_of(patient: str) -> str:
    return f"Canariensis Serinus 19470731 {patient[-2:]}"


def _quick(protocol: Protocol) -> Protocol:
    changes: Mapping[str, object] = {
        "study": Study(name="A study", seed=SEED),
        "images": protocol.images,
        "clinical": Clinical(time_zero="surgery"),
        "perturb": Perturb(cases=3, slices_mm=(5.0,), voxels_mm=(2.0,)),
        "selection": SelectionProtocol(resamples=10, trees=10, mrmr_features=10, most_kept=3, fewest_events=5),
    }
    fields = protocol.model_dump() | {name: value.model_dump() for name, value in changes.items()}  # type: ignore[attr-defined]
    return Protocol.model_validate(fields | {"covariates": {}, "outcome": {"kind": "none"}})


def plant_header(path: Path) -> None:
    """Texts into every free field of a NIfTI header and into an extension behind it."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    for place, (length, text) in HEADER_TEXTS.items():
        raw[place : place + length] = text.ljust(length, b"\0")[:length]
    offset = int(struct.unpack("<f", raw[OFFSET_AT : OFFSET_AT + 4])[0])
    comment = b"Canariensis Serinus, ACC-90210".ljust(EXTENSION_BYTES - 8, b"\0")
    extension = struct.pack("<2i", EXTENSION_BYTES, COMMENT_CODE) + comment
    raw[OFFSET_AT : OFFSET_AT + 4] = struct.pack("<f", offset + EXTENSION_BYTES)
    head = bytes(raw[:EXTENSION_AT]) + bytes((1, 0, 0, 0)) + extension
    path.write_bytes(gzip.compress(head + bytes(raw[offset:]), 1))


def _rewrite(path: Path, names: Mapping[str, str], key: str, leave_out: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """A table of the demo under the planted names, with columns that nobody asked for."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    text = io.StringIO()
    extra = {
        "name": "Serinus Canariensis",
        "birth_date": "1947-07-31",
        "comments": "seen by Dr. Serinus, Castle Hospital",
    }
    free = {"convolution_kernel": "Canariensis kernel", "manufacturer": "Castle Hospital", "model": "Dr. Serinus"}
    columns = [*rows[0], *(["model"] if "manufacturer" in rows[0] else []), *extra]
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for number, row in enumerate(rows):
        old, new = row[key], names[row[key]]
        if new in leave_out:
            continue
        row = {name: cell.replace(f"{old}/", f"{folder_of(new)}/") for name, cell in row.items()} | {key: new} | extra
        row |= {"prior": EARLIER, "prior_days": "90"} if "prior" in row and number == 0 else {}
        writer.writerow(row | (free if "manufacturer" in row and number < 2 else {}))
    path.write_text(text.getvalue())


def _plant_odd_dicom(folder: Path) -> None:
    """Small series beside the cohort: one refused, one whose only outline is nearly the wanted one by name."""
    contours = [square(2.0 * place) for place in range(3, 8)]
    for number, (edit, roi) in enumerate(((broken, "tumour"), (named, "tumor Canariensis"))):
        patient, uid = f"CANARY-4711-odd{number}", f"1.2.826.4711.{number}"
        write_series(folder / patient / "ct", edit, series_uid=uid, patient=patient)
        write_rtstruct(folder / patient / "Canariensis.dcm", [(roi, contours)], series_uid=uid, patient=patient)
    (folder / "Canariensis 19470731.dcm").write_bytes(bytes(128) + b"DICM" + b"Canariensis" * 9)


def _upload(study: Path, patients: list[str]) -> None:
    """Take the folders of patients out of the cohort and bring them back in through the page's service layer."""
    as_dicom, _ = patients
    with tempfile.TemporaryDirectory() as place:
        content = Path(place) / "content"
        for patient in patients:
            shutil.move(study / "images" / folder_of(patient), content / patient)
        _to_dicom(content / as_dicom, Path(place) / "dicom", as_dicom)
        shutil.rmtree(content / as_dicom)
        shutil.move(Path(place) / "dicom", content / f"{NAME} {BIRTH}")
        packed = shutil.make_archive(str(Path(place) / "Canariensis"), "zip", content)
        with Path(packed).open("rb") as stream:
            keep_images(study, OPEN, take_archive(study, OPEN, stream))


def _to_dicom(folder: Path, to: Path, patient: str) -> None:
    """A phantom as a DICOM series and a structure set of rectangles around its tumour."""
    image, mask = (sitk.ReadImage(str(folder / f"{name}.nii.gz")) for name in ("image", "tumour"))
    hu, outlined = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(mask)
    spacing, origin, uid = image.GetSpacing(), image.GetOrigin(), "1.2.826.4711.9"
    for number, plane in enumerate(hu):
        ds = ct_slice(number, uid, patient)
        ds.Rows, ds.Columns = plane.shape
        ds.PixelSpacing, ds.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        ds.ImagePositionPatient = [origin[0], origin[1], origin[2] + spacing[2] * number]
        ds.PixelData = (np.clip(plane, -1024, 3000) + 1024).astype(np.uint16).tobytes()
        named(number, ds)
        write(ds, to / "Canariensis" / f"{BIRTH}-{number}.dcm")
    heights_mm = [origin[2] + spacing[2] * number for number in range(len(hu))]
    numbers = np.flatnonzero(outlined.any(axis=(1, 2)))
    contours = [_rectangle(outlined[number], image, heights_mm[number]) for number in numbers]
    above = _rectangle(outlined[numbers[-1]], image, heights_mm[numbers[-1] + 2])  # no part of the tumour
    rois = [("tumour", contours), ("tumour Canariensis", contours[:2]), ("tumour 31.07.47", [above])]
    write_rtstruct(to / "Canariensis.dcm", rois, series_uid=uid, patient=patient)


def _rectangle(outlined: NDArray[np.uint8], image: sitk.Image, height_mm: float) -> Dataset:
    """A contour around what is outlined in one slice, at a height of its own."""
    rows, columns = np.flatnonzero(outlined.any(1)), np.flatnonzero(outlined.any(0))
    spacing, origin, contour = image.GetSpacing(), image.GetOrigin(), square(height_mm)
    corners = [(columns[0], rows[0]), (columns[-1], rows[0]), (columns[-1], rows[-1]), (columns[0], rows[-1])]
    points = ((origin[0] + x * spacing[0], origin[1] + y * spacing[1]) for x, y in corners)
    contour.ContourData = [float(v) for x, y in points for v in (x, y, height_mm)]
    return contour


def canaries_in(text: bytes) -> list[str]:
    """The planted texts that bytes hold, as UTF-8 in any case or as UTF-16."""
    low, wide = text.lower(), [(c, c.encode("utf-16-le")) for c in CANARIES]
    return [c for c, other in wide if c.lower().encode() in low or other in text]


def found_below(folder: Path, leave_out: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """The files below a folder that say a planted text, by path; top folders and files left out by name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    held = {str(p.relative_to(folder)): p for p in files if p.relative_to(folder).parts[0] not in leave_out}
    said = {name: canaries_in(name.encode() + everything_said(path)) for name, path in held.items()}
    return {name: found for name, found in said.items() if found}


def everything_said(path: Path) -> bytes:
    """A file's bytes and all that they say once unpacked; databases row by row."""
    raw = path.read_bytes()
    if path.suffix == ".sqlite":
        return raw + b"\n".join(_sqlite_rows(path))
    if path.suffix == ".duckdb":
        return raw + b"\n".join(_duckdb_rows(path))
    return unpacked(path.name, raw)


def unpacked(name: str, raw: bytes) -> bytes:
    """Bytes with what is packed in them, also in archives inside archives (the workbooks of a slide's charts)."""
    if name.endswith((".parquet", ".npz")):
        return text_of_member(name, raw)
    if name.endswith(".gz"):
        return raw + gzip.decompress(raw)
    if raw.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            return raw + b"".join(m.encode() + unpacked(m, packed.read(m)) for m in packed.namelist())
    return raw


def _sqlite_rows(path: Path) -> Iterator[bytes]:
    with sqlite3.connect(path) as ledger:
        yield from (line.encode() for line in ledger.iterdump())


def _duckdb_rows(path: Path) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as place, duckdb.connect(str(shutil.copy(path, place)), read_only=True) as held:
        for schema, table in held.execute("SELECT table_schema, table_name FROM information_schema.tables").fetchall():
            yield from (str(row).encode() for row in held.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())
