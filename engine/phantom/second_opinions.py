"""Further outlines of the demo's tumours: a second reader, and a plain program that grows a region from one click."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from engine.geometry import box_of
from engine.metrics.distance import distance_to_mm
from engine.phantom.case import PHANTOM_GRID, Phantom
from engine.phantom.texture import smooth_field
from store.volumes import BoolZyx

READER_EVERY = 3  # every third patient has a second reader
READER_SD_MM, READER_SCALE_MM, MARGIN_VOXELS = 1.5, 8.0, 4
SOFT_TISSUE_HU = -350
GROWTH_SHARE = 1.3
READER_STREAM = 5


def second_reader(phantom: Phantom) -> BoolZyx:
    """The tumour as another reader might outline it: its border moved in or out by a smooth field of 1.5 mm (sd)."""
    drawn = np.zeros_like(phantom.tumour)
    if not phantom.tumour.any():
        return drawn
    box = box_of(phantom.tumour, (MARGIN_VOXELS,) * 3)
    own = phantom.tumour[box]
    depth = distance_to_mm(~own, PHANTOM_GRID.spacing_zyx_mm) - distance_to_mm(own, PHANTOM_GRID.spacing_zyx_mm)
    rng = np.random.default_rng([phantom.case.seed, READER_STREAM])
    z, y, x = own.shape
    drawn[box] = depth + READER_SD_MM * smooth_field(rng, (z, y, x), READER_SCALE_MM) > 0
    return drawn


def grown_region(phantom: Phantom) -> BoolZyx:
    """What is as bright as soft tissue and connected with a click in the tumour, in a ball 1.3 times its radius.

    A textbook program: good where lung surrounds the tumour, leaking into the chest wall where it does not.
    """
    grown = np.zeros_like(phantom.tumour)
    if not phantom.tumour.any():
        return grown
    places = np.argwhere(phantom.tumour)
    centre = places[np.linalg.norm(places - places.mean(axis=0), axis=1).argmin()]
    reach = GROWTH_SHARE * np.linalg.norm(places - centre, axis=1).max() + 1
    index = np.indices(grown.shape).reshape(3, -1) - centre[:, None]
    near = (np.linalg.norm(index, axis=0) <= reach).reshape(grown.shape)
    labels, _ = ndimage.label(near & (phantom.intensity_hu > SOFT_TISSUE_HU))
    label = labels[tuple(centre)]
    return np.asarray((labels == label) & (label > 0))
