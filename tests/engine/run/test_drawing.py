"""Drawings come in on their own grid only and change exactly what was drawn; files go out and come back."""

from __future__ import annotations

import gzip
import io
import time
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from engine.acquire.ct_series import read_ct_series
from engine.acquire.dicom import read_header
from engine.acquire.orientation import canonical_ct
from engine.bench.malformed.made_dicom import write_series
from engine.geometry import cropped_grid, index_to_points_mm, resample_mask, same_grid
from engine.measure.feature_image import feature_grid
from engine.measure.regions import delineate_regions
from engine.protocol import Acquire, Protocol
from engine.review.grants import ForbiddenError, Grant, grant_of
from engine.review.nifti_bytes import nifti_gz
from engine.run.drawing import (
    drawn_over,
    exported,
    exported_seg,
    has_segment,
    measured_now,
    own_version,
    save_from_file,
    save_from_viewer,
)
from engine.run.review_layers import MEASURED, case_layers, shown_first, visible_layers
from engine.run.review_volumes import error_bytes, layers_bytes, tokens, viewed_grid, viewer_secret
from engine.run.scan_parts import Extent
from store.artifacts import store_value
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import DrawnMask, RefusedError
from store.reviews import Edit, Reading, add_drawn, draft_of, drawing_key, drawn_masks, drop_drawing, load_drawn
from store.source_list import Sources, write_sources
from store.sources import CaseSource, SourceFile
from store.volumes import (
    AutomaticMasks,
    CtSeries,
    DoubtMasks,
    FeatureMasks,
    Grid,
    Mask,
    ReferenceMasks,
    RoiMasks,
    mask_key,
)
from tests.store.recorded import start_run

TURN = np.deg2rad(12)
OBLIQUE = (1, 0, 0, 0, np.cos(TURN), -np.sin(TURN), 0, np.sin(TURN), np.cos(TURN))
GRID = Grid((20, 18, 16), (0.8, 0.9, 2.5), (-30, 12.5, 400), OBLIQUE)
BOX = (2, 12, 3, 13, 4, 14)
CUT = cropped_grid(GRID, (slice(2, 12), slice(3, 13), slice(4, 14)))
PROTOCOL = Protocol()
RINGS = ("peritumoural", MEASURED)


def box(grid, z, y, x):
    """A box of voxels."""
    voxels = np.zeros(grid.shape_zyx, bool)
    voxels[slice(*z), slice(*y), slice(*x)] = True
    return voxels


RING_GRID = Grid((30, 28, 26), (2.0, 2.0, 3.0), (5.0, -7.0, 40.0))
LUNG = box(RING_GRID, (2, 24), (2, 26), (2, 28))
EXPERT, MODEL = box(RING_GRID, (10, 14), (10, 16), (10, 20)), box(RING_GRID, (11, 15), (12, 17), (9, 15))
CORRECTED = box(RING_GRID, (9, 15), (9, 18), (8, 16))


def tumour() -> np.ndarray:
    voxels = np.zeros(GRID.shape_zyx, bool)
    voxels[5:9, 6:10, 7:12] = True
    voxels[14, 15, 16] = True  # outside the box that is drawn on
    return voxels


@pytest.fixture
def study(tmp_path):
    """One case with a CT and an automatic tumour, stored as the runner stores them."""
    start_run(tmp_path, "run-1")
    ct = CtSeries(np.zeros(GRID.shape_zyx, np.int16), GRID)
    masks = AutomaticMasks((Mask("tumour", "automatic", "model", tumour(), GRID),))
    put(tmp_path, "acquire", ("ct", CtSeries, ct), ("references", ReferenceMasks, ReferenceMasks(())))
    put(tmp_path, "segment", ("masks", AutomaticMasks, masks))
    return tmp_path


def put(study, stage, *outputs, run="run-1"):
    folder, key = StudyFolder(study), f"{stage}{run}".ljust(64, "0")
    with Ledger(folder) as ledger:
        ledger.place_tasks(run, stage, [("A", key)])
        ledger.claim(key)
        files = [store_value(folder, f"{stage}.{field}", key, kind, value) for field, kind, value in outputs]
        ledger.finish_task(key, files, 1.0, 1.0)


