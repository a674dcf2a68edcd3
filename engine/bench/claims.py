"""What the comparison says of cohorts with a known truth: pure noise, and planted gains. Claim rate, bias, coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.analyse.candidates import candidates
from engine.analyse.planted import claim_of, headline_gains, shift_of
from engine.protocol import Batch, Reproducibility, SelectionProtocol
from engine.statistics.calibration import wilson_interval
from store.matrices import DesignTable
from store.records import PlantedClaim

FEATURES, FACTORS = 60, 12
EVENT_SHARE = 0.34
BASE_AUC = 0.65
HORIZON_DAYS, LAST_DAY = 730, 2000
QUICK = SelectionProtocol(resamples=40, trees=25, mrmr_features=10, most_kept=5, icc_filter=False)


@dataclass(frozen=True, slots=True)
class ClaimStudy:
    """One cohort to be drawn: its number, size and planted gain in AUC above clinical + volume."""

    number: int
    patients: int
    gain: float
    resamples: int


@dataclass(frozen=True, slots=True)
class ClaimRate:
    """How often "adds" was said of cohorts with one planted gain, with its 95 % interval, mean bias and coverage.

    bias: mean out-of-bag difference less the planted gain; coverage: share of spreads that hold the planted gain.
    """

    gain: float
    studies: int
    adds: int
    rate: float
    rate_lo: float
    rate_hi: float
    too_small: int
    difference: float
    bias: float
    coverage: float


Spread = Callable[[Callable[[ClaimStudy], PlantedClaim], Iterable[ClaimStudy]], Iterator[PlantedClaim]]


def bench_claims(
    studies: int, patients: int, gains: Sequence[float], resamples: int, spread: Spread = map
) -> tuple[ClaimRate, ...]:
    """Draw `studies` cohorts for every gain and let the comparison speak of each; the same at every call."""
    plan = [ClaimStudy(number, patients, gain, resamples) for gain in gains for number in range(studies)]
    claims = tuple(spread(one_claim, plan))
    return tuple(rate_of(gain, [claim for claim in claims if claim.gain == gain]) for gain in gains)


def one_claim(study: ClaimStudy) -> PlantedClaim:
    """What is said of one cohort by the study's own procedure, at quick settings."""
    rng = np.random.default_rng([study.number, study.patients, round(1000 * study.gain)])
    table = claim_cohort(study.patients, study.gain, rng)
    rules = Reproducibility()
    size = candidates(table, QUICK, rules, Batch()).sizes[0]
    return claim_of(study.number, study.gain, headline_gains(table, size, QUICK, rules, study.resamples, rng))


def claim_cohort(patients: int, gain: float, rng: np.random.Generator) -> DesignTable:
    """A cohort of 34 % events, a clinical score of AUC 0.65, correlated noise features, and the gain in one of them.

    Censored at random, about a tenth before the horizon; volume says nothing.
    """
    event = rng.permutation(np.arange(patients) < round(EVENT_SHARE * patients))
    score = rng.normal(size=patients) + shift_of(BASE_AUC - 0.5, 0.5) * event
    factors = rng.normal(size=(patients, FACTORS))
    values = factors[:, np.arange(FEATURES) % FACTORS] * 0.7 + 0.7 * rng.normal(size=(patients, FEATURES))
    if gain > 0:
        values[:, int(rng.integers(FEATURES))] = rng.normal(size=patients) + shift_of(gain, BASE_AUC) * event
    happens = np.where(event, rng.uniform(30, HORIZON_DAYS, patients), LAST_DAY + 1.0)
    end = rng.uniform(400, LAST_DAY, patients)
    days = np.ceil(np.minimum(happens, end))
    seen = happens <= end
    label = np.where(seen, 1, np.where(days >= HORIZON_DAYS, 0, -1)).astype(np.int8)
    return _table(values, score, np.exp(rng.normal(3, 1, patients)), (days, seen, label))


def _table(
    values: np.ndarray, score: np.ndarray, volume_ml: np.ndarray, outcome: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> DesignTable:
    n, p = values.shape
    days, seen, label = outcome
    return DesignTable(
        case_ids=tuple(f"C{row:04d}" for row in range(n)),
        rois=("intratumoural",) * p,
        image_types=("original",) * p,
        feature_classes=("noise",) * p,
        features=tuple(f"f{column}" for column in range(p)),
        values=values,
        statuses=np.zeros((n, p), np.uint8),
        clinical_names=("score",),
        clinical_kinds=("number",),
        clinical_levels=(),
        clinical_numbers=score[:, None],
        clinical_codes=np.full((n, 1), -1, np.int32),
        days=days,
        event=seen.astype(np.int8),
        label=label,
        horizon_days=HORIZON_DAYS,
        volume_ml=volume_ml,
        perturbed_rows=np.zeros(0, np.int32),
        perturbed_families=(),
        perturbed_values=np.zeros((0, 0, p)),
    )


def rate_of(gain: float, claims: Sequence[PlantedClaim]) -> ClaimRate:
    """Claim rate, bias and coverage of claims with one planted gain."""
    adds = sum(claim.adds for claim in claims)
    bounds = wilson_interval(adds, len(claims))
    difference = float(np.mean([claim.difference for claim in claims]))
    return ClaimRate(
        gain=gain,
        studies=len(claims),
        adds=adds,
        rate=adds / len(claims),
        rate_lo=bounds.lower,
        rate_hi=bounds.upper,
        too_small=sum(claim.sentence == "too small to tell" for claim in claims),
        difference=difference,
        bias=difference - gain,
        coverage=float(np.mean([claim.spread_lo <= gain <= claim.spread_hi for claim in claims])),
    )


def claim_lines(rates: Sequence[ClaimRate]) -> list[str]:
    """The table as text."""
    head = "planted  studies  adds            too small  mean difference  bias    coverage of the spread"
    rows = [
        f"{r.gain:+.2f}    {r.studies:5d}    {100 * r.rate:4.1f} % ({100 * r.rate_lo:.1f}-{100 * r.rate_hi:.1f})"
        f"  {r.too_small:5d}      {r.difference:+.3f}           {r.bias:+.3f}  {100 * r.coverage:.0f} %"
        for r in rates
    ]
    return [head, *rows]
