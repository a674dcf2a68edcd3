"""Agreement of two masks: Dice, Nikolov's surface Dice, surface distances, and whether a lesion was found.

An empty mask has no surface: with one empty mask the Dice coefficients are 0 and distances are None (never infinite,
so that no mean is spoilt); with both empty nothing can be said and every function returns None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import box_of
from engine.metrics.distance import distance_to_mm
from engine.metrics.surfels import is_surface, neighbour_codes, surfel_areas_mm2
from store.volumes import BoolZyx, Triple

TOUCHING_26 = np.ones((3, 3, 3), dtype=bool)
HAUSDORFF_SHARE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceDistances:
    """The one expensive intermediate: the distance of every surface element to the other surface, with its area.

    Each pair of arrays has shape (n,), is sorted by distance, in mm and mm²; both pairs are empty where a mask is.
    """

    from_reference_mm: NDArray[np.float64]
    from_predicted_mm: NDArray[np.float64]
    reference_areas_mm2: NDArray[np.float64]
    predicted_areas_mm2: NDArray[np.float64]

    @property
    def defined(self) -> bool:
        """Whether both surfaces exist."""
        return self.from_reference_mm.size > 0 and self.from_predicted_mm.size > 0


@dataclass(frozen=True, slots=True)
class Detection:
    """Lesion-wise finding: missed when no predicted component overlaps the reference lesion."""

    kind: str  # found | empty | wrong_place
    extra_components: int

    @property
    def missed(self) -> bool:
        """Whether the lesion was not found, for either reason."""
        return self.kind != "found"


def volumetric_dsc(reference: BoolZyx, predicted: BoolZyx) -> float | None:
    """Dice coefficient 2|A∩B| / (|A|+|B|) in 0..1; None when both are empty. ValueError when shapes differ."""
    _check_shapes(reference, predicted)
    total = int(np.count_nonzero(reference)) + int(np.count_nonzero(predicted))
    return None if total == 0 else 2.0 * int(np.count_nonzero(reference & predicted)) / total


def surface_distances(reference: BoolZyx, predicted: BoolZyx, spacing_zyx_mm: Triple) -> SurfaceDistances:
    """Distances between two mask surfaces by Euclidean distance transform inside their joint box.

    Surface elements are the 2x2x2 neighbourhoods that hold both mask and background; their area is that of the
    marching-cubes surface. Definition and table: Nikolov et al., arXiv 1809.04430, google-deepmind/surface-distance.
    """
    _check_shapes(reference, predicted)
    if not (reference.any() and predicted.any()):
        nothing = np.zeros(0)
        return SurfaceDistances(nothing, nothing, nothing, nothing)
    box = _union_box(reference, predicted)
    areas = surfel_areas_mm2(spacing_zyx_mm)
    codes_reference, codes_predicted = neighbour_codes(reference[box]), neighbour_codes(predicted[box])
    on_reference, on_predicted = is_surface(codes_reference), is_surface(codes_predicted)
    to_predicted = distance_to_mm(on_predicted, spacing_zyx_mm)[on_reference]
    to_reference = distance_to_mm(on_reference, spacing_zyx_mm)[on_predicted]
    first = _sorted(to_predicted, areas[codes_reference[on_reference]])
    second = _sorted(to_reference, areas[codes_predicted[on_predicted]])
    return SurfaceDistances(first[0], second[0], first[1], second[1])


def surface_dsc(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Share of both surfaces within a tolerance (mm) of the other, in 0..1; 0 when a mask is empty.

    With two empty masks the number means nothing: ask `volumetric_dsc` first, which returns None there.
    """
    if not distances.defined:
        return 0.0
    near = distances.reference_areas_mm2[distances.from_reference_mm <= tolerance_mm].sum()
    near += distances.predicted_areas_mm2[distances.from_predicted_mm <= tolerance_mm].sum()
    return float(near / (distances.reference_areas_mm2.sum() + distances.predicted_areas_mm2.sum()))


def hausdorff_mm(distances: SurfaceDistances, share: float = HAUSDORFF_SHARE) -> float | None:
    """The larger directed distance (mm) that `share` of the surface area does not exceed; None if undefined."""
    if not distances.defined:
        return None
    one = _area_quantile(distances.from_reference_mm, distances.reference_areas_mm2, share)
    return max(one, _area_quantile(distances.from_predicted_mm, distances.predicted_areas_mm2, share))


