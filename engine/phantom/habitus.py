"""How one synthetic patient is built: sizes and positions drawn before anything is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SOFT_TISSUE_ENHANCEMENT_HU = 12.0  # muscle and tumour alike: their difference does not depend on contrast


@dataclass(frozen=True, slots=True)
class Habitus:
    """Sizes (mm) and intensities (HU) of one synthetic patient; left is +x, posterior +y, superior +z."""

    cavity_half_width_mm: float
    cavity_half_depth_mm: float
    apex_mm: float
    fat_mm: float
    dome_right_mm: float
    dome_left_mm: float
    heart_scale: float
    mediastinum_mm: float
    rib_phase_mm: float
    rib_period_mm: float
    disc_phase_mm: float
    lung_hu: float
    blood_hu: float
    muscle_hu: float
    bone_hu: float
    liver_hu: float


def draw_habitus(rng: np.random.Generator, contrast: bool) -> Habitus:
    """A habitus in the adult range; contrast raises blood and liver."""
    u = rng.uniform
    blood, enhanced = u(38, 48), u(170, 290)
    liver, liver_enhanced = u(48, 62), u(85, 115)
    return Habitus(
        cavity_half_width_mm=u(114, 130),
        cavity_half_depth_mm=u(78, 90),
        apex_mm=u(104, 122),
        fat_mm=u(6, 20),
        dome_right_mm=u(-72, -50),
        dome_left_mm=u(-84, -62),
        heart_scale=u(0.88, 1.12),
        mediastinum_mm=u(-3, 5),
        rib_phase_mm=u(0, 30),
        rib_period_mm=u(26, 31),
        disc_phase_mm=u(0, 26),
        lung_hu=u(-890, -815),
        blood_hu=enhanced if contrast else blood,
        muscle_hu=u(46, 58) + (SOFT_TISSUE_ENHANCEMENT_HU if contrast else 0.0),
        bone_hu=u(120, 230),
        liver_hu=liver_enhanced if contrast else liver,
    )
