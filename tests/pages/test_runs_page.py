"""The page Runs: what would be computed and why, choices changed in a form, a run taken up again, two runs compared."""

from __future__ import annotations

import pytest

from engine.protocol import Protocol, Rois, read_protocol, write_protocol
from store.layout import StudyFolder
from store.ledger import Ledger
from store.publisher import publish
from tests.store.recorded import finish_run, icc_row, record, start_run

PAGE = "study/runs.py"


def said(app) -> str:
    kinds = (app.markdown, app.caption, app.success, app.warning, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def tables(app) -> list[list[dict]]:
    return [frame.value.to_dict("records") for frame in app.dataframe]


def test_a_study_that_is_up_to_date_says_so(show, demo_study):
    app = show(demo_study, PAGE)
    assert not app.exception
    assert "Nothing to compute" in said(app)


def test_a_choice_is_changed_in_the_form_and_the_page_says_what_it_costs_and_why(show, demo_copy):
    app = show(demo_copy, PAGE)
    app.selectbox(key="part").set_value("rois").run()
    app.number_input(key="choice-rois-ring_mm").set_value(3.0)
    app.button(key="FormSubmitter:choices-rois-Save these choices").click().run()
    assert not app.exception
    assert read_protocol(demo_copy).rois.ring_mm == 3.0
    assert "Saved in study.toml: rois.ring_mm" in said(app)
    assert "would be computed" in said(app)
    stages = {row["Stage"]: row for rows in tables(app) for row in rows if "Why" in row}
    assert stages["regions"]["Why"] == "rois.ring_mm changed"
    assert stages["features"]["Why"] == "rois.ring_mm changed; follows regions"
    assert [{"Choice": "rois.ring_mm", "Run 1": "6.0", "study.toml now": "3.0"}] in tables(app)


def test_a_value_that_breaks_a_law_is_said_and_not_written(show, demo_copy):
    app = show(demo_copy, PAGE)
    app.selectbox(key="part").set_value("features").run()
    app.text_input(key="choice-features-distances").set_value("2, 1")
    app.button(key="FormSubmitter:choices-features-Save these choices").click().run()
    assert "features.distances must be ascending" in said(app)
    assert read_protocol(demo_copy).features.distances == (1,)


def test_every_part_of_the_form_opens(show, demo_copy):
    app = show(demo_copy, PAGE)
    for part in app.selectbox(key="part").options:
        app.selectbox(key="part").set_value(part.split(" – ")[0]).run()
        assert not app.exception, part


def test_a_run_that_died_is_offered_to_be_taken_up(show, tmp_path):
    write_protocol(tmp_path, Protocol())
    start_run(tmp_path, "run-1")
    record(tmp_path, "run-1", "reproducibility", "", [icc_row("intratumoural", "random")])
    finish_run(tmp_path, "run-1", "interrupted")
    publish(tmp_path)
    app = show(tmp_path, PAGE)
    assert "stopped before its end" in said(app)
    assert [button for button in app.button if button.key == "resume"]
    for ended in ("finished", "refused"):
        with Ledger(StudyFolder(tmp_path)) as ledger:
            ledger.finish_run("run-1", ended)
        assert "stopped before its end" not in said(show(tmp_path, PAGE))


def test_two_runs_stand_beside_each_other_with_the_choices_that_differ(show, tmp_path):
    write_protocol(tmp_path, Protocol())
    for run_id, ring_mm in (("run-1", 6.0), ("run-2", 3.0)):
        start_run(tmp_path, run_id, protocol=Protocol(rois=Rois(ring_mm=ring_mm)))
        record(tmp_path, run_id, "reproducibility", run_id, [icc_row("intratumoural", "random")])
        finish_run(tmp_path, run_id)
    publish(tmp_path)
    app = show(tmp_path, PAGE)
    assert not app.exception
    assert [{"Choice": "rois.ring_mm", "Run 2": "3.0", "Run 1": "6.0"}] in tables(app)
    assert "1 choice differ" in said(app)


@pytest.fixture
def two_runs(tmp_path):
    for run_id, ring_mm in (("run-1", 6.0), ("run-2", 3.0)):
        start_run(tmp_path, run_id, protocol=Protocol(rois=Rois(ring_mm=ring_mm)))
        record(tmp_path, run_id, "reproducibility", run_id, [icc_row("intratumoural", "random")])
        finish_run(tmp_path, run_id)
    publish(tmp_path)
    return tmp_path


def test_any_page_stands_twice_side_by_side_and_the_address_says_which(show, two_runs):
    app = show(two_runs, "study/two_runs.py", run="1", beside="2", shows="reproducibility")
    assert not app.exception
    assert "differ in 1 choice;" in said(app)
    frames = [element.proto.src for element in app.get("iframe")]
    assert frames == [f"/reproducibility?run={place}&embed=true" for place in (1, 2)]
    app.selectbox(key="two-runs-page").set_value("selection").run()
    assert [element.proto.src for element in app.get("iframe")] == [
        f"/selection?run={place}&embed=true" for place in (1, 2)
    ]


def test_a_page_shows_the_run_that_its_address_names(show, two_runs):
    assert "(run-1, " in said(show(two_runs, "features/reproducibility.py", run="1"))
    assert "(run-2, " in said(show(two_runs, "features/reproducibility.py", run="2"))
    assert "(run-2, " in said(show(two_runs, "features/reproducibility.py", run="77"))


def test_a_run_that_goes_on_is_shown_by_stage_by_case_and_by_task(show, tmp_path):
    write_protocol(tmp_path, Protocol())
    start_run(tmp_path, "run-1")  # of this process, which is alive
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.place_tasks("run-1", "segment", [("case-1", "s1"), ("case-2", "s2"), ("case-3", "s3")])
        ledger.claim("s1")
        ledger.finish_task("s1", (), 3.0, 10.0)
        ledger.claim("s2")
        ledger.end_task("s2", "failed", "ValueError: the mask is empty")
        ledger.claim("s3")
    app = show(tmp_path, PAGE)
    assert not app.exception
    assert "A run is going on.** 1 of 3 tasks done, 1 failed" in said(app)
    assert "1 task ended (segment 1)" in said(app)
    assert [{"Stage": "segment", "Of": "case-2", "Reason": "ValueError: the mask is empty", "Attempts": 1}] in tables(
        app
    )
    app.session_state["live-view"] = "Cases"
    app.run()
    rows = next(rows for rows in tables(app) if "Case" in rows[0])
    assert [(row["Case"], row["State"], row["At"]) for row in rows] == [
        ("case-3", "computing", "segment"),
        ("case-2", "failed", "–"),
        ("case-1", "done so far", "–"),
    ]
    app.session_state["live-view"] = "At work"
    app.run()
    assert any(row.get("Of") == "case-3" and row.get("Stage") == "segment" for rows in tables(app) for row in rows)


def test_what_failed_in_the_last_run_can_be_tried_again(show, tmp_path, monkeypatch):
    write_protocol(tmp_path, Protocol())
    start_run(tmp_path, "run-1")
    with Ledger(StudyFolder(tmp_path)) as ledger:
        ledger.place_tasks("run-1", "segment", [("case-1", "s1")])
        ledger.claim("s1")
        ledger.end_task("s1", "failed", "ValueError: the mask is empty")
    finish_run(tmp_path, "run-1")
    publish(tmp_path)
    started = []
    monkeypatch.setattr("engine.service.launch", started.append)
    app = show(tmp_path, PAGE)
    app.button(key="try-again").click().run()
    assert started == [tmp_path]
