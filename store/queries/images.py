"""Images and masks of one case of a run, read from the artifacts."""

from __future__ import annotations

from pathlib import Path

from store.artifacts import Artifacts
from store.volumes import CtSeries, MaskSet


def load_ct(study: Path, run_id: str, case_id: str) -> CtSeries:
    """The index CT series of a case."""
    return Artifacts(study).load_ct(run_id, case_id)


def load_masks(study: Path, run_id: str, case_id: str, kind: str) -> MaskSet:
    """The masks of a case from one stage: acquire.references, segment.masks, review.masks or measure.masks."""
    return Artifacts(study).load_masks(run_id, case_id, kind)
