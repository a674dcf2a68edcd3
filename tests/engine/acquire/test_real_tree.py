"""Real data in a tree of mixed formats; expected values: README of each folder in ../shared/data."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from engine.acquire.check import check
from engine.acquire.discover import discover
from engine.acquire.further import read_further_masks
from engine.acquire.pseudonyms import Pseudonyms
from engine.acquire.read import acquire
from engine.protocol import Images, Protocol

SARCOMAS = {
    "STS_001": 117145,
    "STS_003": 25693,
    "STS_008": 8862,
    "STS_010": 58608,
    "STS_012": 25263,
    "STS_015": 28360,
    "STS_018": 37372,
    "STS_019": 5564,
    "STS_024": 24892,
    "STS_025": 9655,
    "STS_035": 11450,
    "STS_042": 11175,
}


@pytest.fixture(scope="module")
def acquired(real_tree: Path, tmp_path_factory: pytest.TempPathFactory):
    study = tmp_path_factory.mktemp("study")
    protocol = Protocol(images=Images(root=str(real_tree), reference=("GTV-1", "mask")))
    found = discover(study, protocol, Pseudonyms(study, public_ids=True))
    assert found.refusals == ()
    return {source.case_id: acquire(source, protocol.images, protocol.acquire) for source in found.cases}


def voxels(case, structure):
    return next(m.voxels for m in case.masks if m.structure == structure and m.lesion == 0)


def test_check_accepts_all_fourteen_cases(real_tree, make_study):
    result = check(make_study(real_tree))
    assert len(result.accepted) == 14
    assert result.refused == ()


def test_lung1_001_has_the_published_voxel_counts(acquired):
    case = acquired["LUNG1-001"]
    assert voxels(case, "tumour") == 54639
    assert voxels(case, "lung_left") == 795750
    assert voxels(case, "lung_right") == 1036805


def test_tumour_keeps_the_voxels_it_shares_with_the_lung(acquired):
    masks = acquired["LUNG1-001"].references
    assert (masks.find("tumour").voxels & masks.find("lung_left").voxels).sum() == 5981


def test_further_readers_outlines_come_from_the_same_dicom_files_on_the_same_voxels(real_tree, tmp_path):
    """One structure read as a further reader and as the reference is the same mask; one that is not there is absent."""

    def lung1(*reference, readers=(), predictions=()):
        root = str(real_tree / "lung1")
        images = Images(root=root, reference=reference, readers=readers, predictions=predictions)
        protocol = Protocol(images=images)
        (source,) = discover(tmp_path, protocol, Pseudonyms(tmp_path, public_ids=True)).cases
        return source, acquire(source, images, protocol.acquire), protocol

    _, as_reference, _ = lung1("Spinal-Cord")
    source, case, protocol = lung1("GTV-1", readers=("spinal-cord",), predictions=("Nobody",))
    (cord,) = read_further_masks(source, case.ct, protocol.images, protocol.acquire).masks.masks
    assert (cord.source, cord.origin, cord.structure) == ("spinal-cord", "independent", "tumour")
    assert cord.grid == case.ct.grid
    assert cord.voxels.sum() > 0
    assert (cord.voxels == as_reference.references.find("tumour").voxels).all()


def test_lung1_001_is_read_in_hounsfield_units_on_its_exact_grid(acquired):
    case = acquired["LUNG1-001"]
    assert case.ct.intensity_hu.dtype == "int16"
    assert case.ct.grid.spacing_mm == (0.9765625, 0.9765625, 3.0)
    assert case.ct.grid.origin_mm == (-249.51171875, -460.51171875, -681.5)
    inside = case.ct.intensity_hu[case.references.find("tumour").voxels]
    assert inside.mean() == pytest.approx(-64.127, abs=5e-4)


def test_acquisition_of_lung1_001_says_unknown_contrast(acquired):
    (acquisition,) = acquired["LUNG1-001"].acquisition
    assert (acquisition.convolution_kernel, acquisition.kernel_group) == ("B19f", "soft")
    assert (acquisition.contrast, acquisition.contrast_evidence) == ("unknown", "none")


def test_ibsi_phantom_from_dicom_equals_its_nifti(acquired, shared):
    case = acquired["1"]
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(shared / "data/ibsi1_ct_phantom/image.nii.gz")))
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(shared / "data/ibsi1_ct_phantom/mask.nii.gz")))
    assert voxels(case, "tumour") == 125256
    assert (case.ct.intensity_hu == image).all()
    assert (case.references.find("tumour").voxels == (mask > 0)).all()


@pytest.mark.parametrize(("case_id", "expected"), SARCOMAS.items())
def test_sarcomas_have_their_published_voxel_counts(acquired, case_id, expected):
    assert voxels(acquired[case_id], "tumour") == expected
