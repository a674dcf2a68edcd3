"""The selections made on this computer, so that a list read off one is not evaluated on its own patients elsewhere.

One entry a selection, under the user's data folder beside the models, readable by its owner only: the features it kept,
keyed hashes of its patients' ids, CT files and clinical values, keyed fingerprints of their features; neither ids nor
values. A model that was fitted on all of them is known by the hash of its training ids, and refused on them too.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import secrets
from pathlib import Path

import numpy as np

from engine.acquire.discover import feature_table_source
from engine.acquire.feature_table import read_feature_table
from engine.acquire.pseudonyms import Pseudonyms, write_private, write_private_bytes
from engine.analyse.derived import (
    KnownSelection,
    ListedFeatures,
    People,
    fingerprints,
    refuse_own_patients,
    refuse_trainers,
)
from engine.analyse.filters import column_names
from engine.analyse.guard import training_sha256
from engine.analyse.same_patients import Courses, courses
from engine.portable_model import read_model
from engine.protocol import Protocol, read_protocol
from engine.run.bundle_manifest import is_bundle
from engine.segment.model import models_home
from store.artifacts import read_value
from store.layout import StudyFolder
from store.ledger import Ledger, now
from store.matrices import DesignTable
from store.records import RefusedError, SelectionFrequency
from store.source_list import read_sources

KEY_BYTES = 32
ID_LENGTH = 12
CT_ROLE = "CT "
TABLE_STAGE, SELECTION_STAGE = "table", "selection"


def register_home() -> Path:
    """The folder of known selections: $COHORTSCOPE_HOME/selections, by default under the user's data folder."""
    return models_home().parent / "selections"


def record_selection(study: Path, run_id: str) -> str:
    """Enter the selection of a run; returns its id, empty when it has none. What was entered first stays."""
    folder = StudyFolder(study.resolve())
    with Ledger(folder) as ledger:
        keys = {stage: _done_key(ledger, run_id, stage) for stage in (TABLE_STAGE, SELECTION_STAGE)}
    if not all(keys.values()):
        return ""
    entry = keys[SELECTION_STAGE][:ID_LENGTH]
    before = json.loads(_entry_path(entry).read_text(encoding="utf-8")) if _entry_path(entry).exists() else {}
    if "train_sha256" in before:
        return entry
    table = read_value(folder.artifact("table.table", keys[TABLE_STAGE], ".npz"), DesignTable)
    path = folder.artifact("selection.frequencies", keys[SELECTION_STAGE], ".parquet")
    rows = read_value(path, SelectionFrequency)
    assert isinstance(table, DesignTable)
    assert isinstance(rows, tuple)
    names = ["_".join((r.roi, r.image_type, r.feature_class, r.feature)) for r in rows]
    place = {name: column for column, name in enumerate(column_names(table))}
    key = _register_key()
    prints = fingerprints(table.values[:, [place[name] for name in names]], _number(key))
    protocol = read_protocol(folder.root)
    people = _people(folder.root, protocol, table, key)
    assert people.courses is not None
    packed = io.BytesIO()
    np.savez_compressed(packed, prints=prints, courses=people.courses.prints)
    write_private_bytes(_entry_path(entry).with_suffix(".npz"), packed.getvalue())
    text = {"id": entry, "study": protocol.study.name, "recorded_at": now(), "candidates": len(table.features)}
    text |= {"names": names, "taken": [], "patients": people.ids, "images": sorted(people.images)}
    trained_on = training_sha256(table.case_ids, [1] * len(table.case_ids))
    text |= {"courses": people.courses.names, "train_sha256": trained_on}
    text |= {name: before[name] for name in ("recorded_at", "taken") if name in before}  # of an older version
    write_private(_entry_path(entry), json.dumps(text))
    return entry


def take_list(entry: str, count: int) -> tuple[str, ...]:
    """The features that a selection kept most often, at most so many; noted as taken. ValueError for an unknown id."""
    path = _entry_path(entry)
    if not path.exists():
        raise ValueError("this study's selection is not known here; `run` enters it")
    text = json.loads(path.read_text(encoding="utf-8"))
    names = text["names"][:count]
    if names not in text["taken"]:
        text["taken"].append(names)
        write_private(path, json.dumps(text))
    return tuple(names)


def known_selections() -> tuple[KnownSelection, ...]:
    """Every entry, the earliest first."""
    found = [_read(path) for path in sorted(register_home().glob("*.json"))]
    return tuple(sorted(found, key=lambda entry: (entry.recorded_at, entry.id)))


