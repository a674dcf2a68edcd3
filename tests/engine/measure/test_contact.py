"""Pleural contact against a chest of closed forms (chest_phantom.py) and against the demo's own surfaces."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from engine.measure.contact import pleural_contact
from engine.measure.pleura import COSTAL, DIAPHRAGMATIC, FACES, MEDIASTINAL, pleura_of
from engine.phantom.case import SHAPE_ZYX
from engine.phantom.cohort import draw_cohort
from engine.phantom.space import nearest_index
from engine.phantom.surfaces import make_surfaces
from engine.phantom.thorax import _anatomy, make_phantom
from tests.engine.measure.chest_phantom import RADIUS_MM, true_area_mm2, voxels

CONTACT_MM = 3.0
PLACEMENTS = 3


@functools.cache
def contacts(face, kind, slice_mm, placements=PLACEMENTS):
    """The contact at some places of the grid between the voxels: on 5 mm slices one place alone may be a fifth off."""
    rng, found = np.random.default_rng(7), []
    for _ in range(placements):
        tumour, lung, grid = voxels(face, kind, slice_mm, rng.random(3))
        found.append(pleural_contact(tumour, lung | tumour, grid, "left", CONTACT_MM))
    return found


@pytest.mark.parametrize("slice_mm", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("kind", ["abutting", "indenting", "invading"])
@pytest.mark.parametrize("face", ["costal", "mediastinal"])
def test_contact_area_is_true_within_a_tenth(face, kind, slice_mm):
    found = contacts(face, kind, slice_mm)
    areas = [one.area_mm2(CONTACT_MM) for one in found]
    assert np.mean(areas) == pytest.approx(true_area_mm2(face, kind, CONTACT_MM), rel=0.10)
    own = FACES.index(face)
    assert all(one.area_mm2(CONTACT_MM, own) == one.area_mm2(CONTACT_MM) for one in found)  # never another face


@pytest.mark.parametrize("slice_mm", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("kind", ["indenting", "invading"])
def test_contact_with_the_diaphragm_is_true_within_a_tenth(kind, slice_mm):
    found = contacts("diaphragmatic", kind, slice_mm)
    truth = true_area_mm2("diaphragmatic", kind, CONTACT_MM)
    assert np.mean([one.area_mm2(CONTACT_MM, DIAPHRAGMATIC) for one in found]) == pytest.approx(truth, rel=0.10)


@pytest.mark.parametrize("slice_mm", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("within_mm", [1.0, 5.0])
@pytest.mark.parametrize("kind", ["indenting", "invading"])
def test_wide_contact_is_true_at_1_and_5_mm(kind, within_mm, slice_mm):
    areas = [one.area_mm2(within_mm) for one in contacts("costal", kind, slice_mm)]
    allowed = 0.20 if (within_mm, slice_mm) == (1.0, 5.0) else 0.10  # a fifth of a slice is not in the masks
    assert np.mean(areas) == pytest.approx(true_area_mm2("costal", kind, within_mm), rel=allowed)


@pytest.mark.parametrize("slice_mm", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("face", FACES)
def test_a_free_tumour_touches_nothing(face, slice_mm):
    for one in contacts(face, "free", slice_mm, 2):
        assert one.area_mm2(5.0) == 0
        assert one.distance_mm == pytest.approx(8.0, abs=max(1.0, 0.6 * slice_mm))
        assert one.protrusion_mm == 0


@pytest.mark.parametrize("kind", ["abutting", "indenting", "invading"])
def test_a_lung_mask_with_or_without_the_tumour_gives_the_same_contact(kind):
    tumour, lung, grid = voxels("costal", kind, 3.0, np.array([0.3, 0.6, 0.1]))
    whole = pleural_contact(tumour, lung | tumour, grid, "left", CONTACT_MM)
    bare = pleural_contact(tumour, lung & ~tumour, grid, "left", CONTACT_MM)
    assert bare.area_mm2(CONTACT_MM) == whole.area_mm2(CONTACT_MM) > 0
    assert bare.protrusion_mm == whole.protrusion_mm


def test_protrusion_is_how_far_the_tumour_bulges_beyond_the_pleura():
    bulge = [one.protrusion_mm for one in contacts("costal", "invading", 1.0, 2)]
    assert bulge == pytest.approx([0.7 * RADIUS_MM] * 2, abs=1.5)
    flat = [one.protrusion_mm for one in contacts("costal", "indenting", 1.0, 2)]
    assert flat == pytest.approx([0.0] * 2, abs=1.5)


def test_the_mediastinum_is_as_far_as_the_plane():
    (one,) = contacts("costal", "abutting", 1.0, 1)
    assert one.distance_to_mediastinum_mm is None or one.distance_to_mediastinum_mm > 45
    (near,) = contacts("mediastinal", "free", 1.0, 1)
    assert near.distance_to_mediastinum_mm == pytest.approx(8.0, abs=1.0)


def test_faces_are_those_of_the_phantoms_own_surfaces():
    """Truth: which of the phantom's three depth fields is next to 0, where no other comes within 6 mm."""
    counts = np.zeros((3, 3))
    for patient in draw_cohort(4, 20250617):
        phantom, side = make_phantom(patient.phantom), patient.tumour.side
        surfaces = make_surfaces(_anatomy(patient.phantom).habitus)
        pleura = pleura_of(getattr(phantom, f"lung_{side}"), phantom.tumour, phantom.grid, side)
        place = tuple(nearest_index(pleura.points_mm).T)
        fields = (surfaces.cavity, getattr(surfaces, f"medial_{side}"), surfaces.above_diaphragm)
        depth = np.abs(np.stack([np.broadcast_to(field, SHAPE_ZYX)[place] for field in fields]))
        clear = np.diff(np.sort(depth, axis=0)[:2], axis=0)[0] > 6
        np.add.at(counts, (depth.argmin(axis=0)[clear], pleura.faces[clear]), 1)
    share = counts / counts.sum(axis=1, keepdims=True)
    assert share[COSTAL, COSTAL] > 0.99
    assert share[COSTAL, MEDIASTINAL] < 0.005
    assert share[MEDIASTINAL, COSTAL] < 0.08
    assert share[DIAPHRAGMATIC, DIAPHRAGMATIC] > 0.99
    assert share[MEDIASTINAL, MEDIASTINAL] > 0.8  # the heart's shoulder looks down and passes for diaphragm
