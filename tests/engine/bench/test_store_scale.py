"""The store bench runs from end to end on small cohorts, and what it simulates is a cohort."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.bench.store_figure import draw_growth
from engine.bench.store_queries import page_queries
from engine.bench.store_scale import bench_store, store_lines
from store.export import export_table
from store.publisher import publish
from store.queries.cohort import cases
from store.simulated import RUN, add_cases, add_cohort, begin, end, read_template
from store.snapshot import close_snapshots, open_snapshot

REGIONS, PERTURBATIONS = 3, 4


def test_every_simulated_case_has_its_own_vectors_and_its_row_in_the_tables_of_the_cohort(demo_study, tmp_path):
    template, study = read_template(demo_study), tmp_path / "study"
    begin(template, study)
    values = add_cases(template, study, 0, 40, "SIM", PERTURBATIONS)
    add_cohort(template, study, 40, "SIM")
    end(study)
    publish(study)
    names = [f"SIM{number:07d}" for number in range(40)]
    assert [case.case_id for case in cases(open_snapshot(study), RUN)] == names
    features = export_table(study, "features").to_pandas()
    own, template_features = features[features.perturbation == "none"], export_table(demo_study, "base_features")
    close_snapshots()
    length = template_features.num_rows / len(set(template_features["case_id"].to_pylist())) / REGIONS
    assert len(features) == values == 40 * REGIONS * (1 + PERTURBATIONS) * length
    assert features.groupby("case_id").perturbation.nunique().eq(1 + PERTURBATIONS).all()
    first = own[(own.roi == "intratumoural") & (own.feature == "Entropy")].groupby("case_id").value.first()
    assert first.nunique() == 40


def test_the_bench_measures_every_size_and_viewers_meet_no_error_and_no_row_of_another_study(demo_study, tmp_path):
    found = bench_store(demo_study, cases=(10, 30), viewers=4, seconds=5.0, folder=tmp_path)
    assert [size.cases for size in found.sizes] == [10, 30]
    assert all(size.values > 0 and size.peak_mb > 50 and size.artifacts_mb > 1 for size in found.sizes)
    asked = set(page_queries(None, ()))  # type: ignore[arg-type]
    assert {(query.name, query.cases) for query in found.queries} == {(name, n) for name in asked for n in (10, 30)}
    assert (found.viewing.errors, found.viewing.foreign_rows) == (0, 0)
    assert found.viewing.sound
    assert not replace(found.viewing, foreign_rows=1).sound
    assert found.viewing.queries > 0 < found.viewing.publications
    assert found.viewing.p95_ms >= found.viewing.median_ms > 0
    assert len(store_lines(found)) == 2 + 6 + 1
    assert list(tmp_path.iterdir()) == []
    draw_growth(found, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_study_that_was_never_run_is_no_template(tmp_path):
    with pytest.raises(ValueError, match="run it first"):
        read_template(tmp_path)
