"""What makes segmentation harder: shape, place and acquisition against the overlap with independent references."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.analyse.adjusted import adjusted_rows
from engine.analyse.batch_effects import (
    Scored,
    acquisition_pairs,
    aliases_of,
    batch_differences,
    overall_verdict,
)
from engine.analyse.difficulty_table import DifficultyTable, difficulty_table
from engine.analyse.hurdle import missed_rows
from engine.protocol import Agreement, Plan
from engine.statistics.association import (
    equivalence,
    kruskal,
    mann_whitney,
    robust_slope,
    spearman,
    spearman_interval,
)
from engine.statistics.multiplicity import benjamini_hochberg
from store.records import (
    Acquisition,
    AcquisitionPair,
    Association,
    BatchDifference,
    Cohort,
    Covariate,
    Location,
    Morphology,
    Overlap,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Texts = NDArray[np.str_]
FEWEST_PATIENTS = 5
FEWEST_IN_GROUP = 2
BOOTSTRAPS = 1000
INTERVAL = (2.5, 97.5)
LEVEL = 0.95
# Steps in which a change of the score is told, with their names.
STEPS = {
    "sphericity": (0.1, "0.1"),
    "maximum_3d_diameter_mm": (10.0, "10 mm"),
    "volume_ml": (10.0, "10 ml"),
    "elongation": (0.1, "0.1"),
    "costal_contact_share": (0.1, "10 percentage points"),
    "contact_share": (0.1, "10 percentage points"),
    "distance_to_mediastinum_mm": (10.0, "10 mm"),
}


@dataclass(frozen=True, slots=True)
class Associated:
    """Output of the association stage."""

    associations: tuple[Association, ...]
    batch: tuple[BatchDifference, ...]
    pairs: tuple[AcquisitionPair, ...]


def associate(  # noqa: PLR0913 - a stage's signature is its declaration
    overlaps: Cohort[Overlap],
    morphology: Cohort[Morphology],
    location: Cohort[Location],
    acquisition: Cohort[Acquisition],
    covariates: tuple[Covariate, ...] | None,
    rules: Agreement,
    plan: Plan,
    rng: np.random.Generator,
) -> Associated:
    """Volumetric and surface DSC of the index lesion against each variable, on all patients and on detected ones.

    Numbers: Spearman, with the Theil-Sen slope beside. Two groups: Mann-Whitney with rank-biserial correlation, with
    the difference of means beside; more: Kruskal-Wallis with epsilon squared; effects with percentile bootstrap
    intervals. Acquisition groups also get differences of means judged by the margin, and are cross-tabulated: aliased
    ones are one effect. q is Benjamini-Hochberg within (score, subset), the declared family. The two-part model
    (missed; DSC when detected) follows. Before the plan is locked p and q are None. DeclinedError without independent
    references.
    """
    lobes = {c.case_id: c.category for c in covariates or () if c.name == rules.lobe and c.category}
    table = difficulty_table(overlaps, morphology, location, acquisition, lobes)
    pairs = acquisition_pairs(table, rules)
    rows: list[Association] = []
    batch: list[BatchDifference] = []
    for outcome, values in table.scores.items():
        for subset, chosen in (("all", np.ones(values.size, dtype=np.bool_)), ("detected", ~table.missed)):
            scored = Scored(outcome, subset, values[chosen])
            own = _batch(table, scored, chosen, pairs, rules)
            batch += own
            rows += with_q(_family(table, scored, chosen, own, pairs, rng))
    rows += [*missed_rows(table, rules), *adjusted_rows(table, pairs, rules)]
    rows = [replace(row, from_source=table.from_source, to_source=table.to_source) for row in rows]
    if not plan.locked_at:
        rows = [replace(row, p=None, q=None) for row in rows]
    return Associated(tuple(rows), tuple(batch), pairs)


def _batch(
    table: DifficultyTable, scored: Scored, chosen: Flags, pairs: tuple[AcquisitionPair, ...], rules: Agreement
) -> list[BatchDifference]:
    return [
        row
        for name, labels in table.acquisition.items()
        for row in batch_differences(scored, name, labels[chosen], rules.equivalence_margin, aliases_of(name, pairs))
    ]


def _family(
    table: DifficultyTable,
    scored: Scored,
    chosen: Flags,
    batch: list[BatchDifference],
    pairs: tuple[AcquisitionPair, ...],
    rng: np.random.Generator,
) -> list[Association]:
    numbers = [number_row(scored, name, column[chosen], rng) for name, column in table.numbers.items()]
    places = [group_row(scored, name, column[chosen], rng) for name, column in table.places.items()]
    scans = []
    for name, column in table.acquisition.items():
        row = group_row(scored, name, column[chosen], rng)
        verdict = overall_verdict([own for own in batch if own.variable == name])
        scans.append(replace(row, verdict=verdict, aliased_with=aliases_of(name, pairs)))
    return [*numbers, *places, *scans]


def with_q(rows: list[Association]) -> list[Association]:
    """The rows of one family with Benjamini-Hochberg q; rows without p stay without q."""
    p = np.array([np.nan if row.p is None else row.p for row in rows], dtype=np.float64)
    if not np.isfinite(p).any():
        return rows
    q = benjamini_hochberg(p)
    return [replace(row, q=float(own) if np.isfinite(own) else None) for row, own in zip(rows, q, strict=True)]


def number_row(scored: Scored, variable: str, values: Floats, rng: np.random.Generator) -> Association:
    """Spearman correlation with its bootstrap interval; only n with under five patients or a constant side."""
    known = np.isfinite(values)
    x, y = values[known], scored.values[known]
    row = _blank(scored, variable, "spearman", "rho", int(known.sum()))
    if x.size < FEWEST_PATIENTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return row
    found, interval = spearman(x, y), spearman_interval(x, y, rng, BOOTSTRAPS)
    step, per = STEPS[variable]
    slope = robust_slope(x / step, y)
    return replace(
        row,
        effect=found.rho,
        effect_lo=interval.lower,
        effect_hi=interval.upper,
        p=found.p_value,
        change=slope.estimate,
        change_lo=slope.lower,
        change_hi=slope.upper,
        change_per=per,
    )


def group_row(scored: Scored, variable: str, labels: Texts, rng: np.random.Generator) -> Association:
    """Mann-Whitney of two groups or Kruskal-Wallis of more; groups of one patient are shown but not tested."""
    levels = [str(level) for level in np.unique(labels)]
    groups = [scored.values[labels == level] for level in levels]
    text = json.dumps(
        {level: [int(own.size), float(np.median(own))] for level, own in zip(levels, groups, strict=True)}
    )
    tested = [(level, own) for level, own in zip(levels, groups, strict=True) if own.size >= FEWEST_IN_GROUP]
    values = [own for _, own in tested]
    total = sum(own.size for own in values)
    if len(tested) < 2 or total < FEWEST_PATIENTS or np.ptp(np.concatenate(values)) == 0:
        return replace(_blank(scored, variable, "none", "", total), groups=text)
    if len(tested) == 2:
        row = _two_groups(scored, variable, (tested[0][0], tested[1][0]), (values[0], values[1]), rng)
    else:
        row = _more_groups(scored, variable, values, rng)
    return replace(row, groups=text)


def _two_groups(
    scored: Scored, variable: str, names: tuple[str, str], groups: tuple[Floats, Floats], rng: np.random.Generator
) -> Association:
    found = mann_whitney(*groups)
    lo, hi = rank_biserial_interval(*groups, rng)
    name = f"rank-biserial correlation ({names[0]} above {names[1]})"
    row = _blank(scored, variable, "mann-whitney", name, groups[0].size + groups[1].size)
    means = equivalence(*groups, margin=1.0, level=LEVEL)
    return replace(
        row,
        effect=found.rank_biserial,
        effect_lo=lo,
        effect_hi=hi,
        p=found.p_value,
        change=means.difference,
        change_lo=means.lower,
        change_hi=means.upper,
        change_per=f"{names[0]} less {names[1]}",
    )


def _more_groups(scored: Scored, variable: str, groups: list[Floats], rng: np.random.Generator) -> Association:
    values = np.concatenate(groups)
    member = np.repeat(np.arange(len(groups)), [own.size for own in groups])
    found = kruskal(values, member)
    lo, hi = epsilon_squared_interval(groups, rng)
    row = _blank(scored, variable, "kruskal-wallis", "epsilon squared", values.size)
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


def _blank(scored: Scored, variable: str, test: str, effect_name: str, n: int) -> Association:
    return Association(
        outcome=scored.outcome,
        variable=variable,
        test=test,
        subset=scored.subset,
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
