"""Questions about the automatic segmentation itself: how long it took, on what, and how sure it was."""

from __future__ import annotations

from dataclasses import dataclass

from store.queries.answers import ask, ask_record
from store.records import DoubtEstimate, DoubtQuality
from store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Wall-clock seconds of one step over the series of a run that were segmented alike."""

    device: str
    hardware: str
    threads: int
    precision: str
    step: str
    n: int
    median: float
    shortest: float
    longest: float


# One row a case and step; images are read by the stage acquire, whose tasks know their seconds.
STEP_SECONDS = """
WITH mine AS (SELECT s.*, t.seconds AS seconds_acquire FROM segmentation s
  LEFT JOIN task t ON t.run_id = s.run_id AND t.stage = 'acquire' AND t.unit = s.case_id
  WHERE s.run_id = ? AND s.model_sha256 <> ''),
steps AS (SELECT device, hardware, threads, precision, unnest([
    {'place': 0, 'step': 'Read the series', 'seconds': seconds_acquire},
    {'place': 1, 'step': 'Load the model', 'seconds': seconds_read},
    {'place': 2, 'step': 'Resample', 'seconds': seconds_resample},
    {'place': 3, 'step': 'Network', 'seconds': seconds_network},
    {'place': 4, 'step': 'Export', 'seconds': seconds_export},
    {'place': 5, 'step': 'Together', 'seconds': coalesce(seconds_acquire, 0) + seconds_read + seconds_resample
      + seconds_network + seconds_export}], recursive := true) FROM mine)
SELECT device, hardware, threads, precision, step, count(seconds) AS n, median(seconds) AS median,
  min(seconds) AS shortest, max(seconds) AS longest
FROM steps WHERE seconds IS NOT NULL GROUP BY device, hardware, threads, precision, step, place
ORDER BY count(*) DESC, device, hardware, threads, precision, place
"""


def step_seconds(snapshot: Snapshot, run_id: str) -> tuple[StepSeconds, ...]:
    """Seconds a series by step, the commonest hardware first."""
    return ask(snapshot, StepSeconds, STEP_SECONDS, (run_id,))


def doubt_quality(snapshot: Snapshot, run_id: str) -> tuple[DoubtQuality, ...]:
    """How good the doubt is, over cases with a predicted tumour and over all."""
    return ask_record(snapshot, DoubtQuality, "doubt_quality", run_id, "subset DESC")


def doubt_estimates(snapshot: Snapshot, run_id: str) -> tuple[DoubtEstimate, ...]:
    """Every case's estimate, the most doubtful first."""
    return ask_record(snapshot, DoubtEstimate, "doubt_estimate", run_id, "place")
