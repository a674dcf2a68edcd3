"""Sentences say what the numbers under them allow."""

import dataclasses
from dataclasses import replace

import pytest

from engine.metrics.readers import ReaderSummary
from engine.present.numbers import counted
from engine.present.wording.doubt import TOGETHER
from engine.present.wording.features import group_answer, protocol_differences, selection_limits
from engine.present.wording.prognosis import discrimination_answer
from engine.present.wording.review import (
    case_header,
    differing_sentence,
    prior_title,
    seconds_beside,
    share_sentence,
)
from engine.present.wording.self_test import self_test_answer
from engine.protocol import Protocol, SelectionProtocol, Study
from store.queries.cohort import CaseFacts
from store.queries.inference import StepSeconds
from store.queries.prognosis import SelfTestResult
from store.queries.reproducibility import SurvivalShare
from store.records import Comparison, FeatureGroup, PriorScan, SelectionSize, Verdict
from store.reviews import ADJUDICATION, BLANK_CANVAS, READER_STUDY, WORK_LIST

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


def test_the_group_is_named_only_where_features_take_turns():
    rows = [FeatureGroup(1, "intratumoural", "original", "glcm", name, 40, 78, 100) for name in ("Contrast", "Idm")]
    assert "one of 2 features like original glcm Contrast** was kept in 78 of 100" in group_answer(rows)
    assert group_answer(rows[:1]) == ""


def test_what_differs_between_two_protocols_is_listed_but_not_their_titles():
    first = Protocol(study=Study(name="a"))
    second = Protocol(study=Study(name="b"), selection=SelectionProtocol(schemes=("MIQ",), trees=100))
    found = protocol_differences(first.model_dump_json(), second.model_dump_json())
    assert found == [("selection.trees", "500", "100"), ("selection.schemes", "FCQ", "MIQ")]


def test_one_mean_outside_of_the_fair_range_fails_the_self_test():
    good = SelfTestResult("run-1", "clinical", "out-of-bag", 0.49, 0.3, 0.6, 20, 20)
    leak = dataclasses.replace(good, model="combined", auc=0.84)
    assert "No leak was found" in self_test_answer([good])
    assert "The self-test failed:** 1 of 2" in self_test_answer([good, leak])
    assert "combined, out-of-bag, 0.84" in self_test_answer([good, leak])


def test_a_gain_over_a_model_without_volume_is_said_to_be_perhaps_size_alone():
    found = Comparison(
        base="clinical",
        extended="combined",
        difference=0.08,
        spread_lo=0.01,
        spread_hi=0.15,
        sentence="adds",
        delong_difference=None,
        delong_lo=None,
        delong_hi=None,
        delong_z=None,
        delong_p=None,
        n=420,
        events=251,
        resamples=500,
        exploratory=True,
    )
    assert "Not compared with tumour volume" in discrimination_answer([found], [])
    assert "tumour volume" not in discrimination_answer([dataclasses.replace(found, base="clinical_volume")], [])


def test_an_adjudicator_reads_what_the_readers_said_and_why():
    first = Verdict("A", "tumour", "Ada", "none", "", "", 1.0, "2026-01-01T00:00:00", "seen")
    second = Verdict("A", "tumour", "Bert", "major", "vessel", "", 1.0, "2026-01-01T00:00:00", "seen", drawn_key="d")
    assert differing_sentence([first, second]) == "Ada: **none**; Bert: **major** (vessel, drew a mask)."
    assert differing_sentence([]) == ""


def test_an_earlier_ct_is_named_by_what_is_known_of_it():
    known = PriorScan(183, "B31f", "soft", "no", 5.0, 1.0, 1.0, 5.0, 0.0, 0.0, 0.0, 0.9)
    assert prior_title(known, WORK_LIST) == "Earlier CT: 183 days before; kernel B31f; 5 mm slices"
    unknown = replace(known, days_before=None, convolution_kernel="unknown", slice_thickness_mm=None)
    assert prior_title(unknown, WORK_LIST) == "Earlier CT: date unknown"
    assert prior_title(replace(unknown, days_before=1), WORK_LIST) == "Earlier CT: 1 day before"


@pytest.mark.parametrize("mode", [WORK_LIST, ADJUDICATION, BLANK_CANVAS, READER_STUDY])
def test_the_title_of_an_earlier_ct_says_no_more_than_the_header_of_the_case(mode):
    facts = CaseFacts("left", "upper", None, 31.0, -183, "no", "B31f", 5.0, 0.8, 0.8, 5.0)
    prior = PriorScan(183, "B31f", "soft", "no", 5.0, 1.0, 1.0, 5.0, 0.0, 0.0, 0.0, 0.9)
    header, title = case_header(facts, mode).lower(), prior_title(prior, mode).lower()
    for fact in ("183 days", "kernel b31f", "5 mm slices"):
        assert (fact in title) == (fact in header)
    assert ("183" in title) == (mode != READER_STUDY)
    assert prior_title(replace(prior, slice_thickness_mm=None), READER_STUDY) == "Earlier CT"


def test_a_readers_shares_come_with_intervals_and_his_minutes_beside_the_machines_seconds():
    ada = ReaderSummary("Ada", 20, (10, 5, 4, 1), 1.5, 31.0, 2, 1, 0)
    text = share_sentence(ada).replace("\N{NO-BREAK SPACE}", " ")
    assert "minor 25 % (" in text
    assert "missed 5 % (" in text
    assert all(f"{word} " in text for word in ("none", "major"))
    assert "median 1.5 min a case, 31.0 min in all" in text
    assert "Changed after signing: 2 words, 1 in the work list" in text
    step = StepSeconds("cpu", "a processor", 2, "fp32", TOGETHER, 3, 4.0, 3.0, 5.0)
    beside = seconds_beside([ada], [step]).replace("\N{NO-BREAK SPACE}", " ")
    assert "**Ada** 1.5 min" in beside
    assert "the machine took 4.0 s a series (median, cpu)" in beside