GRANT = Grant("PUT", "run-1", "A", "Ada", "work list", 1, ("automatic",), "", (), BOX, (1, 1, 1), "", "me", 0.0, 0.0)


def sent(voxels):
    return nifti_gz(voxels.astype(np.uint8), CUT)


def test_inside_the_box_the_drawing_stands_and_outside_the_mask_stays(study):
    drawn = np.zeros((10, 10, 10), bool)
    drawn[4, 5, 6] = True
    saved = save_from_viewer(study, GRANT, sent(drawn))
    expected = tumour()
    expected[2:12, 3:13, 4:14] = drawn
    mask = load_drawn(StudyFolder(study), saved.drawn_key)
    assert (mask.voxels == expected).all()
    assert same_grid(mask.grid, GRID)
    assert (mask.origin, mask.source) == ("corrected", "Ada")
    assert saved.changed_voxels == np.count_nonzero(expected ^ tumour())


def test_a_second_drawing_goes_on_from_the_first_and_both_stay(study):
    first = save_from_viewer(study, GRANT, sent(np.zeros((10, 10, 10), bool)))
    one = np.zeros((10, 10, 10), bool)
    one[0, 0, 0] = True
    second = save_from_viewer(study, replace(GRANT, drawn_key=first.drawn_key), sent(one))
    assert (first.version, second.version) == (1, 2)
    assert load_drawn(StudyFolder(study), first.drawn_key).voxels.sum() == 1
    assert load_drawn(StudyFolder(study), second.drawn_key).voxels.sum() == 2
    with Ledger(StudyFolder(study)) as ledger:
        assert draft_of(ledger, Reading("A", "Ada")).drawn_key == second.drawn_key


def test_a_blank_canvas_begins_empty_and_is_independent(study):
    blank = replace(GRANT, mode="blank canvas", layers=("lungs", "yours"))
    saved = save_from_viewer(study, blank, sent(np.ones((10, 10, 10), bool)))
    mask = load_drawn(StudyFolder(study), saved.drawn_key)
    assert (mask.origin, mask.voxels.sum()) == ("independent", 1000)
    with Ledger(StudyFolder(study)) as ledger:
        assert (drawn_masks(ledger)[0].parent_key, drawn_masks(ledger)[0].edit_dsc) == ("", None)


@pytest.mark.parametrize(
    "moved",
    [
        replace(CUT, origin_mm=(CUT.origin_mm[0] + 0.8, *CUT.origin_mm[1:])),
        replace(CUT, spacing_mm=(0.8, 0.9, 2.6)),
        replace(CUT, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)),
        replace(CUT, direction=tuple(-d for d in CUT.direction)),
    ],
)
def test_another_geometry_is_refused_and_nothing_is_stored(study, moved):
    with pytest.raises(RefusedError, match="geometry differs"):
        save_from_viewer(study, GRANT, nifti_gz(np.ones((10, 10, 10), np.uint8), moved))
    with Ledger(StudyFolder(study)) as ledger:
        assert drawn_masks(ledger) == ()


def test_what_goes_out_as_a_file_comes_back_the_same(study):
    out = exported(study, GRANT)
    saved = save_from_file(study, GRANT, out, "edited.nii.gz")
    assert saved.changed_voxels == 0
    assert (load_drawn(StudyFolder(study), saved.drawn_key).voxels == tumour()).all()


def test_the_name_of_a_file_only_says_its_kind(study):
    with pytest.raises(RefusedError, match="is needed"):
        save_from_file(study, GRANT, b"x", "mask.exe")
    assert save_from_file(study, GRANT, exported(study, GRANT), "../../etc/passwd.nii.gz").version == 1
    assert not list(StudyFolder(study).unfinished.iterdir())


# how slices lie: row and column cosines, where the first begins, and the step to the next
LAID = {
    "head first": ((1, 0, 0, 0, 1, 0), (-8, -8, 0), (0, 0, 2)),
    "prone": ((-1, 0, 0, 0, -1, 0), (8, 8, 0), (0, 0, 2)),
    "sagittal": ((0, 1, 0, 0, 0, -1), (-12, -8, 8), (2, 0, 0)),
}


