"""The tumour is learned together with the organs around it."""

from __future__ import annotations

from engine.segment.strategies.phase import Phase
from engine.training_protocol import Train


def phases(train: Train) -> tuple[Phase, ...]:
    """One phase on the cases with a tumour, all their structures labelled."""
    return (Phase("training", "training", "tumour_and_anatomy", train.epochs),)
