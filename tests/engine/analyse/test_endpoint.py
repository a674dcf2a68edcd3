import numpy as np
import pytest
from pydantic import ValidationError

from engine.analyse.endpoint import case_endpoint, define_endpoints
from engine.analyse.guard import censoring_of, censoring_weights
from engine.protocol import Outcome as Choices
from engine.statistics.cumulative_incidence import cumulative_incidence, incidence_at
from store.records import DeclinedError, Outcome
from tests.engine.analyse.cohorts import make_table


def patient(case="a", recurrence=None, death=None, last=1500, composite=False):
    known = [day for day in (recurrence, death) if day is not None]
    days = min(known) if known else last
    label = True if known and days <= 730 else (False if days >= 730 else None)
    return Outcome(case, "surgery", recurrence, death, "unknown", last, last, days, bool(known), composite, label, "")


def choices(definition, **more):
    return Choices(kind="columns", definition=definition, **more)


@pytest.mark.parametrize(
    ("definition", "course", "expected"),
    [
        ("any-cause", {"death": 300}, (300, 1, True)),
        ("recurrence", {"death": 300}, (300, 2, False)),
        ("recurrence", {"recurrence": 300, "death": 400}, (300, 1, True)),
        ("recurrence", {"recurrence": 300, "death": 300}, (300, 1, True)),
        ("recurrence", {"death": 900}, (900, 2, False)),
        ("recurrence", {"last": 500}, (500, 0, None)),
        ("recurrence", {"last": 730}, (730, 0, False)),
        ("paper-censored", {"death": 300}, (300, 0, None)),
        ("paper-censored", {"death": 900}, (900, 0, False)),
        ("paper-censored", {"recurrence": 700, "death": 900}, (700, 1, True)),
    ],
)
def test_what_came_first_is_read_by_the_definition(definition, course, expected):
    found = case_endpoint(patient(**course), choices(definition))
    assert (found.days, found.event, found.label) == expected


def test_as_in_the_paper_the_dead_without_recurrence_leave():
    cohort = (patient("a", death=300), patient("b", death=900), patient("c", recurrence=100, death=200))
    found = define_endpoints(cohort, choices("paper-excluded"))
    assert set(found.left_out) == {"a", "b"}
    assert set(found.known) == {"c"}


def test_exclusion_of_the_censored_is_a_choice_and_never_the_default():
    cohort = (patient("a", last=400), patient("b", last=900))
    assert set(define_endpoints(cohort, choices("any-cause")).known) == {"a", "b"}
    assert set(define_endpoints(cohort, choices("any-cause", undetermined="exclude")).known) == {"b"}


def test_a_composite_switches_competing_risks_off_and_says_why():
    with pytest.raises(ValidationError, match="does not tell recurrence from death"):
        Choices(kind="time", time="days", event="event", definition="recurrence")
    with pytest.raises(DeclinedError, match="composite only"):
        define_endpoints((patient(composite=True),), choices("recurrence"))


def test_the_endpoint_is_named_after_its_definition_unless_the_study_names_it():
    assert choices("recurrence").endpoint == "recurrence, death competing"
    assert choices("paper-excluded").endpoint.endswith("left out (as in the paper)")
    assert choices("recurrence", endpoint="loco-regional recurrence").endpoint == "loco-regional recurrence"
    assert Choices.model_validate(choices("recurrence").model_dump()) == choices("recurrence")


def test_weights_of_a_competing_endpoint_reproduce_the_aalen_johansen_incidence():
    # the weighted share of events is the Aalen-Johansen estimate in another form (Satten and Datta 2001)
    rng = np.random.default_rng(4)
    table = make_table(rng, n=400)
    died = (rng.random(400) < 0.4) & (table.event == 1)
    event = np.where(died, 2, table.event).astype(np.int8)
    label = np.where(table.label == 1, np.where(died, 0, 1), table.label).astype(np.int8)
    competing = type(table)(**{f: getattr(table, f) for f in table.__slots__} | {"event": event, "label": label})
    weights = censoring_weights(competing, censoring_of(competing))
    share = weights[label == 1].sum() / 400
    expected = incidence_at(cumulative_incidence(table.days, event, 1), [730])[0]
    assert share == pytest.approx(expected, abs=2e-3)
