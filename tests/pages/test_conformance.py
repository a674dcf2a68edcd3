"""The conformance page on a small recorded study: answer, figure, filters, and what it says without references."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench.reference_files import REFERENCES_ABSENT
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish
from store.records import Conformity
from tests.store.recorded import finish_run, record, start_run

PAGE = "features/conformance.py"
ROWS = (
    Conformity("digital", "stat_mean", "firstorder_Mean", 2.15, 2.15, 0.0, "met", ""),
    Conformity("C", "cm_joint_avg_3D_avg", "glcm_JointAverage", 36.98, 39.0, 0.2, "not met", "level 1 is the lowest"),
    Conformity("C", "stat_mean", "firstorder_Mean", -49.0, -49.0, 2.9, "met", ""),
    Conformity("D", "cm_contrast_3D_avg", "glcm_Contrast", None, 10.0, 0.1, "not offered", "no fixed number of bins"),
    Conformity("ibsi2 2.b", "response_map", "LoG, 5 mm: largest deviation", 0.86, 0.0, 1.0, "met", ""),
    Conformity("ibsi2 3.B", "stat_max", "LoG, 1.5 mm: Maximum", 206.2, 204.0, 1.0, "not met", "recursive"),
    Conformity("ibsi2 5.A", "stat_max", "a Gabor filter: Maximum", None, 3.0, 1.0, "not offered", "not offered"),
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "conform", "", ROWS)
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def without_references(tmp_path: Path) -> Path:
    start_run(tmp_path, "run-1")
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.record_skipped("run-1", "conform", REFERENCES_ABSENT)
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    return tmp_path


def said_by(app) -> str:
    return "\n".join(str(element.value) for kind in (app.markdown, app.caption, app.info) for element in kind)


def test_the_answer_counts_what_is_met_of_what_can_be_compared(show, study):
    app = show(study, PAGE)
    assert not app.exception
    said = said_by(app)
    assert "**60\u00a0%**" in said
    assert (
        "(3 of 5): digital 1 of 1, C 1 of 2, IBSI-2 response maps 1 of 1, statistics of the filtered CT 0 of 1" in said
    )
    assert "The 2 that are not met say why below." in said
    assert "n = 7 reference values" in said
    assert "protocol " in said
    assert len(app.get("plotly_chart")) == 1


def test_what_is_not_met_comes_first_and_can_be_filtered(show, study):
    app = show(study, PAGE)
    names = list(app.dataframe[0].value["configuration"])
    assert names == ["C", "ibsi2 3.B", "digital", "C", "D", "ibsi2 2.b", "ibsi2 5.A"]
    assert list(app.dataframe[0].value["verdict"])[:2] == ["not met"] * 2
    app.sidebar.multiselect(key="conformance-verdict").set_value(["not met"]).run()
    assert list(app.dataframe[0].value["value"]) == [36.98, 206.2]
    app.sidebar.text_input(key="conformance-search").set_value("LOG maximum").run()
    assert list(app.dataframe[0].value["configuration"]) == ["ibsi2 3.B"]


def test_without_references_the_page_says_what_to_download_and_where_from_it_speaks(show, without_references):
    app = show(without_references, PAGE)
    assert not app.exception
    assert "github.com/theibsi" in app.info[0].value
    assert "COHORTSCOPE_SHARED" in app.info[0].value
    assert any("seed " in caption.value for caption in app.caption)
