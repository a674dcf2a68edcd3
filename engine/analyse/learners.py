"""What turns an arm's columns into a risk by the horizon: logistic, logistic on an offset, forest, Cox, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from engine.analyse.clinical_coding import ClinicalCoding
from engine.analyse.filters import Scaling
from engine.statistics.cox import CoxFit, cox_survival
from engine.statistics.logistic import LogisticFit, predict_logistic
from engine.statistics.rank_forest import Forest
from engine.statistics.rank_forest import predict as read_forest
from store.matrices import DesignTable

Floats = NDArray[np.float64]
SMALLEST_RISK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """How to make an arm's columns from a design table: clinical coding, volume, features, embeddings."""

    clinical: ClinicalCoding | None
    volume: tuple[float, float] | None  # mean and spread of the cube root of volume in training
    features: Scaling | None
    deep: Scaling | None = None  # of the columns of deep_values

    @property
    def selected(self) -> int:
        """How many features or embeddings were selected into the arm."""
        return sum(part.columns.size for part in (self.features, self.deep) if part is not None)

    def apply(self, table: DesignTable) -> Floats:
        """The arm's columns (n, q); q may be 0."""
        blocks = [np.zeros((len(table.case_ids), 0))]
        if self.clinical is not None:
            blocks.append(self.clinical.apply(table))
        if self.volume is not None:
            mean, spread = self.volume
            size = (np.cbrt(table.volume_ml) - mean) / spread
            blocks.append(np.where(np.isfinite(size), size, 0.0)[:, None])
        if self.features is not None:
            blocks.append(self.features.apply(table.values))
        if self.deep is not None and table.deep_values is not None:
            blocks.append(self.deep.apply(table.deep_values))
        return np.concatenate(blocks, axis=1)


class Learner(Protocol):
    """A fitted model: the risk (n,) in [0, 1] of every row of a table."""

    def risk(self, table: DesignTable) -> Floats:
        """Probability of the event by the horizon."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """No column was left: everybody has the training risk."""

    probability: float

    def risk(self, table: DesignTable) -> Floats:
        """The same for all (n,)."""
        return np.full(len(table.case_ids), self.probability)


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """Ridge-penalised logistic regression of the columns."""

    columns: Columns
    fit: LogisticFit

    def risk(self, table: DesignTable) -> Floats:
        """Its probability (n,)."""
        return predict_logistic(self.fit, self.columns.apply(table))


@dataclass(frozen=True, slots=True, eq=False)
class Offset:
    """The base's log odds stand with slope 1; the columns may only add to them."""

    base: Learner
    columns: Columns
    fit: LogisticFit

    def risk(self, table: DesignTable) -> Floats:
        """Its probability (n,)."""
        added = self.fit.coefficients[0] + self.columns.apply(table) @ self.fit.coefficients[1:]
        return np.asarray(expit(log_odds(self.base.risk(table)) + added), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A random forest of the columns."""

    columns: Columns
    forest: Forest

    def risk(self, table: DesignTable) -> Floats:
        """Mean share of events in the leaves (n,)."""
        return read_forest(self.forest, self.columns.apply(table))


@dataclass(frozen=True, slots=True, eq=False)
class Hazard:
    """A ridge-penalised Cox model of those columns that varied, read at the horizon."""

    columns: Columns
    varying: NDArray[np.intp]
    fit: CoxFit
    horizon_days: int

    def risk(self, table: DesignTable) -> Floats:
        """One minus predicted survival at the horizon (n,)."""
        x = self.columns.apply(table)[:, self.varying]
        return np.asarray(1 - cox_survival(self.fit, x, float(self.horizon_days)), dtype=np.float64)


def log_odds(risk: Floats) -> Floats:
    """Log odds of risks (n,), those of 0 and 1 cut to 1e-9 from them."""
    return np.asarray(logit(np.clip(risk, SMALLEST_RISK, 1 - SMALLEST_RISK)), dtype=np.float64)
