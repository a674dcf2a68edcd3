"""Place and pleural contact of a ball in a box-shaped left lung: 100 mm wide, 100 mm deep, 150 mm high."""

import numpy as np
import pytest

from engine.measure.description import describe_tumour
from engine.protocol import Agreement
from store.records import FeatureMask
from store.volumes import FeatureMasks, Grid, Mask, ReferenceMasks

GRID = Grid((70, 70, 70), (2.0, 2.0, 2.5), (0.0, 0.0, 0.0))
CHOSEN = (FeatureMask("tumour", "automatic", "automatic", "abc"),)
RADIUS_MM = 12.0
WALLS = {"x": (20.0, 120.0), "y": (20.0, 120.0), "z": (12.5, 162.5)}  # medial wall of a left lung at x = 20


def centres():
    z, y, x = np.indices(GRID.shape_zyx)
    return z * 2.5, y * 2.0, x * 2.0


def lung():
    z, y, x = centres()
    inside = [(WALLS[a][0] <= v) & (v <= WALLS[a][1]) for a, v in (("x", x), ("y", y), ("z", z))]
    return np.logical_and.reduce(inside)


def ball(x_mm, y_mm, z_mm):
    z, y, x = centres()
    return (z - z_mm) ** 2 + (y - y_mm) ** 2 + (x - x_mm) ** 2 <= RADIUS_MM**2


def mask(structure, voxels, origin="independent", source="reader"):
    return Mask(structure, origin, source, voxels, GRID)


def located(tumour, lungs=True, structure="lung_left"):
    masks = [mask("tumour", tumour)]
    if lungs:
        masks.append(mask(structure, lung() & ~tumour))
    found = describe_tumour(ReferenceMasks((masks[0],)), FeatureMasks(tuple(masks)), CHOSEN, Agreement())
    assert len(found.location) == 1
    return found.location[0]


def test_free_tumour_touches_nothing_and_knows_its_distance():
    place = located(ball(70, 70, 88))
    assert place.distance_to_pleura_mm == pytest.approx(50 - RADIUS_MM, abs=4.0)
    assert (place.contact_mm2, place.contact_share) == (0.0, 0.0)
    assert (place.contact_1mm, place.contact_5mm, place.chest_wall_contact) == (False, False, False)


@pytest.mark.parametrize(
    ("centre", "face"),
    [
        ((120 - RADIUS_MM, 70, 88), "costal"),
        ((70, 120 - RADIUS_MM, 88), "costal"),
        ((70, 70, 162.5 - RADIUS_MM), "costal"),
        ((20 + RADIUS_MM, 70, 88), "mediastinal"),
        ((70, 70, 12.5 + RADIUS_MM), "diaphragmatic"),
    ],
)
def test_abutting_tumour_touches_the_face_it_lies_against(centre, face):
    place = located(ball(*centre))
    areas = {f: getattr(place, f"{f}_contact_mm2") for f in ("costal", "mediastinal", "diaphragmatic")}
    assert areas[face] == place.contact_mm2 > 0
    assert place.contact_3mm
    assert place.chest_wall_contact == (face == "costal")


def test_medial_is_the_other_way_round_in_the_right_lung():
    place = located(ball(120 - RADIUS_MM, 70, 88), structure="lung_right")
    assert (place.side, place.mediastinal_contact_mm2 > 0, place.chest_wall_contact) == ("right", True, False)


def test_tumour_grown_through_the_wall_has_more_contact_than_one_that_touches():
    touching, through = located(ball(120 - RADIUS_MM, 70, 88)), located(ball(120, 70, 88))
    assert through.contact_share > touching.contact_share > 0
    assert through.distance_to_pleura_mm == 0.0


def test_a_vessel_that_the_lung_mask_leaves_out_is_not_pleura():
    tumour, (z, y, _) = ball(70, 70, 88), centres()
    with_vessel = lung() & ~tumour & ~((z - 88) ** 2 + (y - 85) ** 2 <= 16)
    masks = (mask("tumour", tumour), mask("lung_left", with_vessel))
    place = describe_tumour(ReferenceMasks((masks[0],)), FeatureMasks(masks), CHOSEN, Agreement()).location[0]
    assert place.distance_to_pleura_mm > 25
    assert not place.contact_5mm


@pytest.mark.parametrize(("z_mm", "third"), [(145, "upper"), (88, "middle"), (30, "lower")])
def test_third_is_counted_from_the_top_of_the_lung(z_mm, third):
    assert located(ball(70, 70, z_mm)).third == third


def test_without_lungs_the_place_is_unknown():
    place = located(ball(70, 70, 88), lungs=False)
    assert (place.side, place.third) == ("unknown", "unknown")
    assert place.contact_mm2 is None
    assert place.chest_wall_contact is None


def test_reference_and_another_feature_mask_are_both_described():
    reference, automatic = ball(70, 70, 88), ball(74, 70, 88)
    masks = FeatureMasks((mask("tumour", automatic, "automatic", "abc"),))
    found = describe_tumour(ReferenceMasks((mask("tumour", reference),)), masks, CHOSEN, Agreement())
    assert [m.mask_source for m in found.morphology] == ["reference", "automatic"]
    assert found.morphology[0].volume_ml == pytest.approx(4 / 3 * np.pi * 1.728, rel=0.03)


def test_empty_tumour_is_not_described():
    nothing = mask("tumour", np.zeros(GRID.shape_zyx, dtype=bool))
    found = describe_tumour(ReferenceMasks(()), FeatureMasks((nothing,)), CHOSEN, Agreement())
    assert found.morphology == found.location == ()