def dicom_study(folder, laid="head first", series_uid="1.2.3.4", drawn=(slice(3, 5), slice(4, 9), slice(2, 8))):
    """Case A read from a DICOM series that lies so; its automatic tumour is a box on the canonical axes."""
    cosines, first, step = LAID[laid]

    def lay(number, slice_):
        slice_.ImageOrientationPatient = list(cosines)
        slice_.ImagePositionPatient = [start + number * by for start, by in zip(first, step, strict=True)]

    paths = write_series(folder / "images", lay, series_uid)
    ct = canonical_ct(read_ct_series([read_header(path) for path in paths], Acquire()).ct)
    voxels = np.zeros(ct.grid.shape_zyx, bool)
    if drawn:
        voxels[drawn] = True
    start_run(folder, "run-1")
    masks = AutomaticMasks((Mask("tumour", "automatic", "model", voxels, ct.grid),))
    put(folder, "acquire", ("ct", CtSeries, ct), ("references", ReferenceMasks, ReferenceMasks(())))
    put(folder, "segment", ("masks", AutomaticMasks, masks))
    files = tuple(SourceFile(f"CT slice {place}", str(path), "a" * 64) for place, path in enumerate(paths))
    write_sources(folder, Sources((CaseSource("A", "dicom", files),)))
    return masks.find("tumour")


def points_mm(x, y, z):
    """Points as a set, to a thousandth of a millimetre."""
    return {tuple(np.round(point, 3) + 0.0) for point in np.stack([x, y, z], axis=1)}


def pixels_in_space(sent: bytes):
    """Where the pixels of a DICOM SEG lie by its own frames."""
    seg = pydicom.dcmread(io.BytesIO(sent))
    cosines = np.array(seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient, float)
    found = []
    for own, pixels in zip(seg.PerFrameFunctionalGroupsSequence, np.atleast_3d(seg.pixel_array), strict=True):
        rows, columns = np.nonzero(pixels)
        start = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
        found.append(start + columns[:, None] * cosines[:3] + rows[:, None] * cosines[3:])  # pixels of 1 mm
    return points_mm(*np.concatenate(found).T)


@pytest.mark.parametrize("laid", LAID)
def test_a_dicom_seg_lies_where_the_mask_does_however_the_slices_lie_and_comes_back(tmp_path, laid):
    mask = dicom_study(tmp_path, laid)
    sent = exported_seg(tmp_path, GRANT)
    z, y, x = np.nonzero(mask.voxels)
    assert pixels_in_space(sent) == points_mm(
        *index_to_points_mm(np.stack([x, y, z], axis=1).astype(float), mask.grid).T
    )
    saved = save_from_file(tmp_path, GRANT, sent, "A_mask.dcm")
    assert (saved.voxels, saved.changed_voxels) == (2 * 5 * 6, 0)


def test_a_dicom_seg_of_another_series_is_refused(tmp_path):
    dicom_study(tmp_path / "other", series_uid="1.2.3.77")
    dicom_study(tmp_path / "study")
    sent = exported_seg(tmp_path / "other", GRANT)
    with pytest.raises(RefusedError, match="another series") as refused:
        save_from_file(tmp_path / "study", GRANT, sent, "mask.dcm")
    assert refused.value.code == "other_series"


def test_where_no_series_can_be_compared_our_own_seg_of_another_case_is_refused(tmp_path):
    dicom_study(tmp_path)
    sent = exported_seg(tmp_path, GRANT)
    write_sources(tmp_path, Sources())
    assert save_from_file(tmp_path, GRANT, sent, "mask.dcm").changed_voxels == 0
    other, out = pydicom.dcmread(io.BytesIO(sent)), io.BytesIO()
    other.PatientID = "B"
    other.save_as(out)
    with pytest.raises(RefusedError, match="another series"):
        save_from_file(tmp_path, GRANT, out.getvalue(), "mask.dcm")


