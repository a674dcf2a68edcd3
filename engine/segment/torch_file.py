"""What a file of weights must look like before anything in it is read: torch's zip of plain records, of honest size."""

from __future__ import annotations

import zipfile
from pathlib import Path

from store.records import RefusedError

LARGEST_WEIGHTS_BYTES = 2 << 30
LARGEST_PICKLE_BYTES = 64 << 20
MOST_RECORDS = 20_000
PICKLE_START = b"\x80"
RECORD_OF_OBJECTS = "data.pkl"


def check_torch_file(path: Path) -> None:
    """RefusedError unless a file is a zip of uncompressed records of at most 2 GiB, its pickle at most 64 MiB.

    torch writes its records uncompressed: a compressed one may unpack to any size. A bare pickle (model_unsafe) may
    run code and declare tensors of any size; everything else that is no torch file is model_weights.
    """
    if path.stat().st_size > LARGEST_WEIGHTS_BYTES:
        raise _refused("model_weights", "the file is larger than 2 GiB.")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            bare_pickle = stream.read(1) == PICKLE_START
        if bare_pickle:
            raise _refused("model_unsafe", "it is a bare pickle, which could run code; nothing in it was run.")
        raise _refused("model_weights", "it is not a torch file.")
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise _refused("model_weights", "it is not a readable torch file.") from error
    _check_records(records, path.stat().st_size)


def _check_records(records: list[zipfile.ZipInfo], file_bytes: int) -> None:
    if len(records) > MOST_RECORDS:
        raise _refused("model_unsafe", f"it holds more than {MOST_RECORDS} records.")
    if any(record.compress_type != zipfile.ZIP_STORED for record in records):
        raise _refused("model_unsafe", "its records are compressed, which torch never does; nothing was unpacked.")
    if sum(record.file_size for record in records) > file_bytes:
        raise _refused("model_unsafe", "its records claim more bytes than the file has.")
    objects = [record for record in records if record.filename.rsplit("/", 1)[-1] == RECORD_OF_OBJECTS]
    if any(record.file_size > LARGEST_PICKLE_BYTES for record in objects):
        raise _refused("model_unsafe", "its list of objects is larger than 64 MiB.")


def _refused(code: str, message: str) -> RefusedError:
    return RefusedError(code, "model weights", message, "Import an nnU-Net checkpoint of a source that you trust.")
