"""Immutable results as files: records as Parquet, images as NIfTI, masks and arrays as npz, each named by its key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import types
import typing
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import SimpleITK as sitk

from store.layout import StoredFile, StudyFolder
from store.ledger import Ledger
from store.volumes import ArrayRecord, BoolZyx, CtSeries, Grid, Mask, MaskSet

T = TypeVar("T")
CT_COMPRESSION = 1
READ_BLOCK = 1 << 20


def suffix_of(record_type: type) -> str:
    """File suffix of a type: CtSeries .nii.gz, masks and arrays .npz, any other record .parquet."""
    if issubclass(record_type, CtSeries):
        return ".nii.gz"
    if issubclass(record_type, MaskSet | ArrayRecord):
        return ".npz"
    return ".parquet"


def sha256_of_file(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BLOCK):
            state.update(block)
    return state.hexdigest()


def store_value(folder: StudyFolder, kind: str, key: str, record_type: type, value: object) -> StoredFile:
    """Write a value durably: temporary file, fsync, hash, rename, fsync of the directory; the ledger comes after."""
    suffix = suffix_of(record_type)
    folder.unfinished.mkdir(parents=True, exist_ok=True)
    temporary = folder.unfinished / f"{os.getpid()}-{uuid.uuid4().hex}{suffix}"
    write_value(temporary, record_type, value)
    sync(temporary)
    final = folder.artifact(kind, key, suffix)
    final.parent.mkdir(parents=True, exist_ok=True)
    stored = StoredFile(kind, record_type.__name__, suffix, sha256_of_file(temporary), temporary.stat().st_size)
    temporary.replace(final)
    sync(final.parent)
    return stored


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_value(path: Path, record_type: type, value: object) -> None:
    """Write one value in the format of its type; TypeError when the value is of another type."""
    if isinstance(value, CtSeries):
        _write_ct(path, value)
    elif isinstance(value, MaskSet):
        _write_masks(path, value)
    elif isinstance(value, ArrayRecord):
        _write_arrays(path, value)
    elif isinstance(value, tuple):
        pq.write_table(records_to_arrow(value, record_type), path, compression="zstd")
    else:
        raise TypeError(f"an artifact is a volume, masks, arrays or a tuple of records, got {type(value).__name__}")


def read_value(path: Path, record_type: type) -> object:
    """Read one value: a CtSeries, a mask set, an array record, or a tuple of records."""
    if issubclass(record_type, CtSeries):
        return _read_ct(path)
    if issubclass(record_type, MaskSet):
        return _read_masks(path, record_type)
    if issubclass(record_type, ArrayRecord):
        return _read_arrays(path, record_type)
    return arrow_to_records(pq.read_table(path), record_type)


# --- images and masks ------------------------------------------------------------------------------------------------


def _write_ct(path: Path, series: CtSeries) -> None:
    image = sitk.GetImageFromArray(series.intensity_hu)
    image.SetSpacing(series.grid.spacing_mm)
    image.SetOrigin(series.grid.origin_mm)
    image.SetDirection(series.grid.direction)
    sitk.WriteImage(image, str(path), True, CT_COMPRESSION)


def _read_ct(path: Path) -> CtSeries:
    image = sitk.ReadImage(str(path))
    x, y, z = image.GetSize()
    grid = Grid((x, y, z), image.GetSpacing(), image.GetOrigin(), tuple(image.GetDirection()))
    return CtSeries(sitk.GetArrayFromImage(image), grid)


def _mask_box(voxels: BoolZyx) -> list[list[int]]:
    if not voxels.any():
        return [[0, 0], [0, 0], [0, 0]]
    lines = [np.flatnonzero(voxels.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return [[int(line[0]), int(line[-1]) + 1] for line in lines]


def _write_masks(path: Path, masks: MaskSet) -> None:
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
    heads = []
    for place, mask in enumerate(masks.masks):
        box = _mask_box(mask.voxels)
        cut = mask.voxels[tuple(slice(a, b) for a, b in box)]
        arrays[f"bits_{place}"] = np.packbits(cut)
        head = {name: getattr(mask, name) for name in ("structure", "origin", "source", "lesion", "name")}
        heads.append({**head, "box": box, "grid": dataclasses.asdict(mask.grid)})
    text = json.dumps(heads, sort_keys=True).encode()
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, heads=np.frombuffer(text, np.uint8), **arrays)


def _read_masks(path: Path, record_type: type[MaskSet]) -> MaskSet:
    with np.load(path, allow_pickle=False) as stored:
        heads = json.loads(stored["heads"].tobytes().decode())
        return record_type(tuple(_read_mask(head, stored[f"bits_{place}"]) for place, head in enumerate(heads)))


def _read_mask(head: dict[str, typing.Any], bits: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Mask:
    stored = head["grid"]
    grid = Grid(*(tuple(stored[name]) for name in ("size_xyz", "spacing_mm", "origin_mm", "direction")))
    voxels = np.zeros(grid.shape_zyx, np.bool_)
    box = tuple(slice(a, b) for a, b in head["box"])
    shape = [b - a for a, b in head["box"]]
    voxels[box] = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(np.bool_)
    return Mask(head["structure"], head["origin"], head["source"], voxels, grid, head["lesion"], head["name"])


# --- arrays ----------------------------------------------------------------------------------------------------------


def _write_arrays(path: Path, record: ArrayRecord) -> None:
    arrays = {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if value is not None:
            arrays[field.name] = np.array(value, dtype=np.str_) if _is_text(value) else np.asarray(value)
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, tuple) and all(isinstance(v, str) for v in value))


def _read_arrays(path: Path, record_type: type[ArrayRecord]) -> ArrayRecord:
    hints = typing.get_type_hints(record_type)
    with np.load(path, allow_pickle=False) as stored:
        values = {
            field.name: _from_array(stored[field.name], hints[field.name]) if field.name in stored else None
            for field in dataclasses.fields(record_type)  # type: ignore[arg-type]
        }
    return record_type(**values)


def _from_array(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], hint: object) -> object:
    plain = _without_none(hint)
    if plain in (str, int, float, bool):
        return array.item()
    if typing.get_origin(plain) is tuple:
        return tuple(array.tolist())
    return array


# --- records ---------------------------------------------------------------------------------------------------------

ARROW_TYPES: dict[object, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def _without_none(hint: object) -> object:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(a for a in typing.get_args(hint) if a is not type(None))
    return hint


def arrow_schema(record_type: type) -> pa.Schema:
    """The Parquet and DuckDB columns of a record type, in the order of its fields."""
    hints = typing.get_type_hints(record_type)
    fields = [(f.name, _arrow_type(_without_none(hints[f.name]))) for f in dataclasses.fields(record_type)]
    return pa.schema(fields)


def _arrow_type(hint: object) -> pa.DataType:
    if hint in ARROW_TYPES:
        return ARROW_TYPES[hint]
    if typing.get_origin(hint) is np.ndarray:
        kind = typing.get_args(typing.get_args(hint)[1])[0]
        return pa.list_(pa.uint8() if kind is np.uint8 else pa.float64())
    raise TypeError(f"a record field must be str, int, float, bool or a float64/uint8 array, got {hint}")


def records_to_arrow(records: Sequence[object], record_type: type) -> pa.Table:
    """An Arrow table of records; NaN inside arrays becomes NULL."""
    schema = arrow_schema(record_type)
    columns = []
    for field in schema:
        cells = [getattr(record, field.name) for record in records]
        if pa.types.is_list(field.type):
            cells = [pa.array(cell, type=field.type.value_type, from_pandas=True) for cell in cells]
            columns.append(pa.array([cell.to_pylist() for cell in cells], type=field.type))
        else:
            columns.append(pa.array(cells, type=field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def arrow_to_records(table: pa.Table, record_type: type[T]) -> tuple[T, ...]:
    """The records of an Arrow table; NULL inside arrays becomes NaN."""
    columns = []
    for field in arrow_schema(record_type):
        column = table.column(field.name)
        if pa.types.is_list(field.type):
            flat = [np.asarray(cell.values.to_numpy(zero_copy_only=False)) for cell in column]
            kind = np.uint8 if field.type.value_type == pa.uint8() else np.float64
            columns.append([cell.astype(kind) for cell in flat])
        else:
            columns.append(column.to_pylist())
    return tuple(record_type(*row) for row in zip(*columns, strict=True))


# --- one case's files ------------------------------------------------------------------------------------------------


class Artifacts:
    """The images and masks of a study's cases, found through the ledger."""

    def __init__(self, study: Path) -> None:
        self._folder = StudyFolder(study)

    def load_ct(self, run_id: str, case_id: str) -> CtSeries:
        """The CT of a case on its native grid; KeyError when the run has none."""
        return typing.cast("CtSeries", read_value(self.ct_file(run_id, case_id), CtSeries))

    def load_masks(self, run_id: str, case_id: str, kind: str) -> MaskSet:
        """The masks of one kind (acquire.references, segment.masks, review.masks, regions.masks); KeyError if none."""
        return typing.cast("MaskSet", read_value(self.masks_file(run_id, case_id, kind), MaskSet))

    def ct_file(self, run_id: str, case_id: str) -> Path:
        """The file of a case's CT; KeyError when the run has none."""
        return self.case_file("acquire.ct", run_id, case_id, CtSeries)

    def masks_file(self, run_id: str, case_id: str, kind: str) -> Path:
        """The file of a case's masks of one kind; KeyError when the run has none."""
        return self.case_file(kind, run_id, case_id, MaskSet)

    def case_file(self, kind: str, run_id: str, case_id: str, record_type: type) -> Path:
        """The file of a case's result of any kind, by what it holds; KeyError when the run has none."""
        stage = kind.partition(".")[0]
        with Ledger(self._folder) as ledger:
            key, state = ledger.placed_unit(run_id, stage, case_id)
        if state != "done":
            raise KeyError(f"run {run_id} has no {kind} of case {case_id}")
        return self._folder.artifact(kind, key, suffix_of(record_type))
