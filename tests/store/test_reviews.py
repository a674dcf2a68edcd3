"""Nothing a reader signed or saved is lost, changed or overwritten; his time counts without pauses."""

import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pytest

from store.audit import verify_audit
from store.layout import StudyFolder
from store.ledger import SCHEMA, Ledger
from store.reading_orders import EVERY_MASK, LEARNT, note_words_shown, words_shown
from store.records import DrawnMask, Verdict
from store.review_schema import REVIEW_SCHEMA
from store.reviews import (
    Draft,
    Edit,
    OvertakenError,
    Reading,
    UnsignedError,
    add_drawn,
    draft_of,
    drawing_key,
    drawn_masks,
    drop_change,
    drop_drawing,
    is_begun,
    latest_verdicts,
    load_drawn,
    readers_words,
    reading_order,
    reopen,
    save_draft,
    sign,
    store_reading_order,
    take_drawing,
    touch,
    with_masks,
)
from store.verification import forget_damaged, verify
from store.volumes import Grid, Mask, mask_key
from store.withdrawal import withdraw_case

GRID = Grid((6, 5, 4), (1, 2, 3), (0, 0, 0))
ADA = Reading("A", "Ada")
SIGNED = Verdict("A", "tumour", "Ada", "minor", "vessel", "", 12.0, "", "seen")
ABOUT = DrawnMask("A", "tumour", 0, "Ada", "corrected", "", "seen", "viewer", 0, 0, 0.0, None, None, "")


@pytest.fixture
def ledger(tmp_path):
    with Ledger(StudyFolder(tmp_path)) as opened:
        yield opened


def drawn(reader="Ada", filled=3):
    voxels = np.zeros(GRID.shape_zyx, bool)
    voxels.ravel()[:filled] = True
    return Mask("tumour", "corrected", reader, voxels, GRID)


def add(tmp_path, ledger, mask, reading=ADA, drawn_from=None):
    about = replace(ABOUT, case_id=reading.case_id, reader=reading.reader, origin=mask.origin)
    begun = draft_of(ledger, reading).drawn_key if drawn_from is None else drawn_from
    return add_drawn(StudyFolder(tmp_path), ledger, reading, mask, Edit(2, 0.95, -4.0), about, begun)


def test_a_draft_stays_until_it_is_signed(ledger):
    save_draft(ledger, ADA, "minor", "vessel", "small")
    assert draft_of(ledger, ADA) == Draft("minor", "vessel", "small")
    sign(ledger, SIGNED)
    assert draft_of(ledger, ADA) == Draft()


def test_a_draft_is_the_readers_own(ledger):
    save_draft(ledger, ADA, "major", "", "")
    assert draft_of(ledger, Reading("A", "Ben")).judgement == ""
    assert draft_of(ledger, Reading("A", "Ada", "reader study")).judgement == ""


def test_time_counts_without_pauses(ledger):
    for moment in (1000.0, 1020.0, 1080.0, 1200.0, 1210.0):  # 20 + 60 counted, 120 idle, 10 counted
        touch(ledger, ADA, moment, idle_seconds=60)
    assert draft_of(ledger, ADA).active_seconds == 90


def test_no_second_counts_for_two_cases(ledger):
    other = Reading("B", "Ada")
    for moment in range(1000, 1091, 5):
        touch(ledger, other if moment % 2 else ADA, float(moment), idle_seconds=60)
    total = draft_of(ledger, ADA).active_seconds + draft_of(ledger, other).active_seconds
    assert total == 85  # 90 on the clock, of which the first sign of life on the second case began its time
    touch(ledger, Reading("A", "Ben"), 1100.0, idle_seconds=60)
    touch(ledger, ADA, 1110.0, idle_seconds=60)
    assert draft_of(ledger, ADA).active_seconds + draft_of(ledger, other).active_seconds == total + 20


def test_no_second_counts_twice_across_a_signature(ledger):
    """A case is opened, another is read and signed within a minute, then the first is looked at again."""
    touch(ledger, ADA, 1000.0, idle_seconds=60)
    for moment in range(1005, 1056, 10):
        touch(ledger, Reading("B", "Ada"), float(moment), idle_seconds=60)
    assert draft_of(ledger, Reading("B", "Ada")).active_seconds == 50
    sign(ledger, replace(SIGNED, case_id="B"))
    touch(ledger, ADA, 1057.0, idle_seconds=60)
    assert draft_of(ledger, ADA).active_seconds == 2


