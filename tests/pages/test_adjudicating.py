"""An adjudication and a consensus name the mask that is measured; a signed contour can be amended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.run.review_desk import sign_verdict
from pages.presenting import CORRECTIONS_HIDDEN
from store.layout import StudyFolder
from store.queries.reviews import review_state
from store.records import DrawnMask, Verdict
from store.reviews import Edit, Reading, add_drawn, draft_of, drawing_key, open_ledger
from store.volumes import Grid, Mask, mask_key

GRID = Grid((6, 5, 4), (1, 2, 3), (0, 0, 0))
AUTOMATIC = Mask("tumour", "automatic", "model", np.ones(GRID.shape_zyx, bool), GRID)
SEEN = mask_key(AUTOMATIC)
CLEO = Reading("A", "Cleo", "adjudication")
NAMES_NO_MASK = "Not signed: an adjudication names the mask that is measured"


def save_mask(study: Path, reading: Reading, filled: int, origin: str = "corrected", begun: str = "") -> str:
    voxels = np.zeros(GRID.shape_zyx, bool)
    voxels.ravel()[:filled] = True
    mask = Mask("tumour", origin, reading.reader, voxels, GRID)
    about = DrawnMask("A", "tumour", 0, reading.reader, origin, "", SEEN, "viewer", 0, 0, 0.0, None, None, "")
    with open_ledger(study) as ledger:
        add_drawn(StudyFolder(study), ledger, reading, mask, Edit(2, 0.95, -4.0), about, begun)
    return drawing_key("A", mask)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Ada and Ben corrected the same automatic mask differently."""
    for number, reader in enumerate(("Ada", "Ben"), start=3):
        key = save_mask(tmp_path, Reading("A", reader), number)
        words = ("A", "tumour", reader, "minor", "vessel", "", 1.0, "", SEEN)
        sign_verdict(tmp_path, Verdict(*words, drawn_key=key, identity="me"))
    return tmp_path


def signed_by(study: Path, reader: str) -> list[Verdict]:
    with open_ledger(study) as ledger:
        return [verdict for verdict in ledger.verdicts("A") if verdict.reader == reader]


def strip(study: str, seen: str, mode: str) -> None:
    from pathlib import Path

    from engine.protocol import Review
    from pages.judging import Judging, contour, judge
    from pages.reader import Reader
    from store.access import Person
    from store.queries.reviews import read_draft, review_state
    from store.reviews import Reading

    reading, state = Reading("A", "Cleo", mode), review_state(Path(study))
    drawn = state.version(read_draft(Path(study), reading).drawn_key)
    before = next((v for v in reversed(state.verdicts) if v.reader == "Cleo"), None)
    role = "adjudicator" if mode == "adjudication" else "reader"
    who = (Path(study), Person("Cleo", "administrator", "test"), Reader("Cleo", "me"), reading, role, seen)
    (contour if mode == "blank canvas" else judge)(Judging(*who, before, drawn, False, Review()))


def strip_of(study: Path, mode: str) -> AppTest:
    return AppTest.from_function(strip, args=(str(study), SEEN, mode)).run()


def button(app: AppTest, label: str):
    return next(found for found in app.button if found.label == label)


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in (*app.markdown, *app.error))


def test_an_adjudicator_who_names_no_mask_is_told_so_and_takes_a_readers_by_one_click(study):
    app = strip_of(study, "adjudication")
    button(app, "Minor").click().run()
    app.selectbox[0].set_value("vessel").run()
    assert "names: **none yet**" in said(app)
    button(app, "Sign").click().run()
    assert NAMES_NO_MASK in said(app)
    assert signed_by(study, "Cleo") == []
    button(app, "Take Ben's mask").click().run()
    assert "names: **Ben's correction**" in said(app)
    assert "Ben's correction is version 2" in said(app)
    button(app, "Sign").click().run()
    (verdict,), (bens,) = signed_by(study, "Cleo"), signed_by(study, "Ben")
    assert (verdict.role, verdict.judgement, verdict.drawn_key) == ("adjudicator", "minor", bens.drawn_key)


def test_an_adjudicator_who_says_none_names_the_automatic_mask(study):
    app = strip_of(study, "adjudication")
    button(app, "None").click().run()
    assert "names: **the automatic one**" in said(app)
    button(app, "Sign").click().run()
    assert [v.judgement for v in signed_by(study, "Cleo")] == ["none"]


def test_other_readers_are_offered_no_mask(study):
    app = strip_of(study, "work list")
    assert not [found.label for found in app.button if found.label.startswith("Take")]


def test_a_signed_contour_is_amended_with_a_reason_and_both_stay(study):
    blank = Reading("A", "Cleo", "blank canvas")
    first = save_mask(study, blank, 5, "independent")
    app = strip_of(study, "blank canvas")
    button(app, "Sign this contour").click().run()
    app.run()
    button(app, "Change it").click().run()
    second = save_mask(study, blank, 6, "independent", first)
    app.run()
    button(app, "Sign this contour").click().run()
    assert "say why" in said(app)
    app.text_input[0].set_value("a vessel").run()
    button(app, "Sign this contour").click().run()
    found = [(v.judgement, v.drawn_key, v.amends) for v in signed_by(study, "Cleo")]
    assert found == [("drawn", first, ""), ("drawn", second, "a vessel")]
    with open_ledger(study) as ledger:
        assert draft_of(ledger, blank).drawn_key == ""


