"""Contact of a tumour with the pleura: its smooth surface against the closed surface of its lung and itself.

Contact is a distance, never invasion. The lung counts without the tumour, closed over vessels, and the tumour is added
again: so a lung mask that holds the tumour and one that lacks it give the same surface, and a tumour that has grown
beyond the lung touches with all that lies there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import Box, cropped_grid, index_to_points_mm
from engine.measure.pleura import CLOSING_MM, MEDIASTINAL, Pleura, pleura_of
from engine.metrics.margins import close_mm, padded_box
from engine.metrics.smooth_surface import (
    SmoothSurface,
    distances_to_surface_mm,
    open_surface,
    smooth_signed_distance_mm,
    smooth_surface,
)
from store.volumes import BoolZyx, Grid, Triple

Floats = NDArray[np.float64]
NEAR_MM = 20.0  # around the tumour, where depths are measured below the voxel
GAP_MM = 2.5  # between the outlines of lung and tumour, which never fit exactly
FINE_MM = 1.0
FINE = (FINE_MM, FINE_MM, FINE_MM)
CLOSED_MM = 1.5
TRUSTED_MM = 8.0  # depths below this are read off the near box, farther distances off the coarse pleura
RIM_MM = 25.0  # around a piece of contact: the pleura that says where it would have run
FEWEST_RIM_POINTS = 40


@dataclass(frozen=True, slots=True, eq=False)
class PleuralContact:
    """Every triangle of a tumour's surface: depth below the pleura (mm; 0 and less: at or beyond it), mm², face.

    faces holds places in FACES; protrusion_mm is how far the tumour bulges beyond the run of the pleura around it, 0
    where it does not, None where it touches and too little pleura is left around to say.
    """

    depths_mm: Floats
    areas_mm2: Floats
    faces: NDArray[np.int64]
    distance_mm: float
    distance_to_mediastinum_mm: float | None
    protrusion_mm: float | None

    def area_mm2(self, within_mm: float, face: int | None = None) -> float:
        """Tumour surface within a distance of the pleura, of one face or of all."""
        near = self.depths_mm <= within_mm
        return float(self.areas_mm2[near if face is None else near & (self.faces == face)].sum())

    def share(self, within_mm: float) -> float:
        """Share of the tumour's surface within a distance of the pleura."""
        return self.area_mm2(within_mm) / float(self.areas_mm2.sum())


def pleural_contact(tumour: BoolZyx, lung: BoolZyx, grid: Grid, side: str, level_mm: float) -> PleuralContact | None:
    """The contact of a tumour with the pleura of its own lung (side left or right), arrays z, y, x on one grid.

    level_mm is the distance that counts as contact for the protrusion. None where the lung has no pleura in the image
    or the tumour is too small to have a smooth surface.
    """
    box = padded_box(tumour, grid.spacing_zyx_mm, NEAR_MM)
    surface = smooth_surface(tumour[box], grid.spacing_zyx_mm)
    pleura = pleura_of(lung, tumour, grid, side)
    if surface is None or pleura is None:
        return None
    points = _points_mm(surface.centres_mm, grid, box)
    depths = _depths_mm(surface.centres_mm, tumour[box], lung[box], grid)
    faces = pleura.faces[pleura.nearest(points)]
    near, far = float(depths.min()), pleura.distance_mm(points)
    distance = near if near <= TRUSTED_MM or far is None else far
    return PleuralContact(
        depths_mm=depths,
        areas_mm2=surface.areas_mm2,
        faces=faces,
        distance_mm=max(0.0, distance),
        distance_to_mediastinum_mm=_to_mediastinum_mm(points, depths, faces, pleura),
        protrusion_mm=_protrusion_mm(points, depths <= level_mm, pleura),
    )


def _points_mm(centres_mm: Floats, grid: Grid, box: Box) -> Floats:
    """Points x, y, z in LPS mm of places z, y, x in mm from the first voxel of a box."""
    own = cropped_grid(grid, box)
    return index_to_points_mm(centres_mm[:, ::-1] / np.array(grid.spacing_mm), own)


