"""Images and masks of one case of a run, read from the artifacts."""

from __future__ import annotations

import functools
from pathlib import Path

from store.artifacts import Artifacts, read_value
from store.records import PriorScan
from store.reviews import open_ledger
from store.volumes import CtSeries, MaskSet, PriorImage

CT = "acquire.ct"
REFERENCE = "acquire.references"
AUTOMATIC = "segment.masks"
DOUBT = "segment.doubt"
FURTHER = "further.masks"
CHOSEN = "review.masks"
REGIONS = "regions.masks"
PRIOR_IMAGE, PRIOR_SCAN = "prior.image", "prior.scan"
CTS_KEPT, PRIORS_KEPT, MASK_SETS_KEPT = 3, 2, 12  # a large CT takes 200 MB


def load_ct(study: Path, run_id: str, case_id: str) -> CtSeries:
    """The index CT series of a case, read-only; the last few stay in memory for as long as their files exist."""
    path = Artifacts(study).ct_file(run_id, case_id)
    return _ct(path, path.stat().st_mtime_ns)


def ct_key(study: Path, run_id: str, case_id: str) -> str:
    """Which CT a run has of a case: the same in two runs exactly where its stored content is; empty without one."""
    with open_ledger(study) as ledger:
        key, _ = ledger.placed_unit(run_id, "acquire", case_id)
        return dict(ledger.contents(key)).get(CT, "")


def load_masks(study: Path, run_id: str, case_id: str, kind: str) -> MaskSet:
    """The masks of a case of one kind (REFERENCE, AUTOMATIC, FURTHER, CHOSEN, REGIONS), read-only; none without a
    result.
    """
    try:
        path = Artifacts(study).masks_file(run_id, case_id, kind)
    except KeyError:
        return MaskSet(())
    return _masks(path, path.stat().st_mtime_ns)


def load_doubt(study: Path, run_id: str, case_id: str) -> MaskSet:
    """Where the model wavered in a case, read-only; none where it was segmented before doubt was stored."""
    try:
        return load_masks(study, run_id, case_id, DOUBT)
    except FileNotFoundError:
        return MaskSet(())


def load_prior(study: Path, run_id: str, case_id: str) -> CtSeries | None:
    """The earlier CT of a case, read-only; None where it has none that could be read."""
    try:
        path = Artifacts(study).case_file(PRIOR_IMAGE, run_id, case_id, PriorImage)
    except KeyError:
        return None
    return _prior(path, path.stat().st_mtime_ns)


def load_prior_scan(study: Path, run_id: str, case_id: str) -> PriorScan | None:
    """How the earlier CT of a case was made and where it lies; None where it has none that could be read."""
    try:
        path = Artifacts(study).case_file(PRIOR_SCAN, run_id, case_id, PriorScan)
    except KeyError:
        return None
    rows = read_value(path, PriorScan)
    assert isinstance(rows, tuple)
    return rows[0] if rows else None


@functools.lru_cache(PRIORS_KEPT)
def _prior(path: Path, _written: int) -> CtSeries | None:
    image = read_value(path, PriorImage)
    assert isinstance(image, PriorImage)
    image.intensity_hu.flags.writeable = False
    return image.ct


@functools.lru_cache(CTS_KEPT)
def _ct(path: Path, _written: int) -> CtSeries:
    series = read_value(path, CtSeries)
    assert isinstance(series, CtSeries)
    series.intensity_hu.flags.writeable = False
    return series


@functools.lru_cache(MASK_SETS_KEPT)
def _masks(path: Path, _written: int) -> MaskSet:
    found = read_value(path, MaskSet)
    assert isinstance(found, MaskSet)
    for mask in found.masks:
        mask.voxels.flags.writeable = False
    return found
