"""Sentences say what the numbers under them allow."""

import dataclasses

from engine.present.numbers import counted
from engine.present.wording.features import selection_limits
from store.queries.reproducibility import SurvivalShare
from store.records import SelectionSize

SIZE = SelectionSize(
    patients=59,
    events=22,
    free=30,
    undetermined=7,
    clinical_parameters=3,
    features=5901,
    tested_features=3934,
    mrmr_features=50,
    kept=1,
    icc_filter="",
)
SHARES = (
    SurvivalShare("intratumoural", "original", "glcm", 107, 80, 0, 0),
    SurvivalShare("whole_lung", "original", "glcm", 0, 0, 0, 107),
    SurvivalShare("whole_lung", "wavelet", "glcm", 0, 0, 0, 1860),
)


def test_the_cap_is_said_with_the_events_it_comes_from():
    said = selection_limits(SIZE, ())
    assert said == "Each resample keeps at most 1 feature: 22 events, 3 clinical parameters."


def test_a_region_of_which_nothing_was_tested_is_named_with_its_features():
    said = selection_limits(SIZE, SHARES)
    features = counted(1967, "feature")
    assert f"**Whole lung** was not tested under perturbed masks: none of its {features} may be chosen." in said
    assert "ntratumoural" not in said


def test_without_the_filter_no_region_is_barred():
    off = dataclasses.replace(SIZE, icc_filter="off: only 2 perturbed patients")
    said = selection_limits(off, SHARES)
    assert "only 2 perturbed patients" in said
    assert "may be chosen" not in said
