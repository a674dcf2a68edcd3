"""What two tabs of one reader say of one case: neither takes back what the other has said. A word is of one mask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.run.review_volumes import automatic_tumour
from store.layout import StudyFolder
from store.ledger import Ledger
from store.records import DrawnMask
from store.reviews import Draft, Edit, Reading, add_drawn, draft_of
from tests.pages.conftest import READER


def strip(study: str) -> None:
    from pathlib import Path

    import streamlit as st

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
    mask = st.session_state.get("mask", "seen")
    judge(Judging(Path(study), person, reader, reading, "reader", mask, None, None, False, Review()))


@pytest.fixture
def tabs(tmp_path: Path) -> list[AppTest]:
    Ledger(StudyFolder(tmp_path)).close()
    return [AppTest.from_function(strip, args=(str(tmp_path),), default_timeout=60).run() for _ in range(2)]


BEFORE = "the automatic mask before"


def kept(study: Path) -> Draft:
    """The draft of the case."""
    with Ledger(StudyFolder(study)) as ledger:
        return draft_of(ledger, Reading("A", "Ada"))


def press(tab: AppTest, label: str) -> AppTest:
    """Press a button of the strip."""
    return next(button for button in tab.button if button.label == label).click().run()


def test_a_word_chosen_in_one_tab_leaves_reason_and_comment_of_the_other(tmp_path, tabs):
    one, other = tabs
    other.selectbox[0].select("vessel").run()
    other.text_input[0].input("see slice 20").run()
    press(one, "Minor")
    assert kept(tmp_path) == Draft("minor", "vessel", "see slice 20", mask_key="seen")
    assert not one.exception


def test_a_tab_shows_what_would_be_signed(tmp_path, tabs):
    one, other = tabs
    other.selectbox[0].select("vessel").run()
    other.text_input[0].input("see slice 20").run()
    one.run()
    assert (one.selectbox[0].value, one.text_input[0].value) == ("vessel", "see slice 20")
    one.text_input[0].input("").run()
    assert kept(tmp_path) == Draft("", "vessel", "")


def signed(study: Path) -> list[tuple[str, str]]:
    """What was signed, and on which mask."""
    with Ledger(StudyFolder(study)) as ledger:
        return [(verdict.judgement, verdict.mask_key) for verdict in ledger.verdicts()]


def test_a_word_chosen_on_a_mask_that_changed_is_not_signed_for_the_new_one(tmp_path, tabs):
    tab, _ = tabs
    press(tab, "None")
    tab.session_state["mask"] = "newer"
    press(tab, "Sign")  # the page meets the new mask with this very click
    assert signed(tmp_path) == []
    assert "**None** is of another automatic mask" in tab.warning[0].value
    assert "choose None" in tab.error[0].value
    tab.text_input[0].input("see slice 20").run()
    assert tab.warning  # a comment is no word
    press(tab, "None")
    assert not tab.warning
    press(tab, "Sign")
    assert signed(tmp_path) == [("none", "newer")]


def test_a_word_is_of_the_mask_that_stood_beside_its_button(tmp_path, tabs):
    tab, _ = tabs
    tab.session_state["mask"] = "newer"
    press(tab, "None")
    assert kept(tmp_path).mask_key == "seen"
    assert tab.warning


def corrected(study: Path) -> tuple[str, float]:
    """A case, corrected by a single voxel of the mask that it had before, and the DSC of that to the mask of now."""
    with Ledger(StudyFolder(study)) as ledger:
        run_id = ledger.latest_run().run_id
        case = next(case for case, _, state in ledger.placed(run_id, "segment") if state == "done")
        now = automatic_tumour(study, run_id, case)
        drawn = replace(now, voxels=np.roll(now.voxels, 3, 2), origin="corrected", source=READER)
        about = DrawnMask(case, "tumour", 0, READER, "corrected", "", BEFORE, "viewer", 0, 0, 0.0, None, None, "")
        add_drawn(StudyFolder(study), ledger, Reading(case, READER), drawn, Edit(1, 0.998, -0.4), about, "")
    shared = np.count_nonzero(now.voxels & drawn.voxels)
    return case, 2 * shared / (np.count_nonzero(now.voxels) + np.count_nonzero(drawn.voxels))


def test_a_word_on_a_correction_over_a_former_mask_is_checked_against_the_one_on_screen(show, demo_copy):
    case, dsc = corrected(demo_copy)
    tab = press(show(demo_copy, "segmentation/review.py", case=case), "Minor")
    assert any(f"DSC {dsc:.2f} to the automatic mask" in said.value for said in tab.markdown)
    former, against = [warning.value for warning in tab.warning]
    assert former.startswith("Your correction was begun over another automatic mask than the one on screen")
    assert f"**major** (DSC {dsc:.2f}" in against
