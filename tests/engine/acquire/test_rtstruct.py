"""Rasterising contours: expected counts from geometry (a pixel centre inside or not)."""

from __future__ import annotations

import tracemalloc
from contextlib import nullcontext
from time import process_time

import numpy as np
import pytest

from engine.acquire import contour_fill, contour_lines
from engine.acquire.dicom_structures import Contour, OutlinedRoi
from engine.acquire.rtstruct import find_roi, near_names, rasterise_roi
from store.records import RefusedError
from store.volumes import Grid

GRID = Grid((20, 20, 10), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))


def rectangle(x0, x1, y0, y1, z, kind="CLOSED_PLANAR"):
    return Contour(kind, np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], dtype=float))


def fill(*contours, grid=GRID):
    return rasterise_roi(OutlinedRoi("GTV-1", contours), grid, "RTSTRUCT 1")


def test_a_pixel_is_inside_when_its_centre_is():
    voxels = fill(rectangle(2.5, 6.5, 3.5, 5.5, 4.0)).voxels
    assert np.argwhere(voxels).tolist() == [[2, y, x] for y in (4, 5) for x in (3, 4, 5, 6)]


def test_centres_on_an_edge_belong_to_the_lower_side_only():
    voxels = fill(rectangle(2.0, 6.0, 3.0, 5.0, 4.0)).voxels
    assert np.argwhere(voxels).tolist() == [[2, y, x] for y in (3, 4) for x in (2, 3, 4, 5)]


def test_two_rectangles_that_share_an_edge_never_overlap_or_leave_a_gap():
    left, right = fill(rectangle(2, 6, 3, 9, 0)).voxels, fill(rectangle(6, 12, 3, 9, 0)).voxels
    assert not (left & right).any()
    assert (left | right).sum() == fill(rectangle(2, 12, 3, 9, 0)).voxels.sum()


def test_a_contour_inside_another_is_a_hole():
    voxels = fill(rectangle(1.5, 11.5, 1.5, 11.5, 0), rectangle(4.5, 7.5, 4.5, 7.5, 0)).voxels
    assert voxels.sum() == 100 - 9


def test_a_disc_has_its_area_within_a_percent():
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    grid = Grid((200, 200, 2), (0.1, 0.1, 2.0), (0.0, 0.0, 0.0))
    points = np.column_stack([10 + 7 * np.cos(angles), 10 + 7 * np.sin(angles), np.zeros(400)])
    area = fill(Contour("CLOSED_PLANAR", points), grid=grid).voxels.sum() * 0.01
    assert area == pytest.approx(np.pi * 49, rel=0.01)


def test_start_point_and_direction_of_a_contour_do_not_matter():
    rng = np.random.default_rng(4)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 30))
    points = np.column_stack([10 + 6 * np.cos(angles), 9 + 5 * np.sin(angles), np.full(30, 4.0)])
    plain = fill(Contour("CLOSED_PLANAR", points)).voxels
    turned = fill(Contour("CLOSED_PLANAR", np.roll(points, 7, axis=0)[::-1])).voxels
    assert plain.any()
    assert (plain == turned).all()


def test_a_contour_smaller_than_a_pixel_does_not_lose_its_slice():
    mask = fill(rectangle(2.5, 6.5, 3.5, 5.5, 4.0), rectangle(5.1, 5.3, 7.1, 7.3, 6.0))
    assert np.argwhere(mask.voxels[3]).tolist() == [[7, 5]]
    assert [flag.code for flag in mask.flags] == ["subpixel_contours"]


def test_a_repeated_contour_does_not_cancel_itself():
    mask = fill(rectangle(2.5, 6.5, 3.5, 5.5, 4.0), rectangle(2.5, 6.5, 3.5, 5.5, 4.0))
    assert mask.voxels.sum() == 8
    assert [flag.code for flag in mask.flags] == ["repeated_contours"]


