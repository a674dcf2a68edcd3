"""Patients who withdrew: remembered in the private folder, apart from the backups, so that no restore brings them back.

The pseudonym is kept, the way back to the patient is not: with the study's key the same patient gives the same
pseudonym and is recognised, should his files turn up again.
"""

from __future__ import annotations

import json
from pathlib import Path

from engine.acquire.content_index import INDEX_FILE
from engine.acquire.pseudonyms import changed_links, locked_folder, private_folder, read_links, write_private
from store.source_list import forget_source, has_sources, read_sources
from store.tombstones import WITHDRAWN_FILE, listed_withdrawals, tombstones, withdrawn_cases


def unfinished_withdrawals(directory: Path) -> dict[str, str]:
    """Withdrawn case ids, with reasons, of which something is left or may be.

    The ledger has no tombstone, or the way back is still there: it goes last.
    """
    gone = withdrawn_cases(directory)
    if not gone:
        return {}
    done = {stone.case_id for stone in tombstones(directory)}
    links = read_links(directory)
    return {case: reason for case, reason in gone.items() if case not in done or case in links}


def unlisted_withdrawals(directory: Path) -> dict[str, str]:
    """Case ids with a tombstone that the private folder does not list, with reasons: it was lost, or is an older one.

    A tombstone says that the files are gone: nothing is left to do but to list them.
    """
    listed = listed_withdrawals(directory)
    return {stone.case_id: stone.reason for stone in tombstones(directory) if stone.case_id not in listed}


def remember_withdrawal(directory: Path, case_id: str, reason: str) -> None:
    """Keep a withdrawal where backups of the study do not reach."""
    known = listed_withdrawals(directory) | {case_id: reason}
    write_private(private_folder(directory) / WITHDRAWN_FILE, json.dumps(known, indent=1, sort_keys=True))


def forget_way_back(directory: Path, case_id: str) -> None:
    """Remove what was remembered of the case's files and, last, the link from pseudonym to patient."""
    index = private_folder(directory) / INDEX_FILE
    if index.exists():
        sources = read_sources(directory).cases if has_sources(directory) else ()
        paths = {file.path for case in sources if case.case_id == case_id for file in case.every_file}
        with locked_folder(index.parent):
            seen = json.loads(index.read_text("utf-8"))
            write_private(index, json.dumps({path: facts for path, facts in seen.items() if path not in paths}))
    forget_source(directory, case_id)
    with changed_links(directory) as links:
        links.pop(case_id, None)
