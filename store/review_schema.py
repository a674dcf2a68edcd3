"""The ledger's tables of review: drafts, signs of life, drawn masks, orders; and what older ledgers lack."""

from __future__ import annotations

REVIEW_SCHEMA = """
CREATE TABLE IF NOT EXISTS draft (
  case_id TEXT NOT NULL, structure TEXT NOT NULL, reader TEXT NOT NULL, mode TEXT NOT NULL, reading INTEGER NOT NULL,
  judgement TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', comment TEXT NOT NULL DEFAULT '',
  drawn_key TEXT NOT NULL DEFAULT '', active_seconds REAL NOT NULL DEFAULT 0, last_active_at REAL NOT NULL DEFAULT 0,
  mask_key TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (case_id, structure, reader, mode, reading)) STRICT;
CREATE TABLE IF NOT EXISTS drawn_mask (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL, structure TEXT NOT NULL, version INTEGER NOT NULL,
  reader TEXT NOT NULL, origin TEXT NOT NULL, drawn_key TEXT NOT NULL, parent_key TEXT NOT NULL, via TEXT NOT NULL,
  voxels INTEGER NOT NULL, changed_voxels INTEGER NOT NULL, volume_ml REAL NOT NULL, edit_dsc REAL,
  volume_change_percent REAL, saved_at TEXT NOT NULL, identity TEXT NOT NULL,
  UNIQUE (case_id, structure, version)) STRICT;
CREATE TABLE IF NOT EXISTS reading_place (
  reader TEXT NOT NULL, mode TEXT NOT NULL, place INTEGER NOT NULL, case_id TEXT NOT NULL, reading INTEGER NOT NULL,
  PRIMARY KEY (reader, mode, place)) STRICT;
CREATE TABLE IF NOT EXISTS sign_of_life (reader TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS verdict_keeps BEFORE DELETE ON verdict BEGIN
  SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER IF NOT EXISTS drawn_mask_stays BEFORE UPDATE ON drawn_mask BEGIN
  SELECT RAISE(ABORT, 'drawn masks are append-only'); END;
CREATE TRIGGER IF NOT EXISTS drawn_mask_keeps BEFORE DELETE ON drawn_mask BEGIN
  SELECT RAISE(ABORT, 'drawn masks are append-only'); END;
"""

VERDICT_COLUMNS_SINCE_3 = (
    ("role", "TEXT NOT NULL DEFAULT 'reader'"),
    ("mode", "TEXT NOT NULL DEFAULT 'work list'"),
    ("reading", "INTEGER NOT NULL DEFAULT 1"),
    ("amends", "TEXT NOT NULL DEFAULT ''"),
    ("drawn_key", "TEXT NOT NULL DEFAULT ''"),
    ("identity", "TEXT NOT NULL DEFAULT ''"),
)

# Until version 6 nobody noted on which automatic mask a word was chosen that is not signed yet.
DRAFT_COLUMNS_SINCE_6 = (("mask_key", "TEXT NOT NULL DEFAULT ''"),)

# Until version 5 a sign of life after the signature began a draft again.
DRAFTS_BEFORE_5 = """DELETE FROM draft WHERE judgement='' AND drawn_key='' AND EXISTS (SELECT 1 FROM verdict v
  WHERE v.case_id=draft.case_id AND v.structure=draft.structure AND v.reader=draft.reader AND v.mode=draft.mode
  AND v.reading=draft.reading)"""
