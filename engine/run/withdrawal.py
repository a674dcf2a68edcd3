"""Withdraw a patient from everything a study holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.withdrawn import forget_way_back, remember_withdrawal, withdrawn_cases
from engine.run.reapply import reapply_withdrawals
from engine.run.runner import run_lock
from engine.run.withdrawn_files import LeftFile, discard_uploads, find_files, forget_in_tables, remove_files
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
    left_inside: tuple[LeftFile, ...]
    discarded_uploads: int
    models: tuple[str, ...]


def withdraw(study: Path, case_id: str, actor: str, reason: str) -> Withdrawn:
    """Remove a case: results, verdicts, snapshots, all its files in the image folder, waiting uploads, the way back.

    Images and tables outside the study's folder are the holder's and are named for him to remove, as are files inside
    that another case has too or that name no patient; models that saw the case are marked by name in their home and in
    the audit. What an interruption leaves undone, `reapply_withdrawals` does. ValueError for an empty reason;
    RuntimeError while a run goes on.
    """
    if not reason.strip():
        raise ValueError("a withdrawal needs a reason (--reason), which the audit keeps")
    folder = StudyFolder(study.resolve())
    with run_lock(folder):
        images = _image_keys(folder.root, case_id)
        found = find_files(folder.root, {case_id})
        remember_withdrawal(folder.root, case_id, reason)
        removed = remove_files(folder.root, found)
        tables = forget_in_tables(folder.root, {case_id})
        uploads = discard_uploads(folder.root, {case_id})
        stone = withdraw_case(folder.root, case_id, actor, reason)
        forget_way_back(folder.root, case_id)
    outside = tuple(sorted({*tables, *removed.left_outside}))
    models = _mark_models(images, stone.at)
    return Withdrawn(stone, removed.deleted_files, outside, removed.left_inside, uploads, models)


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
