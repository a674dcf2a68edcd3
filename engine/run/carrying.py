"""A study's models as a file, and that file tested on another study."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.portable_model import PortableModel, merged, read_model, read_model_text
from engine.protocol import External, read_protocol, write_protocol
from engine.run.runner import RunResult, run
from store.export import latest_run_id
from store.queries.external import final_models
from store.queries.prognosis import model_summaries
from store.snapshot import open_snapshot

CARRIED_FILE = "external-model.json"


def export_model(study: Path, to: Path, run_id: str = "") -> PortableModel:
    """Write the models that a run fitted on all patients as one file.

    ValueError where no run went so far, or where ComBat harmonised the features: what it knows of this study's batches
    says nothing of another's.
    """
    snapshot = open_snapshot(study)
    wanted = run_id or latest_run_id(snapshot)
    finals = final_models(snapshot, wanted)
    if not finals:
        raise ValueError("this run fitted no model on all patients yet; `run` the study to the end first")
    if not all(final.specification for final in finals):
        raise ValueError("a model harmonised by ComBat cannot be carried to other batches; set batch.combat = false")
    parts = tuple(read_model_text(final.specification) for final in finals)
    aucs = {summary.model: summary.auc for summary in model_summaries(snapshot, wanted)}
    model = merged(parts, read_protocol(study).study.name, aucs)
    to.write_text(model.model_dump_json() + "\n", encoding="utf-8")
    return model


def apply_model(file: Path, study: Path) -> RunResult:
    """Copy a model file into a study, name it in study.toml and bring the study up to date.

    RefusedError for a file that is no model; a model whose patients are this study's own fails its stage.
    """
    read_model(file)
    copy = study / CARRIED_FILE
    if copy.resolve() != file.resolve():
        shutil.copyfile(file, copy)
    protocol = read_protocol(study)
    write_protocol(study, protocol.model_copy(update={"external": External(model=CARRIED_FILE)}))
    return run(study)
