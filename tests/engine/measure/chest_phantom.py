"""Half a chest of closed forms, and a ball in it: the true contact is known to the area of a small patch.

A left lung lies inside a cylinder (ribs, radius 90 mm), lateral of a plane (mediastinum) and above a sphere (dome of
the diaphragm, radius 90 mm). The tumour is a ball of radius 16 mm: free (8 mm of lung between), abutting (touching in
a point), indenting (cut off at the pleura) or invading (whole, two thirds of it in the lung).
"""

import numpy as np

from store.volumes import Grid

RADIUS_MM = 16.0
WALL_MM, WALL_AXIS_X_MM, MEDIAL_X_MM, DOME_MM, DOME_CENTRE_MM = 90.0, 20.0, 10.0, 90.0, (60.0, 0.0, -130.0)
DEPTHS_MM = {"free": RADIUS_MM + 8, "abutting": RADIUS_MM, "indenting": 0.6 * RADIUS_MM, "invading": 0.3 * RADIUS_MM}
IN_PLANE_MM = 0.9
REACH_MM = 46.0


def depths_mm(x, y, z):
    """Depth of points below ribs, mediastinum and diaphragm (3, ...)."""
    wall = WALL_MM - np.sqrt((x - WALL_AXIS_X_MM) ** 2 + y**2)
    dx, dy, dz = (a - c for a, c in zip((x, y, z), DOME_CENTRE_MM, strict=True))
    return np.stack(np.broadcast_arrays(wall, x - MEDIAL_X_MM, np.sqrt(dx**2 + dy**2 + dz**2) - DOME_MM))


def centre_of(face, kind):
    depth = DEPTHS_MM[kind]
    if face == "costal":
        return np.array([WALL_AXIS_X_MM + WALL_MM - depth, 0.0, 10.0])
    if face == "mediastinal":
        return np.array([MEDIAL_X_MM + depth, 10.0, 20.0])
    return np.array([DOME_CENTRE_MM[0], 0.0, DOME_CENTRE_MM[2] + DOME_MM + depth])


def voxels(face, kind, slice_mm, shift):
    """Tumour and lung (tumour included where it lies within the pleura) on a grid moved by a share of a voxel."""
    spacing = np.array([IN_PLANE_MM, IN_PLANE_MM, slice_mm])
    centre = centre_of(face, kind)
    size = tuple(int(n) for n in np.ceil(2 * REACH_MM / spacing))
    grid = Grid(size, tuple(spacing), tuple(centre - REACH_MM + shift * spacing))
    x, y, z = (np.arange(n) * s + o for n, s, o in zip(size, spacing, grid.origin_mm, strict=True))
    x, y, z = x[None, None, :], y[None, :, None], z[:, None, None]
    lung = depths_mm(x, y, z).min(axis=0) > 0
    tumour = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 <= RADIUS_MM**2
    return (tumour if kind == "invading" else tumour & lung), lung, grid


def true_area_mm2(face, kind, within_mm):
    """Tumour surface at most so deep below the pleura: the ball's own, summed over 200,000 even patches of it, and
    where it is cut off at the pleura the piece of pleura in it."""
    n = 200_000
    k = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    ball = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)])
    depth = depths_mm(*(RADIUS_MM * ball + centre_of(face, kind)[:, None])).min(axis=0)
    patch = 4 * np.pi * RADIUS_MM**2 / n
    if kind == "invading":
        return patch * (depth <= within_mm).sum()
    return patch * ((depth > 0) & (depth <= within_mm)).sum() + _pleura_in_ball_mm2(face, kind)


def _pleura_in_ball_mm2(face, kind):
    depth = DEPTHS_MM[kind]
    if depth >= RADIUS_MM:
        return 0.0
    if face == "mediastinal":
        return np.pi * (RADIUS_MM**2 - depth**2)
    if face == "diaphragmatic":  # cap of the dome inside the ball
        gap = DOME_MM + depth
        return 2 * np.pi * DOME_MM * (DOME_MM - (gap**2 + DOME_MM**2 - RADIUS_MM**2) / (2 * gap))
    angle, height = np.meshgrid(np.linspace(-0.3, 0.3, 2001), np.linspace(-RADIUS_MM, RADIUS_MM, 2001))
    x, y = WALL_MM * np.cos(angle) - (WALL_MM - depth), WALL_MM * np.sin(angle)
    cell = WALL_MM * (angle[0, 1] - angle[0, 0]) * (height[1, 0] - height[0, 0])
    return cell * (x**2 + y**2 + height**2 <= RADIUS_MM**2).sum()
