"""Which run a page shows, and what it says when a run found nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.menu import SECTIONS
from store.access import Person
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish
from store.records import Flag, Refusal, SelectionFrequency, SelectionSize
from tests.pages.conftest import HOUSE
from tests.store.recorded import finish_run, icc_row, record, start_run

PAGES = [path.removeprefix("pages/") for _, pages in SECTIONS for path, _ in pages]
SIZE = SelectionSize(59, 22, 30, 7, 3, 2, 1, 50, 1, "")
KEPT = SelectionFrequency("intratumoural", "original", "glcm", "Entropy", 40, 30, 50, 0.1)


def text_of(app) -> str:
    return "\n".join(str(element.value) for kind in (app.markdown, app.caption, app.info) for element in kind)


@pytest.fixture
def two_runs(tmp_path: Path) -> Path:
    start_run(tmp_path, "run-full")
    record(tmp_path, "run-full", "acquire", "CASE-A", [Flag("acquire", "code", "text", "remedy")])
    rows = [icc_row("intratumoural", "random"), icc_row("whole_lung", "random", icc_class="not_tested")]
    record(tmp_path, "run-full", "reproducibility", "", rows)
    record(tmp_path, "run-full", "candidates", "", [SIZE])
    record(tmp_path, "run-full", "selection", "", [KEPT])
    finish_run(tmp_path, "run-full")
    start_run(tmp_path, "run-part", until="measure")
    finish_run(tmp_path, "run-part")
    publish(tmp_path)
    return tmp_path


@pytest.fixture
def no_case(tmp_path: Path) -> Path:
    """A run that ended because the gate let nothing in."""
    start_run(tmp_path, "run-1")
    refused = Refusal("CASE-A", "no_ct", "images", "no CT series", "export the CT")
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.record_refusals("run-1", [refused])
    finish_run(tmp_path, "run-1", "interrupted")
    publish(tmp_path)
    return tmp_path


def test_the_complete_run_is_shown_before_a_newer_partial_one(show, two_runs):
    app = show(two_runs, "prognosis/selection.py")
    assert not app.exception
    chosen = app.sidebar.selectbox(key="run")
    assert chosen.value == "run-full"
    assert any("until measure" in option for option in chosen.options)
    assert "run-full" in text_of(app)


def newer_run(study: Path) -> None:
    """Another run to the end, published."""
    start_run(study, "run-newer")
    record(study, "run-newer", "acquire", "CASE-A", [Flag("acquire", "code", "text", "remedy")])
    finish_run(study, "run-newer")
    publish(study)


def test_who_never_chose_a_run_goes_on_to_the_newest_as_soon_as_it_is_published(show, two_runs):
    app = show(two_runs, "study/cohort.py")
    assert app.sidebar.selectbox(key="run").value == "run-full"
    newer_run(two_runs)
    app.run()
    assert app.sidebar.selectbox(key="run").value == "run-newer"
    assert "run-newer" in text_of(app)
    assert "is newer" not in text_of(app.sidebar)


def test_who_chose_a_run_stays_on_it_and_is_told_of_a_newer_one(show, two_runs):
    app = show(two_runs, "study/cohort.py")
    app.sidebar.selectbox(key="run").select("run-part").run()
    app.sidebar.selectbox(key="run").select("run-full").run()
    newer_run(two_runs)
    app.run()
    assert app.sidebar.selectbox(key="run").value == "run-full"
    assert "run 3 is newer" in text_of(app.sidebar)
    app.switch_page(str(HOUSE / "pages" / "prognosis" / "selection.py")).run()
    assert app.sidebar.selectbox(key="run").value == "run-full"
    app.sidebar.button(key="run-newest").click().run()
    assert app.sidebar.selectbox(key="run").value == "run-newer"
    assert "is newer" not in text_of(app.sidebar)


def test_an_address_that_names_a_run_is_a_choice(show, two_runs):
    app = show(two_runs, "study/cohort.py", run="2")
    assert app.sidebar.selectbox(key="run").value == "run-part"
    newer_run(two_runs)
    app.run()
    assert app.sidebar.selectbox(key="run").value == "run-part"
    assert "run 3 is newer" in text_of(app.sidebar)


def test_selection_says_its_cap_and_the_region_that_is_barred(show, two_runs):
    said = text_of(show(two_runs, "prognosis/selection.py"))
    assert "at most 1 feature: 22 events" in said
    assert "**Whole lung** was not tested under perturbed masks: none of its 1 feature may be chosen." in said


@pytest.mark.parametrize("page", PAGES)
def test_a_run_that_found_no_case_breaks_no_page(show, no_case, page):
    app = show(no_case, page)
    assert not app.exception
    assert app.info or app.dataframe


def test_a_run_that_found_no_case_says_whom_it_refused_and_why(show, no_case):
    app = show(no_case, "study/cohort.py")
    assert list(app.dataframe[0].value["message"]) == ["no CT series"]


def rows_as_a_page_draws_them() -> None:
    from pages.frame import grid

    grid([{"=Name": '=HYPERLINK("http://a")', "Change": "-0.2 to +0.4", "Comment": "@SUM(A1)", "n": -3}])


@pytest.mark.parametrize(
    ("role", "rows", "button"), [("viewer", 0, False), ("reader", 2, False), ("administrator", 2, True)]
)
def test_rows_of_single_patients_are_for_readers_and_their_file_for_who_may_export(
    show, two_runs, monkeypatch, role, rows, button
):
    monkeypatch.setattr("pages.gate.OPEN", Person("Ada", role, "open on this computer"))
    app = show(two_runs, "study/cohort.py")
    assert not app.exception
    assert len([one for one in app.dataframe if "case_id" in one.value]) == rows
    assert ("shown to readers and administrators" in text_of(app)) == (rows == 0)
    hidden = any("Download as CSV" in one.proto.body for one in app.get("html"))
    assert hidden == (rows > 0 and not button)


def test_a_table_hands_a_spreadsheet_no_formula():
    frame = AppTest.from_function(rows_as_a_page_draws_them).run().dataframe[0].value
    assert list(frame.columns) == ["'=Name", "Change", "Comment", "n"]
    assert frame.iloc[0].to_list() == ['\'=HYPERLINK("http://a")', "-0.2 to +0.4", "'@SUM(A1)", -3]


def test_tables_are_drawn_by_the_frame_only():
    drawing = re.compile(r"\.(dataframe|data_editor)\(")
    files = [path for path in (HOUSE / "pages").rglob("*.py") if drawing.search(path.read_text("utf-8"))]
    assert [path.name for path in files] == ["frame.py"]
