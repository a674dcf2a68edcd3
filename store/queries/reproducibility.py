"""Questions about which features survive perturbation: by family, form of the ICC and threshold."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import BASE_MASK, PerturbationEffect
from store.schema import BLOCK, BLOCKED
from store.snapshot import Snapshot

DECIDING = "deciding"
# Results from before families were declared hold no `declared`: then each of them decided.
FORMS = (DECIDING, "icc11", "icc21", "icc31")


@dataclass(frozen=True, slots=True)
class Reading:
    """How ICCs are read: the form (or the one that decides in each family), the threshold on its lower 95 % bound.

    `family` is one family, or empty for all declared ones together: a feature must then pass in each of them.
    """

    form: str
    threshold: float
    family: str = ""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}, got {self.form!r}")


BOUNDS = """
WITH bound AS (
  SELECT roi, image_type, feature_class, feature, family, icc_class, disagreement,
    CASE WHEN ? = 'icc11' THEN icc11_lo WHEN ? = 'icc21' THEN icc21_lo WHEN ? = 'icc31' THEN icc31_lo
      WHEN family = 'random' THEN icc11_lo ELSE icc21_lo END AS lo
  FROM icc_estimate WHERE run_id = ? AND (family = ? OR (? = '' AND coalesce(declared, true)))),
per_feature AS (
  SELECT roi, image_type, feature_class, feature, bool_and(coalesce(lo, -2) >= ?) AS survives,
    min(coalesce(lo, -1)) AS lowest, bool_and(icc_class = 'not_tested') AS not_tested,
    bool_and(icc_class = 'constant') AS constant, bool_or(disagreement) AS disagreement
  FROM bound GROUP BY roi, image_type, feature_class, feature)
"""


def _given(run_id: str, reading: Reading) -> tuple[object, ...]:
    form = reading.form
    return (form, form, form, run_id, reading.family, reading.family, reading.threshold)


@dataclass(frozen=True, slots=True)
class SurvivalShare:
    """How many tested features of one ROI, image type and class survive; constant ones are tested and never do."""

    roi: str
    image_type: str
    feature_class: str
    tested: int
    surviving: int
    constant: int
    not_tested: int


SHARES = (
    BOUNDS
    + """
SELECT roi, image_type, feature_class, count(*) FILTER (NOT not_tested) AS tested,
  count(*) FILTER (survives) AS surviving, count(*) FILTER (constant) AS constant,
  count(*) FILTER (not_tested) AS not_tested
FROM per_feature GROUP BY ALL ORDER BY roi, image_type, feature_class
"""
)


def survival_shares(snapshot: Snapshot, run_id: str, reading: Reading) -> tuple[SurvivalShare, ...]:
    """Surviving features by ROI, image type and class under one reading."""
    return ask(snapshot, SurvivalShare, SHARES, _given(run_id, reading))


@dataclass(frozen=True, slots=True)
class ImageFall:
    """One image type of one ROI: at which threshold half of its features are lost, and how many survive."""

    roi: str
    image_type: str
    median_bound: float | None  # None: more than half are constant
    surviving: int
    tested: int
    constant: int


FALLS = (
    BOUNDS
    + """
SELECT roi, image_type, nullif(median(lowest), -1) AS median_bound,
  count(*) FILTER (survives) AS surviving, count(*) AS tested, count(*) FILTER (constant) AS constant
FROM per_feature WHERE NOT not_tested GROUP BY ALL ORDER BY median_bound NULLS FIRST, roi, image_type
"""
)


def image_falls(snapshot: Snapshot, run_id: str, reading: Reading) -> tuple[ImageFall, ...]:
    """The image types in the order in which they fall as the threshold rises, the first to fall first.

    A constant feature counts as lost from the start.
    """
    return ask(snapshot, ImageFall, FALLS, _given(run_id, reading))


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many features of one class and ROI survive: what selection may choose from."""

    feature_class: str
    roi: str
    surviving: int
    tested: int


DOWNSTREAM = (
    BOUNDS
    + """
SELECT feature_class, roi, count(*) FILTER (survives) AS surviving, count(*) FILTER (NOT not_tested) AS tested
FROM per_feature GROUP BY ALL ORDER BY feature_class, roi
"""
)


def class_counts(snapshot: Snapshot, run_id: str, reading: Reading) -> tuple[ClassCount, ...]:
    """The surviving set by class and ROI."""
    return ask(snapshot, ClassCount, DOWNSTREAM, _given(run_id, reading))


@dataclass(frozen=True, slots=True)
class FeatureIcc:
    """One feature in one family: the form of the ICC that is read, with its 95 % interval, and what stands beside."""

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
    within_cv: float | None
    repeatability: float | None
    icc_class: str
    survives: bool


