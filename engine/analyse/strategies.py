"""Stage `strategies`: do training strategies differ on the same cases, over several trainings, at which cost?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from engine.statistics.multiplicity import holm
from engine.statistics.paired import crossed_contrast, friedman, mcnemar, wilcoxon
from engine.training_protocol import Strategies
from store.records import (
    ComparedTraining,
    DeclinedError,
    StrategyComparison,
    StrategyOverlap,
    StrategySummary,
    TrainedModel,
    TrainingMember,
)
from store.sources import Trainings

FEWEST_FOR_FRIEDMAN = 3
CONFIDENCE = 0.95
ONE_TRAINING = "one training run of each: how much another would differ is not known"


@dataclass(frozen=True, slots=True)
class Compared:
    """Every strategy summed up, every test between them, and which trainings they rest on."""

    summaries: tuple[StrategySummary, ...]
    comparisons: tuple[StrategyComparison, ...]
    trainings: tuple[ComparedTraining, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """DSC and missed, strategies x trainings x cases, over the trainings that are compared."""

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    cases: tuple[str, ...]
    dsc: NDArray[np.float64]
    surface_dsc: NDArray[np.float64]
    missed: NDArray[np.float64]


def compare_strategies(
    overlaps: Trainings[StrategyOverlap],
    models: Trainings[TrainedModel],
    members: tuple[TrainingMember, ...],
    chosen: Strategies,
) -> Compared:
    """Summaries and paired tests over every case that is reported.

    A seed counts when every fold of every strategy scored all its cases: with a training lost, that seed is left out
    of all strategies, a strategy without any whole seed is left out alone, and both are said. DeclinedError, naming
    what is missing, when nothing is left.

    DSC is averaged over trainings before tests over cases (Friedman; pairwise Wilcoxon and McNemar, Holm within each).
    A case is missed by a strategy when more than half of its trainings miss it. The mixed model (cases and trainings
    random) needs two seeds; with one, its line says so and carries no p.
    """
    rows = [row for _, row in overlaps]
    trainings = choose_trainings(rows, members, chosen)
    table = _table(rows, trainings)
    kept = {(training.strategy, training.seed) for training in trainings if training.compared}
    trained = [model for _, model in models if (model.strategy, model.seed) in kept]
    summaries = tuple(_summary(table, place, trained) for place in range(len(table.strategies)))
    pairs = list(itertools.combinations(range(len(table.strategies)), 2))
    comparisons = (
        *_together(table),
        *_adjusted([_wilcoxon(table, one, other) for one, other in pairs]),
        *_adjusted([_mcnemar(table, one, other) for one, other in pairs]),
        *_adjusted([_mixed(table, one, other) for one, other in pairs]),
    )
    return Compared(summaries, comparisons, trainings)


def choose_trainings(
    rows: Sequence[StrategyOverlap], members: Sequence[TrainingMember], chosen: Strategies
) -> tuple[ComparedTraining, ...]:
    """Which trainings are compared: the seeds that are whole in every strategy that has a whole seed at all."""
    reported: dict[int, set[str]] = {}
    for member in members:
        if member.role == "reported":
            reported.setdefault(member.fold, set()).add(member.case_id)
    scored = {(row.strategy, row.seed, row.fold, row.case_id) for row in rows}
    folds = {
        (name, seed): sum(all((name, seed, fold, c) in scored for c in cases) for fold, cases in reported.items())
        for name in chosen.names
        for seed in chosen.seeds
    }
    whole = {training for training, count in folds.items() if reported and count == len(reported)}
    strategies = [name for name in chosen.names if any((name, seed) in whole for seed in chosen.seeds)]
    seeds = [seed for seed in chosen.seeds if strategies and all((name, seed) in whole for name in strategies)]
    if not seeds:
        lost = ", ".join(f"{name} seed {seed}" for name, seed in folds if (name, seed) not in whole)
        raise DeclinedError(f"no seed was trained and scored whole by every strategy; without a result: {lost}")
    return tuple(
        ComparedTraining(
            strategy=name,
            seed=seed,
            folds=len(reported),
            scored_folds=count,
            compared=name in strategies and seed in seeds,
            reason=_reason(name, seed, whole, strategies, seeds),
        )
        for (name, seed), count in folds.items()
    )


def _reason(name: str, seed: int, whole: Set[tuple[str, int]], strategies: Sequence[str], seeds: Sequence[int]) -> str:
    """Why a training is not compared, empty when it is."""
    if (name, seed) not in whole:
        return "gave no result"
    if name in strategies and seed in seeds:
        return ""
    return f"seed {seed} is not whole in every strategy"


def _table(rows: Sequence[StrategyOverlap], trainings: Sequence[ComparedTraining]) -> _Table:
    compared = [training for training in trainings if training.compared]
    strategies = tuple(dict.fromkeys(training.strategy for training in compared))
    seeds = tuple(dict.fromkeys(training.seed for training in compared))
    found = {(row.strategy, row.seed, row.case_id): row for row in rows}
    cases = tuple(sorted({row.case_id for row in rows}))
    picked = [[[found[s, k, case] for case in cases] for k in seeds] for s in strategies]

    def values(name: str) -> NDArray[np.float64]:
        return np.array([[[float(getattr(r, name)) for r in run] for run in runs] for runs in picked])

    return _Table(strategies, seeds, cases, values("dsc"), values("surface_dsc"), values("missed"))


def _summary(table: _Table, place: int, models: Sequence[TrainedModel]) -> StrategySummary:
    name = table.strategies[place]
    own = [model for model in models if model.strategy == name]
    by_case, by_seed = table.dsc[place].mean(axis=0), table.dsc[place].mean(axis=1)
    n = by_case.size
    sd = float(by_case.std(ddof=1)) if n > 1 else None
    half = None if sd is None else float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / n**0.5
    mean = float(by_case.mean())
    return StrategySummary(
        strategy=name,
        cases=n,
        trainings=len(table.seeds),
        dsc_mean=mean,
        dsc_sd=sd,
        dsc_lo=None if half is None else mean - half,
        dsc_hi=None if half is None else mean + half,
        surface_dsc_mean=float(table.surface_dsc[place].mean()),
        missed_share=float(table.missed[place].mean()),
        seed_dsc_lowest=float(by_seed.min()),
        seed_dsc_highest=float(by_seed.max()),
        iterations=max(model.iterations for model in own),
        cpu_seconds=float(np.mean([model.cpu_seconds for model in own])),
        seconds=float(np.mean([model.seconds for model in own])),
        device=", ".join(sorted({model.device for model in own})),
    )


def _together(table: _Table) -> tuple[StrategyComparison, ...]:
    """Friedman's test of all strategies, where there are three."""
    if len(table.strategies) < FEWEST_FOR_FRIEDMAN:
        return ()
    tested = friedman(table.dsc.mean(axis=1).T)
    row = _row(table, "friedman", (None, None), "dsc")
    return (replace(row, statistic=tested.statistic, p=tested.p),)


