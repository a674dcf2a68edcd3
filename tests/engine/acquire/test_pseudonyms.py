"""A lost key is never replaced; links written side by side keep each other's, and nobody who withdrew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Thread

import pytest

from engine.acquire.content_index import INDEX_FILE, ContentIndex
from engine.acquire.pseudonyms import KEY_FILE, LINKS_FILE, PRIVATE_FOLDER, Pseudonyms, locked_folder, read_links
from engine.acquire.withdrawn import forget_way_back, remember_withdrawal
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import Refusal


def known(study: Path, *patients: str) -> list[str]:
    """Case ids of patients whom the study has met."""
    pseudonyms = Pseudonyms(study, public_ids=False)
    cases = [pseudonyms.case_id(patient) for patient in patients]
    pseudonyms.save()
    return cases


def test_a_key_is_made_where_the_study_has_no_case_even_if_its_audit_has_lines(tmp_path):
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.audit("holder", "set account", "ada reader")
    assert known(tmp_path, "P1") == known(tmp_path, "P1")


@pytest.mark.parametrize("lost", [KEY_FILE, ""])
def test_a_lost_key_is_said_and_not_replaced(tmp_path, lost):
    (case_id,) = known(tmp_path, "P1")
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.record_refusals("run", [Refusal(case_id, "code", "file", "text", "remedy")])
    private = tmp_path / PRIVATE_FOLDER
    (private / lost).unlink() if lost else shutil.rmtree(private)
    with pytest.raises(ValueError, match="put private/ back"):
        known(tmp_path, "P1")
    assert not (private / KEY_FILE).exists()


def test_links_or_a_withdrawal_tell_that_a_key_was_lost_before_any_run(tmp_path):
    known(tmp_path / "a", "P1")
    remember_withdrawal(tmp_path / "b", known(tmp_path / "b", "P1")[0], "asked for it")
    (tmp_path / "b" / PRIVATE_FOLDER / LINKS_FILE).unlink()
    for name in ("a", "b"):
        (tmp_path / name / PRIVATE_FOLDER / KEY_FILE).unlink()
        with pytest.raises(ValueError, match="put private/ back"):
            known(tmp_path / name, "P1")


def test_public_ids_need_no_key(tmp_path):
    known(tmp_path, "P1")
    shutil.rmtree(tmp_path / PRIVATE_FOLDER)
    assert Pseudonyms(tmp_path, public_ids=True).case_id("P1") == "P1"


def test_a_check_that_ends_after_a_withdrawal_does_not_bring_the_way_back_back(tmp_path):
    gone, stays = known(tmp_path, "GONE", "STAYS")
    checking = Pseudonyms(tmp_path, public_ids=False)
    newer = checking.case_id("NEWER")
    remember_withdrawal(tmp_path, gone, "asked for it")
    forget_way_back(tmp_path, gone)
    checking.case_id("GONE")
    checking.save()
    assert read_links(tmp_path) == {stays: "STAYS", newer: "NEWER"}


def test_two_checks_side_by_side_keep_the_links_of_both(tmp_path):
    checks = [Pseudonyms(tmp_path, public_ids=False) for _ in range(2)]
    cases = {check.case_id(patient): patient for check, patient in zip(checks, ("A", "B"), strict=True)}
    for check in checks:
        check.save()
    assert read_links(tmp_path) == cases


def test_who_saves_places_of_files_waits_for_who_is_saving_them(tmp_path):
    path = tmp_path / "new.nii.gz"
    path.write_text("new")
    index = ContentIndex(tmp_path)
    index.sha256(path)
    saving = Thread(target=index.save)
    with locked_folder(tmp_path / PRIVATE_FOLDER) as folder:
        saving.start()
        saving.join(0.1)
        assert not (folder / INDEX_FILE).exists()
    saving.join()
    assert (folder / INDEX_FILE).exists()


def test_a_check_that_ends_after_a_withdrawal_does_not_bring_the_places_of_files_back(tmp_path):
    files = {name: tmp_path / f"{name}.nii.gz" for name in ("known", "gone", "new")}
    for path in files.values():
        path.write_text(path.name)
    first = ContentIndex(tmp_path)
    first.sha256(files["known"])
    first.save()
    checking = ContentIndex(tmp_path)
    for path in files.values():
        checking.sha256(path)
    withdrawing = ContentIndex(tmp_path)
    withdrawing.forget(str(files["known"]))
    withdrawing.save()
    files["gone"].unlink()
    checking.save()
    assert list(json.loads((tmp_path / PRIVATE_FOLDER / INDEX_FILE).read_text())) == [str(files["new"])]