def test_no_dicom_seg_in_a_blind_mode_of_an_empty_mask_or_of_a_case_that_is_no_dicom(tmp_path, study):
    dicom_study(tmp_path / "drawn")
    dicom_study(tmp_path / "empty", drawn=())
    assert has_segment(tmp_path / "drawn", GRANT)
    for mode in ("reader study", "blank canvas"):
        assert not has_segment(tmp_path / "drawn", replace(GRANT, mode=mode))
        with pytest.raises(ValueError, match="no blind mode"):
            exported_seg(tmp_path / "drawn", replace(GRANT, mode=mode))
    assert not has_segment(tmp_path / "empty", GRANT)
    assert not has_segment(tmp_path / "drawn", replace(GRANT, layers=()))
    assert not has_segment(study, GRANT)


def test_a_small_file_that_unpacks_to_much_more_is_refused(study, monkeypatch):
    monkeypatch.setattr("engine.run.drawing.Acquire", lambda: type("Rules", (), {"max_voxels": 1000})())
    large = nifti_gz(np.zeros((40, 40, 40), np.uint8), Grid((40, 40, 40), (1, 1, 1), (0, 0, 0)))
    with pytest.raises(RefusedError, match="larger than a mask"):
        save_from_viewer(study, GRANT, large)


def test_the_outlines_are_bits_in_the_order_of_the_grant(study):
    body = gzip.decompress(layers_bytes(study, replace(GRANT, layers=("lungs", "automatic"))))[352:]
    bits = np.frombuffer(body, np.uint8).reshape(10, 10, 10)
    assert ((bits == 2) == tumour()[2:12, 3:13, 4:14]).all()
    assert set(np.unique(bits)) == {0, 2}


def test_doubt_is_a_layer_of_its_own_that_is_off_at_first_and_absent_where_none_was_stored(study):
    names = visible_layers("work list", False)
    assert "doubt" not in [layer.name for layer in case_layers(study, "run-1", "A", names, "", ())]
    wavering = np.zeros(GRID.shape_zyx, bool)
    wavering[4:10, 5, 6] = True
    doubt = DoubtMasks((Mask("doubt", "automatic", "model", wavering, GRID),))
    store_value(StudyFolder(study), "segment.doubt", "segmentrun-1".ljust(64, "0"), DoubtMasks, doubt)
    layers = case_layers(study, "run-1", "A", names, "", ())
    assert "doubt" not in shown_first(layers)
    body = gzip.decompress(layers_bytes(study, replace(GRANT, layers=("automatic", "doubt"))))[352:]
    bits = np.frombuffer(body, np.uint8).reshape(10, 10, 10)
    assert (bits == tumour()[2:12, 3:13, 4:14] + 2 * wavering[2:12, 3:13, 4:14]).all()


def test_the_grid_of_blocks_lies_in_the_middle_of_them():
    grid = viewed_grid(Grid((8, 8, 8), (1, 2, 3), (10, 20, 30)), Extent((0, 8, 2, 8, 0, 8), (1, 2, 2)))
    assert grid.size_xyz == (4, 3, 8)
    assert grid.spacing_mm == (2, 4, 3)
    assert grid.origin_mm == pytest.approx((10.5, 25, 30))


@pytest.mark.parametrize(
    ("mode", "signed", "hidden"),
    [
        ("blank canvas", True, {"lungs", "automatic", "doubt", "reference", *RINGS, "reader A", "reader B"}),
        ("reader study", True, {"doubt", "reference", MEASURED, "reader A", "reader B"}),
        ("work list", False, {MEASURED, "reader A", "reader B"}),
        ("work list", True, {"peritumoural"}),
        ("adjudication", False, {"peritumoural"}),
    ],
)
def test_a_mode_hides_what_would_lead_the_reader(mode, signed, hidden):
    every = {"lungs", *RINGS, "reference", "automatic", "doubt", "reader A", "reader B", "yours"}
    assert every - set(visible_layers(mode, signed)) == hidden


def test_no_token_outlives_the_session(study):
    soon = time.time() + 5
    (token,) = tokens(study, replace(GRANT, ends_at=soon), "GET").values()
    assert grant_of(viewer_secret(study), token, "GET", GRANT.session, soon - 1).expires_at == soon
    with pytest.raises(ForbiddenError, match="expired"):
        grant_of(viewer_secret(study), token, "GET", GRANT.session, soon)


