"""What pages ask the store, and viewers who ask it at once; run as a program it prints what they met as JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from store.queries.agreement import (
    MaskPair,
    agreement_summary,
    associations,
    case_agreements,
    case_covariates,
    mask_pairs,
    review_cases,
    tolerance_curve,
)
from store.queries.cohort import cases, covariate_summaries, flags
from store.queries.inference import doubt_estimates, step_seconds
from store.queries.prognosis import (
    comparisons,
    cox_terms,
    decision_points,
    groupings,
    model_summaries,
    performances,
    roc_points,
    survival_points,
)
from store.queries.reproducibility import (
    DECIDING,
    FeatureIcc,
    Reading,
    families,
    feature_iccs,
    feature_values,
    image_falls,
    survival_shares,
)
from store.queries.selection import co_selections, frequencies
from store.queries.study import failures, flow_steps, runs, stage_costs
from store.simulated import RUN
from store.snapshot import Snapshot, close_snapshots, open_snapshot

ONE_PREFIX, OTHER_PREFIX = "ONE", "TWO"
OF_CASES = ("cases", "agreement by case", "cases to review", "flags", "one feature's values")
PAUSE_SECONDS = 1.0  # a viewer's, on average, between two questions
LOBE = "none"
READING = Reading(DECIDING, 0.75)
Ask = Callable[[np.random.Generator], Sequence[object]]


def page_queries(snapshot: Snapshot, features: Sequence[FeatureIcc]) -> dict[str, Ask]:
    """What pages ask of the simulated run; a viewer who looks at one feature takes any of `features`."""
    ask = partial(_of_run, snapshot)
    pair = partial(_pair, snapshot)
    return {
        "runs": lambda rng: runs(snapshot),
        "flow": ask(flow_steps),
        "stage costs": ask(stage_costs),
        "failures": ask(failures),
        "cases": ask(cases),
        "clinical table": ask(covariate_summaries),
        "flags": ask(flags),
        "cases to review": ask(review_cases),
        "agreement": lambda rng: [agreement_summary(snapshot, RUN, pair())],
        "agreement by case": lambda rng: case_agreements(snapshot, RUN, pair(), LOBE),
        "covariates by case": ask(case_covariates),
        "tolerance curve": lambda rng: tolerance_curve(snapshot, RUN, pair()),
        "associations": ask(associations),
        "seconds": ask(step_seconds),
        "doubt": ask(doubt_estimates),
        "surviving features": lambda rng: survival_shares(snapshot, RUN, READING),
        "images that fall": lambda rng: image_falls(snapshot, RUN, READING),
        "every feature": lambda rng: every_feature(snapshot),
        "one feature's values": lambda rng: feature_values(snapshot, RUN, features[int(rng.integers(len(features)))]),
        "selection": ask(frequencies),
        "together": lambda rng: co_selections(snapshot, RUN, 24),
        "models": ask(model_summaries),
        "comparisons": ask(comparisons),
        "performance": ask(performances),
        "ROC": ask(roc_points),
        "decision curve": ask(decision_points),
        "survival": lambda rng: survival_points(snapshot, RUN, groupings(snapshot, RUN)[0]),
        "Cox": ask(cox_terms),
    }


def every_feature(snapshot: Snapshot) -> tuple[FeatureIcc, ...]:
    """The features of the run, as the page Reproducibility lists them first."""
    return feature_iccs(snapshot, RUN, families(snapshot, RUN)[0].family)


def _of_run(snapshot: Snapshot, question: Callable[[Snapshot, str], Sequence[object]]) -> Ask:
    return lambda rng: question(snapshot, RUN)


def _pair(snapshot: Snapshot) -> MaskPair:
    return mask_pairs(snapshot, RUN)[0]


@dataclass(frozen=True, slots=True)
class _Watched:
    """One study that is looked at, how its case ids begin, and its features."""

    study: Path
    prefix: str
    features: tuple[FeatureIcc, ...]


@dataclass(slots=True)
class _Met:
    """What one viewer met."""

    taken: list[tuple[float, str]]
    errors: int = 0
    foreign: int = 0


def watch(studies: Sequence[tuple[Path, str]], viewers: int, seconds: float) -> dict[str, float | int | str]:
    """So many viewers in threads of one process, as the app has them, each on one of the studies by turns."""
    watched = [_Watched(study, prefix, every_feature(open_snapshot(study))) for study, prefix in studies]
    until = time.monotonic() + seconds
    met = [_Met([]) for _ in range(viewers)]
    threads = [threading.Thread(target=_view, args=(watched, n, until, met[n])) for n in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_snapshots()
    taken = sorted(pair for one in met for pair in one.taken)
    milliseconds = [time_ms for time_ms, _ in taken]
    return {
        "viewers": viewers,
        "seconds": seconds,
        "queries": len(taken),
        "median_ms": round(float(np.median(milliseconds)), 1),
        "p95_ms": round(float(np.percentile(milliseconds, 95)), 1),
        "slowest_ms": round(milliseconds[-1], 1),
        "slowest": taken[-1][1],
        "errors": sum(one.errors for one in met),
        "foreign_rows": sum(one.foreign for one in met),
    }


def _view(studies: Sequence[_Watched], number: int, until: float, met: _Met) -> None:
    """One viewer; who is not answered has met an error, and looks no more."""
    rng = np.random.default_rng(number)
    turn = number
    while time.monotonic() < until:
        met.errors += 1
        _ask(studies[turn % len(studies)], rng, met)
        met.errors -= 1
        turn += 1
        time.sleep(rng.exponential(PAUSE_SECONDS))


def _ask(watched: _Watched, rng: np.random.Generator, met: _Met) -> None:
    """One question to the generation that is current now; opening a new one counts."""
    begun = time.perf_counter()
    questions = page_queries(open_snapshot(watched.study), watched.features)
    name = str(rng.choice(list(questions)))
    rows = questions[name](rng)
    met.taken.append((1000 * (time.perf_counter() - begun), name))
    if name in OF_CASES:
        met.foreign += sum(not row.case_id.startswith(watched.prefix) for row in rows)  # type: ignore[attr-defined]


if __name__ == "__main__":
    one, other, viewers, seconds = sys.argv[1:]
    both = ((Path(one), ONE_PREFIX), (Path(other), OTHER_PREFIX))
    sys.stdout.write(json.dumps(watch(both, int(viewers), float(seconds))) + "\n")
