"""The work list keeps closed, and says nothing of, what a reader has yet to read in a study that he has begun."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store.ledger import Ledger
from store.queries.agreement import review_cases
from store.reviews import READER_STUDY
from tests.conftest import command_line
from tests.pages.conftest import READER
from tests.pages.test_blinding import PAGE, Desk, case_box, in_mode, nobody


@pytest.fixture
def desk(demo_copy):
    return Desk(demo_copy)


def test_the_work_list_opens_a_case_that_waits_to_be_read_blinded_only_on_demand(show, desk):
    first, second, *_ = desk.cases
    desk.ordered(READER_STUDY, [(first, 1), (second, 1), (first, 2)])
    app = show(desk.study, PAGE, case=second)
    assert app.info[0].value.startswith("This case stays closed here until you have finished your reader study")
    assert not [text.value for text in (*app.markdown, *app.caption) if "DSC" in text.value or "lesion" in text.value]
    assert "Sign" not in [button.label for button in app.button]
    assert "Sign" in [button.label for button in app.button(key="open-blind").click().run().button]
    desk.said(second, READER, mode=READER_STUDY)
    assert "Sign" not in [button.label for button in show(desk.study, PAGE, case=second).button]
    for reading in (1, 2):
        desk.said(first, READER, mode=READER_STUDY, reading=reading)
    assert "Sign" in [button.label for button in show(desk.study, PAGE, case=second).button]


def is_closed(show, desk, case):
    return "open-blind" in [button.key for button in show(desk.study, PAGE, case=case).button]


def test_a_late_case_closes_no_finished_one(show, desk):
    first, second, late, *_ = desk.cases
    order = [(first, 1), (second, 1), (first, 2)]
    desk.ordered(READER_STUDY, order)
    for case, reading in order:
        desk.said(case, READER, mode=READER_STUDY, reading=reading)
    assert not is_closed(show, desk, first)
    in_mode(show, desk, READER_STUDY)
    assert (late, 1) in desk.order(READER_STUDY)
    assert is_closed(show, desk, late)
    assert not is_closed(show, desk, first)


def test_a_study_without_a_model_has_no_reader_study_that_would_close_its_cases(show, desk, monkeypatch):
    def unsegmented(*where):
        return tuple(replace(case, segmented=False, segmented_in_any_run=False) for case in review_cases(*where))

    monkeypatch.setattr("store.queries.agreement.review_cases", unsegmented)
    monkeypatch.setattr("pages.blinding.review_cases", unsegmented)
    assert "none of them is segmented" in in_mode(show, desk, READER_STUDY).info[0].value
    assert desk.order(READER_STUDY) == ()
    desk.ordered(READER_STUDY, [(case, 1) for case in desk.cases])  # as older versions drew one
    assert not is_closed(show, desk, desk.cases[0])


def test_a_later_run_without_a_model_opens_no_case_that_waits_in_an_earlier_one(show, desk):
    first, second = desk.cases[:2]
    desk.ordered(READER_STUDY, [(first, 1), (second, 1)])
    protocol = desk.study / "study.toml"
    protocol.write_text(protocol.read_text().replace('model = "demo"', 'model = ""'))
    command_line("run", str(desk.study), "--until", "segment")
    with Ledger(desk.folder) as ledger:
        assert ledger.latest_run().run_id != desk.run_id
        desk.run_id = ledger.latest_run().run_id
    assert desk.blind() == {first, second}
    assert "none of them is segmented" in in_mode(show, desk, READER_STUDY, run="2").info[0].value


def test_the_work_list_numbers_the_open_cases_so_that_no_place_is_missing(show, desk):
    open_cases = desk.cases[3:]
    desk.ordered(READER_STUDY, [(case, 1) for case in desk.cases[:3]])
    options = case_box(show(desk.study, PAGE, case=open_cases[0])).options
    places = [int(option.removeprefix("✓ ").partition(" · ")[0]) for option in options if " · " in option]
    assert sorted(places) == list(range(1, len(open_cases) + 1))


def test_the_work_list_does_not_tell_which_cases_come_again(show, desk):
    once, twice, *others = desk.cases
    desk.ordered(READER_STUDY, [(once, 1), (twice, 1), (twice, 2)])
    for case in (once, twice):
        desk.said(case, READER, mode=READER_STUDY)
    for case in (once, twice):
        assert "open-blind" in [button.key for button in show(desk.study, PAGE, case=case).button]
    assert "open-blind" not in [button.key for button in show(desk.study, PAGE, case=others[0]).button]


def test_the_work_list_tells_of_a_closed_case_its_name_alone(show, desk):
    open_case, *waits = desk.cases
    desk.ordered(READER_STUDY, [(case, 1) for case in waits])
    app = show(desk.study, PAGE, case=open_case)
    assert case_box(app).options[1:] == sorted(waits)
    counts = next(box for box in app.sidebar.selectbox if box.label == "Cases").options
    told = [int(option.rpartition("(")[2].rstrip(")")) for option in counts if option.startswith(("Miss", "DSC"))]
    assert sum(told) <= 1  # of the open case
    assert nobody(app) == "Judged by nobody (1)"
    (queue,) = (table.value for table in app.dataframe if "readers" in table.value)
    assert list(queue["case_id"]) == [open_case]
    assert any(f"{len(waits)} cases left out" in caption.value for caption in app.caption)


def test_the_work_list_tells_no_word_of_a_reader_study_that_goes_on(show, desk):
    first, second = desk.cases[:2]
    desk.ordered(READER_STUDY, [(first, 1), (first, 2), (second, 1)])
    for reading in (1, 2):
        desk.said(first, READER, mode=READER_STUDY, reading=reading)

    def told():
        app = show(desk.study, PAGE, case=first)
        if "open-blind" in [button.key for button in app.button]:
            app.button(key="open-blind").click().run()
        return [word for rows in app.dataframe if "judgement" in rows.value for word in rows.value["mode"]]

    assert told() == []
    desk.said(second, READER, mode=READER_STUDY)
    assert told() == [READER_STUDY, READER_STUDY]
