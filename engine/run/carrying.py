"""A study's models as a file, and that file tested on another study."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.portable_model import ROLE, PortableModel, merged, read_model, read_model_text
from engine.protocol import External, read_protocol, write_protocol
from engine.run.runner import run
from engine.run.selection_register import record_selection
from store.export import latest_run_id
from store.queries.external import external_summaries, final_models
from store.queries.prognosis import model_summaries
from store.queries.study import declined, failures, refusals
from store.snapshot import Snapshot, open_snapshot

CARRIED_FILE = "external-model.json"
STAGES = ("table", "carried", "external")


def export_model(study: Path, to: Path, run_id: str = "") -> PortableModel:
    """Write the models that a run fitted on all patients as one file.

    Arms of embeddings stay: they mean nothing to another network. ValueError where no run went so far, or where ComBat
    harmonised the features: what it knows of this study's batches says nothing of another's.
    """
    snapshot = open_snapshot(study)
    wanted = run_id or latest_run_id(snapshot)
    finals = final_models(snapshot, wanted)
    record_selection(study, wanted)
    if not finals:
        raise ValueError("this run fitted no model on all patients yet; `run` the study to the end first")
    carried = [final for final in finals if final.specification]
    if not carried:
        raise ValueError("a model harmonised by ComBat cannot be carried to other batches; set batch.combat = false")
    parts = tuple(read_model_text(final.specification) for final in carried)
    aucs = {summary.model: summary.auc for summary in model_summaries(snapshot, wanted)}
    model = merged(parts, read_protocol(study).study.name, aucs)
    to.write_text(model.model_dump_json() + "\n", encoding="utf-8")
    return model


def apply_model(file: Path, study: Path) -> str:
    """Copy a model file into a study, name it in study.toml, bring the study up to date; the id of the run.

    RefusedError for a file that is no model, or whose training patients are these; ValueError with the reason where it
    could not be tested. study.toml and a model that was there are then as before.
    """
    read_model(file)
    copy = study / CARRIED_FILE
    with _as_before_on_failure(study, copy):
        if copy.resolve() != file.resolve():
            shutil.copyfile(file, copy)
        protocol = read_protocol(study)
        write_protocol(study, protocol.model_copy(update={"external": External(model=CARRIED_FILE)}))
        result = run(study)
        snapshot = open_snapshot(study)
        if not external_summaries(snapshot, result.run_id):
            raise ValueError(f"the model could not be tested on this study: {_why_not(snapshot, result.run_id)}")
    return result.run_id


@contextmanager
def _as_before_on_failure(study: Path, copy: Path) -> Iterator[None]:
    """Give study.toml, and the model that was there, back when the new one could not be tested for any reason."""
    protocol = read_protocol(study)
    before = copy.read_bytes() if copy.exists() else None
    try:
        yield
    except BaseException:
        write_protocol(study, protocol)
        if before is None:
            copy.unlink(missing_ok=True)
        else:
            copy.write_bytes(before)
        raise


def _why_not(snapshot: Snapshot, run_id: str) -> str:
    """The reason that the model's own stages, or those before them, recorded."""
    refused = [f"{row.message} {row.remedy}" for row in refusals(snapshot, run_id) if row.file == ROLE]
    failed = [row.reason for row in failures(snapshot, run_id) if row.stage in STAGES]
    not_done = [row.reason for row in declined(snapshot, run_id) if row.analysis in STAGES]
    return next(iter((*refused, *failed, *not_done)), "the run gave no result for it; `status` says how far it is")
