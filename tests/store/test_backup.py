"""A backup taken while a run goes on restores to a study that loses nothing and computes nothing twice."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from engine.commands.custody import custody_app
from engine.run.launch import cancel, launch
from engine.run.runner import run
from store.artifacts import sha256_of_file
from store.audit import audit_lines
from store.backup import ForeignBackupError, back_up
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import rebuild
from store.records import DrawnMask
from store.reviews import Edit, Reading, add_drawn, draft_of, drawn_masks, load_drawn
from store.snapshot import open_snapshot
from store.verification import verify
from store.volumes import Grid, Mask
from tests.random_table import random_table_study

RESAMPLES = 60
WAIT_SECONDS = 120
GRID = Grid((6, 5, 4), (1, 2, 3), (0, 0, 0))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return random_table_study(tmp_path, RESAMPLES)


def results(study: Path) -> set[tuple[object, ...]]:
    with Ledger(StudyFolder(study)) as ledger:
        return set(ledger.rows("SELECT kind, key, sha256 FROM artifact"))


def wait_for(study: Path, count: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not StudyFolder(study).ledger.exists() or len(results(study)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_backup_amid_a_run_restores_and_goes_on_to_the_same_results(study, tmp_path):
    backup = tmp_path / "backup"
    launch(study)
    wait_for(study, 20)
    first = back_up(study, backup)
    assert first.artifacts >= 20
    assert first.damaged == ()
    assert verify(backup).clean
    assert not (backup / "private").exists()
    assert not (backup / "snapshots").exists()
    wait_for(study, first.artifacts + 10)
    second = back_up(study, backup)  # what it holds is not copied again
    assert second.artifacts > first.artifacts
    assert second.copied < second.artifacts
    assert verify(backup).clean
    cancel(study)
    private = shutil.copytree(study / "private", tmp_path / "safe")
    held = results(backup)
    shutil.rmtree(study)  # the disk is gone
    shutil.copytree(backup, study)
    shutil.copytree(private, study / "private")
    rebuild(study)
    assert open_snapshot(study) is not None
    result = run(study, backend="inline")
    assert result.failures == 0
    assert results(study) >= held
    with Ledger(StudyFolder(study)) as ledger:
        assert {count for (count,) in ledger.rows("SELECT computed FROM task WHERE state='done'")} == {1}
    twin = Path(shutil.copytree(study, tmp_path / "twin", ignore=shutil.ignore_patterns("artifacts", "ledger.sqlite*")))
    shutil.rmtree(twin / "snapshots")
    run(twin, backend="inline")
    assert results(study) == results(twin)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A study with one drawn mask, a file of choices and a key in its private folder."""
    folder = tmp_path / "small"
    (folder / "private").mkdir(parents=True)
    (folder / "private" / "key").write_text("secret")
    (folder / "study.toml").write_text("[study]\n")
    (folder / "images" / "A").mkdir(parents=True)
    (folder / "images" / "A" / "image.nii.gz").write_bytes(b"voxels")
    draw(folder, 3)
    return folder


def draw(folder: Path, filled: int) -> None:
    voxels = np.zeros(GRID.shape_zyx, bool)
    voxels.ravel()[:filled] = True
    about = DrawnMask("A", "tumour", 0, "Ada", "corrected", "", "seen", "viewer", 0, 0, 0.0, None, None, "")
    with Ledger(StudyFolder(folder)) as ledger:
        mask = Mask("tumour", "corrected", "Ada", voxels, GRID)
        ada = Reading("A", "Ada")
        begun = draft_of(ledger, ada).drawn_key
        add_drawn(StudyFolder(folder), ledger, ada, mask, Edit(2, 0.95, -4.0), about, begun)


def one_result(folder: Path) -> Path:
    (path,) = [path for path in (folder / "artifacts").rglob("*") if path.is_file()]
    return path


