"""Questions about which features survive perturbed masks."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask
from store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SurvivalShare:
    """How many tested features of one ROI and image type survive every declared family."""

    roi: str
    image_type: str
    tested: int
    surviving: int
    not_tested: int


PER_FEATURE = """
WITH per_feature AS (
  SELECT roi, image_type, feature_class, feature, bool_and(survives) AS survives,
    bool_and(icc_class = 'not_tested') AS not_tested
  FROM icc_estimate WHERE run_id = ? GROUP BY ALL)
"""

SHARES = (
    PER_FEATURE
    + """
SELECT roi, image_type, count(*) FILTER (NOT not_tested) AS tested,
  count(*) FILTER (survives AND NOT not_tested) AS surviving, count(*) FILTER (not_tested) AS not_tested
FROM per_feature GROUP BY roi, image_type ORDER BY roi, image_type
"""
)


def survival_shares(snapshot: Snapshot, run_id: str) -> tuple[SurvivalShare, ...]:
    """Surviving features by ROI and image type."""
    return ask(snapshot, SurvivalShare, SHARES, (run_id,))


@dataclass(frozen=True, slots=True)
class FeatureIcc:
    """One feature's ICC in one family: the column that is headlined for that family, with its 95 % interval."""

    roi: str
    image_type: str
    feature_class: str
    feature: str
    family: str
    n: int
    k: int
    icc_kind: str
    icc: float | None
    icc_lo: float | None
    icc_hi: float | None
    icc_rank: float | None
    icc_trimmed: float | None
    disagreement: bool
    icc_class: str
    survives: bool


FEATURE_ICCS = """
SELECT roi, image_type, feature_class, feature, family, n, k,
  CASE family WHEN 'random' THEN 'ICC(1,1)' ELSE 'ICC(2,1)' END AS icc_kind,
  CASE family WHEN 'random' THEN icc11 ELSE icc21 END AS icc,
  CASE family WHEN 'random' THEN icc11_lo ELSE icc21_lo END AS icc_lo,
  CASE family WHEN 'random' THEN icc11_hi ELSE icc21_hi END AS icc_hi,
  icc_rank, icc_trimmed, disagreement, icc_class, survives
FROM icc_estimate WHERE run_id = ? AND family = ?
ORDER BY icc_lo DESC NULLS LAST, roi, image_type, feature_class, feature
"""


def families(snapshot: Snapshot, run_id: str) -> tuple[str, ...]:
    """The families of perturbations that were used, the random one first."""
    sql = "SELECT DISTINCT family FROM icc_estimate WHERE run_id = ? ORDER BY family <> 'random', family"
    return tuple(str(row[0]) for row in snapshot.rows(sql, (run_id,)).rows)


def feature_iccs(snapshot: Snapshot, run_id: str, family: str) -> tuple[FeatureIcc, ...]:
    """Every feature of one family, the most reproducible first.

    ICC(1,1) stands for random perturbations, ICC(2,1) for fixed settings: the form that decided class and survival,
    whatever else is recorded beside it.
    """
    return ask(snapshot, FeatureIcc, FEATURE_ICCS, (run_id, family))
