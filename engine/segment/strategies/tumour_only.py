"""The tumour is the only label."""

from __future__ import annotations

from engine.segment.strategies.phase import Phase
from engine.training_protocol import Train


def phases(train: Train) -> tuple[Phase, ...]:
    """One phase on the cases with a tumour."""
    return (Phase("training", "training", "tumour", train.epochs),)
