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
    satellite = [square(z, 4.5, 6.5) for z in HEIGHTS]
    found = outlines(tmp_path, ("GTV_total", [square(z, -4.5, 1.5) for z in HEIGHTS] + satellite))
    assert [(one.name, one.role, one.voxels.sum()) for one in found.lesions] == [
        ("GTV-1", "index", 3 * 36),
        ("GTV_total", "other", 3 * 4),
    ]
    assert [flag.code for flag in found.flags] == ["same_lesion"]


def test_a_node_that_grows_into_the_tumour_remains_a_node(tmp_path):
    found = outlines(tmp_path, ("LN 4R", [square(z, -1.5, 2.5) for z in HEIGHTS]))  # 9 of its 16 pixels are tumour
    assert [(one.role, one.voxels.sum()) for one in found.lesions] == [("index", 3 * 36), ("node", 3 * 16)]
    assert [flag.code for flag in found.flags] == ["lesions_overlap"]


def test_a_lesion_apart_from_the_tumour_is_not_flagged(tmp_path):
    found = outlines(tmp_path, ("GTV-2", [square(z, 2.5, 5.5) for z in HEIGHTS]))
    assert [(one.name, one.role) for one in found.lesions] == [("GTV-1", "index"), ("GTV-2", "other")]
    assert found.flags == ()
