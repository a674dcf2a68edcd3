"""What two tabs of one reader say of one case: neither takes back what the other has said."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from store.layout import StudyFolder
from store.ledger import Ledger
from store.reviews import Draft, Reading, draft_of


def strip(study: str) -> None:
    from pathlib import Path

    from engine.protocol import Review
    from pages.judging import Judging, judge
    from pages.reader import Reader
    from store.access import Person
    from store.reviews import Reading

    person, reader, reading = (
        Person("Ada", "reader", "command line"),
        Reader("Ada", "named himself"),
        Reading("A", "Ada"),
    )
    judge(Judging(Path(study), person, reader, reading, "reader", "seen", None, None, False, Review()))


@pytest.fixture
def tabs(tmp_path: Path) -> list[AppTest]:
    Ledger(StudyFolder(tmp_path)).close()
    return [AppTest.from_function(strip, args=(str(tmp_path),), default_timeout=60).run() for _ in range(2)]


def kept(study: Path) -> Draft:
    """The draft of the case."""
    with Ledger(StudyFolder(study)) as ledger:
        return draft_of(ledger, Reading("A", "Ada"))


def test_a_word_chosen_in_one_tab_leaves_reason_and_comment_of_the_other(tmp_path, tabs):
    one, other = tabs
    other.selectbox[0].select("vessel").run()
    other.text_input[0].input("see slice 20").run()
    next(button for button in one.button if button.label == "Minor").click().run()
    assert kept(tmp_path) == Draft("minor", "vessel", "see slice 20")
    assert not one.exception


def test_a_tab_shows_what_would_be_signed(tmp_path, tabs):
    one, other = tabs
    other.selectbox[0].select("vessel").run()
    other.text_input[0].input("see slice 20").run()
    one.run()
    assert (one.selectbox[0].value, one.text_input[0].value) == ("vessel", "see slice 20")
    one.text_input[0].input("").run()
    assert kept(tmp_path) == Draft("", "vessel", "")
