"""Organs are learned first in chests without a tumour, then the tumour, starting from those weights."""

from __future__ import annotations

from engine.segment.strategies.phase import Phase
from engine.training_protocol import Train


def phases(train: Train) -> tuple[Phase, ...]:
    """Pretraining on anatomy, then as tumour_only with all but the last layers taken over."""
    return (
        Phase("pretraining", "tumour_free", "anatomy", train.pretraining_epochs),
        Phase("training", "training", "tumour", train.epochs),
    )