def test_the_surface_error_is_the_distance_to_the_references_surface_also_beyond_what_is_shown(tmp_path):
    grid = Grid((20, 18, 16), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    reference, automatic = np.zeros(grid.shape_zyx, bool), np.zeros(grid.shape_zyx, bool)
    reference[4:12, 4:12, 4:10] = automatic[4:12, 4:12, 4:14] = True
    start_run(tmp_path, "run-1")
    outlines = [Mask("tumour", "independent", "reference", reference, grid)]
    found = [Mask("tumour", "automatic", "model", automatic, grid)]
    ct = CtSeries(np.zeros(grid.shape_zyx, np.int16), grid)
    put(
        *(tmp_path, "acquire", ("ct", CtSeries, ct)),
        ("references", ReferenceMasks, ReferenceMasks(tuple(outlines))),
    )
    put(tmp_path, "segment", ("masks", AutomaticMasks, AutomaticMasks(tuple(found))))
    seen = replace(GRANT, layers=("reference", "automatic"), box=(0, 16, 0, 18, 0, 20))
    error = bytes_of(error_bytes(tmp_path, seen), (16, 18, 20))
    assert (error[~automatic] == 0).all()
    assert error[8, 8, 10:14].tolist() == [10, 30, 50, 70]  # the surface lies half a voxel beyond the last centre
    part = replace(seen, box=(5, 10, 5, 10, 12, 16))
    assert (bytes_of(error_bytes(tmp_path, part), (5, 5, 4)) == error[5:10, 5:10, 12:16]).all()
    assert not bytes_of(error_bytes(tmp_path, replace(seen, layers=("automatic",))), (16, 18, 20)).any()


def bytes_of(body: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The voxels of a NIfTI file of bytes."""
    return np.frombuffer(gzip.decompress(body)[352:], np.uint8).reshape(shape)


def ring_study(folder, automatic=MODEL, chosen=EXPERT, others=(), expert_lungs=()):
    """A case whose measured ring goes around the mask that stands downstream, made by the stage itself."""
    start_run(folder, "run-1", protocol=PROTOCOL)
    ct = CtSeries(np.zeros(RING_GRID.shape_zyx, np.int16), RING_GRID)
    lungs = Mask("lung_left", "automatic", "threshold", LUNG, RING_GRID)
    lesions = tuple(Mask("tumour", "independent", "reference", m, RING_GRID, 1 + n) for n, m in enumerate(others))
    outlined = Mask("tumour", "independent", "reference", EXPERT, RING_GRID)
    beside = tuple(Mask("lung_left", "independent", "reference", m, RING_GRID) for m in expert_lungs)
    reference = ReferenceMasks((outlined, *lesions, *beside))
    found = () if automatic is None else (Mask("tumour", "automatic", "model", automatic, RING_GRID),)
    standing = FeatureMasks((Mask("tumour", "corrected", "Ben", chosen, RING_GRID), lungs, *lesions))
    made = delineate_regions(ct, standing, (), (), PROTOCOL.grid, PROTOCOL.rois).masks
    put(folder, "acquire", ("ct", CtSeries, ct), ("references", ReferenceMasks, reference))
    put(folder, "segment", ("masks", AutomaticMasks, AutomaticMasks((*found, lungs))))
    put(folder, "regions", ("masks", RoiMasks, made))
    return folder


def ring_shown(study, mode, signed=False):
    """The voxels of the ring of a mode on the feature grid, and the name of its layer."""
    layers = case_layers(study, "run-1", "A", visible_layers(mode, signed), "", ())
    (layer,) = (layer for layer in layers if layer.name in ("peritumoural", MEASURED))
    grid = feature_grid(RING_GRID, PROTOCOL.grid)
    voxels = [resample_mask(mask.voxels, mask.grid, grid) for mask in layer.masks]
    return layer.name, voxels[0] if voxels else np.zeros(grid.shape_zyx, bool)


def stage_ring(tumour, others=()):
    """The ring of the stage around a tumour."""
    lesions = [Mask("tumour", "independent", "reference", m, RING_GRID, 1 + n) for n, m in enumerate(others)]
    lungs = Mask("lung_left", "automatic", "threshold", LUNG, RING_GRID)
    masks = FeatureMasks((Mask("tumour", "automatic", "model", tumour, RING_GRID), lungs, *lesions))
    ct = CtSeries(np.zeros(RING_GRID.shape_zyx, np.int16), RING_GRID)
    return delineate_regions(ct, masks, (), (), PROTOCOL.grid, PROTOCOL.rois).masks.find("peritumoural").voxels


@pytest.mark.parametrize("mode", ["reader study", "work list"])
@pytest.mark.parametrize("standing", [EXPERT, CORRECTED])
def test_who_must_be_blind_sees_the_ring_around_the_outline_that_he_judges(tmp_path, mode, standing):
    name, ring = ring_shown(ring_study(tmp_path, chosen=standing), mode)
    assert name == "peritumoural"
    assert (ring == stage_ring(MODEL)).all()


def test_who_signed_and_who_adjudicates_see_the_ring_that_is_measured(tmp_path):
    study = ring_study(tmp_path, chosen=CORRECTED)
    for mode, signed in (("work list", True), ("adjudication", False)):
        name, ring = ring_shown(study, mode, signed)
        assert name == MEASURED
        assert (ring == stage_ring(CORRECTED)).all()


@pytest.mark.parametrize("automatic", [None, np.zeros(RING_GRID.shape_zyx, bool)])
def test_without_an_automatic_outline_the_ring_goes_around_the_reference_only_where_that_is_shown(tmp_path, automatic):
    study = ring_study(tmp_path, automatic, chosen=CORRECTED)
    assert (ring_shown(study, "work list")[1] == stage_ring(EXPERT)).all()
    assert not ring_shown(study, "reader study")[1].any()


def test_other_lesions_of_the_reference_leave_no_hole_in_the_ring_of_a_reader_study(tmp_path):
    beside = box(RING_GRID, (15, 17), (12, 17), (9, 15))
    study = ring_study(tmp_path, others=(beside,))
    assert (ring_shown(study, "reader study")[1] == stage_ring(MODEL)).all()
    assert (ring_shown(study, "work list")[1] == stage_ring(MODEL, (beside,))).all()
    assert (stage_ring(MODEL) != stage_ring(MODEL, (beside,))).any()


def test_lungs_that_end_at_the_hidden_outline_are_hidden_with_it_and_cut_no_ring(tmp_path):
    up_to_the_expert = LUNG & ~EXPERT & ~box(RING_GRID, (2, 24), (2, 8), (2, 28))
    study = ring_study(tmp_path, expert_lungs=(up_to_the_expert,))
    shown = {
        mode: next(layer for layer in case_layers(study, "run-1", "A", visible_layers(mode, False), "", ()))
        for mode in ("reader study", "work list")
    }
    assert {layer.name for layer in shown.values()} == {"lungs"}
    assert [mask.voxels.tolist() for mask in shown["reader study"].masks] == [LUNG.tolist()]
    assert [mask.voxels.tolist() for mask in shown["work list"].masks] == [up_to_the_expert.tolist()]
    assert (ring_shown(study, "reader study")[1] == stage_ring(MODEL)).all()
    assert (ring_shown(study, "work list")[1] != stage_ring(MODEL)).any()


def test_satellites_of_the_automatic_outline_have_no_ring(tmp_path):
    study = ring_study(tmp_path, MODEL | box(RING_GRID, (4, 5), (4, 5), (4, 5)))
    assert (ring_shown(study, "reader study")[1] == stage_ring(MODEL)).all()


@pytest.mark.parametrize("mode", ["reader study", "blank canvas"])
def test_the_number_of_a_version_tells_a_blind_reader_of_nobody_before_him(study, mode):
    drawn = sent(np.ones((10, 10, 10), bool))
    save_from_viewer(study, replace(GRANT, reader="Ben"), drawn)
    blind = replace(GRANT, mode=mode)
    first = save_from_viewer(study, blind, drawn)
    second = save_from_viewer(study, replace(blind, drawn_key=first.drawn_key), drawn)
    assert (first.version, second.version) == (1, 2)
    with Ledger(StudyFolder(study)) as ledger:
        assert [mask.version for mask in drawn_masks(ledger)] == [1, 2, 3]


def test_the_number_of_a_version_tells_no_reader_that_a_case_comes_twice(study):
    said = []
    for reading, sizes in ((1, (3, 4, 5)), (2, (6, 4, 5))):  # the repeat meets masks of the first reading again
        grant = replace(GRANT, mode="reader study", reading=reading)
        for size in sizes:
            voxels = np.zeros((10, 10, 10), bool)
            voxels[:size] = True
            saved = save_from_viewer(study, grant, sent(voxels))
            grant = replace(grant, drawn_key=saved.drawn_key)
            with Ledger(StudyFolder(study)) as ledger:
                said.append((reading, saved.version, own_version(drawn_masks(ledger), saved.drawn_key)))
    assert said == [(1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 1), (2, 2, 2), (2, 3, 3)]


def test_after_undo_versions_count_from_the_automatic_mask_again_and_from_there_on(study):
    grant = replace(GRANT, mode="reader study")
    first = save_from_viewer(study, grant, sent(np.ones((10, 10, 10), bool)))
    with Ledger(StudyFolder(study)) as ledger:
        drop_drawing(ledger, Reading("A", "Ada", "reader study"))
    second = save_from_viewer(study, grant, sent(np.zeros((10, 10, 10), bool)))
    assert (first.version, second.version) == (1, 1)
    with Ledger(StudyFolder(study)) as ledger:
        parents = {mask.parent_key for mask in drawn_masks(ledger)}
    assert parents == {mask_key(Mask("tumour", "automatic", "model", tumour(), GRID))}


def test_a_correction_is_measured_on_the_mask_that_is_judged_and_tells_over_which_it_was_drawn(study):
    """The next run finds the 4 x 4 x 5 voxels two columns on, and so a single voxel beside them: 48 are shared."""
    drawn = tumour()[2:12, 3:13, 4:14]
    drawn[3, 3, 3] = False
    first = save_from_viewer(study, GRANT, sent(drawn))
    drawn[3, 3, 3] = True
    second = save_from_viewer(study, replace(GRANT, drawn_key=first.drawn_key), sent(drawn))
    moved = Mask("tumour", "automatic", "model", np.roll(tumour(), 2, 2), GRID)
    start_run(study, "run-2")
    put(study, "segment", ("masks", AutomaticMasks, AutomaticMasks((moved,))), run="run-2")
    with Ledger(StudyFolder(study)) as ledger:
        saved = drawn_masks(ledger)
    assert [measured_now(study, "run-1", edit) for edit in saved] == list(saved)
    now = measured_now(study, "run-2", saved[0])
    assert (now.changed_voxels, now.edit_dsc) == (65, pytest.approx(96 / 161))
    assert now.volume_change_percent == pytest.approx(-100 / 81)
    before = mask_key(Mask("tumour", "automatic", "model", tumour(), GRID))
    assert [drawn_over(saved, key) for key in (first.drawn_key, second.drawn_key, "unknown")] == [before, before, ""]


def test_a_drawing_on_other_images_of_the_case_is_not_gone_on_with(study):
    """The case was acquired again: what is drawn next begins from the automatic mask, as it is seen on screen."""
    moved = replace(GRID, origin_mm=(0.0, 0.0, 0.0))
    mask = Mask("tumour", "corrected", "Ada", np.ones(GRID.shape_zyx, bool), moved)
    about = DrawnMask("A", "tumour", 0, "Ada", "corrected", "", "", "viewer", 0, 0, 0.0, None, None, "")
    with Ledger(StudyFolder(study)) as ledger:
        add_drawn(StudyFolder(study), ledger, Reading("A", "Ada"), mask, Edit(0, 1.0, 0.0), about, "")
    old = drawing_key("A", mask)
    saved = save_from_viewer(study, replace(GRANT, drawn_key=old), sent(np.zeros((10, 10, 10), bool)))
    expected = tumour()
    expected[2:12, 3:13, 4:14] = False
    assert (load_drawn(StudyFolder(study), saved.drawn_key).voxels == expected).all()
    with Ledger(StudyFolder(study)) as ledger:
        automatic = mask_key(Mask("tumour", "automatic", "model", tumour(), GRID))
        assert drawn_over(drawn_masks(ledger), saved.drawn_key) == automatic
        (measured,) = [measured_now(study, "run-1", edit) for edit in drawn_masks(ledger) if edit.drawn_key == old]
    assert measured.edit_dsc == 0  # 397 mm apart: nothing of it is on these images
