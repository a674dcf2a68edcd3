"""Withdraw a patient from everything a study holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.discover import discover
from engine.acquire.patient_tables import forget_rows
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.withdrawn import forget_way_back, remember_withdrawal, withdrawn_cases
from engine.protocol import PROTOCOL_FILE, read_protocol
from engine.run.reapply import reapply_withdrawals
from engine.run.runner import run_lock
from engine.segment.image_key import known_keys
from engine.segment.model import list_models, models_home, read_manifest
from store.artifacts import read_value, suffix_of
from store.layout import StudyFolder
from store.volumes import CtSeries
from store.withdrawal import Tombstone, keys_of_unit, withdraw_case

CT_KIND = "acquire.ct"
MARKS_FILE = "withdrawn.txt"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal did, what of it lies outside the study's reach, and which models had seen the case."""

    stone: Tombstone
    deleted_files: int
    left_outside: tuple[Path, ...]
    models: tuple[str, ...]


def withdraw(study: Path, case_id: str, actor: str, reason: str) -> Withdrawn:
    """Remove a case: results, verdicts, snapshots, copies of its images in the study's folder, the way back.

    Images and tables outside the study's folder are the holder's and are named for him to remove; models that saw the
    case are marked by name in their home and in the audit. ValueError for an empty reason; RuntimeError while a run
    goes on.
    """
    if not reason.strip():
        raise ValueError("a withdrawal needs a reason (--reason), which the audit keeps")
    folder = StudyFolder(study.resolve())
    with run_lock(folder):
        images = _image_keys(folder.root, case_id)
        paths = _current_files(folder.root, case_id)
        tables = _forget_rows(folder.root, case_id)
        remember_withdrawal(folder.root, case_id, reason)
        stone = withdraw_case(folder.root, case_id, actor, reason)
        paths |= set(forget_way_back(folder.root, case_id))
    inside = [path for path in paths if path.resolve().is_relative_to(folder.root)]
    for path in inside:
        path.unlink(missing_ok=True)
    outside = tuple(sorted({*tables, *(path for path in paths if path not in inside and path.exists())}))
    return Withdrawn(stone, len(inside), outside, _mark_models(images, stone.at))


def _current_files(study: Path, case_id: str) -> set[Path]:
    """Where the case's files lie now: the folder may have moved since the last run."""
    if not (study / PROTOCOL_FILE).exists():
        return set()
    protocol = read_protocol(study)
    if not protocol.images.root or not (study / protocol.images.root).is_dir():
        return set()
    found = discover(study, protocol, Pseudonyms(study, public_ids=protocol.study.public_ids)).cases
    return {Path(file.path) for case in found if case.case_id == case_id for file in case.every_file}


def _forget_rows(study: Path, case_id: str) -> tuple[Path, ...]:
    """Take the patient out of the tables in the study's folder; those elsewhere that name him are returned."""
    if not (study / PROTOCOL_FILE).exists():
        return ()
    protocol = read_protocol(study)
    return forget_rows(study, protocol, Pseudonyms(study, public_ids=protocol.study.public_ids), {case_id})


def before_serving(study: Path) -> None:
    """Withdraw again whom a restored backup brought back, before anybody sees a page; a run that goes on did so."""
    if withdrawn_cases(study):
        with suppress(RuntimeError), run_lock(StudyFolder(study)):
            reapply_withdrawals(study)


def marked_models() -> dict[str, str]:
    """Models that saw a withdrawn case: sha256 and since when."""
    path = models_home() / MARKS_FILE
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return dict(line.split(" ", 1) for line in lines if " " in line)


def _image_keys(study: Path, case_id: str) -> frozenset[str]:
    """Content keys of the images that the store holds of a case, as manifests of trained models list them."""
    folder = StudyFolder(study)
    keys = keys_of_unit(study, "acquire", case_id)
    paths = (folder.artifact(CT_KIND, key, suffix_of(CtSeries)) for key in keys)
    stored = (read_value(path, CtSeries) for path in paths if path.exists())
    return frozenset(key for ct in stored if isinstance(ct, CtSeries) for key in known_keys(ct))


def _mark_models(images: frozenset[str], at: str) -> tuple[str, ...]:
    """Mark the registered models of which a fold saw one of the images."""
    made = [model for model in list_models() if images & _seen_by(Path(model.manifest_path))]
    if made:
        marks = marked_models() | {model.sha256: at for model in made}
        (models_home() / MARKS_FILE).write_text("".join(f"{k} {v}\n" for k, v in sorted(marks.items())), "utf-8")
    return tuple(model.name for model in made)


def _seen_by(manifest: Path) -> frozenset[str]:
    return frozenset(image for fold in read_manifest(manifest).folds for image in fold.saw)
