"""Contact of a tumour with the pleura: its surface against the closed surface of lung and tumour together.

Contact is a distance, never invasion. The pleura is approximated by the outer surface of the tumour's own lung and the
tumour, closed over vessels and dents; each piece of contact is named by where the pleura faces there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.metrics.margins import close_mm, padded_box
from engine.metrics.surfels import is_surface, neighbour_codes, surfel_areas_mm2
from store.volumes import BoolZyx, Grid

MARGIN_MM = 45.0  # around the tumour: hardly a point of a lung lies farther from its pleura
CLOSING_MM = 10.0  # fills vessels and hilar dents up to 2 cm across
SMOOTHING_MM = 4.0  # over which the direction that the pleura faces is taken
FACES = ("costal", "mediastinal", "diaphragmatic")


@dataclass(frozen=True, slots=True, eq=False)
class PleuralContact:
    """Every surface element of a tumour: distance to the pleura (mm), area (mm²), the face of the nearest pleura.

    faces holds places in FACES: 0 costal (also towards the apex), 1 mediastinal, 2 diaphragmatic.
    """

    distances_mm: NDArray[np.float64]
    areas_mm2: NDArray[np.float64]
    faces: NDArray[np.int64]

    @property
    def distance_mm(self) -> float:
        """Smallest distance from tumour to pleura."""
        return float(self.distances_mm.min())

    def area_mm2(self, within_mm: float, face: int | None = None) -> float:
        """Tumour surface within a distance of the pleura, of one face or of all."""
        near = self.distances_mm <= within_mm
        return float(self.areas_mm2[near if face is None else near & (self.faces == face)].sum())


def pleural_contact(tumour: BoolZyx, lung: BoolZyx, grid: Grid, side: str) -> PleuralContact | None:
    """The contact of a tumour with the pleura of its own lung (side left or right), arrays z, y, x on one grid.

    A face is mediastinal where the pleura faces the midline and diaphragmatic where it faces the feet, each more than
    any other direction, else costal. None where no pleura lies within MARGIN_MM.
    """
    spacing = grid.spacing_zyx_mm
    box = padded_box(tumour, spacing, MARGIN_MM)
    inside = close_mm(lung[box] | tumour[box], spacing, CLOSING_MM)
    if inside.all():
        return None
    tumour_codes, pleura_codes = neighbour_codes(tumour[box]), neighbour_codes(inside)
    on_tumour = is_surface(tumour_codes)
    on_pleura = _without_border(is_surface(pleura_codes))
    if not on_pleura.any():
        return None
    found = ndimage.distance_transform_edt(~on_pleura, sampling=spacing, return_indices=True)
    distances, nearest = found[0][on_tumour], found[1][:, on_tumour]
    faces = _faces(inside, nearest, grid, side)
    return PleuralContact(distances, surfel_areas_mm2(spacing)[tumour_codes[on_tumour]], faces)


def _without_border(surface: BoolZyx) -> BoolZyx:
    """The surface without its outermost layer, where the box or the image cuts the lung and no pleura is."""
    kept = np.zeros_like(surface)
    inner = (slice(1, -1),) * 3
    kept[inner] = surface[inner]
    return kept


def _faces(inside: BoolZyx, points: NDArray[np.int64], grid: Grid, side: str) -> NDArray[np.int64]:
    """The face of the pleura at neighbourhoods (3, n), from the outward direction of the smoothed region."""
    spacing = np.array(grid.spacing_zyx_mm)
    smooth = ndimage.gaussian_filter(np.pad(inside, 1, mode="edge").astype(np.float32), SMOOTHING_MM / spacing)
    slopes = [np.gradient(smooth, step, axis=axis) for axis, step in enumerate(spacing)]
    outward = -np.stack([slope[tuple(points)] for slope in slopes])
    matrix = np.array(grid.direction).reshape(3, 3)
    x, y, z = matrix @ outward[::-1]
    medial = -x if side == "left" else x  # LPS: the patient's left is +x
    length = np.maximum(np.abs(np.stack([x, y, z])).max(axis=0), np.finfo(np.float32).tiny)
    faces = np.zeros(points.shape[1], dtype=np.int64)
    faces[medial >= length] = FACES.index("mediastinal")
    faces[-z >= length] = FACES.index("diaphragmatic")
    return faces