def _depths_mm(centres_mm: Floats, tumour: BoolZyx, lung: BoolZyx, grid: Grid) -> Floats:
    """Depth (mm) of places in a box below the surface of lung and tumour; infinite without such a surface.

    To the smooth surface that the outlines themselves give; to that of a cubic grid of FINE_MM where closing moved it
    by more than CLOSED_MM, because a vessel or a gap lies there.
    """
    spacing = grid.spacing_zyx_mm
    both = lung | tumour
    bare = _finely(lung & ~tumour, spacing)
    closed = close_mm(close_mm(bare, FINE, CLOSING_MM) | _finely(both, spacing), FINE, GAP_MM)
    if both.all() or closed.all():
        return np.full(len(centres_mm), np.inf)
    drawn = _depths_below(open_surface(both, spacing), centres_mm, smooth_signed_distance_mm(both, spacing), spacing)
    filled = _depths_below(open_surface(closed, FINE), centres_mm, smooth_signed_distance_mm(closed, FINE), FINE)
    return np.where(filled > drawn + CLOSED_MM, filled, drawn)


def _depths_below(surface: SmoothSurface, places_mm: Floats, signed: Floats, spacing_zyx_mm: Triple) -> Floats:
    """Distance (mm) of places z, y, x to a surface, negative where the signed field says outside."""
    index = (places_mm / np.array(spacing_zyx_mm)).T
    inside = ndimage.map_coordinates(signed, index, order=1, mode="nearest") >= 0
    distance = distances_to_surface_mm(places_mm, surface)
    return np.where(inside, distance, -distance)


def _finely(mask: BoolZyx, spacing_zyx_mm: Triple) -> BoolZyx:
    """A mask on the cubic grid of FINE_MM from the same first voxel, by the sign of its smooth signed distance."""
    shape = tuple(int((n - 1) * step / FINE_MM) + 1 for n, step in zip(mask.shape, spacing_zyx_mm, strict=True))
    if not mask.any() or mask.all():
        return np.full(shape, bool(mask.any()))
    distance = smooth_signed_distance_mm(mask, spacing_zyx_mm)
    for axis, (size, step) in enumerate(zip(shape, spacing_zyx_mm, strict=True)):
        places = np.arange(size) * FINE_MM / step
        low = np.minimum(places.astype(np.int64), max(0, distance.shape[axis] - 2))
        share = (places - low).reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, distance.shape[axis] - 1)
        distance = distance.take(low, axis) * (1 - share) + distance.take(high, axis) * share
    return np.asarray(distance > 0, dtype=np.bool_)


def _to_mediastinum_mm(points: Floats, depths: Floats, faces: NDArray[np.int64], pleura: Pleura) -> float | None:
    facing = depths[faces == MEDIASTINAL]
    nearest = float(facing.min(initial=np.inf))
    return max(0.0, nearest) if nearest <= TRUSTED_MM else pleura.distance_mm(points, MEDIASTINAL)


def _protrusion_mm(points: Floats, touching: NDArray[np.bool_], pleura: Pleura) -> float | None:
    """How far touching points lie beyond a quadratic sheet through the pleura around them, along its direction."""
    if not touching.any():
        return 0.0
    middle = points[touching].mean(axis=0)
    gap = np.linalg.norm(pleura.points_mm - middle, axis=1)
    reach = float(np.linalg.norm(points[touching] - middle, axis=1).max()) + RIM_MM
    face = int(pleura.faces[pleura.nearest(middle[None])[0]])
    rim = (gap <= reach) & (pleura.faces == face)
    if int(rim.sum()) < FEWEST_RIM_POINTS:
        return None
    outward = pleura.outward[rim].mean(axis=0)
    outward /= np.linalg.norm(outward)
    frame = _frame(outward)
    fitted = np.linalg.lstsq(*_sheet(pleura.points_mm[rim] - middle, frame), rcond=None)[0]
    terms, heights = _sheet(points[touching] - middle, frame)
    return max(0.0, float((heights - terms @ fitted).max()))


def _frame(outward: Floats) -> Floats:
    """Three orthonormal directions (3, 3), the outward one last."""
    first = np.cross(outward, np.eye(3)[int(np.abs(outward).argmin())])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(outward, first), outward])


def _sheet(offsets: Floats, frame: Floats) -> tuple[Floats, Floats]:
    """Terms (n, 6) of a quadratic sheet and heights (n,) of points about its middle."""
    u, v, height = (offsets @ frame.T).T
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1), height
