"""Images and masks of one case of a run, read from the artifacts."""

from __future__ import annotations

from pathlib import Path

from store.artifacts import Artifacts
from store.volumes import CtSeries, MaskSet

REFERENCE = "acquire.references"
AUTOMATIC = "segment.masks"
FURTHER = "further.masks"
CHOSEN = "review.masks"
REGIONS = "regions.masks"


def load_ct(study: Path, run_id: str, case_id: str) -> CtSeries:
    """The index CT series of a case."""
    return Artifacts(study).load_ct(run_id, case_id)


def load_masks(study: Path, run_id: str, case_id: str, kind: str) -> MaskSet:
    """The masks of a case of one kind (REFERENCE, AUTOMATIC, FURTHER, CHOSEN, REGIONS); none without a result."""
    try:
        return Artifacts(study).load_masks(run_id, case_id, kind)
    except KeyError:
        return MaskSet(())
