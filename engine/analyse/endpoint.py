"""The endpoint of each patient as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.matrices import UNDETERMINED
from store.records import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """days NaN and event -1 where unknown; label 1 event by the horizon, 0 free of it, -1 undetermined; all (n,)."""

    days: NDArray[np.float64]
    event: NDArray[np.int8]
    label: NDArray[np.int8]


def known_outcomes(outcomes: tuple[Outcome, ...]) -> dict[str, Outcome]:
    """Outcomes that say anything: a label at the horizon, or days with an event or a last contact."""
    return {o.case_id: o for o in outcomes if o.dfs_label is not None or o.dfs_days is not None}


def endpoint(case_ids: tuple[str, ...], known: dict[str, Outcome]) -> Endpoint:
    """The endpoint of these cases; each must be in `known`."""
    rows = [known[case] for case in case_ids]
    days = np.array([np.nan if o.dfs_days is None else float(o.dfs_days) for o in rows], dtype=np.float64)
    event = np.array([UNDETERMINED if o.dfs_event is None else int(o.dfs_event) for o in rows], dtype=np.int8)
    label = np.array([UNDETERMINED if o.dfs_label is None else int(o.dfs_label) for o in rows], dtype=np.int8)
    return Endpoint(days, event, label)
