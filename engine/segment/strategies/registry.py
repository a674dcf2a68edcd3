"""The training strategies in the order of figures and tables. A new one is one file, one line here, one name in
engine/protocol.py."""

from __future__ import annotations

from engine.segment.strategies import anatomy_pretraining, tumour_and_anatomy, tumour_only, tumour_only_long
from engine.segment.strategies.phase import Strategy
from engine.training_protocol import Train

STRATEGIES: tuple[Strategy, ...] = (
    Strategy("tumour-only", "Tumour only", tumour_only.phases),
    Strategy("tumour-and-anatomy", "Tumour and anatomy", tumour_and_anatomy.phases),
    Strategy("anatomy-pretraining", "Anatomy first, then tumour", anatomy_pretraining.phases),
    Strategy("tumour-only-long", "Tumour only, equal total", tumour_only_long.phases),
)


def strategy_of(name: str) -> Strategy:
    """The strategy of a name; ValueError for an unknown one."""
    found = next((strategy for strategy in STRATEGIES if strategy.name == name), None)
    if found is None:
        raise ValueError(f"strategy must be one of {', '.join(s.name for s in STRATEGIES)}, got {name!r}")
    return found


def total_epochs(name: str, train: Train) -> int:
    """Epochs of all phases of a strategy."""
    return sum(phase.epochs for phase in strategy_of(name).phases(train))
