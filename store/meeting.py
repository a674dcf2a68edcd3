"""The team meeting in the ledger: each user's basket of figures, and what the team decided about cases."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from store.layout import StudyFolder
from store.ledger import Ledger, now

BASKET_SCHEMA = """CREATE TABLE IF NOT EXISTS basket (
  item_id INTEGER PRIMARY KEY AUTOINCREMENT, person TEXT NOT NULL, place INTEGER NOT NULL, page TEXT NOT NULL,
  figure_key TEXT NOT NULL, title TEXT NOT NULL, note TEXT NOT NULL, caption TEXT NOT NULL, badge TEXT NOT NULL,
  filters_json TEXT NOT NULL, figure_json TEXT NOT NULL, run_id TEXT NOT NULL, generation TEXT NOT NULL,
  added_at TEXT NOT NULL) STRICT"""
DECISION_SCHEMA = """CREATE TABLE IF NOT EXISTS decision (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL, decision TEXT NOT NULL, owner TEXT NOT NULL,
  due TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL) STRICT"""
COLUMNS = (
    "item_id, person, place, page, figure_key, title, note, caption, badge, filters_json, figure_json, run_id, "
    "generation, added_at"
)
LONGEST_TITLE, LONGEST_NOTE = 120, 2000
MOST_ITEMS = 60
LARGEST_FIGURE = 8_000_000  # bytes of JSON


@dataclass(frozen=True, slots=True)
class BasketItem:
    """One figure that a user put into the meeting, as it was drawn then, and the filters it was drawn with."""

    item_id: int
    person: str
    place: int
    page: str
    figure_key: str
    title: str
    note: str
    caption: str
    badge: str
    filters_json: str
    figure_json: str
    run_id: str
    generation: str
    added_at: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the team decided about a case, who does it until when (YYYY-MM-DD or empty), and who noted it."""

    case_id: str
    decision: str
    owner: str
    due: str
    by: str
    at: str


def add_to_basket(study: Path, item: BasketItem) -> int:
    """Put a figure at the end of its person's basket; returns its id. item_id, place and added_at are filled in here.

    ValueError where the basket is full, the title too long or the figure too large to keep.
    """
    _check(item.title, item.note)
    if len(item.figure_json) > LARGEST_FIGURE:
        raise ValueError(f"a figure of the meeting has at most {LARGEST_FIGURE} bytes, got {len(item.figure_json)}")
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        connection.execute(BASKET_SCHEMA)
        sql = "SELECT count(*), coalesce(max(place), 0) FROM basket WHERE person=?"
        count, last = connection.execute(sql, (item.person,)).fetchone()
        if count >= MOST_ITEMS:
            raise ValueError(f"a meeting holds at most {MOST_ITEMS} figures; take one out first")
        cells = (
            *(item.person, last + 1, item.page, item.figure_key, item.title, item.note, item.caption, item.badge),
            *(item.filters_json, item.figure_json, item.run_id, item.generation, now()),
        )
        names = COLUMNS.removeprefix("item_id, ")
        marks = ",".join("?" * len(cells))
        return int(connection.execute(f"INSERT INTO basket ({names}) VALUES ({marks})", cells).lastrowid or 0)


def basket(study: Path, person: str) -> tuple[BasketItem, ...]:
    """A person's figures in their order; empty where there are none."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        if not _exists(ledger, "basket"):
            return ()
        rows = ledger.rows(f"SELECT {COLUMNS} FROM basket WHERE person=? ORDER BY place", (person,))
    return tuple(BasketItem(*row) for row in rows)  # type: ignore[arg-type]


def edit_item(study: Path, person: str, item_id: int, title: str, note: str) -> None:
    """Change title and note of one's own figure; ValueError where either is too long or the title empty."""
    _check(title, note)
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        sql = "UPDATE basket SET title=?, note=? WHERE item_id=? AND person=?"
        connection.execute(sql, (title, note, item_id, person))


def reorder(study: Path, person: str, item_ids: Sequence[int]) -> None:
    """Put one's figures into an order; ValueError unless it names each of them once."""
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        connection.execute(BASKET_SCHEMA)
        mine = {row[0] for row in connection.execute("SELECT item_id FROM basket WHERE person=?", (person,))}
        if mine != set(item_ids) or len(mine) != len(item_ids):
            raise ValueError("an order names each figure of the meeting once")
        for place, item_id in enumerate(item_ids, start=1):
            connection.execute("UPDATE basket SET place=? WHERE item_id=?", (place, item_id))


def drop_item(study: Path, person: str, item_id: int) -> None:
    """Take one's own figure out of the meeting."""
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        connection.execute("DELETE FROM basket WHERE item_id=? AND person=?", (item_id, person))


def decide(study: Path, decision: Decision) -> None:
    """Note what was decided about a case; an earlier decision stays in the history. `at` is filled in here.

    ValueError without a case or a decision, or where the due day is no day.
    """
    if not decision.case_id or not decision.decision.strip():
        raise ValueError("a decision names a case and says what is to be done")
    if decision.due:
        date.fromisoformat(decision.due)
    cells = (decision.case_id, decision.decision.strip(), decision.owner.strip(), decision.due, decision.by, now())
    with Ledger(StudyFolder(study)) as ledger, ledger.transaction() as connection:
        connection.execute(DECISION_SCHEMA)
        sql = "INSERT INTO decision (case_id, decision, owner, due, by, at) VALUES (?,?,?,?,?,?)"
        connection.execute(sql, cells)
        ledger.append_audit(connection, decision.by, "meeting decision", decision.case_id)


def decisions(study: Path) -> tuple[Decision, ...]:
    """The last decision on every case, in order of noting."""
    folder = StudyFolder(study)
    if not folder.ledger.exists():
        return ()
    with Ledger(folder) as ledger:
        if not _exists(ledger, "decision"):
            return ()
        rows = ledger.rows(
            "SELECT case_id, decision, owner, due, by, at FROM decision WHERE seq IN"
            " (SELECT max(seq) FROM decision GROUP BY case_id) ORDER BY seq"
        )
    return tuple(Decision(*row) for row in rows)  # type: ignore[arg-type]


def forget_figures(connection: sqlite3.Connection, runs: Sequence[str]) -> None:
    """Take the figures of some runs out of every basket: they hold rows of a patient who was withdrawn."""
    connection.execute(BASKET_SCHEMA)
    connection.executemany("DELETE FROM basket WHERE run_id=?", [(run,) for run in runs])


def _exists(ledger: Ledger, table: str) -> bool:
    return bool(ledger.rows("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (table,)))


def _check(title: str, note: str) -> None:
    if not title.strip() or len(title) > LONGEST_TITLE:
        raise ValueError(f"a figure's title has 1 to {LONGEST_TITLE} letters, got {len(title)}")
    if len(note) > LONGEST_NOTE:
        raise ValueError(f"a figure's note has at most {LONGEST_NOTE} letters, got {len(note)}")
