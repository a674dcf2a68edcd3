"""The control of pretraining: the tumour alone, for as many iterations as pretraining and training together."""

from __future__ import annotations

from engine.segment.strategies.phase import Phase
from engine.training_protocol import Train


def phases(train: Train) -> tuple[Phase, ...]:
    """One long phase on the cases with a tumour."""
    return (Phase("training", "training", "tumour", train.pretraining_epochs + train.epochs),)
