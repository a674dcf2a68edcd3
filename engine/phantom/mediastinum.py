"""Heart, great vessels, airways and upper abdomen, painted in HU; returns which voxels are vessels and airways."""

from __future__ import annotations

import numpy as np

from engine.phantom.branches import Tube, joined, occupancy, polyline
from engine.phantom.habitus import Habitus
from engine.phantom.skeleton import FAT_HU
from engine.phantom.space import Field, axes_mm, blend, inside
from engine.phantom.surfaces import Surfaces

GAS_HU, AIRWAY_HU, OESOPHAGUS_HU, MYOCARDIUM_HU = -950.0, -985.0, 38.0, 45.0
MYOCARDIUM_CONTRAST_HU = 105.0
AIRWAY_WALL_MM = 1.6
AIRWAY_WALL_SHARE = np.float32(0.8)
HILUM_MM = {"left": (44.0, 8.0, 20.0), "right": (-42.0, 8.0, 14.0)}
HEART_CHAMBERS = (
    ((38.0, -22.0, -46.0), (26.0, 20.0, 24.0)),
    ((2.0, -48.0, -40.0), (30.0, 17.0, 27.0)),
    ((8.0, 2.0, -16.0), (27.0, 15.0, 19.0)),
    ((-27.0, -22.0, -30.0), (18.0, 22.0, 26.0)),
)


def paint_abdomen(hu: Field, surfaces: Surfaces, habitus: Habitus, texture: Field) -> None:
    """What lies in the cavity: mediastinal fat above the domes; liver, spleen and stomach below."""
    x, y, z = axes_mm()
    cavity = inside(surfaces.cavity)
    blend(hu, cavity, -75 + 25 * texture)
    below = np.minimum(surfaces.cavity, -surfaces.above_diaphragm)
    blend(hu, inside(below), FAT_HU + 10 * texture)
    blend(hu, inside(below) - inside(below - 3.0), habitus.muscle_hu)
    liver = np.minimum(below - 1.5, (42 - 0.4 * (y + 40)) - x)
    blend(hu, inside(liver), habitus.liver_hu + 4 * texture)
    spleen = (1 - np.sqrt(((x - 88) / 26) ** 2 + ((y - 34) / 34) ** 2 + ((z + 122) / 36) ** 2)) * 26
    blend(hu, inside(np.minimum(spleen, below - 3)), habitus.liver_hu)
    stomach = (1 - np.sqrt(((x - 58) / 36) ** 2 + ((y + 12) / 40) ** 2 + ((z + 126) / 34) ** 2)) * 34
    blend(hu, inside(np.minimum(stomach, below - 4)), 35.0)
    blend(hu, inside(np.minimum(np.minimum(stomach - 5, below - 9), -22 - y)), GAS_HU)


def paint_heart(hu: Field, surfaces: Surfaces, habitus: Habitus, contrast: bool) -> Field:
    """The heart with its blood pools; returns its occupancy."""
    x, y, z = axes_mm()
    heart = inside(np.minimum(surfaces.heart, np.minimum(surfaces.cavity - 4, surfaces.above_diaphragm + 6)))
    blend(hu, heart, MYOCARDIUM_CONTRAST_HU if contrast else MYOCARDIUM_HU)
    for (cx, cy, cz), radii in HEART_CHAMBERS:
        a, b, c = (r * habitus.heart_scale for r in radii)
        pool = (1 - np.sqrt(((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 + ((z - cz) / c) ** 2)) * min(a, b, c)
        blend(hu, inside(np.minimum(pool, surfaces.heart - 5)), habitus.blood_hu)
    return heart


def great_vessels(habitus: Habitus) -> Tube:
    """Aorta with arch and branches, pulmonary arteries, caval veins."""
    lift = habitus.mediastinum_mm
    return joined(
        [
            polyline([(2, -16, -16), (-12, -24, 18), (-12, -24, 44), (0, -10, 60 + lift), (14, 18, 62 + lift)], 14),
            polyline([(14, 18, 62 + lift), (23, 36, 48), (24, 42, 0), (20, 42, -80), (10, 42, -150)], 11.5),
            polyline([(20, -40, -14), (20, -28, 18), (14, -12, 26)], 13),
            polyline([(14, -12, 26), (-10, -4, 20), HILUM_MM["right"]], 9.5),
            polyline([(16, -14, 26), (34, 4, 28), HILUM_MM["left"]], 9.5),
            polyline([(-25, -22, -6), (-25, -20, 60), (-27, -18, 82)], 8.5),
            polyline([(-20, -4, -60), (-22, 4, -150)], 11),
            polyline([(-12, -14, 62 + lift), (-18, -6, 92), (-28, -4, 145)], 5.5),
            polyline([(2, -2, 66 + lift), (12, 2, 96), (22, 0, 145)], 4.5),
            polyline([(12, 8, 66 + lift), (24, 12, 100), (34, 10, 145)], 4.5),
            polyline([(-27, -18, 80), (-34, -16, 145)], 6),
            polyline([(-25, -20, 72), (4, -26, 82), (32, -18, 98), (36, -14, 145)], 5.5),
        ]
    )


def central_airways() -> Tube:
    """Trachea and main bronchi."""
    return joined(
        [
            polyline([(0, -2, 150), (0, 4, 80), (-1, 12, 36)], 8.5),
            polyline([(-1, 12, 36), (-20, 12, 22), HILUM_MM["right"]], 6.2),
            polyline([(-1, 12, 36), (20, 14, 24), HILUM_MM["left"]], 5.6),
        ]
    )


def paint_mediastinum(hu: Field, habitus: Habitus) -> Field:
    """Oesophagus and great vessels; returns the occupancy of the vessels."""
    blend(hu, occupancy(polyline([(4, 27, 150), (2, 30, 30), (10, 30, -40), (14, 20, -100)], 6.5)), OESOPHAGUS_HU)
    vessels = occupancy(great_vessels(habitus))
    blend(hu, vessels, habitus.blood_hu)
    return vessels


def paint_airways(hu: Field, airways: Tube) -> Field:
    """Walls, then lumens; returns the occupancy of the lumens."""
    lumen = occupancy(airways)
    wall = occupancy(Tube(airways.centres_mm, airways.radii_mm + AIRWAY_WALL_MM))
    blend(hu, np.clip(wall - lumen, 0, 1) * AIRWAY_WALL_SHARE, 20.0)
    blend(hu, lumen, AIRWAY_HU)
    return lumen
