"""Exported tables have the columns that design section 3 promises, and come from the run that is complete."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.protocol import Plan, Protocol, plan_digest
from store.export import EXPORTS, export_table
from store.publisher import publish
from store.records import (
    Acquisition,
    Conformity,
    Embedding,
    EmbeddingName,
    FeatureMask,
    FeatureName,
    FeatureVector,
    Outcome,
    Overlap,
    PerturbedFeatureVector,
    Stability,
)
from store.snapshot import close_snapshots
from tests.store.recorded import finish_run, icc_row, record, start_run

# the project's design.md, section 3, "Columns others rely on"
PROMISED = {
    "morphology": "case_id roi mask_source volume_ml surface_mm2 sphericity maximum_3d_diameter_mm"
    " surface_to_volume_per_mm elongation",
    "overlap": "case_id structure from_source to_source dsc surface_dsc tolerance_mm hd95_mm missed",
    "icc": "roi image_type feature_class feature family n k icc11 icc11_lo icc11_hi icc21 icc21_lo icc21_hi icc31"
    " icc31_lo icc31_hi",
    "features": "case_id roi perturbation image_type feature_class feature value status",
    "cases": "case_id source_format manufacturer",
    "embeddings": "case_id roi feature value status model_sha256",
    "conformity": "configuration tag feature value reference tolerance verdict reason",
}
ACQUISITION = Acquisition(
    *("nifti", "unknown", "unknown", "unknown", "unknown", "unknown", "", None, None, 1.0, 1.0, 1.0, 9, 9, 9, None),
    *("only series", 0),
)
OVERLAP = Overlap(
    *("tumour", "reader", "model", "agreement", 0.8, 0.9, 2.0, 0.7, 0.95, 3.0, 1.0, 0.5, 1.0, False, "found", 0),
)
LOCKED_AT = "2026-11-27T10:00:00+00:00"
CASE_ENDS = {"CASE-A": True, "CASE-B": None}


def outcome(case: str, label: bool | None) -> Outcome:
    return Outcome(case, "surgery", 300, None, "none", 300, 300, 300, bool(label), False, label, "event or censored")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A published study that no test changes."""
    tmp_path = tmp_path_factory.mktemp("study")
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "clinical", "", [outcome(case, label) for case, label in CASE_ENDS.items()])
    for case in ("CASE-A", "CASE-B", "CASE-C"):
        record(tmp_path, "run-1", "acquire", case, [ACQUISITION])
        chosen = [FeatureMask(s, "reference", "independent", "reader") for s in ("tumour", "lung_left")]
        record(tmp_path, "run-1", "review", case, chosen)
    record(tmp_path, "run-1", "agreement", "CASE-A", [OVERLAP])
    record(tmp_path, "run-1", "names", "", [FeatureName("set", 0, "original", "glcm", "Entropy")])
    values, statuses = np.array([1.5]), np.array([0], np.uint8)
    record(tmp_path, "run-1", "features", "CASE-A", [FeatureVector("intratumoural", "none", "set", values, statuses)])
    turned = PerturbedFeatureVector("intratumoural", "rotation-1", "set", values, statuses)
    record(tmp_path, "run-1", "perturbed_features", "CASE-A", [turned])
    record(tmp_path, "run-1", "reproducibility", "", [icc_row("intratumoural", "random")])
    named = EmbeddingName("deep", 0, "a" * 64, 2, "mean", 0, "encoder-stage2_mean_000")
    record(tmp_path, "run-1", "embedding_names", "", [named])
    pooled = [Embedding("intratumoural", "ok", "deep", values), Embedding("whole_lung", "no_model", "", values[:0])]
    record(tmp_path, "run-1", "embeddings", "CASE-A", pooled)
    record(tmp_path, "run-1", "conform", "", [Conformity("C", "stat_mean", "Mean", 1.0, 1.0, 0.1, "met", "")])
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    yield tmp_path
    close_snapshots()


@pytest.mark.parametrize("table", PROMISED)
def test_promised_columns_come_first_and_in_order(study, table):
    promised = PROMISED[table].split()
    assert export_table(study, table).column_names[: len(promised)] == promised


@pytest.mark.parametrize("table", sorted(set(EXPORTS) - {"verdicts", "drawn_masks"}))
def test_every_row_of_a_result_ends_with_its_run(study, table):
    names = export_table(study, table).column_names
    assert names[-1] == "run_id"
    assert names.count("run_id") == 1


