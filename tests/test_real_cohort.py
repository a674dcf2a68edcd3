"""A real cohort of mixed formats from one `new`: 14 cases in, voxel counts of the published contours, 1967 features."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HOUSE = Path(__file__).resolve().parents[1]
FEATURES_PER_ROI = 1967
GTV_VOXELS, LEFT_LUNG_VOXELS, RIGHT_LUNG_VOXELS = 54639, 795750, 1036805  # ../shared/data/lung1_001/README.md


def engine(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "engine", *map(str, arguments)], cwd=HOUSE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def real_tree(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real") / "images"
    for name, archive in (("a", "lung1_001/lung1_001_dicom.tar.xz"), ("b", "ibsi1_ct_phantom/dicom.tar.xz")):
        with tarfile.open(shared / "data" / archive) as tar:
            tar.extractall(root / name, filter="data")
    for path in (shared / "data" / "sts_ct").glob("*.nii.gz"):
        shutil.copy(path, root / path.name)
    return root


@pytest.fixture(scope="session")
def real_study(real_tree: Path) -> Path:
    study = real_tree.parent / "study"
    engine("new", study, "--images", real_tree, "--reference", "GTV-1", "--reference", "GTV-1 ", "--reference", "mask")
    text = (study / "study.toml").read_text().replace("spacing_mm = 1.0", "spacing_mm = 3.0")
    (study / "study.toml").write_text(text)
    return study


@pytest.fixture(scope="session")
def measured(real_study: Path) -> Path:
    engine("run", real_study, "--until", "measure")
    return real_study


def export(study: Path, table: str) -> list[dict[str, object]]:
    path = study / f"{table}.parquet"
    engine("export", study, table, "--to", path)
    return pq.read_table(path).to_pylist()


def test_the_gate_accepts_all_fourteen(real_study):
    found = json.loads(engine("check", real_study, "--json"))
    assert len(found["accepted"]) == 14
    assert found["refused"] == []


def test_contours_of_lung1_001_give_the_published_voxel_counts(measured):
    regions = {(r["roi"], r["native_voxels"]) for r in export(measured, "regions")}
    assert ("intratumoural", GTV_VOXELS) in regions
    assert ("whole_lung", LEFT_LUNG_VOXELS + RIGHT_LUNG_VOXELS) in regions


def test_sarcomas_have_no_lungs_and_an_unclipped_ring(measured):
    regions = export(measured, "regions")
    without = [r for r in regions if r["roi"] == "whole_lung" and r["status"] == "no_lungs"]
    assert len(without) == 12
    cases = {r["case_id"] for r in without}
    rings = [r for r in regions if r["roi"] == "peritumoural" and r["case_id"] in cases]
    assert len(rings) == 12
    assert not any(r["clipped"] for r in rings)


def test_every_region_has_exactly_1967_named_features(measured):
    rows = export(measured, "features")
    per_region: dict[tuple[object, object], set[tuple[object, ...]]] = {}
    for row in rows:
        name = (row["image_type"], row["feature_class"], row["feature"])
        per_region.setdefault((row["case_id"], row["roi"]), set()).add(name)
    assert len(per_region) == 14 * 3
    assert {len(names) for names in per_region.values()} == {FEATURES_PER_ROI}
    lungless = [r for r in rows if r["status"] == "no_lungs"]
    assert len(lungless) == 12 * FEATURES_PER_ROI
    assert all(r["value"] is None for r in lungless)
    usable = [r for r in rows if r["status"] == "ok"]
    assert all(r["value"] is not None for r in usable)


def test_nothing_in_the_study_names_a_patient(measured):
    secrets = (b"LUNG1-001", b"STS_001")
    for path in measured.rglob("*"):
        if path.is_file() and "private" not in path.parts:
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path.name
