"""Locking the analysis plan: the choices of a study are fixed before its outcomes are used for a claim."""

from __future__ import annotations

from pathlib import Path

from engine.protocol import Plan, Protocol, plan_digest, read_unlocked, write_protocol
from engine.run.runner import run_lock
from store.layout import StudyFolder
from store.ledger import Ledger, now


def lock_plan(study: Path, locked_by: str) -> Plan:
    """Write moment, hash of the choices and role into study.toml and one line into the audit; returns the plan.

    A plan that is locked already is locked anew; the audit keeps every lock. RuntimeError while a run is going on;
    ValueError for a wrong protocol.
    """
    folder = StudyFolder(study.resolve())
    protocol = read_unlocked(folder.root)
    with run_lock(folder), Ledger(folder) as ledger:
        locked = locked_protocol(protocol, now(), locked_by)
        ledger.audit(locked_by, "lock plan", locked.plan.protocol_sha256)
        write_protocol(folder.root, locked)
    return locked.plan


def locked_protocol(protocol: Protocol, at: str, locked_by: str) -> Protocol:
    """The protocol with its choices locked: at in UTC, ISO 8601; locked_by a role."""
    lock = {"locked_at": at, "protocol_sha256": plan_digest(protocol), "locked_by": locked_by}
    return protocol.model_copy(update={"plan": protocol.plan.model_copy(update=lock)})
