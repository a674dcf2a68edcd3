"""Questions about how our values stand to published references."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import Conformity
from store.snapshot import Snapshot

STAGE = "conform"


@dataclass(frozen=True, slots=True)
class ConformityCount:
    """How many references of one group are met, missed and not offered.

    Groups: a configuration of IBSI-1 (digital, A .. E), IBSI-2's response maps ("maps"), or the number of one of its
    filters of the CT phantom ("1" .. "9").
    """

    chapter: int  # of IBSI, 1 or 2
    group: str
    met: int
    not_met: int
    not_offered: int


COUNTS = """
WITH grouped AS (
  SELECT verdict, CASE WHEN starts_with(configuration, 'ibsi2') THEN 2 ELSE 1 END AS chapter,
    CASE WHEN tag = 'response_map' THEN 'maps' WHEN starts_with(configuration, 'ibsi2')
      THEN split_part(split_part(configuration, ' ', 2), '.', 1) ELSE configuration END AS "group"
  FROM conformity WHERE run_id = ?)
SELECT chapter, "group", count(*) FILTER (verdict = 'met') AS met, count(*) FILTER (verdict = 'not met') AS not_met,
  count(*) FILTER (verdict = 'not offered') AS not_offered
FROM grouped GROUP BY chapter, "group" ORDER BY chapter, "group" NOT IN ('digital', 'maps'), "group"
"""

ORDER = (
    "verdict <> 'not met', starts_with(configuration, 'ibsi2'), tag <> 'response_map', configuration <> 'digital',"
    " configuration, verdict = 'not offered', tag"
)


def conformity_counts(snapshot: Snapshot, run_id: str) -> tuple[ConformityCount, ...]:
    """The counts of every group, IBSI-1 before IBSI-2."""
    return ask(snapshot, ConformityCount, COUNTS, (run_id,))


def conformity_rows(snapshot: Snapshot, run_id: str) -> tuple[Conformity, ...]:
    """Every comparison; those not met come first, then by configuration, in each those not offered last."""
    return ask_record(snapshot, Conformity, "conformity", run_id, ORDER)


def why_not_compared(snapshot: Snapshot, run_id: str) -> str:
    """Why a run holds no comparison; empty where it has not come to it."""
    sql = "SELECT reason FROM declined WHERE run_id = ? AND analysis = ?"
    found = snapshot.rows(sql, (run_id, STAGE)).rows
    return str(found[0][0]) if found else ""
