"""lock-plan writes the lock into study.toml and the audit, and can be repeated after a change."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.commands import app
from engine.protocol import PROTOCOL_FILE, Protocol, Rois, plan_digest, read_protocol, write_protocol
from engine.run.launch import launch
from engine.run.runner import run_lock
from store.layout import StudyFolder
from store.ledger import Ledger


def lock(study: Path) -> None:
    done = CliRunner().invoke(app, ["lock-plan", str(study)])
    assert done.exit_code == 0, done.output


def audit_lines(study: Path) -> list[tuple[object, ...]]:
    with Ledger(StudyFolder(study)) as ledger:
        assert ledger.audit_is_whole()
        return ledger.rows("SELECT actor, action, detail FROM audit ORDER BY seq")


def test_the_lock_is_written_with_moment_hash_and_role(tmp_path):
    write_protocol(tmp_path, Protocol())
    lock(tmp_path)
    plan = read_protocol(tmp_path).plan
    assert plan.locked_at.endswith("+00:00")
    assert plan.locked_by == "command line"
    assert plan.protocol_sha256 == plan_digest(Protocol())
    assert audit_lines(tmp_path) == [("command line", "lock plan", plan_digest(Protocol()))]


def test_after_a_change_the_plan_can_be_locked_again_and_the_audit_keeps_both(tmp_path):
    write_protocol(tmp_path, Protocol())
    lock(tmp_path)
    path = tmp_path / PROTOCOL_FILE
    path.write_text(path.read_text().replace("ring_mm = 6.0", "ring_mm = 9.0"))
    lock(tmp_path)
    changed = plan_digest(Protocol(rois=Rois(ring_mm=9.0)))
    assert read_protocol(tmp_path).plan.protocol_sha256 == changed
    assert [detail for _, _, detail in audit_lines(tmp_path)] == [plan_digest(Protocol()), changed]


def test_what_the_plan_is_derived_from_outlives_a_lock(tmp_path):
    protocol = Protocol()
    plan = protocol.plan.model_copy(update={"derived_from": "another study"})
    write_protocol(tmp_path, protocol.model_copy(update={"plan": plan}))
    lock(tmp_path)
    assert read_protocol(tmp_path).plan.derived_from == "another study"


def test_a_run_is_not_started_when_the_choices_changed_after_locking(tmp_path):
    write_protocol(tmp_path, Protocol())
    lock(tmp_path)
    write_protocol(tmp_path, read_protocol(tmp_path).model_copy(update={"rois": Rois(ring_mm=9.0)}))
    with pytest.raises(ValueError, match="lock the plan again"):
        launch(tmp_path)
    assert not StudyFolder(tmp_path).log.exists()


def test_no_plan_is_locked_while_a_run_is_going_on(tmp_path):
    write_protocol(tmp_path, Protocol())
    with run_lock(StudyFolder(tmp_path)):
        done = CliRunner().invoke(app, ["lock-plan", str(tmp_path)])
    assert isinstance(done.exception, RuntimeError)
    assert not read_protocol(tmp_path).plan.locked_at