def consensus(study: str) -> None:
    from pathlib import Path
    from types import SimpleNamespace

    import pages.presenting as presenting
    from store.access import Person

    run = SimpleNamespace(run_id="run-1")
    shown = SimpleNamespace(study=Path(study), run=run, snapshot=None)
    presenting._consensus(shown, Person("this computer", "administrator", "test"), "A")


@pytest.fixture
def meeting(study: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr("pages.reader.signed_in", lambda: None)
    monkeypatch.setattr("pages.presenting.automatic_tumour", lambda *_: AUTOMATIC)
    words = ("A", "tumour", "reader-A", "minor", "vessel", "", 1.0, "", "")
    sign_verdict(study, Verdict(*words))  # of a simulated reader
    return AppTest.from_function(consensus, args=(str(study),)).run()


def filled(app: AppTest, word: str, mask: str, name: str) -> AppTest:
    app.radio[0].set_value(word)
    app.radio[1].set_value(mask)
    app.selectbox[0].set_value("vessel")
    if not app.text_input[0].disabled:
        app.text_input[0].set_value(name)
    return app.button[0].click().run()


def named(meeting: AppTest, name: str) -> AppTest:
    """The meeting once somebody has said on Review who looks."""
    meeting.session_state["reader"] = name
    return meeting.run()


def test_a_consensus_names_the_mask_of_a_reader(study, meeting, monkeypatch):
    monkeypatch.setattr("pages.presenting.blind_cases", lambda *_: frozenset())
    (adas,) = signed_by(study, "Ada")
    named(meeting, "The team")
    assert meeting.radio[1].options == ["The automatic outline", "Ada's correction", "Ben's correction"]
    filled(meeting, "minor", adas.drawn_key, "The team")
    assert [text.value for text in meeting.success] == [
        "Signed. Ada's correction counts as adjudicated from the next run on."
    ]
    assert [v.drawn_key for v in signed_by(study, "The team")] == [adas.drawn_key]


@pytest.mark.parametrize(
    ("word", "drawn", "name", "why"),
    [
        ("minor", False, "The team", "None goes with the automatic outline"),
        ("none", True, "The team", "None goes with the automatic outline"),
        ("minor", True, "reader-A", "is a simulated reader"),
        ("none", False, "reader-A", "is a simulated reader"),
        ("none", False, "<b>x", "begins with a letter or a digit"),
    ],
)
def test_a_consensus_without_its_mask_or_under_no_readers_name_is_refused_in_words(
    study, meeting, monkeypatch, word, drawn, name, why
):
    monkeypatch.setattr("pages.presenting.blind_cases", lambda *_: frozenset())
    (adas,) = signed_by(study, "Ada")
    if drawn:
        named(meeting, name)
    filled(meeting, word, adas.drawn_key if drawn else "", name)
    assert why in said(meeting)
    with open_ledger(study) as ledger:
        assert len(ledger.verdicts("A")) == 3


def test_who_is_offered_the_corrections_of_others_in_a_meeting_is_kept_as_knowing_them(study, meeting, monkeypatch):
    monkeypatch.setattr("pages.presenting.blind_cases", lambda *_: frozenset())
    assert review_state(study).shown == {}
    named(meeting, "Zoe")
    assert list(review_state(study).shown) == [("Zoe", "A", SEEN)]


def test_a_meeting_offers_no_correction_before_it_is_known_who_looks_and_tells_of_none(study, meeting):
    assert meeting.radio[1].options == ["The automatic outline"]
    assert [text.value for text in meeting.caption] == [CORRECTIONS_HIDDEN]
    assert filled(meeting, "none", "", "The team").success
    assert [v.judgement for v in signed_by(study, "The team")] == ["none"]


def test_who_is_offered_his_own_correction_alone_in_a_meeting_has_learnt_nothing(study, meeting, monkeypatch):
    monkeypatch.setattr("pages.presenting.blind_cases", lambda *_: frozenset())
    words = ("A", "tumour", "Ben", "none", "", "", 1.0, "", SEEN)
    sign_verdict(study, Verdict(*words, identity="me", amends="it was right"))
    named(meeting, "Ada")
    assert meeting.radio[1].options == ["The automatic outline", "Ada's correction"]
    assert review_state(study).shown == {}


def test_who_has_yet_to_read_the_case_blinded_is_told_of_no_correction_in_a_meeting(study, meeting, monkeypatch):
    monkeypatch.setattr("pages.presenting.blind_cases", lambda *_: frozenset({"A"}))
    named(meeting, "Zoe")
    assert not meeting.radio
    assert "Hidden until the reader study" in meeting.caption[0].value
