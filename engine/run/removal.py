"""Taking patients out of all that a study holds, in steps that may each be done again after an interruption."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from engine.acquire.withdrawn import forget_way_back, remember_withdrawal
from engine.run.withdrawn_files import LeftFile, discard_uploads, find_files, forget_in_tables, remove_files
from engine.segment.image_key import known_keys
from engine.segment.model import list_models, models_home, read_manifest
from store.artifacts import read_value, suffix_of
from store.layout import StudyFolder
from store.ledger import now
from store.tombstones import Tombstone
from store.volumes import CtSeries
from store.withdrawal import keys_of_unit, withdraw_case

CT_KIND = "acquire.ct"
MARKS_FILE = "withdrawn.txt"


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal did, what of it lies outside the study's reach, and which models had seen the patients."""

    stones: tuple[Tombstone, ...]
    deleted_files: int
    left_outside: tuple[Path, ...]
    left_inside: tuple[LeftFile, ...]
    discarded_uploads: int
    models: tuple[str, ...]


def remove_patients(study: Path, reasons: Mapping[str, str], actor: str) -> Withdrawn:
    """Remove cases from a study, `reasons` by case id; the caller holds run.lock. `study` is resolved.

    That they withdrew is remembered first and the way back to them forgotten last: between the two
    `unfinished_withdrawals` names them, and all of this is done again.
    """
    cases = set(reasons)
    found = find_files(study, cases)
    for case_id, reason in reasons.items():
        remember_withdrawal(study, case_id, reason)
    models = _mark_models(frozenset().union(*(_image_keys(study, case_id) for case_id in cases)))
    removed = remove_files(study, found)
    tables = forget_in_tables(study, cases)
    uploads = discard_uploads(study, cases)
    stones = tuple(withdraw_case(study, case_id, actor, reason) for case_id, reason in reasons.items())
    for case_id in reasons:
        forget_way_back(study, case_id)
    outside = tuple(sorted({*tables, *removed.left_outside}))
    return Withdrawn(stones, removed.deleted_files, outside, removed.left_inside, uploads, models)


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


def _mark_models(images: Set[str]) -> tuple[str, ...]:
    """Mark the registered models of which a fold saw one of the images; what was marked keeps its date."""
    made = [model for model in list_models() if images & _seen_by(Path(model.manifest_path))] if images else []
    if made:
        marks = dict.fromkeys((model.sha256 for model in made), now()) | marked_models()
        (models_home() / MARKS_FILE).write_text("".join(f"{k} {v}\n" for k, v in sorted(marks.items())), "utf-8")
    return tuple(model.name for model in made)


def _seen_by(manifest: Path) -> frozenset[str]:
    return frozenset(image for fold in read_manifest(manifest).folds for image in fold.saw)
