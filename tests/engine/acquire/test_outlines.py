"""Which outlined structures of a case are lesions: voxels from geometry (6 x 6 pixel centres a slice in a square)."""

from __future__ import annotations

import pytest

from engine.acquire.dicom import read_header
from engine.acquire.outlined_series import outlined_series
from engine.acquire.outlines import outlines_in_dicom
from engine.bench.malformed.made_dicom import SIDE, square, write_rtstruct, write_series
from engine.protocol import Images
from store.sources import CaseSource, SourceFile
from store.volumes import Grid

GRID = Grid((SIDE, SIDE, 12), (1.0, 1.0, 2.0), (-8.0, -8.0, 0.0))
HEIGHTS = (6.0, 8.0, 10.0)


def squares(low, high):
    return [square(z, low, high) for z in HEIGHTS]


def outlines(tmp_path, *rois, low=-4.5, high=1.5):
    """What is read of a case whose tumour GTV-1 fills a square from low to high, beside other ROIs."""
    tumour = ("GTV-1", [square(z, low, high) for z in HEIGHTS])
    path = write_rtstruct(tmp_path / "rs.dcm", [*rois, tumour])
    source = CaseSource("P1", "dicom", (SourceFile("RTSTRUCT 1", str(path), ""),))
    series = outlined_series([read_header(one) for one in write_series(tmp_path / "ct")], GRID)
    return outlines_in_dicom(source, Images(reference=("GTV-1",)), series)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("GTV PET", -6.5, 3.5), ("GTV_total", -7.5, 4.5), ("GTV-1 old", -4.5, 0.5), ("GTV", -4.5, 1.5)],
    ids=["around it", "with all around", "within it", "the same"],
)
def test_the_tumour_outlined_again_is_no_other_lesion_and_flagged(tmp_path, name, low, high):
    found = outlines(tmp_path, (name, [square(z, low, high) for z in HEIGHTS]))
    assert [(one.name, one.role, one.voxels.sum()) for one in found.lesions] == [("GTV-1", "index", 3 * 36)]
    assert [flag.code for flag in found.flags] == ["same_lesion"]


def test_a_lesion_that_shares_few_voxels_with_the_tumour_remains_one_and_is_flagged(tmp_path):
    found = outlines(tmp_path, ("Node", [square(z, -1.5, 4.5) for z in HEIGHTS[1:]]), high=-0.5, low=-6.5)
    assert [(one.name, one.role) for one in found.lesions] == [("GTV-1", "index"), ("Node", "node")]
    (flag,) = found.flags
    assert flag.code == "lesions_overlap"
    assert "2 voxels" in flag.message  # one pixel on each of two slices


def test_what_lies_off_the_tumour_in_an_outline_of_all_of_it_remains_another_lesion(tmp_path):
    satellite = [square(z, 3.5, 6.5) for z in HEIGHTS]
    found = outlines(tmp_path, ("GTV_total", squares(-4.5, 1.5) + satellite))
    assert [(one.name, one.role, one.voxels.sum()) for one in found.lesions] == [
        ("GTV-1", "index", 3 * 36),
        ("GTV_total", "other", 3 * 9),
    ]
    (flag,) = found.flags
    assert flag.code == "same_lesion"
    assert "27 voxels, are another lesion" in flag.message


@pytest.mark.parametrize("names", [("GTV-2", "GTV_total"), ("GTV_total", "GTV-2"), ("GTV_total", "GTV all", "GTV-2")])
def test_a_lesion_with_an_outline_of_its_own_is_not_counted_again_in_one_of_all(tmp_path, names):
    all_of_them = squares(-4.5, 1.5) + squares(3.5, 6.5)
    found = outlines(tmp_path, *((name, squares(3.5, 6.5) if name == "GTV-2" else all_of_them) for name in names))
    assert [(one.name, one.role, one.voxels.sum()) for one in found.lesions] == [
        ("GTV-1", "index", 3 * 36),
        ("GTV-2", "other", 3 * 9),
    ]
    assert [flag.code for flag in found.flags] == ["same_lesion"] * (len(names) - 1)
    assert not any("another lesion" in flag.message for flag in found.flags)


