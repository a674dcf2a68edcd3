import dataclasses

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.protocol import Batch
from store.records import DeclinedError
from tests.engine.analyse.cohorts import CHOICES, RULES, make_table


def labelled(events, free, undetermined=0):
    label = np.repeat([1, 0, -1], [events, free, undetermined]).astype(np.int8)
    return dataclasses.replace(make_table(np.random.default_rng(1), n=label.size), label=label)


@pytest.mark.parametrize(("events", "free"), [(9, 60), (60, 9)])
def test_under_ten_events_or_non_events_the_analysis_is_declined(events, free):
    with pytest.raises(DeclinedError, match="10 patients"):
        candidates(labelled(events, free), CHOICES, RULES, Batch())


@pytest.mark.parametrize(("events", "kept"), [(10, 1), (40, 2), (60, 4), (200, 10)])
def test_a_feature_is_kept_for_every_ten_events_after_the_clinical_parameters(events, kept):
    # two clinical parameters (age, one level of stage): max(1, min(10, events // 10 - 2))
    size = candidates(labelled(events, 20), CHOICES.model_copy(update={"most_kept": 10}), RULES, Batch()).sizes[0]
    assert size.clinical_parameters == 2
    assert size.kept == kept


def test_a_missing_clinical_number_costs_a_parameter():
    table = labelled(40, 40)
    numbers = table.clinical_numbers.copy()
    numbers[0, 0] = np.nan
    assert (
        candidates(dataclasses.replace(table, clinical_numbers=numbers), CHOICES, RULES, Batch())
        .sizes[0]
        .clinical_parameters
        == 3
    )


def test_undetermined_patients_are_counted_apart():
    size = candidates(labelled(40, 91, 13), CHOICES, RULES, Batch()).sizes[0]
    assert (size.patients, size.events, size.free, size.undetermined) == (144, 40, 91, 13)


def test_the_size_says_why_there_is_no_icc_filter():
    assert "no perturbed" in candidates(labelled(20, 20), CHOICES, RULES, Batch()).sizes[0].icc_filter
    assert (
        candidates(make_table(np.random.default_rng(2), perturbed=12), CHOICES, RULES, Batch()).sizes[0].icc_filter
        == ""
    )
