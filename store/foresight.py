"""Questions to the ledger about what a run would do: which keys have a result, what a task of a stage costs."""

from __future__ import annotations

from collections.abc import Sequence

from store.ledger import Ledger

BATCH = 500


def states_of(ledger: Ledger, keys: Sequence[str]) -> dict[str, str]:
    """State of every key that was ever enqueued; a key that is absent was never computed."""
    found: dict[str, str] = {}
    for start in range(0, len(keys), BATCH):
        part = keys[start : start + BATCH]
        marks = ",".join("?" * len(part))
        rows = ledger.rows(f"SELECT key, state FROM task WHERE key IN ({marks})", tuple(part))
        found |= {str(key): str(state) for key, state in rows}
    return found


def mean_seconds(ledger: Ledger) -> dict[str, float]:
    """Mean seconds of a finished task by stage."""
    rows = ledger.rows("SELECT stage, avg(seconds) FROM task WHERE state='done' GROUP BY stage")
    return {str(stage): float(str(seconds or 0.0)) for stage, seconds in rows}
