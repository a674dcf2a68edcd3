"""Changing a study's choices from outside its file: checked as a whole, written as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.protocol import checked_protocol, read_protocol, write_protocol
from engine.run.runner import run_lock
from store.layout import StudyFolder

# What may be changed on a page. Paths, tables, covariates and outcome are declared where files are checked: by `new`,
# on the page Upload and in study.toml; the plan by its lock.
EDITABLE = (
    "acquire",
    "segment",
    "masks",
    "review",
    "agreement",
    "grid",
    "rois",
    "features",
    "perturb",
    "reproducibility",
    "batch",
    "selection",
    "stability",
    "self_test",
    "detection",
    "train",
    "strategies",
)


def change_choices(study: Path, section: str, values: Mapping[str, object]) -> tuple[str, ...]:
    """Write new values of a section's fields into study.toml; returns the fields (section.field) that changed.

    Nothing is written unless the whole protocol holds with them. ValueError names field and law, and refuses a choice
    that a locked plan fixes; RuntimeError while a run is going on.
    """
    if section not in EDITABLE:
        raise ValueError(f"[{section}] is not changed on a page; edit study.toml")
    folder = StudyFolder(study.resolve())
    with run_lock(folder):
        before = read_protocol(folder.root).model_dump(mode="json")
        changed = checked_protocol({**before, section: {**before[section], **values}})
        after = changed.model_dump(mode="json")[section]
        fields = tuple(f"{section}.{name}" for name, value in after.items() if value != before[section].get(name))
        if fields:
            write_protocol(folder.root, changed)
    return fields