def test_a_clock_that_goes_back_takes_no_time_away(ledger):
    for moment in (1000.0, 1010.0, 900.0, 905.0):
        touch(ledger, ADA, moment, idle_seconds=60)
    assert draft_of(ledger, ADA).active_seconds == 15


def test_after_signing_a_change_needs_a_reason_and_both_stay(ledger):
    sign(ledger, SIGNED)
    with pytest.raises(UnsignedError, match="amends"):
        sign(ledger, replace(SIGNED, judgement="major"))
    sign(ledger, replace(SIGNED, judgement="major", amends="looked again"))
    assert [v.judgement for v in ledger.verdicts("A")] == ["minor", "major"]
    assert [v.judgement for v in latest_verdicts(ledger.verdicts())] == ["major"]


def test_a_first_verdict_amends_nothing(ledger):
    with pytest.raises(UnsignedError, match="amends"):
        sign(ledger, replace(SIGNED, amends="why"))


def test_a_verdict_names_only_masks_that_were_saved_for_its_case(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    key = drawing_key("A", drawn())
    with pytest.raises(UnsignedError, match="saved for this case"):
        sign(ledger, replace(SIGNED, case_id="B", drawn_key=key))
    assert sign(ledger, replace(SIGNED, drawn_key=key)).drawn_key == key


def test_verdicts_and_drawings_can_be_neither_changed_nor_deleted(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    sign(ledger, SIGNED)
    for statement in ("UPDATE verdict SET reader='x'", "DELETE FROM verdict", "DELETE FROM drawn_mask"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), ledger.transaction() as connection:
            connection.execute(statement)


def test_a_saved_mask_comes_back_voxel_by_voxel_and_is_in_the_draft(tmp_path, ledger):
    assert add(tmp_path, ledger, drawn()) == 1
    key = draft_of(ledger, ADA).drawn_key
    back = load_drawn(StudyFolder(tmp_path), key)
    assert (back.voxels == drawn().voxels).all()
    assert (back.grid, back.source, back.origin) == (GRID, "Ada", "corrected")
    assert drawn_masks(ledger)[0].voxels == 3


def test_equal_drawings_of_two_cases_or_of_two_origins_are_each_kept(tmp_path, ledger):
    """Two cases of one grid of which a reader erases everything; a correction brought into a blank canvas."""
    readings = (ADA, Reading("B", "Ada"), Reading("A", "Ada", "blank canvas"))
    masks = (drawn(), drawn(), replace(drawn(), origin="independent"))
    for reading, mask in zip(readings, masks, strict=True):
        add(tmp_path, ledger, mask, reading)
    keys = [draft_of(ledger, reading).drawn_key for reading in readings]
    assert len(set(keys)) == 3
    assert [load_drawn(StudyFolder(tmp_path), key).origin for key in keys] == ["corrected", "corrected", "independent"]
    withdraw_case(tmp_path, "A", "Admin", "consent withdrawn")
    assert load_drawn(StudyFolder(tmp_path), keys[1]).voxels.sum() == 3
    for key in (keys[0], keys[2]):
        with pytest.raises(KeyError):
            load_drawn(StudyFolder(tmp_path), key)


def test_a_drawing_that_two_cases_name_outlives_the_withdrawal_of_one(tmp_path, ledger, monkeypatch):
    """As in studies whose drawings were stored before their case stood in the key."""
    monkeypatch.setattr("store.reviews.drawing_key", lambda _case, mask: mask_key(mask))
    add(tmp_path, ledger, drawn())
    add(tmp_path, ledger, drawn(), Reading("B", "Ada"))
    withdraw_case(tmp_path, "A", "Admin", "consent withdrawn")
    assert load_drawn(StudyFolder(tmp_path), mask_key(drawn())).voxels.sum() == 3
    withdraw_case(tmp_path, "B", "Admin", "consent withdrawn")
    with pytest.raises(KeyError):
        load_drawn(StudyFolder(tmp_path), mask_key(drawn()))


def test_a_mask_drawn_from_one_that_the_draft_holds_no_more_is_not_stored(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    first = draft_of(ledger, ADA).drawn_key
    for stale in ("", "elsewhere"):
        with pytest.raises(OvertakenError):
            add(tmp_path, ledger, drawn(filled=4), drawn_from=stale)
    drop_drawing(ledger, ADA)
    with pytest.raises(OvertakenError):
        add(tmp_path, ledger, drawn(filled=4), drawn_from=first)
    assert [mask.drawn_key for mask in drawn_masks(ledger)] == [first]


def test_what_is_signed_takes_neither_mask_nor_words_nor_time_until_its_change_is_begun(tmp_path, ledger):
    stored = sign(ledger, SIGNED)
    with pytest.raises(OvertakenError):
        add(tmp_path, ledger, drawn())
    save_draft(ledger, ADA, "major", "", "")
    touch(ledger, ADA, 1000.0, idle_seconds=60)
    assert not is_begun(ledger, ADA)
    reopen(ledger, stored)
    save_draft(ledger, ADA, "major", "vessel", "larger")
    add(tmp_path, ledger, drawn())
    reopen(ledger, stored)  # from another tab: what was begun goes on
    assert draft_of(ledger, ADA) == Draft("major", "vessel", "larger", drawing_key("A", drawn()))
    drop_change(ledger, ADA)
    assert not is_begun(ledger, ADA)
    assert ledger.verdicts() == (stored,)


def test_a_draft_that_was_never_signed_is_not_given_up(ledger):
    save_draft(ledger, ADA, "major", "", "")
    drop_change(ledger, ADA)
    assert draft_of(ledger, ADA).judgement == "major"


def test_undo_leaves_the_version_in_the_history(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    drop_drawing(ledger, ADA)
    assert draft_of(ledger, ADA).drawn_key == ""
    assert len(drawn_masks(ledger, "A")) == 1


def test_an_adjudicator_takes_a_saved_drawing_of_the_case_and_the_audit_says_whose(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    key, cleo = drawing_key("A", drawn()), Reading("A", "Cleo", "adjudication")
    save_draft(ledger, cleo, "minor", "vessel", "")
    take_drawing(ledger, cleo, key)
    assert draft_of(ledger, cleo) == Draft("minor", "vessel", "", key)
    assert len(drawn_masks(ledger)) == 1
    detail = ledger.rows("SELECT detail FROM audit WHERE actor='Cleo' AND action='take mask'")
    assert detail == [(f"A tumour version 1 of Ada {key[:12]}",)]
    assert ledger.audit_is_whole()


def test_only_an_adjudication_takes_a_drawing_and_only_a_correction_of_its_own_case(tmp_path, ledger):
    unseen = replace(drawn(), origin="independent")
    add(tmp_path, ledger, drawn())
    add(tmp_path, ledger, unseen, Reading("B", "Ada", "blank canvas"))
    of_a, of_b = drawing_key("A", drawn()), drawing_key("B", unseen)
    refused = [(ADA, of_a), (Reading("B", "Cleo", "adjudication"), of_a), (Reading("B", "Cleo", "adjudication"), of_b)]
    for reading, key in refused:
        before = draft_of(ledger, reading)
        with pytest.raises(UnsignedError, match="saved correction of its case"):
            take_drawing(ledger, reading, key)
        assert draft_of(ledger, reading) == before


def test_two_readers_saving_at_once_get_two_versions(tmp_path):
    folder, versions, begin = StudyFolder(tmp_path), [], threading.Barrier(8)
    Ledger(folder).close()

    def work(number):
        with Ledger(folder) as own:
            begin.wait()
            mask = drawn(f"R{number}", number + 1)
            versions.append(add(tmp_path, own, mask, Reading("A", f"R{number}")))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == list(range(1, 9))
    assert verify(tmp_path).clean


def test_a_save_that_dies_before_the_ledger_is_not_stored(tmp_path, ledger, monkeypatch):
    monkeypatch.setattr(Ledger, "append_audit", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        add(tmp_path, ledger, drawn())
    assert drawn_masks(ledger) == ()
    assert draft_of(ledger, ADA).drawn_key == ""


def test_a_damaged_drawing_is_found_and_never_forgotten(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    path = StudyFolder(tmp_path).artifact("drawn", drawing_key("A", drawn()), ".npz")
    path.write_bytes(b"broken")
    assert len(verify(tmp_path).damaged) == 1
    forget_damaged(tmp_path)
    assert len(verify(tmp_path).damaged) == 1


def test_the_audit_names_who_did_what(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    sign(ledger, SIGNED)
    rows = ledger.rows("SELECT actor, action, detail FROM audit ORDER BY seq")
    assert [(a, b) for a, b, _ in rows] == [("Ada", "mask"), ("Ada", "verdict")]
    assert ledger.audit_is_whole()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE verdict SET judgement='none'",
        "UPDATE verdict SET reading=2",
        "UPDATE verdict SET active_seconds=1",
        "UPDATE verdict SET mask_key='another'",
        "UPDATE verdict SET comment='never said'",
        "UPDATE drawn_mask SET reader='Ben'",
        "UPDATE drawn_mask SET saved_at='2020-01-01T00:00:00'",
        "DELETE FROM verdict",
        "DELETE FROM drawn_mask",
        "INSERT INTO verdict SELECT 99, case_id, structure, 'Ben', judgement, reason, comment, active_seconds,"
        " signed_at, mask_key, role, mode, reading, amends, drawn_key, identity FROM verdict",
    ],
)
def test_a_signed_row_that_was_rewritten_is_seen(tmp_path, ledger, statement):
    add(tmp_path, ledger, drawn())
    sign(ledger, replace(SIGNED, active_seconds=12, drawn_key=drawing_key("A", drawn())))
    assert verify_audit(tmp_path).whole
    with ledger.transaction() as connection:
        for name in ("verdict_stays", "verdict_keeps", "drawn_mask_stays", "drawn_mask_keeps"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
    assert "not as they were stored" in verify_audit(tmp_path).problem


def test_a_reason_that_speaks_of_undoing_in_an_old_line_is_no_sign_of_tampering(tmp_path, ledger):
    with ledger.transaction() as connection:
        said = "Z tumour none reader work list replaces: the correction was undone"
        ledger.append_audit(connection, "old", "verdict", said)
        connection.execute(
            "INSERT INTO verdict (case_id, structure, reader, judgement, reason, comment, active_seconds, signed_at,"
            " mask_key) VALUES ('Z','tumour','old','none','','',1.0,'2020-01-01T00:00:00','seen')"
        )
    add(tmp_path, ledger, drawn())
    drop_drawing(ledger, ADA)
    assert verify_audit(tmp_path).whole


def test_rows_of_a_withdrawn_case_may_be_gone_and_those_from_before_the_marks_are_not_covered(tmp_path, ledger):
    with ledger.transaction() as connection:
        ledger.append_audit(connection, "old", "verdict", "Z tumour none reader work list")
        connection.execute(
            "INSERT INTO verdict (case_id, structure, reader, judgement, reason, comment, active_seconds, signed_at,"
            " mask_key) VALUES ('Z','tumour','old','none','','',1.0,'2020-01-01T00:00:00','seen')"
        )
    add(tmp_path, ledger, drawn())
    drop_drawing(ledger, ADA)
    sign(ledger, SIGNED)
    assert verify_audit(tmp_path).whole
    withdraw_case(tmp_path, "A", "Admin", "consent withdrawn")
    assert verify_audit(tmp_path).whole


def test_a_reading_order_is_drawn_once(ledger):
    store_reading_order(ledger, "Ada", "reader study", [("B", 1), ("A", 1)])
    store_reading_order(ledger, "Ada", "reader study", [("A", 1)])
    assert reading_order(ledger, "Ada", "reader study") == (("B", 1), ("A", 1))


def test_a_change_begins_with_what_was_signed(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    signed = sign(ledger, replace(SIGNED, drawn_key=drawing_key("A", drawn())))
    for moment in (1000.0, 1020.0):  # looking at what was signed is no part of the change
        touch(ledger, ADA, moment, idle_seconds=60)
    reopen(ledger, signed)
    assert draft_of(ledger, ADA) == Draft("minor", "vessel", "", drawing_key("A", drawn()), mask_key="seen")


def test_the_words_of_readers_leave_out_adjudicators_repeats_and_blank_canvases():
    rows = (
        replace(SIGNED, reader="Ada"),
        replace(SIGNED, reader="Ben", mode="reader study", reading=2),
        replace(SIGNED, reader="Cleo", role="adjudicator", mode="adjudication"),
        replace(SIGNED, reader="Dora", judgement="drawn", mode="blank canvas", drawn_key="k"),
        replace(SIGNED, reader="Ada", judgement="major", amends="again"),
    )
    assert [(v.reader, v.judgement) for v in readers_words(rows, "tumour")] == [("Ada", "major")]


def test_a_draft_keeps_which_mask_its_word_is_of(ledger):
    save_draft(ledger, ADA, "minor", "vessel", "", "seen")
    touch(ledger, ADA, 1000.0, idle_seconds=60)
    assert draft_of(ledger, ADA) == Draft("minor", "vessel", "", mask_key="seen")
    save_draft(ledger, ADA, "major", "vessel", "", "newer")
    assert draft_of(ledger, ADA).mask_key == "newer"


def test_a_draft_of_version_5_is_kept_and_names_no_mask(tmp_path, ledger):
    ledger.close()
    old = sqlite3.connect(StudyFolder(tmp_path).ledger)
    old.executescript("ALTER TABLE draft DROP COLUMN mask_key; PRAGMA user_version=5")
    old.execute("INSERT INTO draft VALUES ('A','tumour','Ada','work list',1,'minor','vessel','','',9,0)")
    old.commit()
    old.close()
    for _ in range(2):
        with Ledger(StudyFolder(tmp_path)) as opened:
            assert draft_of(opened, ADA) == Draft("minor", "vessel", "", "", 9.0)


def test_verdicts_come_with_the_masks_they_name(tmp_path, ledger):
    add(tmp_path, ledger, drawn())
    sign(ledger, replace(SIGNED, drawn_key=drawing_key("A", drawn())))
    found = with_masks(StudyFolder(tmp_path), ledger.verdicts("A"))
    assert (found.mask(found.rows[0].drawn_key).voxels == drawn().voxels).all()
    assert found.mask("") is None


def test_a_ledger_of_version_2_gains_the_columns_and_keeps_its_verdicts(tmp_path):
    folder = StudyFolder(tmp_path)
    old = sqlite3.connect(folder.ledger)
    old.executescript(SCHEMA)
    old.execute("INSERT INTO verdict VALUES (1,'A','tumour','old','none','','',1.0,'2026-01-01T00:00:00','')")
    old.executescript(REVIEW_SCHEMA)
    old.execute("ALTER TABLE verdict ADD COLUMN mode TEXT NOT NULL DEFAULT 'work list'")
    old.execute("ALTER TABLE verdict ADD COLUMN reading INTEGER NOT NULL DEFAULT 1")
    left = "INSERT INTO draft (case_id, structure, reader, mode, reading, judgement) VALUES (?,'tumour','old',?,1,?)"
    old.executemany(left, [("A", "work list", ""), ("A", "reader study", ""), ("B", "work list", "")])
    old.execute("PRAGMA user_version=2")
    old.commit()
    old.close()
    with Ledger(folder) as ledger:
        (kept,) = ledger.verdicts()
        drafts = ledger.rows("SELECT case_id, mode FROM draft ORDER BY case_id")
    assert (kept.reader, kept.role, kept.mode, kept.reading) == ("old", "reader", "work list", 1)
    assert drafts == [("A", "reader study"), ("B", "work list")]  # no change of what is signed was begun


def test_what_a_reader_learns_of_a_mask_is_kept_once_and_a_line_that_names_no_mask_holds_of_every_one(ledger):
    for key in ("seen", "newer", "seen"):
        note_words_shown(ledger, "Ada", "A", key)
    with ledger.transaction() as connection:
        ledger.append_audit(connection, "Ada", LEARNT, "B")
    assert list(words_shown(ledger)) == [("Ada", "A", "newer"), ("Ada", "A", "seen"), ("Ada", "B", EVERY_MASK)]
    assert ledger.rows("SELECT count(*) FROM audit WHERE action=?", (LEARNT,)) == [(3,)]


def test_two_tabs_that_note_at_once_what_a_reader_learns_keep_it_once(ledger, tmp_path, monkeypatch):
    with Ledger(StudyFolder(tmp_path)) as other:
        begin = ledger.transaction

        def after_the_other():
            note_words_shown(other, "Ada", "A", "seen")
            return begin()

        monkeypatch.setattr(ledger, "transaction", after_the_other)
        note_words_shown(ledger, "Ada", "A", "seen")
    assert ledger.rows("SELECT count(*) FROM audit WHERE action=?", (LEARNT,)) == [(1,)]
