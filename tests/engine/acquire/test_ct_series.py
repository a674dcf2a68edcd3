"""Series that today's readers accept with wrong geometry or values must be refused or flagged (notes/storage.md 4)."""

from __future__ import annotations

import numpy as np
import pytest

from engine.acquire.ct_series import read_ct_series
from engine.acquire.dicom_frames import read_headers
from engine.bench.malformed.made_dicom import SLICES, ct_slice, write, write_series
from engine.protocol import Acquire
from store.records import RefusedError


def read(paths):
    return read_ct_series([header for path in paths for header in read_headers(path)], Acquire())


def test_slices_come_sorted_along_the_normal_in_hounsfield_units(tmp_path):
    series = read(write_series(tmp_path))
    assert series.ct.grid.size_xyz == (16, 16, SLICES)
    assert series.ct.grid.spacing_mm == (1.0, 1.0, 2.0)
    assert series.ct.grid.origin_mm == (-8.0, -8.0, 0.0)
    assert series.ct.intensity_hu.dtype == np.int16
    assert series.ct.intensity_hu[:, 5, 5].tolist() == [number - 24 for number in range(SLICES)]
    assert series.flags == ()


def test_each_slice_uses_its_own_rescale(tmp_path):
    def shifted(number, ds):
        if number == 3:
            ds.RescaleIntercept, ds.PixelData = -24, np.full((16, 16), 3, np.uint16).tobytes()

    series = read(write_series(tmp_path, shifted))
    assert series.ct.intensity_hu[3].max() == -21


def test_fractional_values_stay_float(tmp_path):
    def half(number, ds):
        ds.RescaleSlope = 0.5

    assert read(write_series(tmp_path, half)).ct.intensity_hu.dtype == np.float32


def test_reversed_acquisition_gives_a_right_handed_grid(tmp_path):
    def feet_first(number, ds):
        ds.ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
        ds.ImagePositionPatient = [8.0, -8.0, 2.0 * number]

    grid = read(write_series(tmp_path, feet_first)).ct.grid
    assert np.linalg.det(np.array(grid.direction).reshape(3, 3)) == pytest.approx(1)
    assert grid.origin_mm == (8.0, -8.0, 22.0)


