"""One synthetic chest CT, deterministic in its seed: anatomy, tumour, point spread and noise, with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.phantom import tumour as tumours
from engine.phantom.branches import Tube, joined, occupancy, tree
from engine.phantom.case import (
    ANATOMY_LABELS,
    PHANTOM_GRID,
    SIDES,
    SPACING_MM,
    THIRDS,
    Phantom,
    PhantomCase,
    TumourPlan,
    TumourTruth,
)
from engine.phantom.habitus import Habitus, draw_habitus
from engine.phantom.mediastinum import (
    HILUM_MM,
    central_airways,
    paint_abdomen,
    paint_airways,
    paint_heart,
    paint_mediastinum,
)
from engine.phantom.skeleton import AIR_HU, paint_spine, paint_wall
from engine.phantom.space import Field, axes_mm, blend, inside, points_of
from engine.phantom.surfaces import Surfaces, make_surfaces
from engine.phantom.texture import coarse_field, kernel_noise, point_spread
from store.volumes import BoolZyx

VESSEL_LEAVES, AIRWAY_LEAVES = 240, 22
VESSEL_LEAF_MM, AIRWAY_LEAF_MM = 0.95, 1.0
DEPENDENT_HU_PER_MM, LUNG_TEXTURE_HU, TISSUE_TEXTURE_HU = 0.35, 16.0, 5.0
FISSURE_HU, FISSURE_SHARE = -650.0, 0.3
LOWEST_HU, HIGHEST_HU = -1024, 3071
WALL_TRIES = 4
STREAMS = {"habitus": 1, "lungs": 2, "tumour": 3, "noise": 4}


@dataclass(slots=True, eq=False)
class _Scene:
    """A phantom while it is painted."""

    hu: Field
    habitus: Habitus
    surfaces: Surfaces
    heart: Field
    vessels: Field
    airways: Field
    lungs: dict[str, BoolZyx]


def make_phantom(case: PhantomCase) -> Phantom:
    """The phantom of a case: the same case gives the same arrays.

    Anatomy, tumour and noise draw from separate streams of the seed, so the same seed without its tumour, or with
    another kernel, is the same patient.
    """
    scene = _anatomy(case)
    mask = np.zeros(scene.hu.shape, dtype=np.bool_)
    if case.tumour is not None:
        mask = _grow(scene, case.tumour, _stream(case, "tumour"))
    blurred = point_spread(scene.hu, case.kernel) + kernel_noise(_stream(case, "noise"), case.kernel, case.noise_sd_hu)
    intensity = np.clip(np.rint(blurred), LOWEST_HU, HIGHEST_HU).astype(np.int16)
    return _phantom(case, scene, intensity, mask)


def _stream(case: PhantomCase, name: str) -> np.random.Generator:
    return np.random.default_rng([case.seed, STREAMS[name]])


def _anatomy(case: PhantomCase) -> _Scene:
    habitus = draw_habitus(_stream(case, "habitus"), case.contrast)
    surfaces = make_surfaces(habitus)
    rng = _stream(case, "lungs")
    texture = coarse_field(rng)
    hu = np.full(texture.shape, AIR_HU, dtype=np.float32)
    paint_wall(hu, surfaces, habitus, texture)
    paint_abdomen(hu, surfaces, habitus, texture)
    hu += inside(surfaces.body) * (TISSUE_TEXTURE_HU * texture)
    heart = paint_heart(hu, surfaces, habitus, case.contrast)
    great = paint_mediastinum(hu, habitus)
    depths = {side: surfaces.lung(side) for side in SIDES}
    lungs = {side: _largest(np.asarray(depth > 0)) for side, depth in depths.items()}
    aerated = np.maximum(inside(depths["left"]), inside(depths["right"]))
    _aerate(hu, aerated, habitus, texture)
    paint_spine(hu, habitus)
    vessels, airways = _paint_trees(hu, aerated, lungs, habitus, rng)
    return _Scene(hu, habitus, surfaces, heart, np.maximum(great * (1 - aerated), vessels), airways, lungs)


def _aerate(hu: Field, aerated: Field, habitus: Habitus, texture: Field) -> None:
    """Lung tissue, denser where it lies deep, with oblique fissures."""
    x, y, z = axes_mm()
    blend(hu, aerated, habitus.lung_hu + DEPENDENT_HU_PER_MM * y + LUNG_TEXTURE_HU * texture)
    oblique = np.asarray(np.abs(0.62 * z - 0.78 * y - 8 + 0.03 * np.abs(x)), dtype=np.float32)
    blend(hu, inside(1.0 - oblique) * aerated * np.float32(FISSURE_SHARE), FISSURE_HU)


def _paint_trees(
    hu: Field, aerated: Field, lungs: dict[str, BoolZyx], habitus: Habitus, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Vessels and airways of both lungs; returns the occupancy of vessels within the lungs and of airway lumens."""
    vessel_trees, airway_trees = [], [central_airways()]
    for side in SIDES:
        root = np.array(HILUM_MM[side])
        vessel_trees.append(tree(root, _leaves(lungs[side], VESSEL_LEAVES, rng), VESSEL_LEAF_MM))
        airway_trees.append(_shortened(tree(root, _leaves(lungs[side], AIRWAY_LEAVES, rng), AIRWAY_LEAF_MM)))
    vessels = np.minimum(occupancy(joined(vessel_trees)), aerated)
    blend(hu, vessels, habitus.blood_hu)
    return vessels, paint_airways(hu, joined(airway_trees))


