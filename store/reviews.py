"""Store actions of review: drafts, signed verdicts, drawn masks, reading orders. Nothing a reader signed is lost.

Every action is one immediate transaction with its audit line, so two readers who save at once get two versions.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from store.artifacts import read_value, store_value
from store.layout import StudyFolder
from store.ledger import DRAWN_KIND, Ledger, now
from store.records import REVIEW_MODES, DrawnMask, RefusedError, Verdict
from store.row_marks import row_mark
from store.sources import Verdicts
from store.volumes import Mask, MaskSet, mask_key

WORK_LIST, READER_STUDY, BLANK_CANVAS, ADJUDICATION = REVIEW_MODES
JUDGING_MODES = (WORK_LIST, READER_STUDY)
ADJUDICATOR = "adjudicator"
FIRST_READING = 1
ONE_READING = " WHERE case_id=? AND structure=? AND reader=? AND mode=? AND reading=?"
DRAFT_FIELDS = "judgement, reason, comment, drawn_key, active_seconds, mask_key"


class UnsignedError(ValueError):
    """A verdict that may not be signed as it is; says what is missing."""


class OvertakenError(RefusedError):
    """A mask drawn from another one than the draft holds by now (undone, imported, saved elsewhere), or one signed."""

    def __init__(self) -> None:
        remedy = "Look at the mask as it is now, then send yours again."
        super().__init__("overtaken", "drawn mask", "your mask was changed or signed meanwhile.", remedy)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one case: who reads what, in which mode, for which time."""

    case_id: str
    reader: str
    mode: str = WORK_LIST
    reading: int = 1
    structure: str = "tumour"

    @property
    def place(self) -> tuple[str, str, str, str, int]:
        """The columns that name it."""
        return (self.case_id, self.structure, self.reader, self.mode, self.reading)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a reader has said and not signed; active_seconds counts also where nothing is said yet.

    mask_key: of the automatic mask that he saw when he chose his word; empty on a blank canvas, and where nobody noted
    it (before version 6 of the ledger).
    """

    judgement: str = ""
    reason: str = ""
    comment: str = ""
    drawn_key: str = ""
    active_seconds: float = 0.0
    mask_key: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """How a drawn mask differs from the one it was drawn from."""

    changed_voxels: int
    dsc: float | None
    volume_change_percent: float | None


def draft_of(ledger: Ledger, reading: Reading) -> Draft:
    """The draft of a reading; an empty one where there is none."""
    found = ledger.rows(f"SELECT {DRAFT_FIELDS} FROM draft{ONE_READING}", reading.place)
    return Draft(*found[0]) if found else Draft()  # type: ignore[arg-type]


def save_draft(ledger: Ledger, reading: Reading, judgement: str, reason: str, comment: str, mask_key: str = "") -> None:
    """Keep what a reader has said so far, and of which automatic mask his word is.

    Time and drawn mask of the draft stay. What is signed takes none.
    """
    with ledger.transaction() as connection:
        if _is_closed(connection, reading):
            return
        connection.execute(
            "INSERT INTO draft (case_id, structure, reader, mode, reading, judgement, reason, comment, mask_key)"
            " VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET judgement=excluded.judgement,"
            " reason=excluded.reason, comment=excluded.comment, mask_key=excluded.mask_key",
            (*reading.place, judgement, reason, comment, mask_key),
        )


def reopen(ledger: Ledger, verdict: Verdict) -> None:
    """Begin a change of a signed verdict: its words and its mask become the draft; the signed verdict stays.

    A change that was begun before, in another tab or session, goes on from where it is.
    """
    cells = (verdict.judgement, verdict.reason, verdict.comment, verdict.drawn_key, verdict.mask_key)
    place = Reading(verdict.case_id, verdict.reader, verdict.mode, verdict.reading, verdict.structure).place
    with ledger.transaction() as connection:
        connection.execute(
            "INSERT INTO draft (case_id, structure, reader, mode, reading, judgement, reason, comment, drawn_key,"
            " mask_key) VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
            (*place, *cells),
        )


def is_begun(ledger: Ledger, reading: Reading) -> bool:
    """Whether a reading has a draft; one that is signed has none until its change is begun."""
    return bool(ledger.rows(f"SELECT 1 FROM draft{ONE_READING}", reading.place))


def drop_change(ledger: Ledger, reading: Reading) -> None:
    """Give up the change of a signed reading: what was signed stands; saved versions stay in the history."""
    with ledger.transaction() as connection:
        if _times_signed(connection, reading):
            connection.execute(f"DELETE FROM draft{ONE_READING}", reading.place)


def touch(ledger: Ledger, reading: Reading, at: float, idle_seconds: float) -> None:
    """A sign of life of the reader at a moment (seconds since 1970): time since the last one counts unless idle.

    A gap longer than idle_seconds counts nothing; the first sign of life begins the time. The last one may have been of
    another case, signed or not: no second counts twice. What is signed takes no time.
    """
    with ledger.transaction() as connection:
        last = connection.execute("SELECT at FROM sign_of_life WHERE reader=?", (reading.reader,)).fetchone()
        connection.execute(
            "INSERT INTO sign_of_life VALUES (?,?) ON CONFLICT DO UPDATE SET at=excluded.at", (reading.reader, at)
        )
        if _is_closed(connection, reading):
            return
        gap = at - (last[0] if last else at)
        connection.execute(
            "INSERT INTO draft (case_id, structure, reader, mode, reading, last_active_at) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT DO UPDATE SET active_seconds=active_seconds+CASE WHEN last_active_at>0 AND ? BETWEEN 0 AND ?"
            " THEN ? ELSE 0 END, last_active_at=excluded.last_active_at",
            (*reading.place, at, gap, idle_seconds, gap),
        )


def sign(ledger: Ledger, verdict: Verdict) -> Verdict:
    """Sign a verdict and drop its draft; returns it as stored, with the time of signing.

    UnsignedError where the reader signed this reading before and gives no reason for the change, or draws on a mask
    that was not saved for this case.
    """
    stored = dataclasses.replace(verdict, signed_at=now())
    reading = Reading(verdict.case_id, verdict.reader, verdict.mode, verdict.reading, verdict.structure)
    with ledger.transaction() as connection:
        before = _times_signed(connection, reading)
        if before and not verdict.amends.strip():
            raise UnsignedError("amends must say why a signed verdict changes, got nothing")
        if not before and verdict.amends:
            raise UnsignedError("amends must be empty where nothing was signed before")
        if verdict.drawn_key and not _is_saved(ledger, verdict):
            raise UnsignedError("drawn_key must name a mask that was saved for this case; save the drawing first")
        ledger.insert_verdict(connection, stored, verdict.reader)
        connection.execute(f"DELETE FROM draft{ONE_READING}", reading.place)
    return stored


def _times_signed(connection: sqlite3.Connection, reading: Reading) -> int:
    return int(connection.execute(f"SELECT count(*) FROM verdict{ONE_READING}", reading.place).fetchone()[0])


def _is_closed(connection: sqlite3.Connection, reading: Reading) -> bool:
    """Whether a reading is signed and its reader has not begun to change it."""
    begun = connection.execute(f"SELECT 1 FROM draft{ONE_READING}", reading.place).fetchone()
    return begun is None and _times_signed(connection, reading) > 0


def _is_saved(ledger: Ledger, verdict: Verdict) -> bool:
    sql = "SELECT 1 FROM drawn_mask WHERE case_id=? AND structure=? AND drawn_key=?"
    return bool(ledger.rows(sql, (verdict.case_id, verdict.structure, verdict.drawn_key)))


def drawing_key(case_id: str, mask: Mask) -> str:
    """sha256 (hex) of a drawing of one case: equal voxels of another case, or drawn unseen, are another drawing."""
    return hashlib.sha256(repr((case_id, mask.origin, mask_key(mask))).encode()).hexdigest()


def add_drawn(
    folder: StudyFolder, ledger: Ledger, reading: Reading, mask: Mask, edit: Edit, about: DrawnMask, drawn_from: str
) -> int:
    """Store a drawn mask for good as the next version of its case and put it into the reader's draft.

    OvertakenError unless the draft still holds the mask that it was drawn from (`drawn_from`, empty: none of his), and
    where the reading was signed meanwhile. `about` says origin, parent, way and identity; its version, key, counts and
    time are filled in here. The file is on disk and hashed before the ledger names it: either the version is stored
    whole, or the caller hears an error.
    """
    key = drawing_key(about.case_id, mask)
    file = store_value(folder, DRAWN_KIND, key, MaskSet, MaskSet((mask,)))
    with ledger.transaction() as connection:
        if _is_closed(connection, reading) or draft_of(ledger, reading).drawn_key != drawn_from:
            raise OvertakenError
        latest = connection.execute(
            "SELECT coalesce(max(version),0) FROM drawn_mask WHERE case_id=? AND structure=?", reading.place[:2]
        ).fetchone()[0]
        stored = dataclasses.replace(
            about,
            version=int(latest) + 1,
            drawn_key=key,
            voxels=int(mask.voxels.sum()),
            changed_voxels=edit.changed_voxels,
            volume_ml=mask.volume_ml,
            edit_dsc=edit.dsc,
            volume_change_percent=edit.volume_change_percent,
            saved_at=now(),
        )
        names = [field.name for field in dataclasses.fields(DrawnMask)]
        marks = ",".join("?" * len(names))
        cells = [getattr(stored, name) for name in names]
        ledger.record_artifact(connection, key, file)
        connection.execute(f"INSERT INTO drawn_mask ({','.join(names)}) VALUES ({marks})", cells)
        connection.execute(
            "INSERT INTO draft (case_id, structure, reader, mode, reading, drawn_key) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT DO UPDATE SET drawn_key=excluded.drawn_key",
            (*reading.place, key),
        )
        words = f"{reading.case_id} {reading.structure} version {stored.version} {stored.origin} {key[:12]}"
        ledger.append_audit(connection, reading.reader, "mask", f"{words} via {stored.via}{row_mark(stored)}")
    return stored.version


def drop_drawing(ledger: Ledger, reading: Reading) -> None:
    """Undo: the draft goes back to the mask as it was; the saved version stays in the history."""
    with ledger.transaction() as connection:
        key = draft_of(ledger, reading).drawn_key
        connection.execute(f"UPDATE draft SET drawn_key=''{ONE_READING}", reading.place)
        if key:
            words = f"{reading.case_id} {reading.structure} {reading.mode} {key[:12]}"
            ledger.append_audit(connection, reading.reader, "undo mask", words)


def take_drawing(ledger: Ledger, reading: Reading, drawn_key: str) -> None:
    """Make a saved drawing of the case, whoever drew it, the one of an adjudicator's draft.

    UnsignedError where the reading is no adjudication, or no such correction was saved for its case. What is signed
    takes none.
    """
    sql = (
        "SELECT reader, version FROM drawn_mask WHERE case_id=? AND structure=? AND drawn_key=? AND origin='corrected'"
    )
    with ledger.transaction() as connection:
        found = connection.execute(sql, (*reading.place[:2], drawn_key)).fetchone()
        if reading.mode != ADJUDICATION or found is None:
            raise UnsignedError("only an adjudication takes a drawing, and only a saved correction of its case")
        if _is_closed(connection, reading):
            return
        connection.execute(
            "INSERT INTO draft (case_id, structure, reader, mode, reading, drawn_key) VALUES (?,?,?,?,?,?)"
            " ON CONFLICT DO UPDATE SET drawn_key=excluded.drawn_key",
            (*reading.place, drawn_key),
        )
        words = f"{reading.case_id} {reading.structure} version {found[1]} of {found[0]} {drawn_key[:12]}"
        ledger.append_audit(connection, reading.reader, "take mask", words)


def drawn_masks(ledger: Ledger, case_id: str | None = None) -> tuple[DrawnMask, ...]:
    """Saved versions in the order of saving, of one case or of all."""
    columns = ",".join(field.name for field in dataclasses.fields(DrawnMask))
    where = "" if case_id is None else " WHERE case_id=?"
    sql = f"SELECT {columns} FROM drawn_mask{where} ORDER BY seq"
    return tuple(DrawnMask(*row) for row in ledger.rows(sql, () if case_id is None else (case_id,)))  # type: ignore[arg-type]


def load_drawn(folder: StudyFolder, drawn_key: str) -> Mask:
    """A drawn mask by its key; KeyError where it was never stored."""
    path = folder.artifact(DRAWN_KIND, drawn_key, ".npz")
    if not path.exists():
        raise KeyError(f"no drawn mask {drawn_key[:12]}")
    stored = read_value(path, MaskSet)
    if not isinstance(stored, MaskSet):
        raise TypeError("a drawn mask is stored as a mask set")
    return stored.masks[0]


def with_masks(folder: StudyFolder, rows: tuple[Verdict, ...]) -> Verdicts:
    """Signed verdicts on a case, in order of signing, with every mask that they name."""
    keys = dict.fromkeys(row.drawn_key for row in rows if row.drawn_key)
    return Verdicts(rows, tuple((key, load_drawn(folder, key)) for key in keys))


def reading_order(ledger: Ledger, reader: str, mode: str) -> tuple[tuple[str, int], ...]:
    """(case, reading) of a reader's stored order, empty where none was drawn."""
    sql = "SELECT case_id, reading FROM reading_place WHERE reader=? AND mode=? ORDER BY place"
    return tuple((str(case), int(str(number))) for case, number in ledger.rows(sql, (reader, mode)))


