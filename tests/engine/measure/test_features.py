"""The 1967 features against PyRadiomics 3.0.1 itself, on the same pre-resampled image without pre-crop."""

import csv
import gzip
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.formulas.first_order import SortedValues, first_order_features
from engine.measure.levels import Binning
from engine.measure.radiomics import pyradiomics_features
from engine.metrics.recipe import FEATURES_OF_CLASS, PAPER_1967, feature_names, full_name
from store.records import STATUSES
from store.volumes import Grid

BINNING = Binning(25.0)
SHAPE = (20, 25, 28)
GRID = Grid(SHAPE[::-1], (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
NAMES = [full_name(name) for name in feature_names(PAPER_1967)]


def phantom():
    """A clipped random texture, a ball, and a box around it that touches the image's border."""
    texture = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 1.0)
    image = np.clip(np.rint(texture * 2500 - 300), -1000, 400).astype(np.int16)
    z, y, x = np.indices(SHAPE)
    ball = (z - 10) ** 2 + (y - 12) ** 2 + (x - 14) ** 2 <= 36
    return image, ball, (z < 17) & (np.abs(y - 12) < 10) & (np.abs(x - 13) < 9) & ~ball


@pytest.fixture(scope="module")
def measured():
    image, ball, around = phantom()
    whole = FeatureImage(image, np.zeros(SHAPE, dtype=bool), GRID)
    return measure_rois(whole, (ball, around), PAPER_1967, BINNING)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("place", [0, 1])
def test_all_features_equal_pyradiomics_on_the_whole_image(measured, place):
    image, *masks = phantom()
    theirs = pyradiomics_features(image, masks[place], GRID.spacing_mm, PAPER_1967, 25.0, crop=False)
    wrong = ~np.isclose(measured[place].values, theirs, rtol=1e-9, atol=1e-12)
    assert [NAMES[i] for i in np.flatnonzero(wrong)] == []


def test_values_do_not_depend_on_the_other_rois(measured):
    image, ball, _ = phantom()
    whole = FeatureImage(image, np.zeros(SHAPE, dtype=bool), GRID)
    alone = measure_rois(whole, (ball,), PAPER_1967, BINNING)[0]
    assert np.allclose(alone.values, measured[0].values, rtol=1e-11, atol=1e-13)
    assert np.array_equal(alone.statuses, measured[0].statuses)


def test_single_grey_level_marks_what_rests_on_levels_and_nothing_else(measured):
    """lbp-3D-m1 and -m2 fall in one bin of 25: 75 textures, entropy and uniformity each (notes/extraction.md)."""
    degenerate = STATUSES.index("degenerate")
    for image_type in ("lbp-3D-m1", "lbp-3D-m2"):
        marked = [n for n, s in zip(NAMES, measured[0].statuses, strict=True) if n.startswith(image_type) and s]
        assert len(marked) == 77
        assert f"{image_type}_firstorder_Entropy" in marked
        assert f"{image_type}_firstorder_Mean" not in marked
    assert set(np.unique(measured[0].statuses)) == {STATUSES.index("ok"), degenerate}


def test_constant_roi_keeps_the_values_of_pyradiomics_and_says_degenerate():
    flat = FeatureImage(np.full(SHAPE, 40, dtype=np.int16), np.zeros(SHAPE, dtype=bool), GRID)
    found = measure_rois(flat, (phantom()[1],), PAPER_1967, BINNING)[0]
    by_name = dict(zip(NAMES, zip(found.values, found.statuses, strict=True), strict=True))
    assert by_name["original_firstorder_Mean"] == (40.0, STATUSES.index("ok"))
    assert by_name["original_glcm_Correlation"] == (1.0, STATUSES.index("degenerate"))
    assert by_name["lbp-3D-k_firstorder_Mean"] == (-3.0, STATUSES.index("ok"))


def test_image_too_small_for_a_filter_has_no_value_there():
    thin = (5, 12, 12)
    image = np.random.default_rng(1).integers(-900, 300, thin).astype(np.int16)
    grid = Grid((12, 12, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    found = measure_rois(
        FeatureImage(image, np.zeros(thin, dtype=bool), grid), (np.ones(thin, dtype=bool),), PAPER_1967, BINNING
    )[0]
    lost = np.array([name.startswith("log-sigma-5") for name in NAMES])
    assert np.isnan(found.values[lost]).all()
    assert set(found.statuses[lost]) == {STATUSES.index("not_finite")}
    assert np.isfinite(found.values[~lost & np.array([not n.startswith("log-") for n in NAMES])]).all()


def test_the_engine_never_imports_pyradiomics():
    code = (
        "import sys, numpy as np; from tests.engine.measure.test_features import *; image, ball, _ = phantom();"
        "measure_rois(FeatureImage(image, ball, GRID), (ball,), PAPER_1967, BINNING); print('radiomics' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.fixture(scope="module")
def lung1(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lung1")
    with tarfile.open(shared / "data/lung1_001/lung1_001_dicom.tar.xz") as archive:
        archive.extractall(folder, [m for m in archive.getmembers() if "/image/" in f"/{m.name}"], filter="data")
    slices = next(p for p in folder.rglob("image") if p.is_dir())
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(slices)))
    labels = sitk.ReadImage(str(shared / "data/lung1_001/labels_native.nii.gz"))
    return sitk.GetArrayFromImage(reader.Execute()), sitk.GetArrayFromImage(labels) == 1


def test_published_first_order_values_of_a_real_tumour(shared, lung1):
    """Row LUNG1-001 of a published table, whose convention was HU + 1024 and unit spacing."""
    intensity, tumour = lung1
    assert tumour.sum() == 54639
    values = intensity[tumour].astype(np.float64) + 1024
    level_counts = np.bincount((values // 25).astype(int))
    parts = (SortedValues.of(part, 1000.0) for part in (values[:1000], values[1000:]))
    first = first_order_features(*parts, 1000.0, level_counts, 1.0)
    found = dict(zip(FEATURES_OF_CLASS["firstorder"], first, strict=True))
    with gzip.open(shared / "data/lung1_tables/lung1_unitspacing_firstorder.csv.gz", "rt") as table:
        row = next(r for r in csv.DictReader(table) if "LUNG1-001" in r.values())
    published = {name: float(value) for name, value in row.items() if (name or "").split("_")[-1] in found}
    assert len(published) == 18
    for name, value in published.items():
        assert found[name.split("_")[-1]] == pytest.approx(value, rel=1e-12), name
