"""Questions about automatic and reference masks: how well they agree, where, and what readers said."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import AcquisitionPair, Association, BatchDifference, Verdict
from store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class MaskPair:
    """Two makers of one structure's masks that were compared, and how often."""

    structure: str
    from_source: str
    to_source: str
    comparison: str
    n: int


SIGNED_READERS = "SELECT reader FROM verdict UNION SELECT reader || ', blank canvas' FROM verdict"
PAIRS = f"""
SELECT structure, from_source, to_source, comparison, count(*) AS n FROM overlap WHERE run_id = ?
GROUP BY structure, from_source, to_source, comparison
ORDER BY structure <> 'tumour', comparison, from_source IN ({SIGNED_READERS}) OR to_source IN ({SIGNED_READERS}),
  n DESC, structure, from_source, to_source
"""


def mask_pairs(snapshot: Snapshot, run_id: str) -> tuple[MaskPair, ...]:
    """Which masks were compared: tumours first, the commonest pair first, what readers of the review drew last."""
    return ask(snapshot, MaskPair, PAIRS, (run_id,))


def signed_readers(snapshot: Snapshot) -> frozenset[str]:
    """Under which names masks of readers of the review stand in comparisons."""
    return frozenset(str(row[0]) for row in snapshot.rows(SIGNED_READERS).rows)


@dataclass(frozen=True, slots=True)
class AgreementSummary:
    """Agreement over all cases and over the detected ones; the spread is the sample standard deviation."""

    n: int
    detected: int
    empty: int
    wrong_place: int
    dsc_mean: float | None
    dsc_sd: float | None
    dsc_median: float | None
    detected_dsc_mean: float | None
    detected_dsc_sd: float | None
    detected_dsc_median: float | None
    surface_dsc_mean: float | None
    surface_dsc_sd: float | None
    hd95_median_mm: float | None


SUMMARY = """
SELECT count(*) AS n, count(*) FILTER (NOT missed) AS detected,
  count(*) FILTER (missed_kind = 'empty') AS empty, count(*) FILTER (missed_kind = 'wrong_place') AS wrong_place,
  avg(dsc) AS dsc_mean, stddev_samp(dsc) AS dsc_sd, median(dsc) AS dsc_median,
  avg(dsc) FILTER (NOT missed) AS detected_dsc_mean, stddev_samp(dsc) FILTER (NOT missed) AS detected_dsc_sd,
  median(dsc) FILTER (NOT missed) AS detected_dsc_median,
  avg(surface_dsc) AS surface_dsc_mean, stddev_samp(surface_dsc) AS surface_dsc_sd,
  median(hd95_mm) FILTER (NOT missed) AS hd95_median_mm
FROM overlap WHERE run_id = ? AND structure = ? AND from_source = ? AND to_source = ? AND comparison = ?
"""


def agreement_summary(snapshot: Snapshot, run_id: str, pair: MaskPair) -> AgreementSummary:
    """Agreement of one pair of masks over the cohort."""
    key = (run_id, pair.structure, pair.from_source, pair.to_source, pair.comparison)
    return ask(snapshot, AgreementSummary, SUMMARY, key)[0]


@dataclass(frozen=True, slots=True)
class CaseAgreement:
    """Agreement of one case beside what may drive it: shape and place come from the reference mask."""

    case_id: str
    dsc: float
    surface_dsc: float
    hd95_mm: float | None
    missed: bool
    missed_kind: str
    extra_components: int
    volume_ml: float | None
    maximum_3d_diameter_mm: float | None
    sphericity: float | None
    side: str | None
    third: str | None
    chest_wall_contact: bool | None
    contact_share: float | None
    kernel_group: str | None
    contrast: str | None
    slice_thickness_mm: float | None
    manufacturer: str | None
    vendor: str | None = None
    surface_dsc_smooth: float | None = None
    mean_surface_distance_mm: float | None = None
    volume_error_ml: float | None = None
    lesion_dsc: float | None = None
    missed_at_low_dsc: bool | None = None
    elongation: float | None = None
    costal_contact_share: float | None = None
    contact_mm2: float | None = None
    protrusion_mm: float | None = None
    distance_to_mediastinum_mm: float | None = None
    lobe: str | None = None


CASE_AGREEMENTS = """
SELECT o.case_id, o.dsc, o.surface_dsc, o.hd95_mm, o.missed, o.missed_kind, o.extra_components, m.volume_ml,
  m.maximum_3d_diameter_mm, m.sphericity, l.side, l.third, l.chest_wall_contact, l.contact_share, a.kernel_group,
  a.contrast, a.slice_thickness_mm, a.manufacturer, a.vendor, o.surface_dsc_smooth, o.mean_surface_distance_mm,
  o.volume_error_ml, o.lesion_dsc, o.missed_at_low_dsc, m.elongation, l.costal_contact_share, l.contact_mm2,
  l.protrusion_mm, l.distance_to_mediastinum_mm, c.category AS lobe
FROM overlap o
LEFT JOIN morphology m ON m.run_id = o.run_id AND m.case_id = o.case_id AND m.roi = 'intratumoural'
  AND m.mask_source = 'reference'
LEFT JOIN location l ON l.run_id = o.run_id AND l.case_id = o.case_id AND l.mask_source = 'reference'
LEFT JOIN acquisition a ON a.run_id = o.run_id AND a.case_id = o.case_id
LEFT JOIN covariate c ON c.run_id = o.run_id AND c.case_id = o.case_id AND c.name = ?
WHERE o.run_id = ? AND o.structure = ? AND o.from_source = ? AND o.to_source = ? AND o.comparison = ?
ORDER BY o.case_id
"""


