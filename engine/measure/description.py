"""Stage 6: what a tumour looks like and where it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import index_to_points_mm
from engine.measure.contact import PleuralContact, pleural_contact
from engine.measure.pleura import COSTAL, DIAPHRAGMATIC, FACES, MEDIASTINAL
from engine.metrics.margins import grow_mm, padded_box
from engine.metrics.morphology import describe_shape
from engine.protocol import Agreement
from store.records import ContactArea, FeatureMask, Location, Morphology
from store.volumes import BoolZyx, FeatureMasks, Grid, Mask, ReferenceMasks

SIDES = {"left": "lung_left", "right": "lung_right"}
THIRDS = ("upper", "middle", "lower")
NEIGHBOURHOOD_MM = 10.0
CONTACT_LEVELS_MM = (1.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Described:
    """Shape, place and pleural contact of the reference tumour and, where it is another one, of the feature mask."""

    morphology: tuple[Morphology, ...]
    location: tuple[Location, ...]
    contact: tuple[ContactArea, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one tumour lies, and its contact by face and distance (none where it could not be measured)."""

    location: Location
    contact: tuple[ContactArea, ...]


def describe_tumour(
    references: ReferenceMasks, masks: FeatureMasks, chosen: tuple[FeatureMask, ...], rules: Agreement
) -> Described:
    """Describe each distinct non-empty tumour mask at native spacing, where voxels are as they were drawn.

    Driver analyses read the rows of mask_source "reference". Location stands on the feature masks' lungs.
    """
    tumours = [(name, mask) for name, mask in _tumours(references, masks, chosen) if mask.voxels.any()]
    placed = [locate(name, mask, masks, rules) for name, mask in tumours]
    return Described(
        tuple(_morphology(name, mask) for name, mask in tumours),
        tuple(one.location for one in placed),
        tuple(area for one in placed for area in one.contact),
    )


def locate(mask_source: str, tumour: Mask, masks: FeatureMasks, rules: Agreement) -> Placed:
    """Side, third of the lung's height and pleural contact of a non-empty tumour; unknown and None without lungs.

    The side is the lung with more voxels within 10 mm of the tumour; the third is where the tumour's centre lies
    between the lowest and the highest point of that lung and the tumour.
    """
    side = _side(tumour, masks)
    lung = masks.find(SIDES[side]) if side in SIDES else None
    if lung is None:
        return Placed(Location(mask_source, "unknown", "unknown", "", *[None] * 10), ())
    third = _third(tumour, lung)
    contact = pleural_contact(tumour.voxels, lung.voxels, tumour.grid, side, rules.contact_mm)
    if contact is None:
        return Placed(Location(mask_source, side, third, "", *[None] * 10), ())
    return Placed(_location(mask_source, side, third, contact, rules.contact_mm), _areas(mask_source, contact))


def _location(mask_source: str, side: str, third: str, contact: PleuralContact, level_mm: float) -> Location:
    costal_mm2 = contact.area_mm2(level_mm, COSTAL)
    touching = [contact.distance_mm <= level for level in CONTACT_LEVELS_MM]
    return Location(
        mask_source=mask_source,
        side=side,
        third=third,
        lobe="",
        distance_to_pleura_mm=contact.distance_mm,
        contact_mm2=contact.area_mm2(level_mm),
        contact_share=contact.share(level_mm),
        costal_contact_mm2=costal_mm2,
        mediastinal_contact_mm2=contact.area_mm2(level_mm, MEDIASTINAL),
        diaphragmatic_contact_mm2=contact.area_mm2(level_mm, DIAPHRAGMATIC),
        contact_1mm=touching[0],
        contact_3mm=touching[1],
        contact_5mm=touching[2],
        chest_wall_contact=costal_mm2 > 0,
        costal_contact_share=costal_mm2 / float(contact.areas_mm2.sum()),
        distance_to_mediastinum_mm=contact.distance_to_mediastinum_mm,
        protrusion_mm=contact.protrusion_mm,
    )


def _areas(mask_source: str, contact: PleuralContact) -> tuple[ContactArea, ...]:
    """Contact within each of CONTACT_LEVELS_MM: all of it, then by face."""
    whole_mm2 = float(contact.areas_mm2.sum())
    found = []
    for level in CONTACT_LEVELS_MM:
        areas = [contact.area_mm2(level), *(contact.area_mm2(level, place) for place in range(len(FACES)))]
        named = zip(("all", *FACES), areas, strict=True)
        found += [ContactArea(mask_source, face, level, area, area / whole_mm2) for face, area in named]
    return tuple(found)


def _tumours(
    references: ReferenceMasks, masks: FeatureMasks, chosen: tuple[FeatureMask, ...]
) -> list[tuple[str, Mask]]:
    reference, feature = references.find("tumour"), masks.find("tumour")
    found = [("reference", reference)] if reference is not None else []
    if feature is not None and (reference is None or not np.array_equal(feature.voxels, reference.voxels)):
        name = next((c.mask_source for c in chosen if c.structure == "tumour"), feature.origin)
        found.append((name, feature))
    return found


def _morphology(mask_source: str, mask: Mask) -> Morphology:
    shape = describe_shape(mask.voxels, mask.grid.spacing_zyx_mm)
    return Morphology(
        roi="intratumoural",
        mask_source=mask_source,
        volume_ml=shape.volume_ml,
        surface_mm2=shape.surface_mm2,
        sphericity=shape.sphericity,
        maximum_3d_diameter_mm=shape.maximum_3d_diameter_mm,
        surface_to_volume_per_mm=shape.surface_to_volume_per_mm,
        elongation=shape.elongation,
        slices=shape.slices,
        small=shape.small,
    )


def _side(tumour: Mask, masks: FeatureMasks) -> str:
    spacing = tumour.grid.spacing_zyx_mm
    box = padded_box(tumour.voxels, spacing, NEIGHBOURHOOD_MM)
    near = grow_mm(tumour.voxels[box], spacing, NEIGHBOURHOOD_MM)
    counts = {}
    for side, structure in SIDES.items():
        lung = masks.find(structure)
        counts[side] = int(np.count_nonzero(lung.voxels[box] & near)) if lung is not None else 0
    best = max(counts, key=lambda side: counts[side])
    return best if counts[best] > 0 else "unknown"


def _third(tumour: Mask, lung: Mask) -> str:
    centre = float(_heights_mm(np.argwhere(tumour.voxels), tumour.grid).mean())
    ends = _heights_mm(_column_ends(lung.voxels | tumour.voxels), tumour.grid)
    share_from_top = (ends.max() - centre) / max(float(np.ptp(ends)), np.finfo(np.float64).tiny)
    return THIRDS[min(2, int(3 * share_from_top))]


def _column_ends(voxels: BoolZyx) -> NDArray[np.int64]:
    """First and last voxel of every column, indices (n, z y x): the highest and the lowest voxel are among them."""
    held = voxels.any(axis=0)
    y, x = np.nonzero(held)
    first = voxels.argmax(axis=0)[held]
    last = voxels.shape[0] - 1 - voxels[::-1].argmax(axis=0)[held]
    return np.concatenate([np.stack([first, y, x], axis=1), np.stack([last, y, x], axis=1)])


def _heights_mm(index_zyx: NDArray[np.int64], grid: Grid) -> NDArray[np.float64]:
    """Physical heights (mm, towards the head) of voxels (n, z y x)."""
    return index_to_points_mm(index_zyx[:, ::-1].astype(np.float64), grid)[:, 2]
