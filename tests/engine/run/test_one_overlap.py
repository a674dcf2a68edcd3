"""`overlap` of two files, without a study: closed forms of cubes, empty masks, masks that do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from engine.commands import app

SPACING = (0.7, 0.7, 5.0)


@pytest.fixture
def mask_file(tmp_path):
    def write(name, start=10, size=10, spacing=SPACING):
        voxels = np.zeros((40, 40, 40), np.uint8)
        voxels[10 : 10 + size, 10 : 10 + size, start : start + size] = 1
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing(spacing)
        path = tmp_path / f"{name}.nii.gz"
        sitk.WriteImage(image, str(path))
        return str(path)

    return write


def overlap(*arguments):
    done = CliRunner().invoke(app, ["overlap", *arguments])
    return done


def found_as_json(*arguments):
    done = overlap(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_shifted_cubes_have_the_dsc_of_their_edges(mask_file):
    """Two boxes of 10 voxels, 2 apart along x: 8 of 10 in common; farthest side 2 x 0.7 mm away."""
    found = found_as_json(mask_file("a"), mask_file("b", start=12))
    assert found["dsc"] == pytest.approx(0.8)
    assert found["surface_dsc"] == 1.0
    assert found["hd95_mm"] == pytest.approx(1.4, abs=1e-6)
    assert found["volume_error_ml"] == pytest.approx(0)
    assert found["centroid_distance_mm"] == pytest.approx(1.4)
    assert found["spacing_mm"] == pytest.approx(list(SPACING))
    assert set(found["definitions"]) == {"surface_dsc", "surface_dsc_smooth", "hd95_mm"}


def test_the_tolerance_is_the_one_asked_for(mask_file):
    narrow = found_as_json(mask_file("a"), mask_file("b", start=12), "--tolerance-mm", "0.5")
    assert narrow["tolerance_mm"] == 0.5
    assert 0 < narrow["surface_dsc"] < 1
    assert narrow["surface_dsc_by_tolerance_mm"]["0.5"] == narrow["surface_dsc"]


def test_nothing_found_is_0_and_never_infinite(mask_file):
    found = found_as_json(mask_file("a"), mask_file("none", size=0))
    assert (found["dsc"], found["surface_dsc"], found["missed"], found["missed_kind"]) == (0, 0, True, "empty")
    assert found["hd95_mm"] is None


def test_the_wrong_place_is_missed_and_extra(mask_file):
    found = found_as_json(mask_file("a"), mask_file("far", start=28))
    assert (found["dsc"], found["missed"], found["extra_components"]) == (0, True, 1)


def test_two_empty_masks_are_excluded_with_the_reason(mask_file):
    found = found_as_json(mask_file("one", size=0), mask_file("other", size=0))
    assert found["dsc"] is None
    assert "no lesion" in found["excluded"]


def test_words_hold_the_same_numbers(mask_file):
    said = overlap(mask_file("a"), mask_file("b", start=12)).stdout
    assert "dsc                          0.8000" in said


def test_masks_of_two_grids_are_refused_with_the_remedy(mask_file):
    done = overlap(mask_file("a"), mask_file("b", spacing=(0.7, 0.7, 2.5)))
    assert done.exit_code != 0
    assert "prediction" in str(done.exception)


def test_a_file_that_is_not_there_is_named_by_its_role_only(mask_file):
    done = overlap(mask_file("a"), "/nowhere/Smith_John.nii.gz")
    assert done.exit_code != 0
    assert "prediction file does not exist" in str(done.exception)
    assert "Smith" not in f"{done.output}{done.exception}"