def test_drawn_masks_choices_and_images_are_in_and_the_key_is_not(small, tmp_path):
    backup = tmp_path / "backup"
    done = back_up(small, backup)
    assert (done.artifacts, done.copied, done.removed) == (1, 3, 0)
    with Ledger(StudyFolder(backup)) as ledger:
        (mask,) = drawn_masks(ledger, "A")
    assert load_drawn(StudyFolder(backup), mask.drawn_key).voxels.sum() == 3
    assert (backup / "images" / "A" / "image.nii.gz").read_bytes() == b"voxels"
    assert not any("secret" in path.read_text(errors="replace") for path in backup.rglob("*") if path.is_file())
    assert backup.stat().st_mode & 0o077 == 0
    assert back_up(small, backup).copied == 0


def test_a_damaged_result_is_named_and_does_not_replace_the_good_copy(small, tmp_path):
    backup = tmp_path / "backup"
    back_up(small, backup)
    good = one_result(backup).read_bytes()
    one_result(small).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert back_up(small, backup).damaged == ()  # the copy it has is whole, nothing is taken over it
    assert one_result(backup).read_bytes() == good
    fresh = back_up(small, tmp_path / "fresh")
    assert len(fresh.damaged) == 1
    assert verify(tmp_path / "fresh").missing == fresh.damaged


def test_a_result_that_was_made_again_with_as_many_bytes_is_copied_again(small, tmp_path):
    backup = tmp_path / "backup"
    back_up(small, backup)
    path = one_result(small)
    again = path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])
    path.write_bytes(again)
    with Ledger(StudyFolder(small)) as ledger, ledger.transaction() as connection:
        connection.execute("UPDATE artifact SET sha256=?", (sha256_of_file(path),))
    assert back_up(small, backup).copied == 1
    assert one_result(backup).read_bytes() == again
    assert verify(backup).clean


@pytest.mark.parametrize("earlier", [False, True])
def test_a_backup_that_is_interrupted_is_taken_up(small, tmp_path, monkeypatch, earlier):
    backup = tmp_path / "backup"
    if earlier:
        back_up(small, backup)
        draw(small, 5)
    with monkeypatch.context() as patched:
        patched.setattr("store.backup._copy_hashed", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            back_up(small, backup)
    if earlier:
        assert verify(backup).clean  # it still is the one before
    assert back_up(small, backup).damaged == ()
    assert verify(backup).clean
    assert results(backup) == results(small)


def test_what_a_study_has_no_more_leaves_its_backup(small, tmp_path):
    backup = tmp_path / "backup"
    draw(small, 5)
    back_up(small, backup)
    (small / "images" / "A" / "image.nii.gz").unlink()
    with Ledger(StudyFolder(small)) as ledger, ledger.transaction() as connection:
        connection.execute("DELETE FROM artifact WHERE seq=1")
    assert back_up(small, backup).removed == 2
    assert not (backup / "images" / "A" / "image.nii.gz").exists()
    assert one_result(backup).exists()


def test_only_an_earlier_backup_of_this_study_is_written_over(small, study, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(ForeignBackupError, match="something else"):
        back_up(small, other)
    assert (other / "thesis.txt").read_text() == "mine"
    with pytest.raises(ForeignBackupError, match="outside its study"):
        back_up(small, small / "backup")
    with pytest.raises(ForeignBackupError, match="no study"):
        back_up(tmp_path / "nothing", other)
    run(study, until_stage="clinical", backend="inline")
    back_up(study, tmp_path / "of-study")
    with pytest.raises(ForeignBackupError, match="something else"):
        back_up(small, tmp_path / "of-study")


def test_the_command_says_what_it_did_and_fails_where_a_result_is_damaged(small, tmp_path):
    done = CliRunner().invoke(custody_app, ["backup", str(small), str(tmp_path / "backup")])
    assert (done.exit_code, "1 result; 3 files copied" in done.output) == (0, True)
    one_result(small).write_bytes(b"")
    done = CliRunner().invoke(custody_app, ["backup", str(small), str(tmp_path / "second")])
    assert done.exit_code == 1
    assert "damaged drawn/" in done.output
    assert any("backup" in str(line) for line in audit_lines(small))
