"""What a reader has met and reads: his stored order, cases that came later, cases of which he knows others' words."""

from __future__ import annotations

from collections.abc import Sequence

from store.ledger import Ledger
from store.reviews import BLANK_CANVAS, reading_order

SHOWN = """
SELECT case_id FROM verdict WHERE reader=? AND mode<>? AND mask_key<>''
UNION SELECT case_id FROM draft WHERE reader=? AND mode<>?
UNION SELECT detail FROM audit WHERE actor=? AND action='view images'
"""


MET = """
SELECT case_id FROM verdict WHERE reader=? AND mode<>? AND mask_key<>''
UNION SELECT case_id FROM draft WHERE reader=? AND mode<>?
EXCEPT SELECT case_id FROM verdict WHERE reader=? AND mode=?
"""

LEARNT, EVERY_MASK = "words shown", ""
KEPT = "SELECT 1 FROM audit WHERE actor=? AND action=? AND detail=?"
OPENED = "SELECT actor, detail, min(at) FROM audit WHERE action=? GROUP BY actor, detail"


def order_now(ledger: Ledger, reader: str, mode: str) -> tuple[tuple[str, int], ...]:
    """A reader's stored order; of a blank canvas without cases whose outline he has met before he contoured them."""
    stored = reading_order(ledger, reader, mode)
    if mode != BLANK_CANVAS:
        return stored
    met = {str(row[0]) for row in ledger.rows(MET, (reader, BLANK_CANVAS) * 3)}
    return tuple((case, number) for case, number in stored if case not in met)


def cases_shown(ledger: Ledger, reader: str) -> frozenset[str]:
    """Cases that a reader judged, began to judge, or opened the images of; before his first blank canvas."""
    seen = (reader, BLANK_CANVAS)
    return frozenset(str(row[0]) for row in ledger.rows(SHOWN, (*seen, *seen, reader)))


def extend_reading_order(ledger: Ledger, reader: str, mode: str, added: Sequence[tuple[str, int]]) -> None:
    """Append readings to a reader's stored order; what stands in it already is left out."""
    with ledger.transaction() as connection:
        sql = "SELECT case_id, reading, place FROM reading_place WHERE reader=? AND mode=? ORDER BY place"
        stored = connection.execute(sql, (reader, mode)).fetchall()
        known = {(case, number) for case, number, _ in stored}
        new = [reading for reading in added if reading not in known]
        if not new:
            return
        first = stored[-1][2] + 1
        rows = [(reader, mode, place, case, number) for place, (case, number) in enumerate(new, start=first)]
        connection.executemany("INSERT INTO reading_place VALUES (?,?,?,?,?)", rows)
        ledger.append_audit(connection, reader, "reading order", f"{mode}: {len(rows)} readings added")


def note_words_shown(ledger: Ledger, reader: str, case_id: str, mask_key: str) -> None:
    """Keep, once, that a reader was shown what others said of the automatic mask of a case."""
    line = (reader, LEARNT, f"{case_id} {mask_key}")
    if ledger.rows(KEPT, line):
        return
    with ledger.transaction() as connection:
        if connection.execute(KEPT, line).fetchone() is None:  # another tab noted the same meanwhile
            ledger.append_audit(connection, *line)


def words_shown(ledger: Ledger) -> dict[tuple[str, str, str], str]:
    """(reader, case, mask key) -> when its adjudication was first opened to him, or a consensus on it offered.

    A line of the audit that names no mask, as they were written at first, holds of EVERY_MASK of its case.
    """
    found = {}
    for reader, detail, at in ledger.rows(OPENED, (LEARNT,)):
        case_id, _, mask_key = str(detail).partition(" ")
        found[str(reader), case_id, mask_key or EVERY_MASK] = str(at)
    return found
