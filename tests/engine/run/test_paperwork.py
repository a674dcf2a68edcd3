"""Why a study may hold its data and until when: real days only, a reminder in time, drafts that say what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from engine.commands import app
from engine.protocol import Governance, Images, Protocol, Segment, Study, read_protocol, write_protocol
from engine.run.paperwork import TO_FILL, retention_note, write_paperwork
from engine.service import custody_notes
from store.access import Person, set_account

UNTIL = "2030-06-30"
FILLED = Governance(
    approval_reference="EC 2026/118",
    legal_basis="research exemption, Article 9(2)(j)",
    opt_out_checked_on="2026-10-01",
    retention_until=UNTIL,
)
VIEWER = Person("ada", "viewer", "test")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    (folder / "images").mkdir(parents=True)
    write_protocol(folder, Protocol(study=Study(name="Lung 4"), images=Images(root="images"), governance=FILLED))
    return folder


def ends_in(study: Path, days: int) -> None:
    day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    governance = FILLED.model_copy(update={"retention_until": day})
    write_protocol(study, read_protocol(study).model_copy(update={"governance": governance}))


@pytest.mark.parametrize("day", ["2030-02-30", "2030-13-01", "30.06.2030", "20300630", "2030-W26-7", "soon"])
@pytest.mark.parametrize("field", ["retention_until", "opt_out_checked_on"])
def test_a_day_that_is_none_is_refused(field, day):
    with pytest.raises(ValidationError):
        Governance(**{field: day})


def test_fields_go_through_study_toml(study):
    assert read_protocol(study).governance == FILLED


@pytest.mark.parametrize(
    ("today", "said"),
    [
        ("2030-03-31", ""),  # 91 days before
        ("2030-04-01", "The data must be deleted in 90 days."),
        ("2030-06-30", "The data must be deleted in 0 days."),
        ("2030-07-01", f"The data of this study were to be deleted by {UNTIL}."),
    ],
)
def test_the_reminder_begins_ninety_days_before(today, said):
    assert retention_note(FILLED, today) == said


def test_without_a_date_there_is_no_reminder():
    assert retention_note(Governance(), "2099-01-01") == ""


@pytest.mark.parametrize(("days", "said"), [(30, "in 30 days"), (-2, "were to be deleted by")])
def test_check_paperwork_and_the_first_page_remind(study, days, said, tmp_path):
    ends_in(study, days)
    runner = CliRunner()
    assert said in runner.invoke(app, ["check", str(study)]).output
    assert said in runner.invoke(app, ["paperwork", str(study), "--to", str(tmp_path / "papers")]).output
    assert [said in note for note in custody_notes(study, VIEWER)] == [True]


def test_a_date_far_off_is_not_spoken_of(study):
    assert "deleted" not in CliRunner().invoke(app, ["check", str(study)]).output
    assert custody_notes(study, VIEWER) == ()


def test_the_assessment_says_what_the_study_knows_and_marks_what_it_does_not(study, tmp_path):
    set_account(study, "ada@example.org", "reader", "boss")
    (path,) = write_paperwork(study, tmp_path / "papers")
    text = path.read_text()
    assert path.name == "data_protection_assessment.md"
    for value in ("Lung 4", "EC 2026/118", "Article 9(2)(j)", "2026-10-01", UNTIL, "keyed pseudonyms", "1 reader"):
        assert value in text, value
    assert text.count(TO_FILL) == 3  # why less would not do, other risks, the officer


def test_an_empty_study_has_gaps_where_a_person_must_answer(study, tmp_path):
    write_protocol(study, Protocol(study=Study(public_ids=True)))
    (path,) = write_paperwork(study, tmp_path / "papers")
    text = path.read_text()
    assert text.count(TO_FILL) == 7
    assert "shown as they are" in text


def test_a_study_with_a_model_gets_its_card(study, tmp_path):
    write_protocol(study, read_protocol(study).model_copy(update={"segment": Segment(model="demo")}))
    card = write_paperwork(study, tmp_path / "papers")[1].read_text()
    for value in ("Model card: demo", "sha256: ", "labels ", "not a medical device", "Lung 4"):
        assert value in card, value
    assert card.count(TO_FILL) == 2
