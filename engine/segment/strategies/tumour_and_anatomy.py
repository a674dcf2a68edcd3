"""The tumour is learned together with the organs around it."""

from __future__ import annotations

from engine.protocol import Train
from engine.segment.strategies.phase import Phase


def phases(train: Train) -> tuple[Phase, ...]:
    """One phase on the cases with a tumour, all their structures labelled."""
    return (Phase("training", "training", "tumour_and_anatomy", train.epochs),)