def directed_means_mm(distances: SurfaceDistances) -> tuple[float, float] | None:
    """Area-weighted mean distance (mm) from reference to predicted and back; None if undefined."""
    if not distances.defined:
        return None
    one = np.average(distances.from_reference_mm, weights=distances.reference_areas_mm2)
    return float(one), float(np.average(distances.from_predicted_mm, weights=distances.predicted_areas_mm2))


def mean_surface_distance_mm(distances: SurfaceDistances) -> float | None:
    """Area-weighted mean over both surfaces together (mm); None if undefined."""
    if not distances.defined:
        return None
    both = np.concatenate([distances.from_reference_mm, distances.from_predicted_mm])
    areas = np.concatenate([distances.reference_areas_mm2, distances.predicted_areas_mm2])
    return float(np.average(both, weights=areas))


def centroid_distance_mm(reference: BoolZyx, predicted: BoolZyx, spacing_zyx_mm: Triple) -> float | None:
    """Distance (mm) between the centres of mass; None when a mask is empty."""
    if not (reference.any() and predicted.any()):
        return None
    gap = np.argwhere(reference).mean(axis=0) - np.argwhere(predicted).mean(axis=0)
    return float(np.linalg.norm(gap * np.array(spacing_zyx_mm)))


def detect(reference: BoolZyx, predicted: BoolZyx, others: BoolZyx | None = None) -> Detection:
    """Whether a predicted component (26-connected) overlaps the reference lesion, and how many lie nowhere near.

    `others` are the patient's further reference lesions: a component on one of them is not extra.
    """
    _check_shapes(reference, predicted)
    if not predicted.any():
        return Detection("empty", 0)
    box = box_of(predicted)
    labels, count = ndimage.label(predicted[box], structure=TOUCHING_26)
    overlapping = np.unique(labels[reference[box] & predicted[box]])
    known = reference[box] if others is None else reference[box] | others[box]
    extra = count - len(np.unique(labels[known & predicted[box]]))
    return Detection("found" if overlapping.size else "wrong_place", extra)


def lesion_dsc(reference: BoolZyx, predicted: BoolZyx) -> float:
    """Dice coefficient of the reference lesion and the predicted components that overlap it, in 0..1; 0 if none does.

    Extra components do not lower it. Both arrays z, y, x on one grid.
    """
    _check_shapes(reference, predicted)
    if not (reference & predicted).any():
        return 0.0
    box = box_of(predicted)
    labels, _ = ndimage.label(predicted[box], structure=TOUCHING_26)
    touching = np.unique(labels[reference[box] & predicted[box]])
    size = int(np.isin(labels, touching).sum())
    shared = int(np.count_nonzero(reference & predicted))
    return 2.0 * shared / (int(np.count_nonzero(reference)) + size)


def on_index_lesion(predicted: BoolZyx, reference: BoolZyx, others: BoolZyx | None) -> BoolZyx:
    """A prediction without its components (26-connected) that lie on other reference lesions and not on this one.

    They are right, but not about the lesion that is scored; what touches it, or no lesion at all, stays.
    """
    _check_shapes(reference, predicted)
    if others is None or not predicted.any():
        return predicted
    labels, _ = ndimage.label(predicted, structure=TOUCHING_26)
    elsewhere = np.setdiff1d(labels[others & predicted], labels[reference & predicted])
    return predicted & ~np.isin(labels, elsewhere)


def _check_shapes(reference: BoolZyx, predicted: BoolZyx) -> None:
    if reference.shape != predicted.shape:
        raise ValueError(f"masks must lie on one grid, got shapes {reference.shape} and {predicted.shape}")


def _union_box(one: BoolZyx, other: BoolZyx) -> tuple[slice, slice, slice]:
    first, second = box_of(one), box_of(other)
    parts = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True)]
    return (parts[0], parts[1], parts[2])


def _sorted(
    distances: NDArray[np.float64], areas: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.lexsort((areas, distances))
    return distances[order], areas[order]


def _area_quantile(distances: NDArray[np.float64], areas: NDArray[np.float64], share: float) -> float:
    place = int(np.searchsorted(np.cumsum(areas) / areas.sum(), share))
    return float(distances[min(place, distances.size - 1)])
