"""The intake of a run: what the gate finds in the study's folders, kept for the workers; verdicts of the demo."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from pathlib import Path

from engine.acquire.archive import sweep_unpacking
from engine.acquire.discover import clinical_source, discover, feature_table_source
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.uploads import sweep_uploads
from engine.bench.reference_files import reference_files, shared_folder
from engine.portable_model import ROLE
from engine.protocol import Protocol, read_protocol
from engine.run.bundle_manifest import is_bundle, read_manifest
from engine.run.reapply import reapply_withdrawals
from engine.run.unbundle import bundled_sources
from engine.segment.anatomy_programs import find_program
from engine.segment.model import find_model
from store.layout import StudyFolder
from store.ledger import Ledger, now
from store.records import Refusal, RefusedError, Verdict
from store.source_list import Sources, write_sources
from store.sources import SourceFile

VERDICTS_FILE = "verdicts.csv"


def gather_sources(study: Path, protocol: Protocol) -> tuple[Sources, tuple[Refusal, ...]]:
    """Find the inputs of a study and write them down for the workers; returns them with what was refused.

    Withdrawals that a restored backup undid are applied again first, and uploads swept that nobody kept. An unpacked
    bundle names its inputs by hash.
    """
    sweep(study)
    if is_bundle(study):
        return bundled_sources(study), ()
    reapply_withdrawals(study)
    pseudonyms = Pseudonyms(study, public_ids=protocol.study.public_ids)
    if protocol.study.kind == "table":
        table = feature_table_source(study, protocol, pseudonyms)
        sources = Sources((), clinical_source(study, protocol, table.cases), table)
        refusals: tuple[Refusal, ...] = ()
    else:
        found = discover(study, protocol, pseudonyms)
        clinical = clinical_source(study, protocol, found.patients)
        program = find_program(protocol.anatomy.source)
        sources = Sources(found.cases, clinical, references=reference_files(shared_folder()), program=program)
        refusals = found.refusals
    sources = dataclasses.replace(sources, model=_model_file(study, protocol))
    write_sources(study, sources)
    return sources, refusals


def sweep(study: Path) -> None:
    """Remove uploads that nobody kept, and what a killed import left in the image folder."""
    sweep_uploads(study)
    root = read_protocol(study).images.root
    if root:
        sweep_unpacking(study / root)


def model_sha256(study: Path, protocol: Protocol) -> str:
    """Hash of the model that a study segments with, empty where it names none; a bundle remembers its own."""
    if not protocol.segment.model:
        return ""
    return read_manifest(study).model_sha256 if is_bundle(study) else find_model(protocol.segment.model).sha256


def _model_file(study: Path, protocol: Protocol) -> SourceFile | None:
    """The model of another study that the protocol names; RefusedError where it is absent."""
    if not protocol.external.model:
        return None
    path = study / protocol.external.model
    if not path.is_file():
        text = "external.model names a file that is not there."
        raise RefusedError("no_model", ROLE, text, "Give a file of `export-model`, or empty the field.")
    return SourceFile(ROLE, str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def record_simulated_verdicts(study: Path) -> int:
    """Sign the demo's simulated verdicts into the ledger, once; returns how many were recorded."""
    path = study / VERDICTS_FILE
    protocol = read_protocol(study)
    pseudonyms = Pseudonyms(study, public_ids=protocol.study.public_ids)
    with Ledger(StudyFolder(study)) as ledger, path.open(newline="", encoding="utf-8") as file:
        if ledger.verdicts():
            return 0
        rows = list(csv.DictReader(file))
        for row in rows:
            ledger.record_verdict(_verdict(row, pseudonyms), row["reader"])
    return len(rows)


def _verdict(row: dict[str, str], pseudonyms: Pseudonyms) -> Verdict:
    return Verdict(
        case_id=pseudonyms.case_id(row["patient_id"]),
        structure="tumour",
        reader=row["reader"],
        judgement=row["judgement"],
        reason=row["reason"],
        comment="simulated reader",
        active_seconds=float(row["seconds"]),
        signed_at=now(),
        mask_key="",
    )