def outlined(points, z=4.0):
    """A closed contour through points x, y on the slice at z."""
    return Contour("CLOSED_PLANAR", np.column_stack([np.array(points, dtype=float), np.full(len(points), z)]))


def corners(x0, x1, y0, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


OUTER, INNER = corners(1.5, 11.5, 1.5, 11.5), corners(4.5, 7.5, 4.5, 7.5)


@pytest.mark.parametrize(
    "again",
    [
        OUTER[::-1],
        OUTER[1:] + OUTER[:1],
        [*OUTER, OUTER[0]],
        corners(1.49, 11.51, 1.51, 11.5),
    ],
    ids=["reversed", "from another point", "closed by its first point", "0.01 mm apart"],
)
def test_a_contour_drawn_again_otherwise_is_read_once(again):
    island = rectangle(13.5, 15.5, 2.5, 4.5, 4.0)
    mask = fill(outlined(OUTER), outlined(again), island)
    assert mask.voxels.sum() == 100 + 4
    assert [flag.code for flag in mask.flags] == ["repeated_contours"]


def test_a_copy_along_pixel_centres_is_read_once_though_it_holds_other_pixels():
    mask = fill(outlined(corners(2, 8, 2, 8)), outlined(corners(1.99, 8.01, 1.99, 8.01)))
    assert mask.voxels.sum() == 36
    assert [flag.code for flag in mask.flags] == ["repeated_contours"]


def test_contours_that_overlap_in_part_are_joined_and_flagged():
    mask = fill(rectangle(1.5, 7.5, 1.5, 7.5, 4.0), rectangle(4.5, 10.5, 4.5, 10.5, 4.0))
    assert mask.voxels.sum() == 36 + 36 - 9
    assert [flag.code for flag in mask.flags] == ["contours_cross"]


def disc(x, y, radius, points=60):
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return outlined(np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)]))


WIDE = Grid((64, 64, 10), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))


def test_a_hole_that_sticks_out_by_half_a_pixel_remains_a_hole_and_is_flagged():
    outer, hole = disc(30, 30, 20), disc(40.5, 30, 10)
    mask = fill(outer, hole, grid=WIDE)
    assert (mask.voxels == (fill(outer, grid=WIDE).voxels ^ fill(hole, grid=WIDE).voxels)).all()
    assert [flag.code for flag in mask.flags] == ["contours_cross"]


def test_an_outline_drawn_again_a_little_aside_is_joined_and_not_a_hole():
    one, again = disc(30, 30, 20), disc(31.5, 30, 19)
    mask = fill(one, again, grid=WIDE)
    assert (mask.voxels == (fill(one, grid=WIDE).voxels | fill(again, grid=WIDE).voxels)).all()
    assert [flag.code for flag in mask.flags] == ["contours_cross"]


def test_two_lines_of_very_many_points_are_compared_in_seconds():
    began = process_time()
    mask = fill(disc(30, 30, 20, 20_000), disc(30.05, 30, 20, 20_000), grid=WIDE)
    assert process_time() - began < 10  # points times edges took 47
    assert [flag.code for flag in mask.flags] == ["repeated_contours"]


def test_contours_that_touch_or_lie_apart_are_not_flagged():
    mask = fill(rectangle(1.5, 5.5, 1.5, 5.5, 4.0), rectangle(5.5, 9.5, 1.5, 5.5, 4.0), rectangle(11, 13, 1, 3, 4.0))
    assert mask.voxels.sum() == 16 + 16 + 4
    assert mask.flags == ()


def test_an_island_in_a_hole_is_inside_and_not_flagged():
    outer, hole, island = (outlined(corners(low, high, low, high)) for low, high in ((0, 19), (4, 14), (7, 10)))
    mask = fill(outer, hole, island)
    assert mask.voxels.sum() == 19**2 - 10**2 + 3**2
    assert mask.flags == ()


