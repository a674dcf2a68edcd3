"""The demonstration study on disk: the same seed gives the same bytes, and what is promised is there."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import grid_of
from engine.phantom.cohort import draw_cohort
from engine.phantom.demo import build_demo
from engine.phantom.thorax import make_phantom
from engine.protocol import read_protocol

CASES, SEED = 3, 20250617


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo")
    build_demo(directory, CASES, SEED, lambda done, total: None)
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {str(f.relative_to(directory)): f.read_bytes() for f in sorted(directory.rglob("*")) if f.is_file()}


def test_same_seed_gives_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    build_demo(tmp_path, CASES, SEED, lambda done, total: heard.append((done, total)))
    assert contents(tmp_path) == contents(demo)
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_every_row_of_the_image_table_names_files_that_are_there(demo: Path) -> None:
    with (demo / "images" / "images.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [r["case_id"] for r in rows] == ["PH-0001", "PH-0002", "PH-0003"]
    for row in rows:
        image, mask = (sitk.ReadImage(str(demo / "images" / row[name])) for name in ("image", "reference"))
        assert image.GetPixelID() == sitk.sitkInt16
        assert image.GetSpacing() == mask.GetSpacing() == (3.0, 3.0, 3.0)
        assert set(np.unique(sitk.GetArrayFromImage(mask))) == {0, 1}


def test_images_are_the_phantoms_of_the_cohort(demo: Path) -> None:
    phantom = make_phantom(draw_cohort(CASES, SEED)[1].phantom)
    image = sitk.ReadImage(str(demo / "images" / "PH-0002" / "image.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(image), phantom.intensity_hu)
    assert np.allclose(grid_of(image).origin_mm, phantom.grid.origin_mm)


def test_stored_lungs_come_with_and_without_the_tumour(demo: Path) -> None:
    phantom = make_phantom(draw_cohort(CASES, SEED)[0].phantom)
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(demo / "truth" / "PH-0001_lungs.nii.gz")))
    assert np.array_equal(np.isin(labels, (1, 3)), phantom.lung_left)
    assert np.array_equal(np.isin(labels, (2, 4)), phantom.lung_right)
    assert np.array_equal(labels == 1, phantom.lung_left_without_tumour)
    assert np.array_equal(np.isin(labels, (3, 4)), phantom.tumour)


def test_truth_names_what_drives_hazard_and_difficulty(demo: Path) -> None:
    truth = json.loads((demo / "truth.json").read_text())
    assert [c["patient_id"] for c in truth["cases"]] == ["PH-0001", "PH-0002", "PH-0003"]
    assert len(truth["hazard"]["log_hazard_ratio"]) == 2
    assert truth["segmentation"]["null"] == ["contrast"]
    assert all(c["achieved"]["volume_ml"] > 0 for c in truth["cases"])


def test_protocol_says_synthetic_and_its_reduced_settings(demo: Path) -> None:
    protocol = read_protocol(demo)
    assert protocol.study.synthetic
    assert protocol.study.public_ids
    assert protocol.images.reference == ("tumour",)
    assert (protocol.grid.spacing_mm, protocol.selection.resamples, protocol.selection.trees) == (3.0, 500, 40)
    assert protocol.perturb.cases == 10
    for said in ("3 mm", "10 patients", "500 bootstraps of 40 trees"):
        assert said in protocol.study.notice


def test_protocol_names_only_columns_that_the_clinical_table_has(demo: Path) -> None:
    protocol = read_protocol(demo)
    header = set((demo / "clinical.csv").read_text().splitlines()[0].split(","))
    outcome = protocol.outcome
    named = {outcome.recurrence_days, outcome.death_days, outcome.cause, outcome.last_imaging_days}
    assert named | {outcome.last_contact_days, *(c.column for c in protocol.covariates.columns)} <= header
