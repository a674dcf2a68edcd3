"""Small cohorts with planted truths, and the bootstraps of one as the runner would collect them."""

import numpy as np

from engine.analyse.candidates import candidates
from engine.analyse.resample import Resampled, resample
from engine.protocol import Batch, Reproducibility, SelectionProtocol
from store.matrices import DesignTable
from store.records import Resamples
from store.sources import ResampleNumber

CHOICES = SelectionProtocol(resamples=20, trees=20, mrmr_features=5, most_kept=3)
RULES = Reproducibility()
NO_COMBAT = Batch()


def make_table(rng, n=90, p=12, signal=0.0, noisy=(), perturbed=0, censored=True) -> DesignTable:
    """n patients, p features, feature 0 driving a proportional hazard; `noisy` columns are not reproducible."""
    values = rng.normal(size=(n, p))
    days = np.ceil(rng.exponential(1400, n) * np.exp(-signal * values[:, 0]))
    end = np.ceil(rng.uniform(300, 2500, n)) if censored else np.full(n, 3000.0)
    event = days <= end
    days = np.minimum(days, end)
    label = np.where(event & (days <= 730), 1, np.where(days >= 730, 0, -1)).astype(np.int8)
    rows = np.arange(perturbed)
    repeats = values[rows][:, None, :] + 0.05 * rng.normal(size=(perturbed, 5, p))
    repeats[:, :, list(noisy)] = rng.normal(size=(perturbed, 5, len(noisy)))
    return DesignTable(
        case_ids=tuple(f"case-{i:03d}" for i in range(n)),
        rois=("intratumoural",) * p,
        image_types=("original",) * p,
        feature_classes=("firstorder",) * p,
        features=tuple(f"feature{i}" for i in range(p)),
        values=values,
        statuses=np.zeros((n, p), np.uint8),
        clinical_names=("age", "stage"),
        clinical_kinds=("number", "stage"),
        clinical_levels=("2", "3"),
        clinical_numbers=np.column_stack([rng.normal(65, 9, n), np.full(n, np.nan)]),
        clinical_codes=np.column_stack([np.full(n, -1), rng.integers(0, 2, n)]).astype(np.int32),
        days=days,
        event=event.astype(np.int8),
        label=label,
        horizon_days=730,
        volume_ml=np.exp(rng.normal(3, 1, n)),
        perturbed_rows=rows.astype(np.int32),
        perturbed_families=("base", *("random",) * 4) if perturbed else (),
        perturbed_values=repeats if perturbed else np.zeros((0, 0, p)),
    )


def run_resamples(
    table: DesignTable, seed: int, choices: SelectionProtocol = CHOICES, batch: Batch = NO_COMBAT
) -> list[Resampled]:
    sizes = candidates(table, choices, RULES, batch).sizes
    return [one_resample(table, sizes, seed, number, choices, batch) for number in range(choices.resamples)]


def one_resample(table, sizes, seed, number, choices=CHOICES, batch=NO_COMBAT) -> Resampled:
    return resample(table, sizes, choices, RULES, batch, ResampleNumber(number), np.random.default_rng([seed, number]))


def collect(found: list[Resampled], field: str) -> Resamples:
    return Resamples(tuple((number, row) for number, one in enumerate(found) for row in getattr(one, field)))


def mean_auc(found: list[Resampled], model: str) -> float:
    return float(np.mean([row.auc for one in found for row in one.performance if row.model == model]))
