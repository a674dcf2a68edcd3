"""Stage 5: how well each mask agrees with the others of its structure, and what each pair may be called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from engine.geometry import same_grid
from engine.metrics import overlap
from engine.metrics.smooth_surface import SmoothDistances, smooth_distances
from engine.protocol import Agreement
from store.records import Overlap, SurfaceDscPoint
from store.volumes import AutomaticMasks, BoolZyx, FurtherMasks, Mask, MaskSet, ReferenceMasks

LUNGS = ("lung_left", "lung_right")
NARROW_MM, WIDE_MM = 1.0, 3.0
INDEPENDENT, AUTOMATIC = "independent", "automatic"


@dataclass(frozen=True, slots=True)
class Agreed:
    """One row per pair of masks of a structure, and the surface DSC of tumours over tolerances."""

    overlaps: tuple[Overlap, ...]
    curve: tuple[SurfaceDscPoint, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One pair of masks: its row and its tolerance curve (empty for lungs)."""

    overlap: Overlap
    curve: tuple[SurfaceDscPoint, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Distances:
    """Distances between two masks on voxel surfaces and, of tumours, on smooth ones (None where one has none)."""

    voxel: overlap.SurfaceDistances
    smooth: SmoothDistances | None

    def smooth_share(self, tolerance_mm: float) -> float:
        """Surface DSC on smooth surfaces; 0 where a mask has none."""
        return 0.0 if self.smooth is None else self.smooth.share_within(tolerance_mm)


def measure_agreement(
    references: ReferenceMasks, automatic: AutomaticMasks, further: FurtherMasks | None, rules: Agreement
) -> Agreed:
    """Compare the index tumour's outlines with each other and each lung with its outline.

    Tumours: every reader with every program, then readers and programs among themselves, in the order the study names
    them. Lungs that the segmentation took over from the outlines are not compared with themselves. A pair of which the
    first is empty is absent (there is nothing to find), as is a structure with one mask only; so are further outlines
    that could not be read.
    """
    others = references.others("tumour")
    rows = [compare(first, second, rules, others) for first, second in _pairs(references, automatic, further)]
    for structure in LUNGS:
        outlined, found = references.find(structure), automatic.find(structure)
        if outlined is not None and found is not None and found.origin == AUTOMATIC:
            rows.append(compare(outlined, found, rules))
    kept = [row for row in rows if row is not None]
    return Agreed(tuple(row.overlap for row in kept), tuple(point for row in kept for point in row.curve))


def _pairs(references: MaskSet, automatic: MaskSet, further: MaskSet | None) -> Iterator[tuple[Mask, Mask]]:
    """Pairs of outlines of the index tumour: readers x programs, readers, programs."""
    found = [references.find("tumour"), automatic.find("tumour")]
    more = () if further is None else further.masks
    every = [mask for mask in (*found, *more) if mask is not None]
    readers = [mask for mask in every if mask.origin != AUTOMATIC]
    programs = [mask for mask in every if mask.origin == AUTOMATIC]
    yield from ((reader, program) for reader in readers for program in programs)
    yield from combinations(readers, 2)
    yield from combinations(programs, 2)


def comparison_of(first: Mask, second: Mask) -> str:
    """What two masks may be called together: agreement | edit_distance | readers | models.

    A mask that was made by editing an automatic one was drawn with that in sight: with any other it is an edit
    distance.
    """
    origins = {first.origin, second.origin}
    if origins == {AUTOMATIC}:
        return "models"
    if origins == {INDEPENDENT}:
        return "readers"
    return "agreement" if origins == {INDEPENDENT, AUTOMATIC} else "edit_distance"


def compare(first: Mask, second: Mask, rules: Agreement, others: BoolZyx | None = None) -> Compared | None:
    """Two masks on one grid; None when the first is empty, ValueError on other grids.

    The first stands as the reference: volume_error_ml is second minus first. `others`: further reference lesions.
    """
    if not same_grid(first.grid, second.grid):
        raise ValueError("reference and predicted mask must lie on one grid")
    if not first.voxels.any():
        return None
    spacing = first.grid.spacing_zyx_mm
    tumour = first.structure == "tumour"
    distances = _Distances(
        overlap.surface_distances(first.voxels, second.voxels, spacing),
        smooth_distances(first.voxels, second.voxels, spacing) if tumour else None,
    )
    curve = _curve(first, second, distances, rules) if tumour else ()
    return Compared(_overlap(first, second, distances, rules, others), curve)


def _overlap(first: Mask, second: Mask, found: _Distances, rules: Agreement, others: BoolZyx | None) -> Overlap:
    one, other = first.voxels, second.voxels
    detection, of_lesion = overlap.detect(one, other, others), overlap.lesion_dsc(one, other)
    return Overlap(
        structure=first.structure,
        from_source=first.source,
        to_source=second.source,
        comparison=comparison_of(first, second),
        dsc=overlap.volumetric_dsc(one, other) or 0.0,
        surface_dsc=overlap.surface_dsc(found.voxel, rules.tolerance_mm),
        tolerance_mm=rules.tolerance_mm,
        surface_dsc_1mm=overlap.surface_dsc(found.voxel, NARROW_MM),
        surface_dsc_3mm=overlap.surface_dsc(found.voxel, WIDE_MM),
        hd95_mm=overlap.hausdorff_mm(found.voxel),
        mean_surface_distance_mm=overlap.mean_surface_distance_mm(found.voxel),
        volume_error_ml=second.volume_ml - first.volume_ml,
        centroid_distance_mm=overlap.centroid_distance_mm(one, other, first.grid.spacing_zyx_mm),
        missed=detection.missed,
        missed_kind=detection.kind,
        extra_components=detection.extra_components,
        lesion_dsc=of_lesion,
        missed_at_low_dsc=detection.missed or of_lesion < rules.low_lesion_dsc,
        surface_dsc_smooth=found.smooth_share(rules.tolerance_mm) if first.structure == "tumour" else None,
    )


def _curve(first: Mask, second: Mask, found: _Distances, rules: Agreement) -> tuple[SurfaceDscPoint, ...]:
    names = (first.structure, first.source, second.source, comparison_of(first, second))
    return tuple(
        SurfaceDscPoint(*names, mm, overlap.surface_dsc(found.voxel, mm), found.smooth_share(mm))
        for mm in rules.curve_mm
    )