def test_what_two_outlines_of_all_hold_beside_the_tumour_is_one_lesion_more(tmp_path):
    all_of_them = squares(-4.5, 1.5) + squares(3.5, 6.5)
    found = outlines(tmp_path, ("GTV_total", all_of_them), ("GTV all", all_of_them))
    assert [(one.name, one.voxels.sum()) for one in found.lesions] == [("GTV-1", 3 * 36), ("GTV_total", 3 * 9)]


def test_a_stray_pixel_of_the_tumour_outlined_again_is_no_lesion(tmp_path):
    found = outlines(tmp_path, ("GTV old", [*squares(-4.5, 0.5), square(8.0, 4.5, 5.5)]))
    assert [one.name for one in found.lesions] == ["GTV-1"]
    assert [flag.code for flag in found.flags] == ["same_lesion"]


def test_a_second_lesion_in_an_outline_of_all_stays_where_another_shares_a_little_of_it(tmp_path):
    node = [square(z, 5.5, 7.5) for z in HEIGHTS]  # one pixel of the lesion's 16 a slice
    found = outlines(tmp_path, ("GTV_total", squares(-4.5, 1.5) + squares(2.5, 6.5)), ("LN 4R", node))
    assert [(one.name, one.voxels.sum()) for one in found.lesions] == [
        ("GTV-1", 3 * 36),
        ("LN 4R", 3 * 4),
        ("GTV_total", 3 * 15),
    ]


def test_what_is_too_small_for_a_lesion_in_an_outline_of_all_is_said(tmp_path):
    satellite = [square(z, 4.5, 6.5) for z in HEIGHTS]
    found = outlines(tmp_path, ("GTV_total", squares(-4.5, 1.5) + satellite))
    assert [one.name for one in found.lesions] == ["GTV-1"]
    assert "12 voxels in smaller parts are left out" in found.flags[0].message


@pytest.mark.parametrize("name", ["GTVnew", "GTVnative", "GTVnecrosis", "GTV_new", "GTV-Necrosis", "GTVn+p", "GTVnp"])
def test_a_name_that_only_begins_like_that_of_a_node_is_none(tmp_path, name):
    found = outlines(tmp_path, (name, squares(-3.5, 0.5)))  # 16 of 36 pixels: as a node, it would be a lesion
    assert [one.role for one in found.lesions] == ["index"]
    assert [flag.code for flag in found.flags] == ["same_lesion"]


@pytest.mark.parametrize(
    "name",
    ["GTVn", "GTVn1", "GTV-N", "GTV_N2", "GTV N", "gtvn_4R", "GTVns", "GTV_nL", "GTV nodal", "GTVnode2"]
    + ["GTVnod", "GTV_nods1", "GTVnLeft", "GTVNhilar", "GTV_Nmed", "GTVnb", "GTVNX", "GTV_N+", "GTVnCT", "GTVNII"]
    + ["GTV_LN4R", "LN", "LN 4R", "LNs", "Node", "nodes", "Lesion node 7"],
)
def test_the_names_of_nodes(tmp_path, name):
    assert [one.role for one in outlines(tmp_path, (name, squares(2.5, 5.5))).lesions] == ["index", "node"]


def test_a_node_that_grows_into_the_tumour_remains_a_node(tmp_path):
    found = outlines(tmp_path, ("LN 4R", [square(z, -1.5, 2.5) for z in HEIGHTS]))  # 9 of its 16 pixels are tumour
    assert [(one.role, one.voxels.sum()) for one in found.lesions] == [("index", 3 * 36), ("node", 3 * 16)]
    assert [flag.code for flag in found.flags] == ["lesions_overlap"]


def test_a_lesion_apart_from_the_tumour_is_not_flagged(tmp_path):
    found = outlines(tmp_path, ("GTV-2", [square(z, 2.5, 5.5) for z in HEIGHTS]))
    assert [(one.name, one.role) for one in found.lesions] == [("GTV-1", "index"), ("GTV-2", "other")]
    assert found.flags == ()
