"""What makes segmentation harder: shape, place and acquisition against the overlap with independent references."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.analyse.difficulty_table import DifficultyTable, difficulty_table
from engine.analyse.hurdle import hurdle_rows
from engine.protocol import Agreement, Plan
from engine.statistics.association import equivalence, kruskal, mann_whitney, spearman, spearman_interval
from engine.statistics.multiplicity import benjamini_hochberg
from store.records import Acquisition, Association, Cohort, DeclinedError, Location, Morphology, Overlap

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
FEWEST_PATIENTS = 5
FEWEST_IN_GROUP = 2
BOOTSTRAPS = 1000
INTERVAL = (2.5, 97.5)
BATCH_LEVEL = 0.90


@dataclass(frozen=True, slots=True)
class Associated:
    """Output of the association stage."""

    associations: tuple[Association, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One score (n,) of the patients of one subset (all, detected)."""

    outcome: str
    subset: str
    values: Floats


def associate(
    overlaps: Cohort[Overlap],
    morphology: Cohort[Morphology],
    location: Cohort[Location],
    acquisition: Cohort[Acquisition],
    rules: Agreement,
    plan: Plan,
    rng: np.random.Generator,
) -> Associated:
    """Volumetric and surface DSC of the index lesion against each variable, on all patients and on detected ones.

    Numbers: Spearman. Two groups: Mann-Whitney with rank-biserial correlation; more: Kruskal-Wallis with epsilon
    squared; effects with percentile bootstrap intervals. Acquisition groups also get a verdict: equivalent when the
    90 % interval of every difference of means lies within the margin, different when one excludes 0 beyond that, else
    inconclusive. q is Benjamini-Hochberg within (score, subset), the declared family. Before the plan is locked p and q
    are None. The two-part model (missed; DSC when detected) follows. DeclinedError without independent references.
    """
    table = difficulty_table(overlaps, morphology, location, acquisition)
    rows: list[Association] = []
    for outcome, values in table.scores.items():
        for subset, chosen in (("all", np.ones(values.size, dtype=np.bool_)), ("detected", ~table.missed)):
            scores = Scores(outcome, subset, values[chosen])
            rows += with_q(_family(table, scores, chosen, rules, rng))
    rows += hurdle_rows(table)
    if not plan.locked_at:
        rows = [replace(row, p=None, q=None) for row in rows]
    return Associated(tuple(rows))


def _family(
    table: DifficultyTable,
    scores: Scores,
    chosen: NDArray[np.bool_],
    rules: Agreement,
    rng: np.random.Generator,
) -> list[Association]:
    numbers = [number_row(scores, name, column[chosen], rng) for name, column in table.numbers.items()]
    places = [group_row(scores, name, column[chosen], rng) for name, column in table.places.items()]
    scans = []
    for name, column in table.acquisition.items():
        row = group_row(scores, name, column[chosen], rng)
        scans.append(replace(row, verdict=batch_verdict(scores.values, column[chosen], rules.equivalence_margin)))
    return [*numbers, *places, *scans]


def with_q(rows: list[Association]) -> list[Association]:
    """The rows of one family with Benjamini-Hochberg q; rows without p stay without q."""
    p = np.array([np.nan if row.p is None else row.p for row in rows], dtype=np.float64)
    if not np.isfinite(p).any():
        return rows
    q = benjamini_hochberg(p)
    return [replace(row, q=float(own) if np.isfinite(own) else None) for row, own in zip(rows, q, strict=True)]


def number_row(scores: Scores, variable: str, values: Floats, rng: np.random.Generator) -> Association:
    """Spearman correlation with its bootstrap interval; only n with under five patients or a constant side."""
    known = np.isfinite(values)
    x, y = values[known], scores.values[known]
    row = _blank(scores, variable, "spearman", "rho", int(known.sum()))
    if x.size < FEWEST_PATIENTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return row
    found, interval = spearman(x, y), spearman_interval(x, y, rng, BOOTSTRAPS)
    return replace(row, effect=found.rho, effect_lo=interval.lower, effect_hi=interval.upper, p=found.p_value)


