"""The ledger's tables but those of review: runs, tasks with leases, artifacts, verdicts, audit."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (
  run_id TEXT PRIMARY KEY, place INTEGER NOT NULL, started_at TEXT NOT NULL, finished_at TEXT, state TEXT NOT NULL,
  protocol_sha256 TEXT NOT NULL, protocol_json TEXT NOT NULL, until_stage TEXT NOT NULL, seed INTEGER NOT NULL,
  code_version TEXT NOT NULL, packages_json TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
  pid_start TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS task (
  key TEXT PRIMARY KEY, stage TEXT NOT NULL, unit TEXT NOT NULL, run_id TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, computed INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
  lease_host TEXT NOT NULL DEFAULT '', lease_pid INTEGER NOT NULL DEFAULT 0, lease_start TEXT NOT NULL DEFAULT '',
  lease_at REAL NOT NULL DEFAULT 0, seconds REAL, peak_mb REAL, finished_at TEXT) STRICT;
CREATE TABLE IF NOT EXISTS worked (
  run_id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (run_id, key)) STRICT;
CREATE TABLE IF NOT EXISTS placement (
  run_id TEXT NOT NULL, stage TEXT NOT NULL, unit TEXT NOT NULL, key TEXT NOT NULL,
  PRIMARY KEY (run_id, stage, unit)) STRICT;
CREATE INDEX IF NOT EXISTS placement_key ON placement (key);
CREATE TABLE IF NOT EXISTS skipped (
  run_id TEXT NOT NULL, stage TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (run_id, stage)) STRICT;
CREATE TABLE IF NOT EXISTS artifact (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, record_type TEXT NOT NULL,
  suffix TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, created_at TEXT NOT NULL,
  UNIQUE (kind, key)) STRICT;
CREATE TABLE IF NOT EXISTS incident (
  at TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS refusal (
  run_id TEXT NOT NULL, case_id TEXT NOT NULL, code TEXT NOT NULL, file TEXT NOT NULL, message TEXT NOT NULL,
  remedy TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS verdict (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL, structure TEXT NOT NULL, reader TEXT NOT NULL,
  judgement TEXT NOT NULL, reason TEXT NOT NULL, comment TEXT NOT NULL, active_seconds REAL NOT NULL,
  signed_at TEXT NOT NULL, mask_key TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS epoch (
  key TEXT NOT NULL, phase TEXT NOT NULL, epoch INTEGER NOT NULL, epochs INTEGER NOT NULL, loss REAL NOT NULL,
  pseudo_dice REAL, tumour_pseudo_dice REAL, seconds REAL NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (key, phase, epoch)) STRICT;
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  detail TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER IF NOT EXISTS verdict_stays BEFORE UPDATE ON verdict BEGIN
  SELECT RAISE(ABORT, 'verdicts are append-only'); END;
"""

# Until version 4 only the clock told what a run had computed itself.
WORKED_BEFORE_4 = """INSERT OR IGNORE INTO worked SELECT p.run_id, p.key FROM placement p JOIN task t USING (key)
  JOIN run r ON r.run_id = p.run_id WHERE t.state='done' AND t.finished_at >= r.started_at
  AND t.finished_at <= coalesce(r.finished_at, t.finished_at)"""