def test_the_icc_class_is_called_class(study):
    found = export_table(study, "icc").to_pylist()
    assert [row["class"] for row in found] == ["good"]
    assert "icc_class" not in found[0]


def test_cases_have_one_row_a_case_with_mask_and_outcome(study):
    found = export_table(study, "cases").to_pylist()
    assert [(row["case_id"], row["mask_source"], row["dfs_label"], row["dfs_days"]) for row in found] == [
        ("CASE-A", "reference", True, 300),
        ("CASE-B", "reference", None, 300),
        ("CASE-C", "reference", None, None),
    ]


def test_features_hold_base_and_perturbed_values(study):
    found = export_table(study, "features").to_pylist()
    assert [(row["perturbation"], row["value"], row["status"]) for row in found] == [
        ("none", 1.5, "ok"),
        ("rotation-1", 1.5, "ok"),
    ]


def test_embeddings_have_their_name_and_say_where_there_are_none(study):
    found = export_table(study, "embeddings").to_pylist()
    assert [(row["roi"], row["feature"], row["value"], row["status"]) for row in found] == [
        ("intratumoural", "encoder-stage2_mean_000", 1.5, "ok"),
        ("whole_lung", None, None, "no_model"),
    ]


def test_a_table_study_lists_the_patients_with_an_outcome(tmp_path):
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "clinical", "", [outcome("P-1", False)])
    publish(tmp_path)
    found = export_table(tmp_path, "cases").to_pylist()
    assert [(row["case_id"], row["dfs_label"], row["manufacturer"]) for row in found] == [("P-1", False, None)]


def test_a_partial_run_does_not_hide_the_complete_one_before_it(study, tmp_path):
    study = Path(shutil.copytree(study, tmp_path / "study"))
    start_run(study, "run-2", until="measure")
    finish_run(study, "run-2")
    publish(study)
    assert {row["run_id"] for row in export_table(study, "cases").to_pylist()} == {"run-1"}
    assert export_table(study, "cases", "run-2").num_rows == 0


def test_an_unknown_table_is_refused_with_those_there_are(study):
    with pytest.raises(ValueError, match=r"one of .*'cases'.*got 'nothing'"):
        export_table(study, "nothing")


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("contact", "within_mm", {1.0, 3.0, 5.0}),
        ("surface_dsc_curve", "tolerance_mm", {0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0}),
        ("association", "subset", {"all", "detected"}),
    ],
)
def test_the_demo_exports_what_the_agreement_page_draws(demo_study, table, column, values):
    found = {row[column] for row in export_table(demo_study, table).to_pylist()}
    assert values <= found


def test_areas_of_contact_grow_with_the_distance_and_faces_add_up(demo_study):
    areas = {
        (row["case_id"], row["mask_source"], row["within_mm"], row["face"]): row["contact_mm2"]
        for row in export_table(demo_study, "contact").to_pylist()
    }
    for (case, source, within, face), area in areas.items():
        if face == "all":
            parts = [areas.get((case, source, within, own), 0) for own in ("costal", "mediastinal", "diaphragmatic")]
            assert sum(parts) == pytest.approx(area, abs=1e-6)
            assert area <= areas[case, source, 5.0, face] + 1e-9


@pytest.mark.parametrize(
    ("plan", "standing"),
    [
        (Plan(), "exploratory, analysis 1 of 1"),
        (Plan(locked_at=LOCKED_AT, protocol_sha256=plan_digest(Protocol())), f"plan locked {LOCKED_AT}"),
    ],
)
def test_a_file_keeps_the_badge_of_the_page(tmp_path, plan, standing):
    start_run(tmp_path, "run-1", protocol=Protocol(plan=plan))
    record(tmp_path, "run-1", "resample", "", [Stability("rfe", 0.1, 0.02, 0.05, 0.15, 30, 10)])
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    found = export_table(tmp_path, "stability").to_pylist()
    close_snapshots()
    assert [row["standing"] for row in found] == [standing]
    assert list(found[0])[-2:] == ["standing", "run_id"]


def test_a_run_that_is_not_there_is_refused(study):
    with pytest.raises(ValueError, match="no run 'run-9'"):
        export_table(study, "cases", "run-9")
