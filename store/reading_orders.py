"""Which cases a reader has met with their outline, so that a blank canvas of them would not be blank."""

from __future__ import annotations

from store.ledger import Ledger
from store.reviews import BLANK_CANVAS

SHOWN = """
SELECT case_id FROM verdict WHERE reader=? AND mode<>? AND mask_key<>''
UNION SELECT case_id FROM draft WHERE reader=? AND mode<>?
UNION SELECT detail FROM audit WHERE actor=? AND action='view images'
"""


def cases_shown(ledger: Ledger, reader: str) -> frozenset[str]:
    """Cases that a reader judged, began to judge, or opened the images of; before his first blank canvas."""
    seen = (reader, BLANK_CANVAS)
    return frozenset(str(row[0]) for row in ledger.rows(SHOWN, (*seen, *seen, reader)))
