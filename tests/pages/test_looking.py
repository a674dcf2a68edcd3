"""Whoever saw an outline, on whatever page, has seen it: no blank canvas of that case is his."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.present.disclosure import IMAGES
from engine.present.figures.slices import viewed_mask
from engine.run.meeting_desk import make_report
from engine.run.meeting_pack import key_cases, key_images, shown_run
from pages.looking import note_look
from store.access import Person
from store.ledger import Ledger
from store.queries.cohort import flags
from store.queries.images import AUTOMATIC, CHOSEN, REFERENCE, load_masks
from store.reviews import BLANK_CANVAS
from store.snapshot import close_snapshots, open_snapshot
from tests.conftest import command_line
from tests.pages.conftest import HOUSE, READER
from tests.pages.test_blinding import AGREEMENT, PAGE, Desk, in_mode

COHORT, MEETING = "study/cohort.py", "present/meeting.py"
OPERATOR = Person("this computer", "administrator", "test")


@pytest.fixture
def desk(demo_copy):
    return Desk(demo_copy)


def chosen(monkeypatch, case, tables=("flags-table",)):
    """Whoever looks chose the row of one case."""

    def patients(_, rows, *__, key="", **___):
        at = [place for place, row in enumerate(rows) if row.case_id == case][:1] if key in tables else []
        return SimpleNamespace(selection=SimpleNamespace(rows=at))

    monkeypatch.setattr("pages.frame.patients", patients)


def flagged(desk):
    case = flags(open_snapshot(desk.study), desk.run_id)[0].case_id
    close_snapshots()
    return case


def looks_of(desk, name):
    with Ledger(desk.folder) as ledger:
        rows = ledger.rows("SELECT detail FROM audit WHERE action='view images' AND actor=?", (name,))
        return [str(row[0]) for row in rows]


def canvas_of(show, desk):
    in_mode(show, desk, BLANK_CANVAS)
    return {case for case, _ in desk.order(BLANK_CANVAS)}


def test_who_saw_a_flagged_case_on_the_page_cohort_gets_no_blank_canvas_of_it(show, desk, monkeypatch):
    case = flagged(desk)
    with monkeypatch.context() as change:
        chosen(change, case)
        assert not show(desk.study, COHORT).exception
    assert looks_of(desk, READER) == [case]
    canvas = canvas_of(show, desk)
    assert canvas
    assert case not in canvas


def test_who_saw_where_a_mask_is_wrong_gets_no_blank_canvas_of_it(show, desk, monkeypatch):
    case = desk.cases[0]
    with monkeypatch.context() as change:
        chosen(change, case, ("agreement-cases",))
        assert not show(desk.study, AGREEMENT).exception
    assert looks_of(desk, READER) == [case]
    assert case not in canvas_of(show, desk)


def test_who_looks_first_and_says_afterwards_who_he_is_has_seen_it(show, desk, monkeypatch):
    case = flagged(desk)
    with monkeypatch.context() as change:
        chosen(change, case)
        app = show(desk.study, COHORT)
        assert looks_of(desk, READER) == [case]
        del app.session_state["reader"]
        app.run()
        assert looks_of(desk, READER) == [case]  # nobody has said who looks
        app.session_state["reader"] = "Cal"
    app.switch_page(str(HOUSE / "pages" / PAGE)).run()
    assert looks_of(desk, "Cal")[0] == case


def test_whoever_looks_on_after_a_reader_has_left_is_another(show, desk, monkeypatch):
    case = flagged(desk)
    chosen(monkeypatch, case)
    app = show(desk.study, COHORT)
    for name in ("Cal", "Dee"):
        app.session_state["reader"] = None
        app.switch_page(str(HOUSE / "pages" / COHORT)).run()
        app.session_state["reader"] = name
        app.switch_page(str(HOUSE / "pages" / PAGE)).run()
        assert looks_of(desk, name)[0] == case


def test_cases_in_two_places_of_a_page_are_noted_once_each(desk, monkeypatch):
    first, second = desk.cases[:2]
    session = {"reader": READER}
    monkeypatch.setattr("pages.looking.st", SimpleNamespace(session_state=session))
    monkeypatch.setattr("pages.reader.st", SimpleNamespace(session_state=session))
    monkeypatch.setattr("pages.reader.signed_in", lambda: None)
    for _ in range(3):
        for place, case in (("agreement-cases", first), ("agreement-missed", second)):
            note_look(desk.study, OPERATOR, case, place)
    assert looks_of(desk, READER) == [first, second]


def test_who_built_a_report_with_images_and_says_afterwards_who_he_is_has_seen_them(show, desk):
    cases = {row.case_id for row in key_cases(shown_run(desk.study, desk.run_id))}
    app = show(desk.study, "present/report.py")
    app.session_state["reader"] = None
    app.run()
    app.sidebar.radio(key="report-level").set_value(IMAGES).run()
    app.sidebar.radio(key="report-kind").set_value(".html").run()
    (build,) = (button for button in app.sidebar.button if button.label == "Build the report")
    assert not build.click().run().exception
    assert cases <= set(looks_of(desk, OPERATOR.name))
    assert looks_of(desk, "Cal") == []
    app.session_state["reader"] = "Cal"
    app.switch_page(str(HOUSE / "pages" / PAGE)).run()
    assert cases <= set(looks_of(desk, "Cal"))


def test_cohort_draws_no_correction_of_a_reader_and_each_outline_that_all_may_know(show, desk, monkeypatch):
    case = flagged(desk)
    desk.said(case, "Ada", "major", drawn_key=desk.drew(case, "Ada"))
    command_line("run", str(desk.study), "--until", "review")
    with Ledger(desk.folder) as ledger:
        run = ledger.latest_run().run_id
    measured = load_masks(desk.study, run, case, CHOSEN).find("tumour")
    assert measured.source == "Ada"
    drawn = []
    monkeypatch.setattr(
        "pages.slices.viewed_mask", lambda mask, series: drawn.append(mask.source) or viewed_mask(mask, series)
    )
    chosen(monkeypatch, case)
    assert not show(desk.study, COHORT, run="2").exception
    automatic, reference = (load_masks(desk.study, run, case, kind).find("tumour") for kind in (AUTOMATIC, REFERENCE))
    assert drawn == [reference.source, automatic.source]


def test_a_report_has_no_image_of_a_case_that_waits_to_be_read_blinded(desk):
    shown = shown_run(desk.study, desk.run_id)
    least, *others = [image.case_id for image in key_images(shown)]
    assert [image.case_id for image in key_images(shown, frozenset({least}))] == others
    page = make_report(desk.study, OPERATOR, READER, IMAGES, ".html", desk.run_id, frozenset({least})).decode()
    assert f"Case {least}, DSC" not in page
    assert all(f"Case {case}, DSC" in page for case in others)
    assert looks_of(desk, OPERATOR.name) == others
