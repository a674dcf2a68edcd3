"""Which cases to contour on a blank canvas where a study has no independent reference: a random sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAMPLE_SIZE = 30


def blank_canvas_sample(case_ids: Sequence[str], seed: int, size: int = SAMPLE_SIZE) -> tuple[str, ...]:
    """At most `size` of the cases, drawn without replacement by the study's seed; in the order in which to draw them.

    The same cases and seed give the same sample, whatever order the cases came in.
    """
    ordered = sorted(set(case_ids))
    chosen = np.random.default_rng(seed).permutation(len(ordered))[:size]
    return tuple(ordered[place] for place in chosen)
