"""Questions about the patients: one row a case, the clinical table in summary, what the gate flagged."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.agreement import SIGNED_READERS
from store.queries.answers import ask
from store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as the cohort table shows it; None where a stage has not reached it or the value is unknown."""

    case_id: str
    side: str | None
    third: str | None
    chest_wall_contact: bool | None
    volume_ml: float | None
    maximum_3d_diameter_mm: float | None
    sphericity: float | None
    dsc: float | None
    missed: bool | None
    convolution_kernel: str | None
    kernel_group: str | None
    contrast: str | None
    slice_thickness_mm: float | None
    manufacturer: str | None
    mask_source: str | None
    dfs_days: int | None
    dfs_event: bool | None
    dfs_label: bool | None
    label_reason: str | None
    flags: int
    failures: int


CASES = """
WITH ids AS (
  SELECT DISTINCT case_id FROM task WHERE run_id = $run AND case_id <> ''
  UNION SELECT case_id FROM outcome WHERE run_id = $run),
place AS (
  SELECT case_id, arg_min({'side': side, 'third': third, 'wall': chest_wall_contact},
    CASE mask_source WHEN 'reference' THEN 0 ELSE 1 END) AS at FROM location WHERE run_id = $run GROUP BY case_id),
shape AS (
  SELECT case_id, arg_min({'ml': volume_ml, 'mm': maximum_3d_diameter_mm, 'round': sphericity},
    CASE mask_source WHEN 'reference' THEN 0 ELSE 1 END) AS of FROM morphology
  WHERE run_id = $run AND roi = 'intratumoural' GROUP BY case_id),
fit AS (
  SELECT o.case_id, min(o.dsc) AS dsc, bool_or(o.missed) AS missed FROM overlap o
  LEFT JOIN segmentation s ON s.run_id = $run AND s.case_id = o.case_id AND s.model_sha256 <> ''
  WHERE o.run_id = $run AND o.structure = 'tumour' AND o.comparison = 'agreement'
    AND (s.case_id IS NULL OR left(s.model_sha256, 12) IN (o.from_source, o.to_source))
    AND o.from_source NOT IN ($readers) AND o.to_source NOT IN ($readers) GROUP BY o.case_id),
used AS (
  SELECT case_id, min(mask_source) AS mask_source FROM feature_mask
  WHERE run_id = $run AND structure = 'tumour' GROUP BY case_id),
said AS (SELECT case_id, count(*) AS flags FROM flag WHERE run_id = $run GROUP BY case_id),
gone AS (SELECT case_id, count(*) AS failures FROM failure WHERE run_id = $run GROUP BY case_id)
SELECT i.case_id, p.at.side AS side, p.at.third AS third, p.at.wall AS chest_wall_contact, s.of.ml AS volume_ml,
  s.of.mm AS maximum_3d_diameter_mm, s.of.round AS sphericity, f.dsc, f.missed, a.convolution_kernel, a.kernel_group,
  a.contrast, a.slice_thickness_mm, a.manufacturer, u.mask_source, o.dfs_days, o.dfs_event, o.dfs_label,
  o.label_reason, coalesce(said.flags, 0) AS flags, coalesce(gone.failures, 0) AS failures
FROM ids i LEFT JOIN place p USING (case_id) LEFT JOIN shape s USING (case_id) LEFT JOIN fit f USING (case_id)
LEFT JOIN used u USING (case_id) LEFT JOIN said USING (case_id) LEFT JOIN gone USING (case_id)
LEFT JOIN (SELECT * FROM acquisition WHERE run_id = $run) a USING (case_id)
LEFT JOIN (SELECT * FROM outcome WHERE run_id = $run) o USING (case_id)
ORDER BY i.case_id
"""


def cases(snapshot: Snapshot, run_id: str) -> tuple[CaseRow, ...]:
    """Every case of a run with acquisition, place, shape, outcome and its model's lowest DSC against the references."""
    sql = CASES.replace("$run", "?").replace("$readers", SIGNED_READERS)
    return ask(snapshot, CaseRow, sql, (run_id,) * CASES.count("$run"))


@dataclass(frozen=True, slots=True)
class CovariateSummary:
    """One line of the clinical table: a number's median and quartiles, or one category's count."""

    name: str
    unit: str
    when_known: str
    category: str | None
    n: int
    known: int
    median: float | None
    lower_quartile: float | None
    upper_quartile: float | None


COVARIATES = """
SELECT name, any_value(unit) AS unit, any_value(when_known) AS when_known, NULL AS category, count(number) AS n,
  count(number) AS known, median(number) AS median, quantile_cont(number, 0.25) AS lower_quartile,
  quantile_cont(number, 0.75) AS upper_quartile
FROM covariate WHERE run_id = ? AND kind = 'number' GROUP BY name
UNION ALL
SELECT name, any_value(unit), any_value(when_known), coalesce(category, 'unknown'), count(*),
  any_value(known), NULL, NULL, NULL
FROM (SELECT *, count(category) OVER (PARTITION BY name) AS known FROM covariate WHERE run_id = ? AND kind <> 'number')
GROUP BY name, coalesce(category, 'unknown')
ORDER BY name, category
"""


def covariate_summaries(snapshot: Snapshot, run_id: str) -> tuple[CovariateSummary, ...]:
    """The clinical table in summary."""
    return ask(snapshot, CovariateSummary, COVARIATES, (run_id, run_id))


@dataclass(frozen=True, slots=True)
class CaseFlag:
    """Something the gate let in but said aloud, of one case."""

    case_id: str
    stage: str
    code: str
    message: str
    remedy: str


def flags(snapshot: Snapshot, run_id: str) -> tuple[CaseFlag, ...]:
    """All flags of a run."""
    sql = "SELECT case_id, stage, code, message, remedy FROM flag WHERE run_id = ? ORDER BY case_id, stage, code"
    return ask(snapshot, CaseFlag, sql, (run_id,))


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What the header of one case says: the index lesion and the scan; None where it is not known."""

    side: str | None
    third: str | None
    lobe: str | None
    maximum_3d_diameter_mm: float | None
    scan_days: int | None
    contrast: str | None
    convolution_kernel: str | None
    slice_thickness_mm: float | None
    spacing_x_mm: float
    spacing_y_mm: float
    spacing_z_mm: float


FACTS = """
SELECT any_value(l.side) AS side, any_value(l.third) AS third, any_value(l.lobe) AS lobe,
  arg_min(m.maximum_3d_diameter_mm, CASE m.mask_source WHEN 'reference' THEN 0 ELSE 1 END) AS maximum_3d_diameter_mm,
  any_value(a.scan_days) AS scan_days, any_value(a.contrast) AS contrast,
  any_value(a.convolution_kernel) AS convolution_kernel, any_value(a.slice_thickness_mm) AS slice_thickness_mm,
  any_value(a.spacing_x_mm) AS spacing_x_mm, any_value(a.spacing_y_mm) AS spacing_y_mm,
  any_value(a.spacing_z_mm) AS spacing_z_mm
FROM acquisition a
LEFT JOIN location l ON l.run_id = a.run_id AND l.case_id = a.case_id
LEFT JOIN morphology m ON m.run_id = a.run_id AND m.case_id = a.case_id AND m.roi = 'intratumoural'
WHERE a.run_id = ? AND a.case_id = ? GROUP BY a.case_id
"""


def case_facts(snapshot: Snapshot, run_id: str, case_id: str) -> CaseFacts | None:
    """The header of one case; None before its images were read."""
    found = ask(snapshot, CaseFacts, FACTS, (run_id, case_id))
    return found[0] if found else None