def case_agreements(snapshot: Snapshot, run_id: str, pair: MaskPair, lobe: str) -> tuple[CaseAgreement, ...]:
    """One row a case for the drivers of agreement; lobe: the protocol's `agreement.lobe`."""
    key = (lobe, run_id, pair.structure, pair.from_source, pair.to_source, pair.comparison)
    return ask(snapshot, CaseAgreement, CASE_AGREEMENTS, key)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Surface DSC at one tolerance over the cases of a pair, on voxel surfaces and on smooth ones."""

    tolerance_mm: float
    n: int
    mean: float
    sd: float | None
    smooth_mean: float
    smooth_sd: float | None


CURVE = """
SELECT tolerance_mm, count(*) AS n, avg(surface_dsc) AS mean, stddev_samp(surface_dsc) AS sd,
  avg(surface_dsc_smooth) AS smooth_mean, stddev_samp(surface_dsc_smooth) AS smooth_sd
FROM surface_dsc_point
WHERE run_id = ? AND structure = ? AND from_source = ? AND to_source = ? AND comparison = ?
GROUP BY tolerance_mm ORDER BY tolerance_mm
"""


def tolerance_curve(snapshot: Snapshot, run_id: str, pair: MaskPair) -> tuple[CurvePoint, ...]:
    """Surface DSC over tolerances; missed cases count as they are scored (0 where nothing was found)."""
    key = (run_id, pair.structure, pair.from_source, pair.to_source, pair.comparison)
    return ask(snapshot, CurvePoint, CURVE, key)


@dataclass(frozen=True, slots=True)
class CaseCovariate:
    """One value of the clinical table, as a number or as a category."""

    case_id: str
    name: str
    number: float | None
    category: str | None


COVARIATES = "SELECT case_id, name, number, category FROM covariate WHERE run_id = ? ORDER BY name, case_id"


def case_covariates(snapshot: Snapshot, run_id: str) -> tuple[CaseCovariate, ...]:
    """Every declared clinical value, to colour figures by."""
    return ask(snapshot, CaseCovariate, COVARIATES, (run_id,))


def batch_differences(snapshot: Snapshot, run_id: str) -> tuple[BatchDifference, ...]:
    """Mean scores of groups of scans against each other."""
    return ask_record(snapshot, BatchDifference, "batch_difference", run_id, "outcome, subset, variable, first, second")


def acquisition_pairs(snapshot: Snapshot, run_id: str) -> tuple[AcquisitionPair, ...]:
    """How acquisition variables go together."""
    return ask_record(snapshot, AcquisitionPair, "acquisition_pair", run_id, "first, second")


def associations(snapshot: Snapshot, run_id: str) -> tuple[Association, ...]:
    """Every test of what makes segmentation harder."""
    return ask_record(snapshot, Association, "association", run_id, "outcome, subset, variable, test")


def verdicts(snapshot: Snapshot) -> tuple[Verdict, ...]:
    """All readers' verdicts, in order of signing; they belong to the study, not to one run."""
    sql = """SELECT case_id, structure, reader, judgement, reason, comment, active_seconds, signed_at, mask_key
    FROM verdict ORDER BY signed_at, case_id"""
    return ask(snapshot, Verdict, sql)


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """One case of the review list; place 1 is the most doubtful, None where no doubt was estimated.

    segmented: by a model, so that there is an outline to judge, an empty one too; in the run, or in any run.
    """

    case_id: str
    dsc: float | None
    missed: bool | None
    place: int | None
    predicted_dsc: float | None
    missed_probability: float | None
    segmented: bool
    segmented_in_any_run: bool


REVIEW_CASES = f"""
SELECT t.case_id, min(o.dsc) AS dsc, bool_or(o.missed) AS missed,
  min(d.place) AS place, min(d.predicted_dsc) AS predicted_dsc, min(d.missed_probability) AS missed_probability,
  count(s.case_id) > 0 AS segmented,
  t.case_id IN (SELECT case_id FROM segmentation WHERE model_sha256 <> '') AS segmented_in_any_run
FROM (SELECT DISTINCT case_id FROM task WHERE run_id = ? AND stage = 'acquire' AND state = 'done') t
LEFT JOIN segmentation s ON s.run_id = ? AND s.case_id = t.case_id AND s.model_sha256 <> ''
LEFT JOIN overlap o ON o.run_id = ? AND o.case_id = t.case_id AND o.structure = 'tumour'
  AND o.comparison IN ('agreement', 'edit_distance')
  AND o.from_source NOT IN ({SIGNED_READERS}) AND o.to_source NOT IN ({SIGNED_READERS})
  AND (s.case_id IS NULL OR left(s.model_sha256, 12) IN (o.from_source, o.to_source))
LEFT JOIN doubt_estimate d ON d.run_id = ? AND d.case_id = t.case_id
GROUP BY t.case_id ORDER BY place NULLS LAST, t.case_id
"""


def review_cases(snapshot: Snapshot, run_id: str) -> tuple[ReviewCase, ...]:
    """The cases whose images can be looked at, the most doubtful outline first.

    DSC and missed are those of the model's own mask, which is the one that is judged, against what the study brought,
    never against what another reader drew; those of other programs stand on
    the page Agreement. Without a model they are the worst of what was brought along.
    """
    return ask(snapshot, ReviewCase, REVIEW_CASES, (run_id,) * 4)
