"""A list of features as a file that says which selection it was read off, and its use in another study."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.protocol import read_protocol, write_protocol
from engine.run.selection_register import record_selection, take_list
from store.export import latest_run_id
from store.snapshot import open_snapshot

NOTE = "Read off selection frequencies: to be evaluated on other patients only; on its own study's it is refused."


@dataclass(frozen=True, slots=True)
class Signature:
    """Features kept most often by a study's selection, region_image_class_feature, and the selection's id."""

    derived_from: str
    study: str
    features: tuple[str, ...]
    note: str = NOTE


def take_signature(study: Path, count: int, run_id: str = "") -> Signature:
    """The features that a run kept most often; the list is marked as taken. ValueError without a finished selection."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    entry = record_selection(study, run_id or latest_run_id(open_snapshot(study)))
    if not entry:
        raise ValueError("this run selected nothing yet; `run` the study to the end first")
    return Signature(entry, read_protocol(study).study.name, take_list(entry, count))


def signature_text(signature: Signature) -> str:
    """A signature as JSON."""
    return json.dumps(asdict(signature), indent=1)


def use_signature(study: Path, path: Path) -> Signature:
    """Let only a signature's features enter a study, and note in its plan where they come from."""
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        signature = Signature(str(text["derived_from"]), str(text["study"]), tuple(map(str, text["features"])))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError("the signature must be a JSON file that `signature` wrote") from error
    protocol = read_protocol(study)
    selection = protocol.selection.model_copy(update={"signature": signature.features})
    plan = protocol.plan.model_copy(update={"derived_from": signature.derived_from})
    write_protocol(study, protocol.model_copy(update={"selection": selection, "plan": plan}))
    return signature
