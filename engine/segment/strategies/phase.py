"""What a strategy consists of: phases of training, one after another on the same network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.training_protocol import Train


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: on which cases, towards which labels, for how many epochs."""

    name: Literal["pretraining", "training"]
    cases: Literal["tumour_free", "training"]
    labels: Literal["anatomy", "tumour", "tumour_and_anatomy"]
    epochs: int


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to train: its name, its title on pages, and its phases for the sizes of a study."""

    name: str
    title: str
    phases: Callable[[Train], tuple[Phase, ...]]