FEATURE_ICCS = """
WITH read AS (SELECT *, CASE WHEN ? <> 'deciding' THEN ? WHEN family = 'random' THEN 'icc11' ELSE 'icc21' END AS form
  FROM icc_estimate WHERE run_id = ? AND family = ?)
SELECT roi, image_type, feature_class, feature, family, n, k,
  CASE form WHEN 'icc11' THEN 'ICC(1,1)' WHEN 'icc21' THEN 'ICC(2,1)' ELSE 'ICC(3,1)' END AS icc_kind,
  CASE form WHEN 'icc11' THEN icc11 WHEN 'icc21' THEN icc21 ELSE icc31 END AS icc,
  CASE form WHEN 'icc11' THEN icc11_lo WHEN 'icc21' THEN icc21_lo ELSE icc31_lo END AS icc_lo,
  CASE form WHEN 'icc11' THEN icc11_hi WHEN 'icc21' THEN icc21_hi ELSE icc31_hi END AS icc_hi,
  icc_rank, icc_trimmed, disagreement, within_cv, repeatability, icc_class, survives
FROM read ORDER BY icc_lo DESC NULLS LAST, roi, image_type, feature_class, feature
"""


@dataclass(frozen=True, slots=True)
class Family:
    """One family of perturbations in a run, and whether it decides survival."""

    family: str
    declared: bool


def families(snapshot: Snapshot, run_id: str) -> tuple[Family, ...]:
    """The families of perturbations that were used, the random one first."""
    sql = """SELECT family, bool_or(coalesce(declared, true)) AS declared FROM icc_estimate WHERE run_id = ?
    GROUP BY family ORDER BY family <> 'random', family <> 'fixed', family"""
    return ask(snapshot, Family, sql, (run_id,))


def feature_iccs(snapshot: Snapshot, run_id: str, family: str, form: str = DECIDING) -> tuple[FeatureIcc, ...]:
    """Every feature of one family, the most reproducible first, by one form or the one that decides in the family."""
    return ask(snapshot, FeatureIcc, FEATURE_ICCS, (form, form, run_id, family))


def perturbation_effects(snapshot: Snapshot, run_id: str) -> tuple[PerturbationEffect, ...]:
    """What each perturbation does by itself, in the order of families."""
    return ask_record(snapshot, PerturbationEffect, "perturbation_effect", run_id, "roi, family, perturbation")


@dataclass(frozen=True, slots=True)
class FeatureValue:
    """One feature of one patient under one perturbation (`none`: as it is); None where it has no value."""

    case_id: str
    perturbation: str
    family: str
    method: str
    value: float | None
    patients: int  # of whom these are some


PATIENTS_SHOWN = 150
FEATURE_VALUES = f"""
WITH place AS (
  SELECT feature_set, place // {BLOCK} AS block, place % {BLOCK} + 1 AS cell FROM feature_name
  WHERE run_id = $run AND image_type = $image_type AND feature_class = $feature_class AND feature = $feature),
masks AS (
  SELECT case_id, perturbation, any_value(family) AS family, any_value(method) AS method FROM perturbed_mask
  WHERE run_id = $run AND roi = $roi GROUP BY case_id, perturbation),
tested AS (SELECT DISTINCT case_id FROM perturbed_mask WHERE run_id = $run AND roi = $roi AND tested),
found AS (
  SELECT v.case_id, v.perturbation, v.values[p.cell] AS "value" FROM feature_block v
  JOIN place p ON p.feature_set = v.feature_set AND p.block = v.block
  WHERE v.run_id = $run AND v.roi = $roi AND v.case_id IN (SELECT case_id FROM tested)),
ordered AS (
  SELECT case_id, row_number() OVER (ORDER BY "value", case_id) AS rank, count(*) OVER () AS patients
  FROM found WHERE perturbation = $base AND "value" IS NOT NULL),
shown AS (
  SELECT case_id, patients FROM ordered
  WHERE patients <= {PATIENTS_SHOWN} OR rank * {PATIENTS_SHOWN} // patients > (rank - 1) * {PATIENTS_SHOWN} // patients)
SELECT f.case_id, f.perturbation, coalesce(m.family, 'base') AS family, coalesce(m.method, 'unperturbed') AS method,
  f."value", s.patients
FROM found f JOIN shown s USING (case_id) LEFT JOIN masks m USING (case_id, perturbation)
ORDER BY f.case_id, f.perturbation
"""


def feature_values(snapshot: Snapshot, run_id: str, row: FeatureIcc) -> tuple[FeatureValue, ...]:
    """One feature in the perturbed patients, the unperturbed value among them.

    Of more than PATIENTS_SHOWN patients that many, evenly by their unperturbed value: a figure shows no more. Nothing
    where an older version published this generation.
    """
    if not snapshot.holds(BLOCKED):
        return ()
    given: dict[str, object] = {
        "run": run_id,
        "roi": row.roi,
        "image_type": row.image_type,
        "feature_class": row.feature_class,
        "feature": row.feature,
        "base": BASE_MASK,
    }

    def ask() -> tuple[FeatureValue, ...]:
        columns = (column.to_pylist() for column in snapshot.table(FEATURE_VALUES, given).columns)
        return tuple(FeatureValue(*row) for row in zip(*columns, strict=True))

    return snapshot.answers.remembered((FEATURE_VALUES, *given.values()), ask)
