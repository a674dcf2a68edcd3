"""Chest wall: fat, muscle, slanted ribs, sternum, shoulder blades and spine, painted in HU."""

from __future__ import annotations

import numpy as np

from engine.phantom.habitus import Habitus
from engine.phantom.space import Field, axes_mm, blend, inside, periodic
from engine.phantom.surfaces import Surfaces

FAT_HU, AIR_HU, MARROW_FLUID_HU = -100.0, -1000.0, 20.0
RIB_SLOPE = 0.45
CARTILAGE_HU = 95.0
SPINE_Y_MM = 57.0


def paint_wall(hu: Field, surfaces: Surfaces, habitus: Habitus, texture: Field) -> None:
    """Fill the body with fat, muscle layers and bones (hu is changed in place)."""
    outside = -surfaces.cavity
    blend(hu, inside(surfaces.body), FAT_HU)
    blend(hu, inside(surfaces.body) - inside(surfaces.body - 2.5), 10.0)
    blend(hu, _muscle(surfaces, outside, texture), habitus.muscle_hu)
    _ribs(hu, outside, habitus)
    _sternum(hu, outside, habitus)
    _scapulae(hu, outside, surfaces, habitus)


def _muscle(surfaces: Surfaces, outside: Field, texture: Field) -> Field:
    """Intercostal layer, back, flank and pectoral muscles, with strands of fat between."""
    x, y, z = axes_mm()
    intercostal = inside(np.minimum(outside + 1, 13 - outside))
    back = inside((1 - np.sqrt(((np.abs(x) - 34) / 30) ** 2 + ((y - 90) / 20) ** 2)) * 20)
    reach = 22 + 4 * texture
    flank = inside(np.minimum(outside - 15, reach - outside)) * (np.abs(x) > 60) * (y > -20)
    chest = inside(np.minimum(outside - 14, reach + 3 - outside)) * (y < -25) * inside(z - 5) * (np.abs(x) > 14)
    shoulder = inside(np.minimum(outside - 14, 40 - outside)) * inside((z - 62) * 0.5) * (texture > -0.6)
    layers = np.maximum(np.maximum(intercostal, back), np.maximum(np.maximum(flank, chest), shoulder))
    return layers * inside(surfaces.body - 5)


def _ribs(hu: Field, outside: Field, habitus: Habitus) -> None:
    x, y, z = axes_mm()
    along = periodic(z - RIB_SLOPE * (y + 0.12 * np.abs(x)) + habitus.rib_phase_mm, habitus.rib_period_mm)
    across = np.abs(outside - 6.5)
    shape = np.maximum(4.5 - across, -8) + np.minimum(0, 5.5 - along)
    reach = np.clip((np.abs(x) - 18) / 6, 0, 1)
    rib = inside(np.minimum(4.2 - across, 5.6 - along)) * reach * (z < habitus.apex_mm + 8)
    anterior = np.clip((-y - 0.62 * habitus.cavity_half_depth_mm) / 10, 0, 1)
    cortex = 1 - np.clip(shape / 6, 0, 1)
    bone = habitus.bone_hu + 260 * cortex
    blend(hu, rib, anterior * CARTILAGE_HU + (1 - anterior) * bone)


def _sternum(hu: Field, outside: Field, habitus: Habitus) -> None:
    x, y, z = axes_mm()
    half = 15 + 8 * np.clip((z - 45) / 25, 0, 1)
    height = np.minimum(z + 62, 84 - z)
    thickness = 5.5 - np.abs(outside - 8)
    depth = np.minimum(np.minimum(thickness, half - np.abs(x)), height)
    sternum = inside(depth) * (y < 0)
    blend(hu, sternum, habitus.bone_hu + 180 * (1 - np.clip(depth / 4, 0, 1)))


def _scapulae(hu: Field, outside: Field, surfaces: Surfaces, habitus: Habitus) -> None:
    x, y, z = axes_mm()
    plate = 2.4 - np.abs(outside - 20 - 0.05 * (z - 40))
    extent = np.minimum(np.abs(x) - (62 - 0.25 * (z - 40)), np.minimum(z - 2, y - 8))
    blade = inside(np.minimum(plate, extent)) * inside(surfaces.body - 6)
    blend(hu, blade, habitus.bone_hu + 260)


def paint_spine(hu: Field, habitus: Habitus) -> None:
    """Vertebral bodies with discs, canal, laminae, transverse and spinous processes."""
    x, y, z = axes_mm()
    level = periodic(z + habitus.disc_phase_mm, 26)
    body = (1 - np.sqrt((x / 19) ** 2 + ((y - SPINE_Y_MM) / 16) ** 2)) * 16
    disc = inside(level - 10.3)
    rim = 1 - np.clip(np.minimum(body, 10.3 - level) / 4, 0, 1)
    blend(hu, inside(body), disc * 85 + (1 - disc) * (habitus.bone_hu + 220 * rim))
    canal = np.sqrt(x * x + (y - 81) ** 2)
    blend(hu, inside(13 - canal) * inside(11.5 - level), habitus.bone_hu + 200)
    transverse = np.minimum(np.minimum(4.5 - np.abs(y - 80), 36 - np.abs(x)), 6 - level)
    spinous = np.minimum(np.minimum(3.2 - np.abs(x), 13 - np.abs(y - 101)), 8 - level)
    blend(hu, np.maximum(inside(transverse), inside(spinous)), habitus.bone_hu + 180)
    blend(hu, inside(8.5 - canal), MARROW_FLUID_HU)
