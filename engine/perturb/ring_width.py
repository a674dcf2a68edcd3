"""A peritumoural ring a little wider or narrower than the protocol's."""

from __future__ import annotations

import numpy as np

from engine.perturb.plan import Context, Draw, Drawn


def draw_ring(change_mm: float) -> Draw:
    """A given change of the ring's width in mm; nothing is random."""

    def draw(_: np.random.Generator, context: Context) -> Drawn:
        return Drawn(ring_mm=change_mm)

    return draw