def refuse_known_model(study: Path, protocol: Protocol, table: DesignTable) -> None:
    """RefusedError when the model file that a study names was fitted on patients of its own, as far as known here."""
    file = study / protocol.external.model
    if not protocol.external.model or (is_bundle(study) and not file.exists()):
        return
    model = read_model(file)
    refuse_trainers(model.training.sha256, _people(study, protocol, table, _register_key()), known_selections())


def refuse_known_list(study: Path, protocol: Protocol, table: DesignTable) -> None:
    """RefusedError when what a study is about to evaluate was read off a selection of its own patients."""
    known = known_selections()
    if not known and not protocol.plan.derived_from:
        return
    names = column_names(table)
    wanted = protocol.selection.signature or names
    columns = [number for number, name in enumerate(names) if name in set(wanted)]
    key = _register_key()
    listed = ListedFeatures(
        tuple(names[c] for c in columns), table.values[:, columns], _people(study, protocol, table, key)
    )
    refuse_own_patients(protocol.plan, listed, known, _number(key))


def check_known_list(study: Path) -> RefusedError | None:
    """Why a table study must not be run, read off its table before anything is computed; None where it may be."""
    protocol = read_protocol(study)
    known = known_selections()
    if protocol.study.kind != "table" or not (known or protocol.plan.derived_from):
        return None
    source = feature_table_source(study, protocol, Pseudonyms(study, public_ids=protocol.study.public_ids))
    found = read_feature_table(source, protocol.features_table).features
    names = tuple(
        "_".join(p) for p in zip(found.rois, found.image_types, found.feature_classes, found.features, strict=True)
    )
    key = _register_key()
    listed = ListedFeatures(names, found.values, People(_ids(study, protocol, found.case_ids, key)))
    try:
        refuse_own_patients(protocol.plan, listed, known, _number(key))
    except RefusedError as error:
        return error
    return None


def _done_key(ledger: Ledger, run_id: str, stage: str) -> str:
    return next((key for _, key, state in ledger.placed(run_id, stage) if state == "done"), "")


def _entry_path(entry: str) -> Path:
    return register_home() / f"{entry}.json"


def _read(path: Path) -> KnownSelection:
    text = json.loads(path.read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz")) as arrays:
        prints = arrays["prints"]
        known = Courses(tuple(text["courses"]), arrays["courses"]) if "courses" in text else None
    return KnownSelection(
        id=text["id"],
        study=text["study"],
        recorded_at=text["recorded_at"],
        candidates=text["candidates"],
        names=tuple(text["names"]),
        people=People(tuple(text["patients"]), frozenset(text.get("images", ())), known),
        taken=tuple(tuple(names) for names in text["taken"]),
        prints=prints,
        train_sha256=text.get("train_sha256", ""),
    )


def _register_key() -> bytes:
    """The key of this register, made on first use; without it neither ids nor values can be tried out."""
    home = register_home()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / "key"
    if not path.exists():
        write_private(path, secrets.token_hex(KEY_BYTES))
    return bytes.fromhex(path.read_text(encoding="ascii"))


def _number(key: bytes) -> int:
    return int.from_bytes(key[:8], "big")


def _people(study: Path, protocol: Protocol, table: DesignTable, key: bytes) -> People:
    ids = _ids(study, protocol, table.case_ids, key)
    return People(ids, _images(study, protocol, table.case_ids, key), courses(table, key))


def _ids(study: Path, protocol: Protocol, case_ids: tuple[str, ...], key: bytes) -> tuple[str, ...]:
    pseudonyms = Pseudonyms(study, public_ids=protocol.study.public_ids)
    return tuple(_hashed(pseudonyms.patient_id(case) or case, key) for case in case_ids)


def _images(study: Path, protocol: Protocol, case_ids: tuple[str, ...], key: bytes) -> frozenset[str]:
    """Hashes of the content of each patient's CT; empty in a study of a table."""
    if protocol.study.kind == "table":
        return frozenset()
    wanted = set(case_ids)
    contents = (
        sorted(file.sha256 for file in case.files if file.role.startswith(CT_ROLE))
        for case in read_sources(study).cases
        if case.case_id in wanted
    )
    return frozenset(_hashed(" ".join(files), key) for files in contents if files)


def _hashed(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode("utf-8"), hashlib.sha256).hexdigest()[:24]
