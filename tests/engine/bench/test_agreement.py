"""The agreement bench: PyRadiomics in pieces is PyRadiomics, and no cause is said that the numbers do not show."""

import numpy as np
import pytest
from scipy import ndimage

from engine.bench import causes, real_cases
from engine.bench.agreement import outside
from engine.bench.causes import CONSTANT_NEIGHBOURHOOD, UNEXPLAINED, Evidence, cause_of, family_of
from engine.bench.oracle import oracle_image, oracle_vector
from engine.bench.real_cases import chosen, real_case, real_sources
from engine.measure import radiomics
from engine.measure.feature_image import FeatureImage
from engine.measure.features import measure_rois
from engine.measure.levels import Binning
from engine.metrics.recipe import PAPER_1967, feature_names
from store.volumes import Grid

SHAPE = (20, 22, 24)
GRID = Grid(SHAPE[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
NAMES = {(n.image_type, n.feature_class, n.feature): n for n in feature_names(PAPER_1967)}
ROBUST = NAMES["lbp-3D-m2", "firstorder", "RobustMeanAbsoluteDeviation"]
SKEWNESS = NAMES["wavelet-LLH", "firstorder", "Skewness"]
SHADE, TENDENCY = (NAMES["wavelet-LLH", "glcm", name] for name in ("ClusterShade", "ClusterTendency"))


def texture():
    noise = ndimage.gaussian_filter(np.random.default_rng(7).normal(size=SHAPE), 1.0)
    image = np.clip(np.rint(noise * 2500 - 300), -1000, 400).astype(np.int16)
    return FeatureImage(image, np.zeros(SHAPE, dtype=bool), GRID)


def ball():
    z, y, x = np.indices(SHAPE)
    return (z - 10) ** 2 + (y - 11) ** 2 + (x - 12) ** 2 <= 49


def evidence(tmp_path, mine=None, theirs=None):
    empty = np.zeros(1967)
    return Evidence(texture(), ball(), empty if mine is None else mine, empty if theirs is None else theirs, tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("image_type", ["lbp-3D-m1", "lbp-3D-m2", "lbp-3D-k"])
def test_lbp3d_in_pieces_is_lbp3d(monkeypatch, tmp_path, image_type):
    monkeypatch.setattr(radiomics, "LBP_PIECE_VOXELS", 100)
    image = texture()
    made = radiomics.pyradiomics_images(image.intensity_hu, ball(), GRID.spacing_mm, PAPER_1967, image_type)
    pieces = oracle_image(image, ball(), PAPER_1967, image_type, tmp_path)
    assert ball().sum() > 10 * 100
    assert np.allclose(pieces, made[image_type], rtol=1e-13, atol=1e-13)
    assert np.array_equal(oracle_image(image, ball(), PAPER_1967, image_type, tmp_path), pieces)


def test_a_kept_vector_is_read_for_the_same_mask_only(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("engine.bench.oracle.pyradiomics_features", lambda *a, **_: calls.append(a) or np.arange(3.0))
    for mask in (ball(), ball(), ~ball()):
        assert np.array_equal(oracle_vector(texture(), mask, PAPER_1967, 25.0, tmp_path), np.arange(3.0))
    assert len(calls) == 2


def test_a_number_on_one_side_only_is_outside():
    mine, theirs = np.ones(1967), np.ones(1967)
    mine[3], theirs[4], mine[5], mine[6] = np.nan, np.nan, 1 + 2e-6, 1 + 5e-7
    mine[7] = theirs[7] = np.nan
    assert np.flatnonzero(outside(mine, theirs)).tolist() == [3, 4, 5]


def test_ties_at_a_percentile_are_found_where_rounding_parts_them(tmp_path, monkeypatch):
    """Ten equal values at the 90th percentile, of which the last digits of one side put five beyond it."""
    exact = np.concatenate([np.linspace(0, 1, 85), np.full(10, 2.0), np.linspace(3, 4, 5)])
    noisy = exact.copy()
    noisy[85:95] += np.where(np.arange(10) < 5, 4e-15, -4e-15)
    mine, theirs = np.zeros(1967), np.zeros(1967)
    mine[ROBUST.place], theirs[ROBUST.place] = (robust(values) for values in (exact, noisy))
    assert mine[ROBUST.place] != pytest.approx(theirs[ROBUST.place], rel=1e-6)
    monkeypatch.setattr(causes, "_own_image", lambda *_: exact)
    monkeypatch.setattr(causes, "oracle_image", lambda *_: noisy)
    assert family_of(cause_of(ROBUST, evidence(tmp_path, mine, theirs))) == "ties at a percentile"
    other = theirs.copy()
    other[ROBUST.place] *= 1.01
    assert cause_of(ROBUST, evidence(tmp_path, mine, other)) == UNEXPLAINED
    monkeypatch.setattr(causes, "oracle_image", lambda *_: noisy * 1.001)
    assert cause_of(ROBUST, evidence(tmp_path, mine, theirs)) == UNEXPLAINED


def robust(values):
    """Mean absolute deviation of the values from the 10th to the 90th percentile, both included."""
    low, high = np.percentile(values, [10, 90])
    inside = values[(values >= low) & (values <= high)]
    return np.abs(inside - inside.mean()).mean()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_nan_kurtosis_of_equal_samples_is_shown_by_the_classes_of_pyradiomics(tmp_path):
    """Air of one value inside the mask: SciPy of today calls its kurtosis undefined, the engine gives -3."""
    image = texture()
    image.intensity_hu[6:] = -1000  # the spline of the edge rings for seven voxels
    mine = measure_rois(image, [ball()], PAPER_1967, Binning(25.0))[0].values
    theirs = oracle_vector(image, ball(), PAPER_1967, 25.0, tmp_path)
    found = Evidence(image, ball(), mine, theirs, tmp_path)
    off = [feature_names(PAPER_1967)[place] for place in np.flatnonzero(outside(mine, theirs))]
    off = [name for name in off if name.image_type == "lbp-3D-k"]
    assert len(off) > 50
    assert {family_of(cause_of(name, found)) for name in off} == {CONSTANT_NEIGHBOURHOOD}
    wrong = mine.copy()
    wrong[off[0].place] *= 1.01
    assert cause_of(off[0], Evidence(image, ball(), wrong, theirs, tmp_path)) == UNEXPLAINED


@pytest.mark.parametrize(("apart", "cause"), [(1e-12, "cancellation"), (1e-8, UNEXPLAINED)])
def test_cancellation_is_a_difference_far_below_the_size_of_the_summands(tmp_path, apart, cause):
    mine, theirs = np.zeros(1967), np.zeros(1967)
    mine[SKEWNESS.place], theirs[SKEWNESS.place] = 1e-7 + apart, 1e-7
    theirs[TENDENCY.place] = 4.0
    mine[SHADE.place], theirs[SHADE.place] = 1e-7 + 8 * apart, 1e-7
    found = evidence(tmp_path, mine, theirs)
    assert {family_of(cause_of(name, found)) for name in (SKEWNESS, SHADE)} == {cause}


def test_what_no_claim_covers_is_unexplained(tmp_path):
    mine = np.zeros(1967)
    energy = NAMES["original", "firstorder", "Energy"]
    mine[energy.place] = 1.0
    assert cause_of(energy, evidence(tmp_path, mine)) == UNEXPLAINED


def test_a_real_case_comes_through_the_stages_of_the_study(shared, tmp_path, monkeypatch):
    """A sarcoma: tumour of 5564 voxels of 3.12 mm3 on its own grid, a ring, no lungs (../shared/data/sts_ct)."""
    monkeypatch.setattr(real_cases, "ARCHIVES", {})
    sources = real_sources(shared, tmp_path)
    assert len(sources) == 12
    case = real_case(next(chosen(sources, ("STS_019",))), tmp_path)
    rois = dict(case.rois)
    assert list(rois) == ["intratumoural", "peritumoural"]
    assert rois["intratumoural"].sum() == pytest.approx(17350, rel=0.06)
    assert not case.cut
    with pytest.raises(ValueError, match="--case must be one of"):
        next(chosen(sources, ("STS_999",)))
