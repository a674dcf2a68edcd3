"""Withdraw a patient from everything a study holds."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from engine.acquire.pseudonyms import LostKeyError
from engine.acquire.withdrawn import unfinished_withdrawals, unlisted_withdrawals
from engine.run.intake import sweep
from engine.run.reapply import reapply_withdrawals
from engine.run.removal import Withdrawn, remove_patients
from engine.run.runner import run_lock
from store.layout import StudyFolder
from store.tombstones import tombstones

log = logging.getLogger("cohortscope.run")


def withdraw(study: Path, case_id: str, actor: str, reason: str) -> Withdrawn:
    """Remove a case: results, verdicts, snapshots, all its files in the image folder, waiting uploads, the way back.

    Images and tables outside the study's folder are the holder's and are named for him to remove, as are files inside
    that another case has too or that name no patient; models that saw the case are marked by name in their home.
    What an interruption leaves undone, a second withdrawal or `reapply_withdrawals` does. ValueError for an empty
    reason; RuntimeError while a run goes on.
    """
    if not reason.strip():
        raise ValueError("a withdrawal needs a reason (--reason), which the audit keeps")
    folder = StudyFolder(study.resolve())
    with run_lock(folder):
        return remove_patients(folder.root, {case_id: reason}, actor)


def before_serving(study: Path) -> None:
    """Finish withdrawals before anybody sees a page: interrupted ones, and those that a restored backup undid.

    A run that goes on did so. What was uploaded or imported and never kept is swept too. Without the key of the
    pseudonyms nobody's files are found: the results are served if none of these patients is in them, as tombstones say.
    """
    with suppress(ValueError, OSError):  # a study.toml that cannot be read is for the pages to say
        sweep(study)
    unfinished = unfinished_withdrawals(study)
    if not unfinished and not unlisted_withdrawals(study):
        return
    try:
        with suppress(RuntimeError), run_lock(StudyFolder(study)):
            reapply_withdrawals(study)
    except LostKeyError as error:
        if unfinished.keys() - {stone.case_id for stone in tombstones(study)}:
            raise
        log.warning("%d withdrawals are unfinished: %s", len(unfinished), error)
