"""Cases in DICOM: files grouped by patient, the index series chosen, outlines matched to it by series UID."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.acquire.content_index import ContentIndex
from engine.acquire.ct_series import is_no_slice, sort_along_normal
from engine.acquire.dicom import (
    CT_IMAGE,
    DICOM_SUFFIXES,
    MULTI_FRAME_CT,
    PREAMBLE_BYTES,
    DicomHeader,
    is_dicom,
    read_header,
    roi_names,
    segment_labels,
)
from engine.acquire.dicom_frames import read_headers
from engine.acquire.nifti import IMAGE_SUFFIXES
from engine.acquire.patient_files import PatientFiles, split_label
from engine.acquire.persons import TWO_PEOPLE, differing_traits
from engine.acquire.prior import PRIOR_SLICE_ROLE
from engine.acquire.series_choice import (
    SeriesCandidate,
    SeriesChoice,
    choose_index_series,
    days_between,
    earlier_series,
)
from engine.protocol import Protocol
from store.records import RefusedError
from store.sources import PriorSource, SourceFile

PLAIN_SUFFIX_TEXT = """
.txt .csv .json .xml .md .html .htm .pdf .png .jpg .jpeg .gif .bmp .ico .toml .xz .gz .zip .rtf .doc .docx .xls .xlsx
.ppt .pptx .exe .dll .bat .inf .ini .css .js .jar .lnk .url .log .md5 .sha1 .sha256
"""
PLAIN_SUFFIXES = frozenset(PLAIN_SUFFIX_TEXT.split())
PLAIN_NAMES = ("dicomdir", "license", "readme", "version", "lockfile", "md5sum", "md5sums", "sha256sums", "checksums")
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")  # 0002 or 0008, in either order of bytes
DROPPINGS = (".ds_store", "thumbs.db", "desktop.ini")  # left by file browsers, previews of images among them


@dataclass(slots=True)
class _Tree:
    headers: list[DicomHeader] = field(default_factory=list)
    damaged_folders: set[Path] = field(default_factory=set)
    damaged_patients: set[str] = field(default_factory=set)
    nameless_folders: set[Path] = field(default_factory=set)  # of damaged DICOM files that name no patient
    shared_series: set[str] = field(default_factory=set)  # UIDs of CT series found under several patient ids


def dicom_patients(files: Sequence[Path], protocol: Protocol, index: ContentIndex) -> list[PatientFiles]:
    """Every patient with DICOM files below the image folder, in order of patient id.

    A file among a series' slices that is no DICOM, or whose header cannot be read, refuses the patients of its folder,
    and the patient that it still names: leaving it out would silently drop a slice or an outline.
    """
    tree = _read_headers(files)
    patients: dict[str, list[DicomHeader]] = {}
    for header in tree.headers:
        patients.setdefault(header.patient_id or unnamed_patient(header.study_uid), []).append(header)
    tree.shared_series = _shared_series(patients)
    orphans = _place_nameless(tree, patients)
    return orphans + [_patient(patient, patients[patient], tree, protocol, index) for patient in sorted(patients)]


def unnamed_patient(study_uid: str) -> str:
    """What stands for the patient id of DICOM files without one: they are refused by study."""
    return f"unnamed {study_uid}"


def _shared_series(patients: dict[str, list[DicomHeader]]) -> set[str]:
    """CT series of which several patients have slices: a slice of another patient, or one patient under two ids."""
    owners: dict[str, set[str]] = {}
    for patient, own in patients.items():
        for header in filter(_is_ct, own):
            owners.setdefault(header.series_uid, set()).add(patient)
    return {uid for uid, names in owners.items() if len(names) > 1}


def _place_nameless(tree: _Tree, patients: dict[str, list[DicomHeader]]) -> list[PatientFiles]:
    """Give damaged files to the one patient below their folder; where several could own one, the study is told."""
    orphans = []
    for folder in sorted(tree.nameless_folders):
        owners = [p for p, own in patients.items() if any(Path(h.path).is_relative_to(folder) for h in own)]
        if len(owners) == 1:
            tree.damaged_patients.add(owners[0])
        else:
            text = "a DICOM file is packed (gzip), or cut off before it names its patient."
            problem = RefusedError("undecodable", "DICOM file", text, "Unpack or copy it again, or take it out.")
            orphans.append(PatientFiles("", "dicom", (), problem=problem))
    return orphans


def _read_headers(files: Sequence[Path]) -> _Tree:
    tree, suspicious = _Tree(), []
    for path in files:
        if not os.path.isfile(path) or not is_dicom(path):
            if _is_packed_dicom(path):
                suspicious.append(path)
                tree.nameless_folders.add(path.parent)
            elif not _says_no_dicom(path):
                suspicious.append(path)
            continue
        found = _headers_of(path)
        if any(header.is_directory for header in found):
            continue
        if not found:
            suspicious.append(path)
            tree.nameless_folders.add(path.parent)
        elif not all(header.series_uid and header.sop_class for header in found):
            suspicious.append(path)
            if found[0].patient_id:
                tree.damaged_patients.add(found[0].patient_id)
            else:
                tree.nameless_folders.add(path.parent)
        else:
            tree.headers += found
    tree.damaged_folders = {path.parent for path in suspicious}
    return tree


def _says_no_dicom(path: Path) -> bool:
    """Whether a name is that of another kind of file, and the content no DICOM without its preamble.

    Asked only of files that are not DICOM as it should be.
    """
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.endswith(IMAGE_SUFFIXES):
        return True
    plain = path.stem.lower() in PLAIN_NAMES and suffix not in DICOM_SUFFIXES
    return (plain or suffix in PLAIN_SUFFIXES or name in DROPPINGS) and not _begins_as_data_set(path)


def _begins_as_data_set(path: Path) -> bool:
    """Whether a file begins with an element of group 0002 or 0008, as DICOM without its preamble does."""
    if not os.path.isfile(path):
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(2) in FIRST_GROUPS
    except OSError:
        return False


def _is_packed_dicom(path: Path) -> bool:
    """Whether a file is DICOM packed by gzip: whose slice it is would be known only once it is unpacked."""
    if path.suffix.lower() != ".gz" or not os.path.isfile(path):
        return False
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read(PREAMBLE_BYTES)[128:] == b"DICM"
    except (OSError, EOFError, zlib.error):
        return False


def _headers_of(path: Path) -> tuple[DicomHeader, ...]:
    try:
        return _frames_or_file(path, read_header(path))
    except RefusedError:
        return ()


def _frames_or_file(path: Path, header: DicomHeader) -> tuple[DicomHeader, ...]:
    """The frames of an enhanced CT; the file as one slice where they cannot be told, which the gate then refuses."""
    try:
        return read_headers(path)
    except RefusedError:
        return (header,)


def _patient(
    patient: str, headers: list[DicomHeader], tree: _Tree, protocol: Protocol, index: ContentIndex
) -> PatientFiles:
    try:
        if not headers[0].patient_id:
            raise RefusedError("no_patient_id", "DICOM files", "PatientID is missing.", "Give each patient an id.")
        beside = any(Path(header.path).parent in tree.damaged_folders for header in headers)
        if beside or patient in tree.damaged_patients:
            text = "a file among the DICOM files cannot be read as DICOM, or is packed (gzip)."
            remedy = "Copy the series again, unpack the file, or take it out."
            raise RefusedError("undecodable", "DICOM folder", text, remedy)
        if any(_is_ct(header) and header.series_uid in tree.shared_series for header in headers):
            text = "slices of one SeriesInstanceUID are found under several patient ids."
            raise RefusedError("shared_series", "CT series", text, "Find out whose they are, and correct PatientID.")
        traits = differing_traits(headers, {header.series_uid for header in headers if _is_ct(header)})
        candidates = _candidates(headers, protocol)
        choice = choose_index_series(candidates, protocol.acquire.min_slices)
        outlines = _outlines_of(choice, headers, protocol)
        slices = dict.fromkeys(header.path for header in sort_along_normal(choice.series.headers))
        files = [index.source(f"CT slice {place}", Path(path)) for place, path in enumerate(slices)]
        files += _outline_files(outlines, index)
        prior = _prior_of(candidates, choice.series, protocol, index)
    except RefusedError as error:
        return PatientFiles(patient, "dicom", (), problem=error)
    reason = choice.reason + _left_out(choice, headers)
    columns = ((TWO_PEOPLE, traits),) if traits else ()
    return PatientFiles(patient, "dicom", tuple(files), reason, choice.alternatives, columns, prior=prior)


def _prior_of(
    candidates: Sequence[SeriesCandidate], chosen: SeriesCandidate, protocol: Protocol, index: ContentIndex
) -> PriorSource | None:
    found = []
    for series in earlier_series(candidates, chosen, protocol.acquire.min_slices):
        paths = dict.fromkeys(header.path for header in series.headers)
        files = sorted((index.source(PRIOR_SLICE_ROLE, Path(path)) for path in paths), key=lambda file: file.sha256)
        found.append(PriorSource("dicom", tuple(files), days_between(series, chosen)))
    return replace(found[0], others=tuple(found[1:])) if found else None


def _candidates(headers: list[DicomHeader], protocol: Protocol) -> list[SeriesCandidate]:
    series: dict[str, list[DicomHeader]] = {}
    with_ct = {header.series_uid for header in headers if _is_ct(header)}
    for header in headers:
        if header.series_uid in with_ct and not header.outline_kind and "LOCALIZER" not in header.image_type:
            series.setdefault(header.series_uid, []).append(header)
    if not series:
        text = "there is no CT series of this patient."
        raise RefusedError("no_ct", "DICOM files", text, "Add the CT on which the tumour was outlined.")
    slices = _slices_only(series, protocol.acquire.min_slices)
    outlines = [header for header in headers if header.outline_kind]
    drawn = {uid for header in outlines for uid in header.referenced_series}
    wanted = [header for header in outlines if len(slices) > 1 and _names_reference(header, protocol)]
    with_reference = {uid for header in wanted for uid in header.referenced_series}
    return [SeriesCandidate(uid, tuple(own), uid in drawn, uid in with_reference) for uid, own in slices.items()]


def _slices_only(series: dict[str, list[DicomHeader]], fewest_slices: int) -> dict[str, list[DicomHeader]]:
    """The series without screens, projections and maps; all as they are, to be refused, where none is left."""
    slices = {uid: [header for header in own if not is_no_slice(header)] for uid, own in series.items()}
    left = {uid: own for uid, own in slices.items() if own == series[uid] or len(own) >= fewest_slices}
    return left or series


def _left_out(choice: SeriesChoice, headers: list[DicomHeader]) -> str:
    """What the series choice says of what is no slice and was left out, scouts aside; empty where nothing was."""
    count = sum(_is_ct(h) and is_no_slice(h) and "LOCALIZER" not in h.image_type for h in headers)
    if not count or any(map(is_no_slice, choice.series.headers)):
        return ""
    return f"; left out: {count} images that ImageType calls screen, projection, rendering or map"


def _is_ct(header: DicomHeader) -> bool:
    return header.modality == "CT" or (not header.modality and header.sop_class in (CT_IMAGE, *MULTI_FRAME_CT))


def _outlines_of(choice: SeriesChoice, headers: list[DicomHeader], protocol: Protocol) -> list[DicomHeader]:
    outlines = [h for h in headers if h.outline_kind]
    frame = choice.series.headers[0].frame_of_reference
    own = [h for h in outlines if choice.series.series_uid in h.referenced_series]
    own += [h for h in outlines if not h.referenced_series and h.frame_of_reference in (frame, "")]
    if any(h not in own and not _names_of(h) for h in outlines):
        text = "a file of outlines names no structure (cut off?)."
        raise RefusedError("undecodable", "outlines", text, "Copy it again, or take it out.")
    foreign = [h for h in outlines if h not in own and _names_reference(h, protocol)]
    if foreign and not any(_names_reference(h, protocol) for h in own):
        text = f"the reference was outlined on another series than the one chosen ({choice.reason})."
        remedy = "Add the series it was outlined on, with all its slices."
        raise RefusedError("other_series", foreign[0].outline_kind, text, remedy)
    return own


def _names_of(header: DicomHeader) -> tuple[str, ...]:
    return roi_names(header.path) if header.outline_kind == "RTSTRUCT" else segment_labels(header.path)


def _names_reference(header: DicomHeader, protocol: Protocol) -> bool:
    names = _names_of(header)
    wanted = {split_label(name)[0].strip().lower() for name in protocol.images.reference}
    return any(name.strip().lower() in wanted for name in names)


def _outline_files(outlines: list[DicomHeader], index: ContentIndex) -> list[SourceFile]:
    files = sorted((index.source(h.outline_kind, Path(h.path)) for h in outlines), key=lambda f: (f.role, f.sha256))
    unique = list({(f.role, f.sha256): f for f in files}.values())
    return [SourceFile(f"{f.role} {place}", f.path, f.sha256) for place, f in enumerate(unique, 1)]
