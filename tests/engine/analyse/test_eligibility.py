import pytest

from engine.analyse.eligibility import judged, who_leaves
from engine.protocol import Eligibility, Outcome
from store.records import Treatment
from tests.engine.analyse.test_endpoint import patient
from tests.engine.analyse.test_table import boxes, cohort, run

ALL = Eligibility(neoadjuvant="neo", adjuvant="adj", margins="margin", scan_days="scan")


def treated(case, neoadjuvant=False, adjuvant=False, margins=False, scan=10):
    return Treatment(case, neoadjuvant, adjuvant, margins, scan)


def held(rules, label):
    return next(rule for rule in rules if rule.label.startswith(label))


def test_every_rule_finds_its_patients():
    treatments = (
        treated("neo", neoadjuvant=True), treated("r1", margins=True), treated("old", scan=61),
        treated("after", scan=-2), treated("month", scan=45), treated("early"), treated("adj", adjuvant=True),
        treated("blank", None, None, None, None),
    )  # fmt: skip
    outcomes = tuple(patient(t.case_id, death=80 if t.case_id == "early" else None) for t in treatments)
    rules = judged(treatments, outcomes, ALL)
    assert set(who_leaves(rules)) == {"neo", "r1", "old", "after"}
    assert held(rules, "scanned 31 to 60").cases == ("month",)
    assert held(rules, "died within 90").cases == ("early",)
    assert held(rules, "adjuvant").cases == ("adj",)
    assert held(rules, "neoadjuvant").unknown == 1


def test_early_deaths_leave_only_when_the_study_says_so():
    outcomes = (patient("a", death=90), patient("b", death=91))
    rules = judged((treated("a"), treated("b")), outcomes, ALL.model_copy(update={"early_death_rule": "exclude"}))
    assert set(who_leaves(rules)) == {"a"}


def test_a_rule_without_its_column_is_not_applied():
    rules = judged((treated("a", neoadjuvant=True),), (patient("a"),), Eligibility())
    assert [rule.label for rule in rules] == ["died within 90 days"]


def test_those_who_leave_have_a_box_with_their_events_and_are_not_analysed():
    vectors, outcomes = cohort([True, True, False, False])
    treatments = (treated("c000", neoadjuvant=True), treated("c001", scan=40), treated("c002", scan=100))
    found = run(vectors, outcomes, treatments=treatments, eligibility=ALL)
    assert found.table.case_ids == ("c001", "c003")
    flow = boxes(found, "inclusion")
    assert flow["neoadjuvant treatment: left out"] == (1, 1)
    assert flow["scanned more than 60 days before time zero: left out"] == (1, 0)
    assert flow["of them scanned 31 to 60 days before time zero: kept"] == (1, 1)
    assert flow["with an outcome (analysed)"] == (2, 1)


def test_a_competing_death_has_a_box_of_its_own():
    vectors, _ = cohort([True] * 4)
    outcomes = [patient("c000", 100), patient("c001", death=200), patient("c002"), patient("c003", last=300)]
    found = run(vectors, outcomes, outcome=Outcome(kind="columns", definition="recurrence"))
    assert list(boxes(found, "outcome").values()) == [(4, 1), (1, 1), (1, 0), (1, 0), (1, None)]
    assert found.table.event.tolist() == [1, 2, 0, 0]


def test_a_strict_bound_beyond_the_bound_is_refused():
    with pytest.raises(ValueError, match="strict_scan_days"):
        Eligibility(longest_scan_days=20)
