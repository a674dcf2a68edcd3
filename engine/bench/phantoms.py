"""Bench: a model on synthetic chests that no training saw, through the stages of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.measure.agreement import measure_agreement
from engine.phantom.training_set import as_case, unseen_phantom
from engine.protocol import Agreement, Segment
from engine.segment.model import SegmentationModel
from engine.segment.segmentation import segment
from store.records import Overlap
from store.volumes import ReferenceMasks

SMALL_ML = 3.0
LUNGS = ("lung_left", "lung_right")
DRAWS = 2000
RESAMPLING_SEED = 20250617


@dataclass(frozen=True, slots=True)
class PhantomRow:
    """One phantom: what its tumour is, and how well tumour and lungs were found (no DSC: both masks empty)."""

    number: int
    kind: str
    volume_ml: float
    detected: bool
    dsc: float | None
    lung_left_dsc: float | None
    lung_right_dsc: float | None


@dataclass(frozen=True, slots=True)
class PhantomGroup:
    """A group of phantoms: how many, how many tumours were found, DSC of the found; None where none was."""

    group: str
    n: int
    detected: int
    mean_dsc: float | None
    mean_dsc_lower: float | None
    mean_dsc_upper: float | None
    median_dsc: float | None


@dataclass(frozen=True, slots=True)
class PhantomBench:
    """All groups, the lungs' mean DSC, and every phantom; the interval is a 95 % bootstrap over phantoms."""

    model: str
    groups: tuple[PhantomGroup, ...]
    lung_left_dsc: float
    lung_right_dsc: float
    phantoms: tuple[PhantomRow, ...]


def bench_phantoms(
    model: SegmentationModel, count: int, first: int, progress: Callable[[int, int], None]
) -> PhantomBench:
    """Segment `count` unseen phantoms from number `first` on; a tumour is found when a predicted piece overlaps it.

    The same numbers give the same phantoms. ValueError under one phantom.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    rows = []
    for done, number in enumerate(range(first, first + count), start=1):
        rows.append(_row(number, model))
        progress(done, count)
    groups = tuple(group_of(name, chosen) for name, chosen in _grouped(rows) if chosen)
    left, right = (float(np.mean([getattr(row, f"{lung}_dsc") or 0.0 for row in rows])) for lung in LUNGS)
    return PhantomBench(model.sha256, groups, left, right, tuple(rows))


def _row(number: int, model: SegmentationModel) -> PhantomRow:
    """One phantom through segmentation without its outlines, then compared with them."""
    phantom = unseen_phantom(number)
    if phantom.truth is None:
        raise ValueError(f"phantom {number} must have a tumour")
    ct, outlined = as_case(phantom)
    masks = segment(ct, ReferenceMasks(()), Segment(), model).masks
    agreed = measure_agreement(ReferenceMasks(outlined.masks), masks, None, Agreement())
    found = {o.structure: o for o in agreed.overlaps}
    tumour, kind = found["tumour"], phantom.case.tumour.kind if phantom.case.tumour else ""
    left, right = (_dsc(found.get(lung)) for lung in LUNGS)
    return PhantomRow(number, kind, phantom.truth.volume_ml, not tumour.missed, tumour.dsc, left, right)


def _dsc(overlap: Overlap | None) -> float | None:
    return None if overlap is None else overlap.dsc


def _grouped(rows: Sequence[PhantomRow]) -> list[tuple[str, list[PhantomRow]]]:
    """All, by size, by kind."""
    small = [row for row in rows if row.volume_ml < SMALL_ML]
    large = [row for row in rows if row.volume_ml >= SMALL_ML]
    kinds = [(kind, [row for row in rows if row.kind == kind]) for kind in sorted({row.kind for row in rows})]
    return [("all", list(rows)), (f"under {SMALL_ML:g} ml", small), (f"from {SMALL_ML:g} ml", large), *kinds]


def group_of(name: str, rows: Sequence[PhantomRow]) -> PhantomGroup:
    """Counts of a group, mean (95 % percentile bootstrap) and median DSC of its found tumours."""
    found = np.array([row.dsc for row in rows if row.detected and row.dsc is not None])
    if not found.size:
        return PhantomGroup(name, len(rows), 0, None, None, None, None)
    drawn = np.random.default_rng(RESAMPLING_SEED).choice(found, (DRAWS, found.size)).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return PhantomGroup(
        name, len(rows), int(found.size), float(found.mean()), float(low), float(high), float(np.median(found))
    )


def phantom_lines(found: PhantomBench) -> list[str]:
    """The bench in words, a group a line."""
    lines = [f"{'group':12s} {'n':>4s} {'found':>6s}  DSC of the found (95 %), median"]
    for group in found.groups:
        dsc = "-"
        if group.mean_dsc is not None:
            bounds = f"({group.mean_dsc_lower:.2f} to {group.mean_dsc_upper:.2f})"
            dsc = f"{group.mean_dsc:.3f} {bounds}, {group.median_dsc:.3f}"
        lines.append(f"{group.group:12s} {group.n:4d} {group.detected:6d}  {dsc}")
    return [*lines, f"lungs: left {found.lung_left_dsc:.3f}, right {found.lung_right_dsc:.3f}"]
