"""The surfaces that bound body, chest cavity and lungs, as depths in mm (positive inside)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.phantom.habitus import Habitus
from engine.phantom.space import Field, axes_mm, superellipse_depth

CAVITY_POWER, BODY_POWER = 2.3, 2.5
WALL_MM = 26.0
HEART_FAT_MM = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Surfaces:
    """Depths below each surface, arrays z, y, x in mm; a lung is where its three depths are positive."""

    body: Field
    cavity: Field  # below the costal pleura (ribs side)
    heart: Field
    medial_left: Field  # to the left of the mediastinum
    medial_right: Field
    above_diaphragm: Field

    def lung(self, side: str) -> Field:
        """Depth inside one lung, left or right."""
        medial = self.medial_left if side == "left" else self.medial_right
        return np.minimum(np.minimum(self.cavity, medial), self.above_diaphragm)


def make_surfaces(habitus: Habitus) -> Surfaces:
    """All surfaces of one patient."""
    heart = _heart(habitus)
    left, right = (_medial(habitus, heart, sign) for sign in (1.0, -1.0))
    return Surfaces(_body(habitus), _cavity(habitus), heart, left, right, _above_diaphragm(habitus))


def _body(habitus: Habitus) -> Field:
    x, y, z = axes_mm()
    level = np.clip((z + 20) / 160, 0, 1)
    width = habitus.cavity_half_width_mm + WALL_MM + habitus.fat_mm - 10 * level
    depth = habitus.cavity_half_depth_mm + WALL_MM + 0.6 * habitus.fat_mm - 12 * level
    return superellipse_depth(x, y - 4, np.minimum(width, 172), np.minimum(depth, 122), BODY_POWER)


def _cavity(habitus: Habitus) -> Field:
    """Below the rib cage, which narrows upwards and closes over each apex in a dome."""
    x, y, z = axes_mm()
    level = np.clip((z + 30) / (habitus.apex_mm + 30), 0, 1)
    taper = 1 - 0.40 * level * level * (3 - 2 * level)
    flank = superellipse_depth(
        x, y + 2 - 6 * level, habitus.cavity_half_width_mm * taper, habitus.cavity_half_depth_mm * taper, CAVITY_POWER
    )
    away = ((np.abs(x) - 46) / 44) ** 2 + ((y - 12) / 48) ** 2
    cap = (habitus.apex_mm - 34 * away - z) * np.float32(0.75)
    return np.minimum(flank, cap)


def _heart(habitus: Habitus) -> Field:
    """An ellipsoid whose long axis points left, forward and down."""
    x, y, z = axes_mm()
    dx, dy, dz = x - 16, y + 26, z + 36
    long = 0.78 * dx - 0.38 * dy - 0.50 * dz
    short = 0.44 * dx + 0.90 * dy
    third = 0.45 * dx - 0.22 * dy + 0.866 * dz
    a, b, c = (habitus.heart_scale * r for r in (60.0, 45.0, 49.0))
    rho = np.sqrt((long / a) ** 2 + (short / b) ** 2 + (third / c) ** 2)
    return np.asarray((1 - rho) * b, dtype=np.float32)


def _medial(habitus: Habitus, heart: Field, sign: float) -> Field:
    """Depth inside one hemithorax beyond mediastinum, spine and heart; sign +1 is the left."""
    x, y, z = axes_mm()
    hilum = 30 * np.exp(-(((y - 4) / 34) ** 2)) * (0.55 + 0.45 / (1 + np.exp(-(z + 4) / 8)))
    upper = 10 * np.exp(-(((y + 12) / 30) ** 2)) / (1 + np.exp(-(z - 38) / 7))
    spine = 24 / (1 + np.exp(-(y - 36) / 4))
    aorta = 12 * np.exp(-(((y - 40) / 16) ** 2)) * (z < 66) if sign > 0 else np.float32(0)
    half = np.maximum(7 + hilum + upper + aorta, spine + 2 * aorta * 0.5) + habitus.mediastinum_mm
    lateral = sign * x - np.maximum(half, 6)
    return np.asarray(np.minimum(lateral, -heart - HEART_FAT_MM), dtype=np.float32)


def _above_diaphragm(habitus: Habitus) -> Field:
    x, y, z = axes_mm()
    tops = np.where(x < 0, np.float32(habitus.dome_right_mm), np.float32(habitus.dome_left_mm))
    away = ((np.abs(x) - 58) / 78) ** 2 + ((y + 12) / 92) ** 2
    return np.asarray((z - tops + 62 * away) * 0.8, dtype=np.float32)
