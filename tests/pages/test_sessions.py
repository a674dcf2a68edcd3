"""Who signed out is on disk, readable by its owner only, and forgotten once no cookie of that time lives."""

from __future__ import annotations

import stat
import time

from pages import sessions
from pages.sessions import SIGN_OUTS_FILE, note_sign_out, sign_out_of


def test_a_sign_out_outlives_a_restart_and_only_its_owner_reads_it(tmp_path):
    note_sign_out(tmp_path, ["a"])
    sessions._read_sign_outs.cache_clear()  # as a new process has it
    assert time.time() - 60 < sign_out_of(tmp_path, "a") <= time.time()
    assert sign_out_of(tmp_path, "b") == 0.0
    assert stat.S_IMODE((tmp_path / "private" / SIGN_OUTS_FILE).stat().st_mode) == 0o600


def test_one_sign_out_after_another_is_kept_until_no_cookie_of_its_time_lives(tmp_path, monkeypatch):
    now = time.time()
    note_sign_out(tmp_path, ["a"])
    note_sign_out(tmp_path, ["b"])
    assert sign_out_of(tmp_path, "a") > 0
    monkeypatch.setattr(sessions.time, "time", lambda: now + 31 * 86_400)
    note_sign_out(tmp_path, ["c"])
    assert [name for name in "abc" if sign_out_of(tmp_path, name)] == ["c"]


def test_a_study_where_nobody_signed_out_has_no_record(tmp_path):
    assert sign_out_of(tmp_path, "a") == 0.0
    assert list(tmp_path.iterdir()) == []
