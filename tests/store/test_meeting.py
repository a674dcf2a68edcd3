"""The basket is each user's own, decisions stay in the history, and a withdrawn patient's figures go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from store.layout import StudyFolder
from store.ledger import Ledger
from store.meeting import (
    MOST_ITEMS,
    BasketItem,
    Decision,
    add_to_basket,
    basket,
    decide,
    decisions,
    drop_item,
    edit_item,
    reorder,
)
from store.publisher import publish
from store.records import Flag
from store.withdrawal import withdraw_case
from tests.store.recorded import finish_run, record, start_run

ITEM = BasketItem(0, "ada", 0, "agreement", "curve", "Curve", "", "n = 9.", "", "{}", "{}", "run-1", "gen-1", "")


def titles(study: Path, person: str = "ada") -> list[str]:
    return [item.title for item in basket(study, person)]


def test_an_empty_study_has_no_figures_and_no_decisions(tmp_path):
    assert basket(tmp_path, "ada") == ()
    assert decisions(tmp_path) == ()


def test_a_basket_keeps_the_order_of_adding_and_can_be_put_into_another(tmp_path):
    ids = [add_to_basket(tmp_path, replace(ITEM, title=title)) for title in ("a", "b", "c")]
    assert titles(tmp_path) == ["a", "b", "c"]
    reorder(tmp_path, "ada", [ids[2], ids[0], ids[1]])
    assert titles(tmp_path) == ["c", "a", "b"]
    with pytest.raises(ValueError, match="names each figure"):
        reorder(tmp_path, "ada", ids[:2])


def test_title_and_note_can_be_changed_by_the_owner_alone(tmp_path):
    item = add_to_basket(tmp_path, ITEM)
    edit_item(tmp_path, "bob", item, "stolen", "")
    edit_item(tmp_path, "ada", item, "Surface DSC", "show last")
    assert [(found.title, found.note) for found in basket(tmp_path, "ada")] == [("Surface DSC", "show last")]
    with pytest.raises(ValueError, match="title"):
        edit_item(tmp_path, "ada", item, " ", "")


def test_baskets_of_two_people_are_apart(tmp_path):
    mine = add_to_basket(tmp_path, ITEM)
    add_to_basket(tmp_path, replace(ITEM, person="bob", title="his"))
    drop_item(tmp_path, "bob", mine)
    assert (titles(tmp_path), titles(tmp_path, "bob")) == (["Curve"], ["his"])
    drop_item(tmp_path, "ada", mine)
    assert titles(tmp_path) == []


def test_a_full_basket_says_so(tmp_path):
    for _ in range(MOST_ITEMS):
        add_to_basket(tmp_path, ITEM)
    with pytest.raises(ValueError, match="at most"):
        add_to_basket(tmp_path, ITEM)


def test_the_last_decision_on_a_case_counts_and_each_is_audited(tmp_path):
    for text in ("repeat the scan", "correct the outline"):
        decide(tmp_path, Decision("CASE-A", text, "Ada", "2026-12-01", "ada", ""))
    assert [(d.case_id, d.decision) for d in decisions(tmp_path)] == [("CASE-A", "correct the outline")]
    with Ledger(StudyFolder(tmp_path)) as ledger:
        assert ledger.rows("SELECT count(*) FROM audit WHERE action='meeting decision'") == [(2,)]
        assert ledger.rows("SELECT count(*) FROM decision") == [(2,)]


@pytest.mark.parametrize("wrong", [{"case_id": ""}, {"decision": " "}, {"due": "tomorrow"}])
def test_a_decision_without_case_words_or_day_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=r"decision|isoformat"):
        decide(tmp_path, replace(Decision("CASE-A", "look again", "", "", "ada", ""), **wrong))


def test_withdrawal_takes_figures_and_decisions_of_the_patient(tmp_path):
    for run_id, case in (("run-1", "CASE-A"), ("run-2", "CASE-B")):
        start_run(tmp_path, run_id)
        record(tmp_path, run_id, "acquire", case, [Flag("acquire", "code", "text", "remedy")])
        finish_run(tmp_path, run_id)
        add_to_basket(tmp_path, replace(ITEM, run_id=run_id, title=run_id))
        decide(tmp_path, Decision(case, "look again", "", "", "ada", ""))
    publish(tmp_path)
    withdraw_case(tmp_path, "CASE-A", "ada", "asked for it")
    assert titles(tmp_path) == ["run-2"]
    assert [d.case_id for d in decisions(tmp_path)] == ["CASE-B"]
