"""NSCLC-Radiogenomics as a table-only study: somebody's features, two-year disease-free survival."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

HOUSE = Path(__file__).resolve().parents[1]


def engine(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "engine", *map(str, arguments)], cwd=HOUSE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def make_table_study(shared: Path, study: Path, resamples: int, trees: int) -> Path:
    data = shared / "data" / "nsclc_radiogenomics"
    engine(
        *("new", study, "--features", data / "radmlbench_features_egfr.csv.gz"),
        *("--clinical", data / "clinical_labels_2018-05-22.csv", "--clinical", data / "dfs_derived.csv"),
    )
    path = study / "study.toml"
    text = path.read_text().replace("resamples = 500", f"resamples = {resamples}")
    path.write_text(text.replace("trees = 500", f"trees = {trees}"))
    return study


@pytest.fixture(scope="session")
def table_study(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = make_table_study(shared, tmp_path_factory.mktemp("table") / "study", resamples=30, trees=60)
    engine("run", study)
    return study


def export(study: Path, table: str) -> list[dict[str, object]]:
    path = study / f"{table}.parquet"
    engine("export", study, table, "--to", path)
    return pq.read_table(path).to_pylist()


def test_the_flow_shows_40_events_91_free_13_undetermined(table_study):
    # expected: ../shared/data/nsclc_radiogenomics/README.md
    counts = sorted(int(str(row["n"])) for row in export(table_study, "flow"))
    assert {144, 40, 91, 13} <= set(counts)


def test_selection_and_comparison_are_there(table_study):
    kept = [row for row in export(table_study, "selection") if int(str(row["kept_count"])) > 0]
    assert kept
    comparisons = export(table_study, "comparison")
    assert {(c["base"], c["extended"]) for c in comparisons} >= {("clinical", "combined")}
    for comparison in comparisons:
        assert comparison["exploratory"]
        assert "does not add" not in str(comparison["sentence"])


def test_every_stage_is_done(table_study):
    status = json.loads(engine("status", table_study, "--json"))
    assert not status["running"]
    assert all(stage["done"] == stage["total"] for stage in status["stages"])
