"""What the readers are counted by: words on the masks as they are now, and minutes in which they were there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from store.layout import StudyFolder
from store.ledger import Ledger
from store.reviews import READER_STUDY, Reading, draft_of
from store.snapshot import open_snapshot
from tests.pages.conftest import READER
from tests.pages.test_blinding import PAGE, READERS, Desk


@pytest.fixture
def desk(demo_copy):
    return Desk(demo_copy)


def text_of(app) -> str:
    return "\n".join(str(element.value) for kind in (app.markdown, app.caption, app.info) for element in kind)


def test_readers_counts_words_on_the_masks_as_they_are_now_and_by_choice_the_earlier_ones_alone(show, desk):
    for case in desk.cases[:4]:
        desk.said(case, "Ada", "major", mode="reader study", mask_key="before the model changed")
    for case in desk.cases[:3]:
        desk.said(case, "Ada", "none")
    app = show(desk.study, READERS)
    assert "**Ada**, n = 3: none 100" in text_of(app)
    assert "Left out: 4 signed verdicts on automatic masks that are no more" in text_of(app)
    app.sidebar.selectbox(key="masks").select("Earlier ones").run()
    assert "**Ada**, n = 4: none 0" in text_of(app)
    assert "Only verdicts on automatic masks that are no more" in text_of(app)


def test_readers_tells_of_signed_repeats_that_do_not_count_and_never_denies_them(show, desk):
    cases = desk.cases[:3]
    order = [*((case, 1) for case in cases), (cases[0], 2)]
    desk.ordered(READER_STUDY, order)
    desk.said(cases[0], READER)  # the work list first
    for case, number in order:
        desk.said(case, READER, mode=READER_STUDY, reading=number)
    said = text_of(show(desk.study, READERS))
    assert f"Left out: 1 repeat of {READER}." in said
    assert "no reader has read a hidden repeat" not in said


def test_readers_offers_no_earlier_masks_where_no_word_is_on_one(show, desk):
    desk.said(desk.cases[0], "Ada")
    app = show(desk.study, READERS)
    assert "masks" not in [box.key for box in app.sidebar.selectbox]
    assert "signed verdict on" not in text_of(app)


@pytest.fixture
def clock(monkeypatch):
    """The moment at which signs of life are counted, to be set."""
    moment = SimpleNamespace(at=1000.0)
    monkeypatch.setattr("engine.run.review_desk.time", SimpleNamespace(time=lambda: moment.at))
    return moment


def published_meanwhile(monkeypatch):
    """The page finds another generation than it has begun with, once."""
    before = iter([SimpleNamespace(generation="before")])
    monkeypatch.setattr("pages.frame.open_snapshot", lambda study: next(before, None) or open_snapshot(study))


def run_ended(monkeypatch):
    """A run goes on when the page asks first, and is over when it asks again."""
    answers = iter([True])
    monkeypatch.setattr("pages.staleness.running", lambda _study: next(answers, False))


@pytest.mark.parametrize("happened", [published_meanwhile, run_ended])
def test_a_page_that_runs_by_itself_is_no_sign_of_life_of_who_has_it_open(show, desk, clock, monkeypatch, happened):
    case = desk.cases[0]
    app = show(desk.study, PAGE, case=case)

    def seconds() -> float:
        with Ledger(StudyFolder(desk.study)) as ledger:
            return draft_of(ledger, Reading(case, READER)).active_seconds

    clock.at += 30
    with monkeypatch.context() as patched:
        happened(patched)
        app.run()
    assert not app.exception
    assert seconds() == 0
    clock.at += 20
    app.run()
    assert seconds() == 50
