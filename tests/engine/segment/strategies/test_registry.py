"""What every training strategy must be, and the budget of the control."""

import typing

import pytest

from engine.segment.strategies.presets import PRESETS
from engine.segment.strategies.registry import STRATEGIES, strategy_of, total_epochs
from engine.training_protocol import Strategies, Train

SIZES = Train(epochs=7, pretraining_epochs=4)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_a_strategy_ends_on_cases_with_the_tumour_labelled(strategy):
    last = strategy.phases(SIZES)[-1]
    assert (last.name, last.cases) == ("training", "training")
    assert "tumour" in last.labels


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_pretraining_sees_no_tumour(strategy):
    for phase in strategy.phases(SIZES)[:-1]:
        assert (phase.name, phase.cases, phase.labels) == ("pretraining", "tumour_free", "anatomy")


def test_names_are_those_the_protocol_allows():
    allowed = typing.get_args(typing.get_args(Strategies.model_fields["names"].annotation)[0])
    assert tuple(strategy.name for strategy in STRATEGIES) == allowed


def test_the_control_has_the_total_of_pretraining_and_training():
    assert total_epochs("tumour-only-long", SIZES) == total_epochs("anatomy-pretraining", SIZES) == 11
    assert total_epochs("tumour-only", SIZES) == total_epochs("tumour-and-anatomy", SIZES) == 7


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="tumour-only"):
        strategy_of("self-supervised")


def test_the_full_preset_leaves_every_size_to_nnunet():
    full = PRESETS["3d_fullres"]
    assert (full.features, full.patch_zyx, full.batch) == ((), (), 0)
    assert (full.epochs, full.iterations, full.optimiser, full.learning_rate) == (1000, 250, "sgd", 0.01)
