"""What a reader may not know yet stands on no page: others' masks and words, cases that come again, older masks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from engine.metrics.readers import pair_agreements
from engine.protocol import Review
from engine.run.meeting_desk import fill_basket
from engine.run.review_volumes import automatic_tumour
from pages.blinding import still_blind
from store.access import Person
from store.layout import StudyFolder
from store.ledger import Ledger
from store.queries.reviews import review_state
from store.records import DrawnMask, Verdict
from store.reviews import (
    ADJUDICATION,
    BLANK_CANVAS,
    READER_STUDY,
    Edit,
    Reading,
    add_drawn,
    drawing_key,
    reading_order,
    sign,
    store_reading_order,
)
from store.snapshot import open_snapshot
from store.volumes import mask_key
from tests.conftest import command_line
from tests.pages.conftest import READER

PAGE, READERS, AGREEMENT = (f"segmentation/{name}.py" for name in ("review", "readers", "agreement"))


class Desk:
    """A study in which readers sign and draw without the page."""

    def __init__(self, study):
        self.study, self.folder = study, StudyFolder(study)
        with Ledger(self.folder) as ledger:
            self.run_id = ledger.latest_run().run_id
            placed = ledger.placed(self.run_id, "acquire")
        self.cases = [case for case, _, state in placed if state == "done"]

    def said(self, case, reader, judgement="none", **other):
        mask = automatic_tumour(self.study, self.run_id, case)
        seen = "" if mask is None else mask_key(mask)
        reason = "" if judgement in ("none", "drawn") else "vessel"
        words = Verdict(case, "tumour", reader, judgement, reason, "", 5.0, "", **{"mask_key": seen, **other})
        with Ledger(self.folder) as ledger:
            return sign(ledger, replace(words, identity="named himself"))

    def drew(self, case, reader):
        mask = automatic_tumour(self.study, self.run_id, case)
        edited = replace(mask, voxels=np.roll(mask.voxels, 2, 1), origin="corrected", source=reader)
        about = ("", mask_key(mask), "viewer", 0, 0, 0.0, None, None, "")
        with Ledger(self.folder) as ledger:
            row = DrawnMask(case, "tumour", 0, reader, "corrected", *about)
            add_drawn(self.folder, ledger, Reading(case, reader), edited, Edit(1, 0.5, 0.0), row, "")
        return drawing_key(case, edited)

    def ordered(self, mode, order):
        with Ledger(self.folder) as ledger:
            store_reading_order(ledger, READER, mode, order)

    def segmented(self, case, state):
        where = "(SELECT key FROM placement WHERE run_id=? AND stage='segment' AND unit=?)"
        with Ledger(self.folder) as ledger, ledger.transaction() as connection:
            connection.execute(f"UPDATE task SET state=? WHERE key={where}", (state, self.run_id, case))

    def blind(self):
        return still_blind(self.study, open_snapshot(self.study), self.run_id, review_state(self.study), READER)

    def order(self, mode):
        with Ledger(self.folder) as ledger:
            return reading_order(ledger, READER, mode)


@pytest.fixture
def desk(demo_copy):
    return Desk(demo_copy)


def listed(app):
    return {case for table in app.dataframe if "origin" in table.value for case in table.value["case_id"]}


def test_readers_lists_masks_of_cases_that_one_has_signed_and_no_others(show, desk):
    first, second = desk.cases[:2]
    desk.drew(first, "Ada")
    desk.drew(second, "Ada")
    desk.said(second, "Ada")
    assert listed(show(desk.study, READERS)) == set()
    desk.said(second, READER)
    app = show(desk.study, READERS)
    assert listed(app) == {second}
    assert any("1 mask of cases that you have not signed" in caption.value for caption in app.caption)


@pytest.mark.parametrize("mode", [READER_STUDY, BLANK_CANVAS])
def test_readers_lists_no_mask_while_a_blind_order_is_unfinished(show, desk, mode):
    case, other = desk.cases[:2]
    desk.drew(case, "Ada")
    desk.said(case, READER)  # in the work list: no reading of the order
    desk.ordered(mode, [(other, 1)])
    assert listed(show(desk.study, READERS)) == set()


def test_readers_lists_no_mask_before_one_has_said_who_looks(show, desk):
    case = desk.cases[0]
    desk.drew(case, "Ada")
    desk.said(case, READER)
    app = show(desk.study, READERS)
    assert listed(app) == {case}
    del app.session_state["reader"]
    assert listed(app.run()) == set()


def in_mode(show, desk, mode, **query):
    app = show(desk.study, PAGE, **query)
    return app.sidebar.selectbox(key="mode").set_value(mode).run()


def test_a_blank_canvas_is_of_cases_whose_outline_one_has_not_seen(show, desk):
    opened, judged, *others = desk.cases
    desk.said(judged, READER)
    show(desk.study, PAGE, case=opened)
    assert not in_mode(show, desk, BLANK_CANVAS).exception
    drawn = {case for case, _ in desk.order(BLANK_CANVAS)}
    assert drawn
    assert drawn <= set(others)


def test_without_a_case_unseen_the_blank_canvas_says_why(show, desk):
    for case in desk.cases:
        desk.said(case, READER)
    app = in_mode(show, desk, BLANK_CANVAS)
    assert "No blank canvas is left for you" in app.info[0].value
    assert desk.order(BLANK_CANVAS) == ()


def case_box(app):
    return next(box for box in app.sidebar.selectbox if box.label == "Case")


def progress_of(app):
    return next(bar.proto.text for bar in app.sidebar.get("progress"))


def test_a_case_that_left_the_run_stops_no_reader_study_and_no_adjudication(show, desk):
    desk.ordered(READER_STUDY, [("gone", 1), *((case, 1) for case in desk.cases), ("gone", 2)])
    desk.said("gone", READER, mode=READER_STUDY, mask_key="of a case that is no more")
    app = in_mode(show, desk, READER_STUDY)
    assert not app.exception
    assert progress_of(app) == f"0 of {len(desk.cases)} signed"
    desk.said("gone", "Ada", mask_key="seen")
    desk.said("gone", "Ben", "minor", mask_key="seen")
    app = in_mode(show, desk, ADJUDICATION)
    assert not app.exception
    assert "No case waits for adjudication" in app.info[0].value


def test_cases_that_came_later_are_appended_to_a_reader_study_once_and_audited(show, desk):
    first, *later = desk.cases
    desk.ordered(READER_STUDY, [(first, 1)])
    in_mode(show, desk, READER_STUDY)
    order = desk.order(READER_STUDY)
    assert order[0] == (first, 1)
    assert sorted(order[1:]) == [(case, 1) for case in later]
    in_mode(show, desk, READER_STUDY)
    assert desk.order(READER_STUDY) == order
    with Ledger(desk.folder) as ledger:
        said = ledger.rows("SELECT detail FROM audit WHERE action='reading order' ORDER BY seq")
    assert [row[0] for row in said] == ["reader study: 1 readings", f"reader study: {len(later)} readings added"]


def answer_of(app):
    return next(text.value for text in app.markdown if "outline" in text.value)


def nobody(app):
    box = next(box for box in app.sidebar.selectbox if box.label == "Cases")
    return next(option for option in box.options if option.startswith("Judged by nobody"))


def test_review_says_at_once_that_a_reader_has_judged_and_hides_what(show, desk):
    case, every = desk.cases[0], len(desk.cases)
    assert nobody(show(desk.study, PAGE, case=case)) == f"Judged by nobody ({every})"
    desk.said(case, "Ada", "minor")
    desk.said(case, "Ada", "major", amends="looked again")
    app = show(desk.study, PAGE, case=case)
    assert nobody(app) == f"Judged by nobody ({every - 1})"
    assert "hidden until you have signed" in answer_of(app)
    desk.said(case, READER, "major")
    app = show(desk.study, PAGE, case=case)
    answer = answer_of(app)
    assert "2 × a major one" in answer
    assert "minor" not in answer
    (queue,) = (table.value for table in app.dataframe if "readers" in table.value)
    assert dict(zip(queue["case_id"], queue["readers"], strict=True))[case] == 2


def test_a_verdict_on_a_mask_that_is_no_more_counts_as_unsigned_and_hides_the_others_again(show, desk):
    case, every = desk.cases[0], len(desk.cases)
    desk.said(case, "Ada", "minor")
    desk.said(case, READER, mask_key="before the model changed")
    app = show(desk.study, PAGE, case=case)
    assert progress_of(app) == f"0 of {every} signed"
    box = next(box for box in app.sidebar.selectbox if box.label == "Cases")
    assert "Judged before the mask changed (1)" in box.options
    assert "hidden until you have signed" in answer_of(app)
    desk.said(case, READER, amends="the mask changed")
    assert progress_of(show(desk.study, PAGE, case=case)) == f"1 of {every} signed"


def test_adjudication_says_who_has_settled_a_case_and_puts_it_last(show, desk):
    first, second, third = desk.cases[:3]
    for case in (first, second):
        desk.said(case, "Ada")
        desk.said(case, "Ben", "minor")
    desk.said(third, "Ada", mask_key="before the model changed")
    desk.said(third, "Ben", "minor", mask_key="before the model changed")
    desk.said(first, "Cleo", "minor", role="adjudicator", mode=ADJUDICATION)
    app = in_mode(show, desk, ADJUDICATION)
    assert [name in option for name, option in zip((second, first), case_box(app).options, strict=True)] == [True, True]
    assert progress_of(app) == "1 of 2 signed"
    app.button(key="next").click().run()
    assert any("Adjudicated by **Cleo**: **minor**" in text.value for text in app.markdown)


def test_who_has_yet_to_read_a_case_is_offered_no_dispute_about_it(show, desk):
    case = desk.cases[0]
    desk.said(case, "Ada", "none")
    desk.said(case, "Ben", "major")
    assert case_box(in_mode(show, desk, ADJUDICATION)).value == case
    desk.ordered(READER_STUDY, [(one, 1) for one in desk.cases])
    assert "you have yet to finish" in in_mode(show, desk, ADJUDICATION).info[0].value


def test_who_looked_at_a_dispute_and_signed_nothing_judges_that_case_knowing(show, desk):
    looked, other = desk.cases[:2]
    for case in (looked, other):
        desk.said(case, "Ada")
        desk.said(case, "Ben", "major")
    assert case_box(in_mode(show, desk, ADJUDICATION)).value == looked
    for case in (looked, other):
        desk.said(case, READER)
    state = review_state(desk.study)
    (seen,) = {v.mask_key for v in state.verdicts if (v.reader, v.case_id) == ("Ada", looked)}
    assert list(state.shown) == [(READER, looked, seen)]
    pairs = {(one.first, one.second): one.n for one in pair_agreements(state.verdicts, Review(), shown=state.shown)}
    assert [pairs[pair] for pair in (("Ada", "Ben"), ("Ada", READER), ("Ben", READER))] == [2, 1, 1]


def test_a_reader_goes_on_with_the_study_that_he_has_begun_unless_an_address_names_a_case(show, desk):
    assert show(desk.study, PAGE).sidebar.selectbox(key="mode").value == "work list"
    desk.ordered(READER_STUDY, [(case, 1) for case in desk.cases])
    assert show(desk.study, PAGE).sidebar.selectbox(key="mode").value == READER_STUDY
    assert show(desk.study, PAGE, case=desk.cases[1]).sidebar.selectbox(key="mode").value == "work list"
    for case in desk.cases:
        desk.said(case, READER, mode=READER_STUDY)
    assert show(desk.study, PAGE).sidebar.selectbox(key="mode").value == "work list"


def test_review_counts_neither_simulated_readers_nor_oneself_among_those_who_are_hidden(show, desk):
    case = desk.cases[0]
    desk.said(case, "reader-Z", mask_key="", identity="")
    desk.said(case, "Ada")
    desk.said(case, READER, mode=READER_STUDY)
    app = show(desk.study, PAGE, case=case)
    assert "What 1 reader judged is hidden" in " ".join(str(element.value) for element in app.markdown)


def test_a_case_that_one_meets_after_the_blank_canvas_was_drawn_drops_out_of_it(show, desk):
    first, second = desk.cases[:2]
    desk.ordered(BLANK_CANVAS, [(first, 1), (second, 1)])
    show(desk.study, PAGE, case=second).button(key="open-blind").click().run()  # looking begins its draft
    assert progress_of(show(desk.study, PAGE)) == "0 of 1 signed"


def test_agreement_shows_no_pair_of_readers_to_who_is_still_blind(show, desk):
    case = desk.cases[0]
    desk.said(case, "Ada", "major", drawn_key=desk.drew(case, "Ada"))
    command_line("run", str(desk.study), "--until", "readers")

    def pairs():
        return show(desk.study, AGREEMENT, run="2").sidebar.selectbox(key="agreement-pair")

    def offered():
        return " ".join(map(str, pairs().options))

    def rows_of_adas():
        box = pairs()
        (adas,) = [number for number, option in enumerate(box.options) if "Ada" in option and "edit" in option]
        app = box.select_index(adas).run()
        assert not app.exception
        return [row for one in app.dataframe if "case_id" in one.value for row in one.value["case_id"]]

    assert "Ada" in offered()
    assert rows_of_adas() == []
    desk.said(case, READER)
    assert rows_of_adas() == [case]
    desk.ordered(READER_STUDY, [(desk.cases[1], 1)])
    assert "Ada" not in offered()


def test_every_case_of_a_reader_study_is_still_blind_until_its_last_reading_is_signed(desk):
    first, second = desk.cases[:2]
    desk.ordered(READER_STUDY, [(first, 1), (second, 1), (first, 2)])
    assert desk.blind() == {first, second}
    desk.said(first, READER)  # in the work list
    desk.said(first, READER, mode=READER_STUDY)
    desk.said(second, READER, mode=READER_STUDY)
    assert desk.blind() == {first, second}  # of the first alone would tell that it comes again
    desk.said(first, READER, mode=READER_STUDY, reading=2)
    assert desk.blind() == set()


def test_a_case_of_a_blank_canvas_is_still_blind_until_it_is_contoured(desk):
    first, second = desk.cases[:2]
    desk.ordered(BLANK_CANVAS, [(first, 1), (second, 1)])
    desk.said(first, READER, "drawn", mode=BLANK_CANVAS, mask_key="", drawn_key=desk.drew(first, READER))
    assert desk.blind() == {second}


def test_a_case_without_an_automatic_outline_waits_in_no_reader_study_until_it_is_segmented(show, desk):
    lost, *others = desk.cases
    desk.ordered(READER_STUDY, [(case, 1) for case in desk.cases])
    for case in others:
        desk.said(case, READER, mode=READER_STUDY)
    desk.segmented(lost, "failed")
    assert progress_of(in_mode(show, desk, READER_STUDY)) == f"{len(others)} of {len(others)} signed"
    assert desk.blind() == set()
    desk.segmented(lost, "done")
    assert desk.blind() == {lost}
    desk.segmented(lost, "failed")
    desk.ordered(BLANK_CANVAS, [(lost, 1)])
    assert desk.blind() == {lost}  # to be contoured it needs no automatic outline


def test_another_reader_does_not_come_to_the_case_of_the_one_before(show, desk):
    app = show(desk.study, PAGE, case=desk.cases[0])
    app.sidebar.button(key="leave").click().run()
    assert "case" not in app.query_params


def looks(folder):
    """Who looked at the images of which case, in order."""
    with Ledger(folder) as ledger:
        return ledger.rows("SELECT actor, detail FROM audit WHERE action='view images' ORDER BY seq")


def test_a_meeting_shows_a_case_with_outlines_only_to_who_has_read_it_and_the_audit_names_him(show, desk, monkeypatch):
    (waits, read), pictures = desk.cases[:2], []
    monkeypatch.setattr("streamlit.image", lambda *_, **about: pictures.append(about["caption"]))
    fill_basket(desk.study, Person("this computer", "administrator", "test"), READER, desk.run_id)
    desk.ordered(BLANK_CANVAS, [(waits, 1)])

    def meeting(case):
        return show(desk.study, "present/meeting.py", present="1", of=READER, case=case)

    app = meeting(waits)
    assert pictures == []
    assert "hidden until the reader study in which the case stands" in app.info[0].value
    before = looks(desk.folder)  # other tests looked at this study too
    meeting(read)
    assert len(pictures) == 1
    assert looks(desk.folder)[len(before) :] == [(READER, read)]
    assert (READER, waits) not in before


def test_agreement_draws_no_error_map_of_a_case_that_waits_to_be_read_blinded(show, desk, monkeypatch):
    chosen, first, maps = SimpleNamespace(selection=SimpleNamespace(rows=[0])), [], []
    monkeypatch.setattr("pages.frame.patients", lambda _, rows, *__, **___: first.append(rows[0].case_id) or chosen)
    monkeypatch.setattr("engine.present.figures.error_map.error_map", lambda *_: maps.append(1))
    assert not show(desk.study, AGREEMENT).exception
    assert maps == [1]
    desk.ordered(BLANK_CANVAS, [(first[0], 1)])
    app = show(desk.study, AGREEMENT)
    assert maps == [1]
    assert any("hidden until the reader study" in caption.value for caption in app.caption)