def _leaves(lung: BoolZyx, n: int, rng: np.random.Generator) -> tumours.Vector:
    """n points x, y, z in mm drawn within a lung."""
    voxels = np.argwhere(lung)
    return points_of(voxels[rng.integers(len(voxels), size=n)]) + rng.uniform(-1, 1, (n, 3))


def _shortened(airways: Tube) -> Tube:
    """Airways without their last branches, which a 3 mm image cannot show."""
    keep = airways.radii_mm > 1.5 * AIRWAY_LEAF_MM
    return Tube(airways.centres_mm[keep], airways.radii_mm[keep])


def _grow(scene: _Scene, plan: TumourPlan, rng: np.random.Generator) -> BoolZyx:
    """Put the tumour into the scene and return its mask (largest piece, at least half a voxel filled)."""
    centre = tumours.place(plan, scene.surfaces, rng)
    medial = scene.surfaces.medial_left if plan.side == "left" else scene.surfaces.medial_right
    surface = medial if plan.kind == "hilar" else scene.surfaces.cavity
    towards = tumours.outward(surface, centre)
    shape = tumours.draw_shape(plan, rng, towards if plan.kind != "free" else rng.standard_normal(3))
    room = tumours.allowed(plan, scene.surfaces, occupancy(central_airways()))
    filled = tumours.occupancy(shape, centre) * room
    for _ in range(WALL_TRIES):
        if plan.kind != "costal" or _touches(_largest(filled >= 0.5), scene.surfaces):
            break
        centre = centre + 1.5 * towards
        filled = tumours.occupancy(shape, centre) * room
    mask = _largest(filled >= 0.5)
    filled *= ndimage.binary_dilation(mask)
    blend(scene.hu, filled, tumours.inner_texture(plan, mask, rng))
    return mask


def _largest(mask: BoolZyx) -> BoolZyx:
    """The largest face-connected piece of a mask."""
    labels, n = ndimage.label(mask)
    if n < 2:
        return mask
    return np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))


def _touches(mask: BoolZyx, surfaces: Surfaces) -> bool:
    """Whether a mask has a face-neighbour outside the cavity."""
    return bool((ndimage.binary_dilation(mask) & (surfaces.cavity <= 0) & ~mask).any())


def _phantom(case: PhantomCase, scene: _Scene, intensity: NDArray[np.int16], mask: BoolZyx) -> Phantom:
    """Masks, labels and truth of a painted scene."""
    lumen = scene.airways >= 0.5
    bare = {side: _largest(lung & ~lumen) & ~mask for side, lung in scene.lungs.items()}
    side = case.tumour.side if case.tumour is not None else ""
    whole = {name: lung | mask if name == side else lung for name, lung in bare.items()}
    return Phantom(
        case=case,
        intensity_hu=intensity,
        grid=PHANTOM_GRID,
        tumour=mask,
        lung_left=whole["left"],
        lung_right=whole["right"],
        lung_left_without_tumour=bare["left"],
        lung_right_without_tumour=bare["right"],
        anatomy=_labels(scene, bare, mask),
        truth=_truth(case.tumour, scene, mask) if case.tumour is not None else None,
    )


def _labels(scene: _Scene, lungs: dict[str, BoolZyx], mask: BoolZyx) -> NDArray[np.uint8]:
    """Labels of ANATOMY_LABELS; later structures overwrite earlier ones."""
    labels = np.zeros(mask.shape, dtype=np.uint8)
    labels[(scene.surfaces.body > 0) & (scene.surfaces.cavity <= 0)] = ANATOMY_LABELS["wall"]
    labels[scene.heart >= 0.5] = ANATOMY_LABELS["heart"]
    for side in SIDES:
        labels[lungs[side]] = ANATOMY_LABELS[f"lung_{side}"]
    labels[(scene.vessels >= 0.5) & (scene.heart < 0.5)] = ANATOMY_LABELS["vessels"]
    labels[scene.airways >= 0.5] = 0
    labels[mask] = ANATOMY_LABELS["tumour"]
    return labels


def _truth(plan: TumourPlan, scene: _Scene, mask: BoolZyx) -> TumourTruth:
    lung = scene.lungs[plan.side]
    voxels = np.argwhere(mask)
    centre = points_of(voxels).mean(axis=0)
    level = np.array([round(float(voxels[:, 0].mean()))])
    third = next((t for t in THIRDS if tumours.third_levels(lung, t, level)[0]), plan.third)
    distance = float(scene.surfaces.cavity[mask].min())
    return TumourTruth(
        volume_ml=float(mask.sum()) * SPACING_MM**3 / 1000,
        longest_diameter_mm=tumours.longest_diameter_mm(mask),
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        third=third,
        touches_wall=_touches(mask, scene.surfaces),
        distance_to_wall_mm=max(0.0, distance),
    )