def edits():  # noqa: C901 - one small edit a bad input
    def at(place, **tags):
        def edit(number, ds):
            if place is None or number == place:
                for name, value in tags.items():
                    if value is None:
                        delattr(ds, name)
                    else:
                        setattr(ds, name, value)

        return edit

    def z(position):
        def edit(number, ds):
            x, y, _ = ds.ImagePositionPatient
            ds.ImagePositionPatient = [x, y, position(number)]

        return edit

    def tilted(number, ds):
        ds.ImagePositionPatient = [-8.0, -8.0 + 0.5 * number, 2.0 * number]

    def two_acquisitions(number, ds):
        ds.AcquisitionNumber = 1 + number % 2

    def truncated(number, ds):
        if number == 4:
            ds.PixelData = ds.PixelData[:100]

    return {
        "modality MR": (at(None, Modality="MR"), "not_ct"),
        "modality missing": (at(None, Modality=None), "no_modality"),
        "slope missing": (at(None, RescaleSlope=None), "no_rescale"),
        "slope missing in one slice": (at(5, RescaleSlope=None), "no_rescale"),
        "intercept missing": (at(None, RescaleIntercept=None), "no_rescale"),
        "slope zero": (at(2, RescaleSlope=0), "no_rescale"),
        "not Hounsfield": (at(None, RescaleType="OD"), "not_hu"),
        "position missing": (at(1, ImagePositionPatient=None), "no_position"),
        "orientation missing": (at(1, ImageOrientationPatient=None), "no_orientation"),
        "spacing missing": (at(1, PixelSpacing=None), "no_spacing"),
        "spacing zero": (at(1, PixelSpacing=[0, 1]), "no_spacing"),
        "mixed orientation": (at(6, ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), "mixed_orientation"),
        "mixed pixel spacing": (at(6, PixelSpacing=[1.5, 1.5]), "mixed_spacing"),
        "burned in": (at(0, BurnedInAnnotation="YES"), "burned_in"),
        "gantry tilt": (tilted, "gantry_tilt"),
        "one slice shifted aside": (at(5, ImagePositionPatient=[-3.0, -8.0, 10.0]), "shifted_slices"),
        "variable spacing": (
            z(lambda n: 2.0 * n if n < 6 else 10.0 + 5.0 * (n - 5)),
            "missing_slices|variable_spacing",
        ),
        "jittered spacing": (z(lambda n: 2.0 * n + 0.1 * (n == 7)), "variable_spacing"),
        "duplicate position": (z(lambda n: 2.0 * min(n, SLICES - 2)), "duplicate_slices"),
        "interleaved acquisitions": (two_acquisitions, "two_acquisitions"),
        "truncated slice": (truncated, "undecodable"),
        "multi-frame without frames": (at(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1"), "undecodable"),
        "frames of reference": (at(6, FrameOfReferenceUID="1.2.3.10"), "mixed_frames"),
        "studies": (at(6, StudyInstanceUID="1.2.4"), "mixed_studies"),
        "inverted": (at(6, PhotometricInterpretation="MONOCHROME1"), "photometric"),
        "palette": (at(None, PhotometricInterpretation="PALETTE COLOR"), "photometric"),
        "screen save": (at(None, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "not_ct_slice"),
        "projection": (at(None, ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"]), "not_ct_slice"),
        "projection by a vendor": (at(None, ImageType=["DERIVED", "PRIMARY", "MPR", "CT_SOM5 MIP"]), "not_ct_slice"),
        "map of a material": (at(3, ImageType=["DERIVED", "PRIMARY", "VOLUME", "MAT_SPECIFIC"]), "not_ct_slice"),
        "secondary capture": (at(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), "not_ct_image"),
    }


@pytest.mark.parametrize("name", edits())
def test_refused(tmp_path, name):
    edit, codes = edits()[name]
    with pytest.raises(RefusedError) as caught:
        read(write_series(tmp_path, edit))
    assert caught.value.code in codes.split("|")
    assert caught.value.remedy
    assert str(tmp_path) not in str(caught.value)


def placed(tmp_path, position, slices=SLICES):
    def edit(number, ds):
        ds.ImagePositionPatient = [-8.0, -8.0, position(number)]

    return read(write_series(tmp_path, edit, numbers=range(slices)))


@pytest.mark.parametrize("step_mm", [0.5, 0.625, 1.25, 2 / 3, 0.75])
@pytest.mark.parametrize("first_mm", [0.0, -310.125])
def test_positions_written_with_two_decimals_are_even_steps(tmp_path, step_mm, first_mm):
    grid = placed(tmp_path, lambda n: round(first_mm + step_mm * n, 2), 40).ct.grid
    last_mm = round(first_mm + step_mm * 39, 2)
    assert grid.origin_mm[2] == round(first_mm, 2)
    assert grid.origin_mm[2] + 39 * grid.spacing_mm[2] == pytest.approx(last_mm)
    assert grid.spacing_mm[2] == pytest.approx(step_mm, abs=0.01 / 39)


@pytest.mark.parametrize(
    ("position", "code"),
    [
        (lambda n: round(0.625 * (n + (n > 20)), 2), "missing_slices"),
        (lambda n: round(0.625 * n, 2) + 0.03 * (n == 20), "variable_spacing"),
        (lambda n: round(0.625 * n, 2) + 0.03 * (n > 20), "variable_spacing"),
        (lambda n: n + 0.01 * max(0, n - 20), "variable_spacing"),  # each step within 1 %, 0.13 mm off even ones
        (lambda n: round(0.75 * n, 1), "variable_spacing"),
    ],
)
def test_uneven_steps_are_refused_however_positions_are_written(tmp_path, position, code):
    with pytest.raises(RefusedError) as caught:
        placed(tmp_path, position, 60)
    assert caught.value.code == code


NOTICED = {
    "kernel": ({"ConvolutionKernel": "B70f"}, "mixed_acquisition", "ConvolutionKernel"),
    "tube voltage": ({"KVP": 80}, "mixed_acquisition", "KVP"),
    "one slice derived": ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}, "derived", "1 of 12"),
    "a reformat": ({"ImageType": ["ORIGINAL", "SECONDARY", "AXIAL", "CT_SOM5 MPR"]}, "derived", "1 of 12"),
}


@pytest.mark.parametrize("name", NOTICED)
def test_a_slice_of_another_making_is_flagged(tmp_path, name):
    tags, code, words = NOTICED[name]

    def edit(number, ds):
        ds.ConvolutionKernel = "B30f"
        if number == 5:
            ds.update(tags)

    (flag,) = read(write_series(tmp_path, edit)).flags
    assert flag.code == code
    assert words in flag.message


def test_a_frame_of_reference_of_its_own_in_each_slice_is_flagged_and_a_few_frames_are_refused(tmp_path):
    def framed(slices_each):
        return lambda number, ds: ds.update({"FrameOfReferenceUID": f"1.2.3.10.{number // slices_each}"})

    series = read(write_series(tmp_path / "own", framed(1)))
    assert [flag.code for flag in series.flags] == ["frame_per_slice"]
    with pytest.raises(RefusedError, match="mixed_frames"):
        read(write_series(tmp_path / "pairs", framed(2)))


def test_missing_slices_are_named_by_position(tmp_path):
    with pytest.raises(RefusedError, match=r"2 slices are missing at 6\.00\.\.12\.00 mm") as caught:
        read(write_series(tmp_path, numbers=[n for n in range(14) if n not in (4, 5)]))
    assert caught.value.code == "missing_slices"


def test_too_few_slices_are_refused(tmp_path):
    with pytest.raises(RefusedError, match="few_slices"):
        read(write_series(tmp_path, numbers=range(5)))


def test_two_acquisitions_over_each_other_are_told_apart_from_duplicates(tmp_path):
    paths = write_series(tmp_path)
    for number in range(SLICES):
        again = ct_slice(number, "1.2.3.4", "P1")
        again.AcquisitionNumber, again.RescaleIntercept = 2, -1000
        paths.append(write(again, tmp_path / f"b{number}.dcm"))
    with pytest.raises(RefusedError, match="two_acquisitions"):
        read(paths)


def test_a_pixel_identical_copy_is_read_once_and_flagged(tmp_path):
    paths = write_series(tmp_path)
    paths.append(write(ct_slice(3, "1.2.3.4", "P1"), tmp_path / "copy.dcm"))
    series = read(paths)
    assert series.ct.grid.size_xyz[2] == SLICES
    assert [flag.code for flag in series.flags] == ["identical_slices"]


def test_slices_missing_at_an_end_are_flagged_by_their_numbers(tmp_path):
    series = read(write_series(tmp_path, numbers=range(2, 14)))
    assert [flag.code for flag in series.flags] == ["slices_announced"]