def _row(table: _Table, test: str, pair: tuple[int | None, int | None], measure: str) -> StrategyComparison:
    """A comparison still without result."""
    first, second = ("" if place is None else table.strategies[place] for place in pair)
    return StrategyComparison(test, first, second, measure, len(table.cases), "", *(None,) * 6, note="")


def _wilcoxon(table: _Table, one: int, other: int) -> StrategyComparison:
    by_case = table.dsc.mean(axis=1)
    shift = wilcoxon(by_case[one], by_case[other])
    return replace(
        _row(table, "wilcoxon", (one, other), "dsc"),
        effect_name="pseudo-median of the difference",
        effect=shift.estimate,
        effect_lo=None if shift.interval is None else shift.interval.lower,
        effect_hi=None if shift.interval is None else shift.interval.upper,
        statistic=shift.tested.statistic,
        p=shift.tested.p,
    )


def _mcnemar(table: _Table, one: int, other: int) -> StrategyComparison:
    missed = table.missed.mean(axis=1) > 0.5
    tested = mcnemar(missed[one], missed[other])
    return replace(
        _row(table, "mcnemar", (one, other), "missed"),
        effect_name="difference of the share missed",
        effect=float(missed[one].mean() - missed[other].mean()),
        statistic=tested.statistic,
        p=tested.p,
    )


def _mixed(table: _Table, one: int, other: int) -> StrategyComparison:
    row = replace(_row(table, "mixed model", (one, other), "dsc"), effect_name="difference of means")
    if len(table.seeds) < 2:
        return replace(row, effect=float(table.dsc[one].mean() - table.dsc[other].mean()), note=ONE_TRAINING)
    found = crossed_contrast(table.dsc, one, other)
    return replace(
        row,
        effect=found.estimate,
        effect_lo=found.interval.lower,
        effect_hi=found.interval.upper,
        statistic=found.t,
        p=found.p,
        note=f"cases and trainings random, {found.df:.0f} degrees of freedom",
    )


def _adjusted(rows: Sequence[StrategyComparison]) -> tuple[StrategyComparison, ...]:
    """The rows of one family with Holm's p."""
    p = holm([np.nan if row.p is None else row.p for row in rows]) if rows else np.array([])
    return tuple(
        row if row.p is None else replace(row, p_holm=float(value)) for row, value in zip(rows, p, strict=True)
    )
