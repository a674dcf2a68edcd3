"""Patients who withdrew: remembered in the private folder, apart from the backups, so that no restore brings them back.

The pseudonym is kept, the way back to the patient is not: with the study's key the same patient gives the same
pseudonym and is recognised, should his files turn up again.
"""

from __future__ import annotations

import json
from pathlib import Path

from engine.acquire.content_index import INDEX_FILE
from engine.acquire.pseudonyms import LINKS_FILE, private_folder, write_private
from store.source_list import forget_source

WITHDRAWN_FILE = "withdrawn.json"


def withdrawn_cases(directory: Path) -> dict[str, str]:
    """Withdrawn case ids and the reasons given."""
    path = directory / "private" / WITHDRAWN_FILE
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def remember_withdrawal(directory: Path, case_id: str, reason: str) -> None:
    """Keep a withdrawal where backups of the study do not reach."""
    known = withdrawn_cases(directory) | {case_id: reason}
    write_private(private_folder(directory) / WITHDRAWN_FILE, json.dumps(known, indent=1, sort_keys=True))


def forget_way_back(directory: Path, case_id: str) -> tuple[Path, ...]:
    """Remove the link from pseudonym to patient and what was remembered of the case's files; returns their paths."""
    private = private_folder(directory)
    paths = forget_source(directory, case_id)
    links = private / LINKS_FILE
    if links.exists():
        known = json.loads(links.read_text("utf-8"))
        known.pop(case_id, None)
        write_private(links, json.dumps(known, indent=1, sort_keys=True))
    index = private / INDEX_FILE
    if index.exists():
        seen = json.loads(index.read_text("utf-8"))
        write_private(index, json.dumps({path: facts for path, facts in seen.items() if path not in paths}))
    return tuple(Path(path) for path in sorted(paths))