def store_reading_order(ledger: Ledger, reader: str, mode: str, order: Sequence[tuple[str, int]]) -> None:
    """Keep a reader's order, once: a second call changes nothing."""
    with ledger.transaction() as connection:
        sql = "SELECT count(*) FROM reading_place WHERE reader=? AND mode=?"
        if connection.execute(sql, (reader, mode)).fetchone()[0]:
            return
        rows = [(reader, mode, place, case, number) for place, (case, number) in enumerate(order, start=1)]
        connection.executemany("INSERT INTO reading_place VALUES (?,?,?,?,?)", rows)
        ledger.append_audit(connection, reader, "reading order", f"{mode}: {len(rows)} readings")


def place_of(row: Verdict) -> tuple[str, ...]:
    """What a verdict is the reader's word on: a later one with the same place amends it."""
    return (row.case_id, row.structure, row.reader, row.role, row.mode, str(row.reading))


def latest_verdicts(rows: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The last word of each reader on each reading, in order of signing: what was amended is left out."""
    last: dict[tuple[str, ...], Verdict] = {}
    for row in rows:
        last.pop(place_of(row), None)
        last[place_of(row)] = row
    return tuple(last.values())


def readers_words(rows: Sequence[Verdict], structure: str) -> list[Verdict]:
    """Each reader's last word on the automatic mask of a structure, in order of signing.

    Without adjudicators, repeats of a reader study, and contours drawn on a blank canvas.
    """
    last: dict[str, Verdict] = {}
    for row in rows:
        judging = row.role != ADJUDICATOR and row.mode in JUDGING_MODES and row.reading == FIRST_READING
        if judging and row.structure == structure:
            last.pop(row.reader, None)
            last[row.reader] = row
    return list(last.values())


def open_ledger(study: Path) -> Ledger:
    """The ledger of a study, for one action."""
    return Ledger(StudyFolder(study))