@pytest.mark.parametrize("inside", [0.15, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("radius", [4, 14, 24])
def test_an_outline_drawn_again_less_than_a_pixel_inside_is_read_once(radius, inside):
    outer, again = disc(30, 30, radius), disc(30, 30, radius - inside)
    for contours in ((outer, again), (again, outer)):
        mask = fill(*contours, grid=WIDE)
        assert (mask.voxels == fill(outer, grid=WIDE).voxels).all()
        equal = (fill(again, grid=WIDE).voxels == mask.voxels).all()
        assert [flag.code for flag in mask.flags] == ["repeated_contours" if equal else "contour_again"]


def test_a_wall_of_one_pixel_remains_though_its_coordinates_are_rounded():
    outer, hole = corners(1.5, 11.5, 1.5, 11.5), corners(2.49, 10.51, 2.49, 10.51)
    mask = fill(outlined(outer), outlined(hole))
    assert mask.voxels.sum() == 10**2 - 8**2
    assert [flag.code for flag in mask.flags] == ["thin_wall"]


def test_an_island_that_nearly_fills_its_hole_remains_and_is_flagged():
    outer, hole, island = disc(30, 30, 20), disc(30, 30, 10), disc(30, 30, 9.2)
    mask = fill(island, hole, outer, grid=WIDE)
    expected = [fill(one, grid=WIDE).voxels for one in (outer, hole, island)]
    assert (mask.voxels == (expected[0] & ~expected[1] | expected[2])).all()
    assert [flag.code for flag in mask.flags] == ["thin_wall"]


def test_an_outline_with_its_hole_drawn_again_a_little_inside_keeps_the_hole():
    ring, again = (disc(30, 30, 20), disc(30, 30, 10)), (disc(30, 30, 19.5), disc(30, 30, 9.5))
    mask = fill(*ring, *again, grid=WIDE)
    assert (mask.voxels == fill(*ring, grid=WIDE).voxels).all()
    assert [flag.code for flag in mask.flags] == ["contour_again"]


@pytest.mark.parametrize(
    ("outer", "hole"),
    [
        (disc(30, 30, 20), disc(30, 30, 9.7)),
        (disc(30.05, 30, 20), disc(30.3, 30, 10)),
        (disc(30, 30, 20), disc(30, 30, 9.2)),
    ],
    ids=["the outline exactly", "the outline 0.05 pixels aside", "the hole as an island would lie"],
)
def test_a_hole_drawn_again_beside_its_line_remains_where_its_outline_is_repeated(outer, hole):
    ring = disc(30, 30, 20), disc(30, 30, 10)
    mask = fill(*ring, outer, hole, grid=WIDE)
    expected = fill(ring[0], grid=WIDE).voxels & ~fill(ring[1], grid=WIDE).voxels & ~fill(hole, grid=WIDE).voxels
    assert (mask.voxels == expected).all()
    assert [flag.code for flag in mask.flags] == ["repeated_contours", "contour_again"]


def test_a_square_ring_copied_with_a_shift_keeps_its_hole():
    square, hole = corners(8.5, 48.5, 8.5, 48.5), disc(28, 28, 10)
    copies = outlined(np.add(square, 0.2)), disc(28.2, 28.2, 10)
    mask = fill(outlined(square), hole, *copies, grid=WIDE)
    expected = 40**2 - (fill(hole, grid=WIDE).voxels | fill(copies[1], grid=WIDE).voxels).sum()
    assert mask.voxels.sum() == expected
    assert [flag.code for flag in mask.flags] == ["repeated_contours", "contour_again"]


@pytest.mark.parametrize("inside", [0.12, 0.3])
def test_a_hole_drawn_again_less_than_half_a_pixel_inside_is_no_island(inside):
    ring = disc(30, 30, 20), disc(30, 30, 10)
    mask = fill(*ring, disc(30, 30, 10 - inside), grid=WIDE)
    assert (mask.voxels == fill(*ring, grid=WIDE).voxels).all()
    assert [flag.code for flag in mask.flags] == ["contour_again"]


def test_an_island_drawn_again_is_read_once_though_it_lies_in_a_hole():
    outer, hole, island, again = disc(30, 30, 24), disc(30, 30, 16), disc(30, 30, 9), disc(30, 30, 8.5)
    mask = fill(outer, hole, island, again, grid=WIDE)
    assert (mask.voxels == fill(outer, hole, island, grid=WIDE).voxels).all()
    assert [flag.code for flag in mask.flags] == ["contour_again"]


@pytest.mark.parametrize(
    ("hole", "flags"),
    [
        (disc(30, 30, 12.5), ["thin_wall"]),  # 1.5 pixels all round
        (disc(30.6, 30, 12.5), ["thin_wall"]),  # 0.9 to 2.1
        (disc(30, 30, 11.5), []),  # 2.5
        (disc(32, 30, 11), []),  # 1 to 5
        (disc(42, 30, 1.5), []),  # small, half a pixel from the outer line
    ],
)
def test_a_hole_with_a_wall_of_more_than_a_pixel_remains_one_and_a_thin_wall_is_flagged(hole, flags):
    outer = disc(30, 30, 14)
    mask = fill(outer, hole, grid=WIDE)
    assert (mask.voxels == (fill(outer, grid=WIDE).voxels & ~fill(hole, grid=WIDE).voxels)).all()
    assert [flag.code for flag in mask.flags] == flags


def test_a_cavity_that_lies_along_the_outline_by_half_remains_a_hole():
    upper = np.linspace(0, np.pi, 60)
    air = outlined(np.column_stack([30 + 13.5 * np.cos(upper), 30 + 13.5 * np.sin(upper)]))
    outer = disc(30, 30, 14)
    mask = fill(outer, air, grid=WIDE)
    assert (mask.voxels == (fill(outer, grid=WIDE).voxels & ~fill(air, grid=WIDE).voxels)).all()


def test_two_lobes_that_share_a_mere_strip_lose_nothing():
    mask = fill(rectangle(1.5, 9.5, 1.5, 17.5, 4.0), rectangle(8.9, 17.5, 8.5, 10.5, 4.0))
    assert mask.voxels.sum() == 8 * 16 + 8 * 2  # of the second, x = 10 to 17 lie outside the first and x = 9 inside
    assert mask.flags == ()


def test_declared_exclusive_or_is_even_odd_whatever_the_wall():
    outer, inner = corners(1.5, 11.5, 1.5, 11.5), corners(2.2, 10.8, 2.2, 10.8)
    declared = [Contour("CLOSEDPLANAR_XOR", outlined(line).points_mm) for line in (outer, inner)]
    mask = fill(*declared)
    assert mask.voxels.sum() == 10**2 - 8**2
    assert [flag.code for flag in mask.flags] == ["thin_wall"]


def test_declared_exclusive_or_takes_a_hole_out_without_a_word():
    mask = fill(rectangle(1.5, 11.5, 1.5, 11.5, 0, "CLOSEDPLANAR_XOR"), rectangle(4.5, 7.5, 4.5, 7.5, 0))
    assert mask.voxels.sum() == 100 - 9
    assert mask.flags == ()


def test_hundreds_of_lines_drawn_upon_each_other_take_seconds():
    began = process_time()
    mask = fill(*(disc(30, 30, 20 - 0.002 * n) for n in range(200)), grid=WIDE)
    assert process_time() - began < 10
    assert (mask.voxels == fill(disc(30, 30, 20), grid=WIDE).voxels).all()


def counted(monkeypatch, name):
    """The calls of a function of contour_lines, counted."""
    calls, function = [], getattr(contour_lines, name)
    monkeypatch.setattr(contour_lines, name, lambda *given, **named: calls.append(1) or function(*given, **named))
    return calls


def test_very_many_contours_upon_each_other_are_refused_after_a_stated_number_of_pairs(monkeypatch):
    rng, angles = np.random.default_rng(1), np.linspace(0, 2 * np.pi, 16, endpoint=False)
    around = np.column_stack([np.cos(angles), np.sin(angles)])
    stars = [outlined(30 + around * rng.uniform(2, 12, (16, 1))) for _ in range(200)]
    looks = counted(monkeypatch, "_near")
    with pytest.raises(RefusedError, match="too_many_contours"):
        fill(*stars, grid=WIDE)
    assert len(looks) <= 2 * contour_lines.MOST_PAIRS  # of 19,900 pairs, each looked at from both


def test_long_lines_that_differ_are_not_compared_along_their_length(monkeypatch):
    rng, x = np.random.default_rng(0), np.linspace(5, 55, 100)
    heights = [np.where(np.arange(100) % 2, 50, 10) + rng.uniform(0, 5, 100) for _ in range(16)]
    sampled = counted(monkeypatch, "KDTree")
    fill(*(outlined([*zip(x, y, strict=True), *zip(x[::-1], y[::-1] + 1, strict=True)]) for y in heights), grid=WIDE)
    assert len(sampled) <= 2 * 16  # of 120 pairs


LARGE = Grid((512, 512, 3), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))


def wide(count):
    """Contours of eight points that each cover much of a slice."""
    rng, angles = np.random.default_rng(0), np.linspace(0, 2 * np.pi, 8, endpoint=False)
    around = np.column_stack([np.cos(angles), np.sin(angles)])
    return [outlined(256 + around * rng.uniform(120, 250, (8, 1))) for _ in range(count)]


@pytest.mark.parametrize(("count", "refused"), [(25, False), (300, True)])
def test_wide_contours_cost_seconds_and_megabytes_whether_let_in_or_refused(count, refused):
    contours, began = wide(count), process_time()
    tracemalloc.start()
    with pytest.raises(RefusedError, match="too_many_contours") if refused else nullcontext():
        fill(*contours, grid=LARGE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert process_time() - began < 5  # 300 took 16 and 1.9 GB
    assert peak < 64 << 20


def test_a_line_that_crosses_very_many_rows_is_refused_before_they_are_counted(monkeypatch):
    x = np.linspace(5, 500, 20_000)
    zigzag = outlined(np.column_stack([x, np.where(np.arange(20_000) % 2, 500, 10)]))
    monkeypatch.setattr(contour_fill, "_crossings", None)
    with pytest.raises(RefusedError, match="too_many_contours"):
        fill(zigzag, grid=LARGE)


def test_very_many_small_contours_in_one_place_are_refused_before_any_two_are_compared(monkeypatch):
    rng = np.random.default_rng(2)
    looks = counted(monkeypatch, "_near")
    with pytest.raises(RefusedError, match="too_many_contours"):
        fill(*(disc(*rng.uniform(29, 31, 2), 3, 6) for _ in range(600)), grid=WIDE)
    assert looks == []


def test_long_lines_that_differ_at_few_points_are_sampled_up_to_a_limit(monkeypatch):
    rng, circle = np.random.default_rng(0), disc(30, 30, 25, 2000).points_mm[:, :2]
    moves = np.where(np.arange(2000) % 125 == 0, 0.0, 0.3)[:, None]  # none at the 16 places that are looked at first
    sampled, samples = [], contour_lines._samples
    monkeypatch.setattr(contour_lines, "_samples", lambda *given: sampled.append(samples(*given)) or sampled[-1])
    with pytest.raises(RefusedError, match="too_many_contours"):
        fill(*(outlined(circle + moves * rng.uniform(-1, 1, (2000, 2))) for _ in range(65)), grid=WIDE)
    most = contour_lines.MOST_SAMPLES_OF_ALL
    assert most < sum(map(len, sampled)) <= most + contour_lines.MOST_SAMPLES


def test_hundreds_of_holes_drawn_twice_stay():
    lung = disc(256, 256, 200, 400)
    turns = np.arange(600) * np.pi * (3 - 5**0.5)
    away = 190 * np.sqrt((np.arange(600) + 0.5) / 600)
    holes = [disc(256 + r * np.cos(t), 256 + r * np.sin(t), 2.2, 24) for r, t in zip(away, turns, strict=True)]
    again = [Contour("CLOSED_PLANAR", one.points_mm + (0.05, 0.05, 0)) for one in (lung, *holes)]
    once, twice = fill(lung, *holes, grid=LARGE), fill(lung, *holes, *again, grid=LARGE)
    assert (once.voxels == twice.voxels).all()
    assert [flag.code for flag in twice.flags] == ["repeated_contours"]


def test_a_contour_that_crosses_itself_is_flagged():
    mask = fill(outlined([(1.5, 1.5), (11.5, 11.5), (11.5, 1.5), (1.5, 11.5)]))
    assert [flag.code for flag in mask.flags] == ["contours_cross"]


@pytest.mark.parametrize("inner", [INNER, INNER[::-1]], ids=["same turn", "other turn"])
def test_a_keyhole_has_its_hole_whichever_way_its_inner_ring_turns(inner):
    mask = fill(outlined([*OUTER, OUTER[0], *inner, inner[0]]))
    assert mask.voxels.sum() == 100 - 9
    assert mask.flags == ()


def test_a_contour_that_runs_round_twice_is_read_once():
    mask = fill(outlined(OUTER * 2))
    assert mask.voxels.sum() == 100
    assert [flag.code for flag in mask.flags] == ["repeated_contours"]


def test_a_slice_left_out_between_contours_is_flagged():
    mask = fill(rectangle(2.5, 6.5, 3.5, 5.5, 4.0), rectangle(2.5, 6.5, 3.5, 5.5, 8.0))
    assert [flag.code for flag in mask.flags] == ["contour_gap"]


def test_oblique_grids_are_followed():
    turn = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # x of the image runs along +y of the patient
    grid = Grid((20, 20, 10), (1.0, 1.0, 2.0), (19.0, 0.0, 0.0), turn)
    voxels = fill(rectangle(2.5, 6.5, 3.5, 5.5, 4.0), grid=grid).voxels
    assert sorted(np.argwhere(voxels).tolist()) == [[2, y, x] for y in (13, 14, 15, 16) for x in (4, 5)]


@pytest.mark.parametrize(
    ("contours", "code"),
    [
        ((), "no_contours"),
        ((rectangle(2, 6, 3, 5, 4, "OPEN_PLANAR"),), "open_contour"),
        ((rectangle(2, 6, 3, 5, 4, "POINT"),), "open_contour"),
        ((rectangle(2, 6, 3, 5, 5.0),), "off_slice"),
        ((rectangle(2, 6, 3, 5, 500.0),), "outside_image"),
        ((rectangle(2, 6, 3, 5, -2.0),), "outside_image"),
        ((rectangle(502, 506, 3, 5, 4.0),), "outside_image"),
        ((Contour("CLOSED_PLANAR", np.array([(2, 2, 0), (6, 2, 4), (6, 6, 0)], dtype=float)),), "off_slice"),
    ],
)
def test_contours_that_would_be_silently_wrong_are_refused(contours, code):
    with pytest.raises(RefusedError) as caught:
        fill(*contours)
    assert caught.value.code == code


def test_the_first_wanted_name_wins_in_any_case():
    assert find_roi(["Lung-Left", "gtv-1", "GTV"], ["GTV-1", "GTV"], "RTSTRUCT 1") == "gtv-1"
    assert find_roi(["Heart"], ["GTV-1"], "RTSTRUCT 1") is None


def test_two_rois_of_one_name_are_refused():
    with pytest.raises(RefusedError, match="duplicate_roi"):
        find_roi(["GTV-1", "gtv-1"], ["GTV-1"], "RTSTRUCT 1")


def test_near_names_are_suggested():
    assert near_names(["GTV-1", "Spinal-Cord", "Heart"], ["gtv1"])[0] == "GTV-1"
