"""A results folder of nnU-Net, or its zip, as plain values and one checkpoint file; the zip is never unpacked whole."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from engine.segment.torch_file import LARGEST_WEIGHTS_BYTES
from store.records import RefusedError

CHECKPOINT_FILE = "checkpoint_final.pth"
LARGEST_JSON_BYTES = 8 << 20
MOST_MEMBERS = 10_000
LARGEST_RATIO = 20  # of a checkpoint's bytes over its compressed ones: weights hardly shrink
LARGEST_TOTAL_BYTES = 16 << 30


@dataclass(frozen=True, slots=True)
class Results:
    """What one fold of a results folder says: plans and dataset as plain values, and where its checkpoint lies."""

    plans: Mapping[str, object]
    dataset: Mapping[str, object]
    fold: str
    checkpoint: Path


@contextmanager
def open_results(path: Path, fold: str | None) -> Iterator[Results]:
    """The results of one fold (`0` to `4` or `all`; default the first) of a folder, or of a zip of one.

    The folder with plans.json, dataset.json and fold_X/checkpoint_final.pth may lie deeper, but there must be one.
    RefusedError(model_archive) for any other content, a zip bomb or a name that leads out of the zip.
    """
    if path.is_dir():
        yield _from_folder(path, fold)
        return
    with TemporaryDirectory() as scratch:
        yield _from_zip(path, fold, Path(scratch))


def _from_folder(folder: Path, fold: str | None) -> Results:
    names = [str(PurePosixPath(p.relative_to(folder))) for p in folder.rglob("*") if p.is_file()]
    top, chosen = _chosen(names, fold)
    plans, dataset = ((folder / top / name).read_bytes() for name in ("plans.json", "dataset.json"))
    return Results(_json(plans), _json(dataset), chosen, folder / top / f"fold_{chosen}" / CHECKPOINT_FILE)


def _from_zip(path: Path, fold: str | None, scratch: Path) -> Results:
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive.infolist())
            members = _by_path(archive.infolist())
            top, chosen = _chosen(list(members), fold)
            plans, dataset = (
                _content(archive, members[str(PurePosixPath(top) / name)]) for name in ("plans.json", "dataset.json")
            )
            member = members[str(PurePosixPath(top) / f"fold_{chosen}" / CHECKPOINT_FILE)]
            _check_size(member)
            with archive.open(member) as source, (scratch / CHECKPOINT_FILE).open("wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as error:
        raise _refused("it is not a readable zip.") from error
    return Results(_json(plans), _json(dataset), chosen, scratch / CHECKPOINT_FILE)


def _check(members: list[zipfile.ZipInfo]) -> None:
    """RefusedError for a zip that is too large, encrypted, or names places outside itself."""
    if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > LARGEST_TOTAL_BYTES:
        raise _refused("it would unpack to more than a results folder holds; nothing was unpacked.")
    for member in members:
        parts = PurePosixPath(member.filename).parts
        if "\\" in member.filename or ":" in member.filename or ".." in parts or parts[:1] == ("/",):
            raise _refused("it names a file outside itself; nothing was unpacked.")
        if member.flag_bits & 1:
            raise _refused("it is encrypted.")


def _check_size(member: zipfile.ZipInfo) -> None:
    """RefusedError for a checkpoint that is too large or shrank as weights do not."""
    if member.file_size > min(LARGEST_WEIGHTS_BYTES, LARGEST_RATIO * max(member.compress_size, 1)):
        raise _refused("its checkpoint would unpack to a size that weights do not have; nothing was unpacked.")


def _by_path(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Members by their path without idle parts (`./`, `//`); RefusedError when two have the same."""
    found = {str(PurePosixPath(member.filename)): member for member in members if not member.is_dir()}
    if len(found) != sum(not member.is_dir() for member in members):
        raise _refused("it names a file twice.")
    return found


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.file_size > LARGEST_JSON_BYTES:
        raise _refused("its plans are larger than 8 MiB.")
    return archive.read(member)


def _chosen(names: list[str], fold: str | None) -> tuple[str, str]:
    """The folder that holds the plans, and the fold: the wanted one, else the first by name."""
    paths = [PurePosixPath(name) for name in names]
    tops = {p.parent for p in paths if p.name == "plans.json"} & {p.parent for p in paths if p.name == "dataset.json"}
    if len(tops) != 1:
        raise _refused(f"it holds {len(tops)} folders with plans.json and dataset.json, not one.")
    top = tops.pop()
    found = sorted(
        p.parent.name.removeprefix("fold_")
        for p in paths
        if p.name == CHECKPOINT_FILE and p.parent.parent == top and p.parent.name.startswith("fold_")
    )
    if not found or (fold is not None and fold not in found):
        raise _refused(f"it holds no fold_{fold or 'X'}/{CHECKPOINT_FILE} (folds: {', '.join(found) or 'none'}).")
    return str(top), fold or found[0]


def _json(content: bytes) -> Mapping[str, object]:
    if len(content) > LARGEST_JSON_BYTES:
        raise _refused("its plans are larger than 8 MiB.")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refused("its plans are not JSON.") from error
    if not isinstance(values, dict):
        raise _refused("its plans are not a dictionary.")
    return values


def _refused(message: str) -> RefusedError:
    remedy = "Import a results folder of nnU-Net v2, or the zip that nnUNetv2_export_model_to_zip makes of it."
    return RefusedError("model_archive", "model archive", message, remedy)
