"""The tumour is the only label."""

from __future__ import annotations

from engine.protocol import Train
from engine.segment.strategies.phase import Phase


def phases(train: Train) -> tuple[Phase, ...]:
    """One phase on the cases with a tumour."""
    return (Phase("training", "training", "tumour", train.epochs),)
