"""Stage 5: how well each automatic mask agrees with what was outlined."""

from __future__ import annotations

from dataclasses import dataclass

from engine.geometry import same_grid
from engine.metrics import overlap
from engine.protocol import Agreement
from store.records import Overlap
from store.volumes import AutomaticMasks, BoolZyx, Mask, ReferenceMasks

STRUCTURES = ("tumour", "lung_left", "lung_right")
NARROW_MM, WIDE_MM = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Agreed:
    """One row per structure that was both outlined and segmented."""

    overlaps: tuple[Overlap, ...]


def measure_agreement(references: ReferenceMasks, automatic: AutomaticMasks, rules: Agreement) -> Agreed:
    """Compare the index tumour and each lung; a structure that is empty in both masks, or was not segmented, is absent.

    Lungs that the segmentation took over from the outlines are not compared with themselves.
    """
    rows = []
    for structure in STRUCTURES:
        reference, predicted = references.find(structure), automatic.find(structure)
        if reference is None or predicted is None or predicted.origin != "automatic":
            continue
        row = compare(reference, predicted, rules.tolerance_mm, references.others(structure))
        if row is not None:
            rows.append(row)
    return Agreed(tuple(rows))


def compare(reference: Mask, predicted: Mask, tolerance_mm: float, others: BoolZyx | None = None) -> Overlap | None:
    """Agreement of one mask with a reference on the same grid; None when both are empty, ValueError on other grids.

    Against an independent reference this is agreement; against a mask made by editing the automatic one it is only an
    edit distance, and says so. volume_error_ml is predicted minus reference. `others`: further reference lesions.
    """
    if not same_grid(reference.grid, predicted.grid):
        raise ValueError("reference and predicted mask must lie on one grid")
    dsc = overlap.volumetric_dsc(reference.voxels, predicted.voxels)
    if dsc is None:
        return None
    spacing = reference.grid.spacing_zyx_mm
    distances = overlap.surface_distances(reference.voxels, predicted.voxels, spacing)
    detection = overlap.detect(reference.voxels, predicted.voxels, others)
    return Overlap(
        structure=reference.structure,
        from_source=reference.source,
        to_source=predicted.source,
        comparison="agreement" if reference.origin == "independent" else "edit_distance",
        dsc=dsc,
        surface_dsc=overlap.surface_dsc(distances, tolerance_mm),
        tolerance_mm=tolerance_mm,
        surface_dsc_1mm=overlap.surface_dsc(distances, NARROW_MM),
        surface_dsc_3mm=overlap.surface_dsc(distances, WIDE_MM),
        hd95_mm=overlap.hausdorff_mm(distances),
        mean_surface_distance_mm=overlap.mean_surface_distance_mm(distances),
        volume_error_ml=predicted.volume_ml - reference.volume_ml,
        centroid_distance_mm=overlap.centroid_distance_mm(reference.voxels, predicted.voxels, spacing),
        missed=detection.missed,
        missed_kind=detection.kind,
        extra_components=detection.extra_components,
    )
