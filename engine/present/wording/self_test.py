"""What the self-test on permuted outcomes says."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import plain_model
from engine.present.numbers import interval, number
from store.queries.prognosis import SelfTestResult

FAIR = (0.45, 0.55)  # a mean over 20 permutations outside of this is a leak, or a fault of the code


def is_fair(row: SelfTestResult) -> bool:
    """Whether a mean AUC on permuted outcomes is as good as a coin."""
    return FAIR[0] <= row.auc <= FAIR[1]


def self_test_answer(rows: Sequence[SelfTestResult]) -> str:
    """Whether anything could be predicted where nothing can be."""
    if not rows:
        return "The self-test has not been run on this study."
    worst = max(rows, key=lambda row: abs(row.auc - 0.5))
    unfair = [row for row in rows if not is_fair(row)]
    said = (
        f"**The self-test failed:** {len(unfair)} of {len(rows)} mean AUCs leave {interval(*FAIR)}."
        if unfair
        else f"**No leak was found:** with permuted outcomes every mean AUC lies within {interval(*FAIR)}."
    )
    return (
        f"{said} Furthest from 0.5: {plain_model(worst.model)}, {worst.evaluation}, {number(worst.auc)} over "
        f"{worst.repeats} permutations ({interval(worst.lowest, worst.highest)})."
    )


def self_test_caption(rows: Sequence[SelfTestResult]) -> str:
    """What the test did."""
    first = rows[0]
    return (
        f"n = {first.repeats} permutations of the outcomes among the patients, each with {first.resamples} bootstraps "
        f"of the study's own procedure; cross-validation: the one that chooses among mRMR schemes inside a bootstrap."
    )