def group_row(scores: Scores, variable: str, labels: Texts, rng: np.random.Generator) -> Association:
    """Mann-Whitney of two groups or Kruskal-Wallis of more; groups of one patient are shown but not tested."""
    levels = [str(level) for level in np.unique(labels)]
    groups = [scores.values[labels == level] for level in levels]
    text = json.dumps(
        {level: [int(own.size), float(np.median(own))] for level, own in zip(levels, groups, strict=True)}
    )
    tested = [(level, own) for level, own in zip(levels, groups, strict=True) if own.size >= FEWEST_IN_GROUP]
    values = [own for _, own in tested]
    total = sum(own.size for own in values)
    if len(tested) < 2 or total < FEWEST_PATIENTS or np.ptp(np.concatenate(values)) == 0:
        return replace(_blank(scores, variable, "none", "", total), groups=text)
    if len(tested) == 2:
        row = _two_groups(scores, variable, (tested[0][0], tested[1][0]), (values[0], values[1]), rng)
    else:
        row = _more_groups(scores, variable, values, rng)
    return replace(row, groups=text)


def _two_groups(
    scores: Scores, variable: str, names: tuple[str, str], groups: tuple[Floats, Floats], rng: np.random.Generator
) -> Association:
    found = mann_whitney(*groups)
    lo, hi = rank_biserial_interval(*groups, rng)
    name = f"rank-biserial correlation ({names[0]} above {names[1]})"
    row = _blank(scores, variable, "mann-whitney", name, groups[0].size + groups[1].size)
    return replace(row, effect=found.rank_biserial, effect_lo=lo, effect_hi=hi, p=found.p_value)


def _more_groups(scores: Scores, variable: str, groups: list[Floats], rng: np.random.Generator) -> Association:
    values = np.concatenate(groups)
    member = np.repeat(np.arange(len(groups)), [own.size for own in groups])
    found = kruskal(values, member)
    lo, hi = epsilon_squared_interval(groups, rng)
    row = _blank(scores, variable, "kruskal-wallis", "epsilon squared", values.size)
    return replace(row, effect=found.epsilon_squared, effect_lo=lo, effect_hi=hi, p=found.p_value)


def rank_biserial_interval(first: Floats, second: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap interval of the rank-biserial correlation, resampling within each group."""
    signs = np.sign(first[:, None] - second[None, :])
    one = rng.multinomial(first.size, np.full(first.size, 1 / first.size), BOOTSTRAPS) / first.size
    two = rng.multinomial(second.size, np.full(second.size, 1 / second.size), BOOTSTRAPS) / second.size
    lo, hi = np.percentile(np.einsum("bi,ij,bj->b", one, signs, two, optimize=True), INTERVAL)
    return float(lo), float(hi)


def epsilon_squared_interval(groups: list[Floats], rng: np.random.Generator) -> tuple[float, float]:
    """Percentile bootstrap interval of epsilon squared (between-group share of the variance of ranks)."""
    drawn = np.concatenate([own[rng.integers(own.size, size=(BOOTSTRAPS, own.size))] for own in groups], axis=1)
    ranks = rankdata(drawn, axis=1)
    ends = np.cumsum([own.size for own in groups])
    parts = np.split(ranks, ends[:-1], axis=1)
    middle = ranks.mean(axis=1, keepdims=True)
    between = sum(part.shape[1] * (part.mean(axis=1) - middle[:, 0]) ** 2 for part in parts)
    total = ((ranks - middle) ** 2).sum(axis=1)
    share = np.divide(between, total, out=np.zeros(BOOTSTRAPS), where=total > 0)
    lo, hi = np.percentile(share, INTERVAL)
    return float(lo), float(hi)


def batch_verdict(values: Floats, labels: Texts, margin: float) -> str:
    """equivalent, different or inconclusive over all pairs of groups of two or more; empty with fewer than two groups.

    A pair is equivalent when the 90 % interval of its difference of means lies within the margin, different when it is
    not and the interval excludes 0. All pairs must be equivalent; one different pair makes the variable different.
    """
    groups = [values[labels == level] for level in np.unique(labels) if (labels == level).sum() >= FEWEST_IN_GROUP]
    if len(groups) < 2:
        return ""
    verdicts = {_pair_verdict(one, other, margin) for one, other in combinations(groups, 2)}
    if verdicts == {"equivalent"}:
        return "equivalent"
    return "different" if "different" in verdicts else "inconclusive"


def _pair_verdict(one: Floats, other: Floats, margin: float) -> str:
    try:
        found = equivalence(one, other, margin, BATCH_LEVEL)
    except DeclinedError:
        return "inconclusive"
    if found.equivalent:
        return "equivalent"
    return "different" if found.lower > 0 or found.upper < 0 else "inconclusive"


def _blank(scores: Scores, variable: str, test: str, effect_name: str, n: int) -> Association:
    return Association(
        outcome=scores.outcome,
        variable=variable,
        test=test,
        subset=scores.subset,
        n=n,
        effect_name=effect_name,
        effect=None,
        effect_lo=None,
        effect_hi=None,
        p=None,
        q=None,
        verdict="",
        groups="",
    )
