"""Mutated files through the readers of the gate: whatever a file holds, the answer is a value or a RefusedError."""

from __future__ import annotations

import gzip
import hashlib
import logging
import struct
import tempfile
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from engine.acquire.archive import ArchiveLimits, unpack
from engine.acquire.csv_table import number_in, patient_rows, read_table
from engine.acquire.ct_series import read_ct_series
from engine.acquire.dicom import DicomHeader, read_segmentation_object
from engine.acquire.dicom_frames import read_headers
from engine.acquire.dicom_pixels import read_frames
from engine.acquire.dicom_seg import rasterise_segment
from engine.acquire.dicom_structures import read_structure_set
from engine.acquire.nifti import read_ct_file, read_mask_file
from engine.acquire.rtstruct import rasterise_roi
from engine.bench.malformed.image_files import GRID, mask_array, write_image
from engine.bench.malformed.made_dicom import SIDE, SLICES, ct_slice, square, write, write_rtstruct, write_seg
from engine.bench.malformed.specimen import TUMOUR_SLICES
from engine.bench.malformed.tables import HEADER, ROWS
from engine.protocol import Acquire
from store.records import RefusedError
from store.volumes import Grid

SEEDS = Path(__file__).parent / "seeds"
SLOWEST_SECONDS = 20.0
# Fuzzed files are below 100 kB and the largest volume that RULES and their own length let through is smaller: what one
# takes beyond this was asked for by a number in it. A reader that keeps what it read has no bound; after a few thousand
# files it stands far above the second.
MOST_MB_A_FILE, MOST_MB_KEPT = 64.0, 128.0
WARM_FILES = 20  # libraries fill their own caches on the first files
FUZZED_SLICE = 3
SERIES_GRID = Grid((SIDE, SIDE, SLICES), (1.0, 1.0, 2.0), (-8.0, -8.0, 0.0))
RULES = Acquire(max_voxels=50_000_000)
LIMITS = ArchiveLimits(entries=100, file_bytes=16 << 20, total_bytes=16 << 20)
MB = 1024.0
HELD, PEAK, FORGET_PEAK = "VmRSS", "VmHWM", "5"
# everything that a reader could raise and must not
CRASHES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True)
class FuzzResult:
    """What a while of fuzzing found: files tried and refused, crashes, the slowest file, memory of the greediest file
    beyond what was held before it, and what the process held more at the end than when it was warm."""

    reader: str
    tried: int
    refused: int
    crashes: int
    slowest_seconds: float
    greediest_mb: float
    kept_mb: float
    seconds: float

    @property
    def sound(self) -> bool:
        """No file broke the reader, and it keeps nothing of what it reads."""
        return not self.crashes and self.kept_mb <= MOST_MB_KEPT


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader under test, the suffix of its files and how a good one is made; packed: every other one inside."""

    suffix: str
    make: Callable[[Path], object]
    read: Read
    packed: bool = False


def _read_csv(path: Path) -> None:
    table = read_table(path, "table")
    if "id" in table.columns:
        patient_rows(table, "id")
    for row in range(len(table.rows)):
        for column in table.columns[1:3]:
            number_in(table.rows[row][table.place(column)], table, row, column)


def _read_dicom(path: Path) -> None:
    """One slice by itself, then in its series."""
    headers = read_headers(path)
    for header in headers:
        read_frames(header.path, "slice", 64 << 20)
    read_ct_series([*headers, *_neighbours(path.parent)], RULES)


@cache
def _neighbours(folder: Path) -> tuple[DicomHeader, ...]:
    """The other slices of the series, whole."""
    others = [number for number in range(SLICES) if number != FUZZED_SLICE]
    files = [_write_slice(number, folder / "series" / f"{number}.dcm") for number in others]
    return tuple(header for file in files for header in read_headers(file))


def _write_slice(number: int, path: Path) -> Path:
    return write(ct_slice(number, "1.2.3.4", "P1"), path)


def _read_rtstruct(path: Path) -> None:
    for roi in read_structure_set(str(path), "RTSTRUCT"):
        rasterise_roi(roi, SERIES_GRID, "RTSTRUCT")


def _read_seg(path: Path) -> None:
    found = read_segmentation_object(str(path), "SEG")
    for _, label in found.labels:
        rasterise_segment(found, label, SERIES_GRID, "SEG")


def _read_nifti(path: Path) -> None:
    read_ct_file(path, "image", RULES)
    read_mask_file(path, "mask", GRID, 1, RULES)


def _read_archive(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, Path(folder) / "out", limits=LIMITS)


def _make_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(4):
            packed.writestr(f"ct/{number}.dcm", bytes(range(256)) * 4)


def _make_rtstruct(path: Path) -> None:
    write_rtstruct(path, [("Tumour", [square(2.0 * number) for number in TUMOUR_SLICES])])


def _make_seg(path: Path) -> None:
    block = np.zeros((SIDE, SIDE), np.uint8)
    block[4:10, 4:10] = 1
    write_seg(path, [(6.0, block), (8.0, block)])


READERS: dict[str, Reader] = {
    "csv": Reader(".csv", lambda path: path.write_text(HEADER + ROWS), _read_csv),
    "dicom": Reader(".dcm", lambda path: _write_slice(FUZZED_SLICE, path), _read_dicom),
    "rtstruct": Reader(".dcm", _make_rtstruct, _read_rtstruct),
    "seg": Reader(".dcm", _make_seg, _read_seg),
    "nifti": Reader(".nii", lambda path: write_image(path, mask_array()), _read_nifti),
    "nifti.gz": Reader(".nii.gz", lambda path: write_image(path, mask_array()), _read_nifti, packed=True),
    "archive": Reader(".zip", _make_archive, _read_archive),
}


def mutated(raw: bytes, generator: np.random.Generator) -> bytes:
    """A file with a few bytes changed, a piece cut out, doubled or moved, or its end cut off."""
    content = bytearray(raw)
    for _ in range(int(generator.integers(1, 6))):
        place, length = int(generator.integers(0, len(content) + 1)), int(generator.integers(1, 64))
        kind = int(generator.integers(0, 6))
        if kind == 0:
            del content[place:]
        elif kind == 1:
            del content[place : place + length]
        elif kind == 2:
            content[place:place] = content[place : place + length]
        elif kind == 3:
            content[place : place + 4] = generator.choice([0, 1, 127, 128, 254, 255], 4).astype(np.uint8).tobytes()
        else:
            content[place : place + length] = generator.integers(0, 256, min(length, 8), dtype=np.uint8).tobytes()
    return bytes(content)


def fuzz(name: str, seconds: float, seed: int, keep: Path = SEEDS, most: int = 10**9) -> FuzzResult:
    """Feed mutated files to one reader for a while; a file that breaks it is kept below `keep` as a seed for ever.

    A crash is any exception but RefusedError, a file that takes longer than twenty seconds, or one that takes more than
    MOST_MB_A_FILE of memory.
    """
    reader, generator = READERS[name], np.random.default_rng([seed, *name.encode()])
    tried = refused = crashes = 0
    slowest = greediest = warm = 0.0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"good{reader.suffix}"
        reader.make(path)
        good = path.read_bytes()
        attempt(reader, good, Path(folder))  # what the reader imports and compiles is no growth
        while time.monotonic() - began < seconds and tried < most:
            inside = reader.packed and tried % 2 == 1  # a changed stream seldom passes its own checksum
            raw = gzip.compress(mutated(gzip.decompress(good), generator), 1) if inside else mutated(good, generator)
            held = _forget_peak_mb()
            answer, took = attempt(reader, raw, Path(folder))
            taken = _memory_mb(PEAK) - held
            tried, slowest, greediest = tried + 1, max(slowest, took), max(greediest, taken)
            warm = _memory_mb(HELD) if tried <= WARM_FILES else warm
            refused += answer == "refused"
            if answer == "crash" or took > SLOWEST_SECONDS or taken > MOST_MB_A_FILE:
                crashes += 1
                keep_seed(keep, name, raw)
    kept = _memory_mb(HELD) - warm
    return FuzzResult(name, tried, refused, crashes, slowest, greediest, kept, time.monotonic() - began)


def attempt(reader: Reader, raw: bytes, folder: Path) -> tuple[str, float]:
    """What a reader makes of a file: read, refused or crash; and the seconds it took."""
    path = folder / f"mutated{reader.suffix}"
    path.write_bytes(raw)
    began = time.monotonic()
    try:
        reader.read(path)
        answer = "read"
    except RefusedError:
        answer = "refused"
    except CRASHES as error:
        return _crash(error), time.monotonic() - began
    return answer, time.monotonic() - began


def _crash(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    logging.getLogger("cohortscope").warning(
        "%s at %s:%s", type(error).__name__, Path(where.filename).name, where.lineno
    )
    return "crash"


def keep_seed(folder: Path, name: str, raw: bytes) -> Path:
    """Keep a file that broke a reader, named by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(raw).hexdigest()[:16]}{READERS[name].suffix}"
    path.write_bytes(raw)
    return path


def _forget_peak_mb() -> float:
    """Let the kernel count this process's peak memory anew; returns what it holds."""
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK)
    return _memory_mb(HELD)


def _memory_mb(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.partition(f"{what}:")[2].split()[0]) / MB
