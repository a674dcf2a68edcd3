"""Orders are random, stored by the seed and the reader's name; repeats come late and are as many as asked."""

from dataclasses import replace

import pytest

from engine.review.reading_list import (
    adjudications,
    blank_sample,
    next_reading,
    on_present_masks,
    open_disputes,
    progress,
    readers_by_case,
    signed_readings,
    simulated_readers,
    study_order,
    to_adjudicate,
    unread_first,
)
from store.records import Verdict

CASES = [f"c{n:02d}" for n in range(40)]
VERDICT = Verdict("c00", "tumour", "Ada", "minor", "", "", 1.0, "2026-01-01T00:00:00", "seen")


def test_every_case_comes_once_and_a_tenth_again():
    order = study_order(CASES, "Ada", 7, 0.10)
    assert sorted(case for case, reading in order if reading == 1) == CASES
    assert sum(reading == 2 for _, reading in order) == 4


def test_a_repeat_comes_after_its_first_reading_with_others_between():
    order = study_order(CASES, "Ada", 7, 0.25)
    for place, (case, reading) in enumerate(order):
        if reading == 2:
            assert place - order.index((case, 1)) >= 2


def test_the_order_is_the_readers_own_and_repeats_with_the_seed():
    assert study_order(CASES, "Ada", 7, 0.1) == study_order(CASES[::-1], "Ada", 7, 0.1)
    assert study_order(CASES, "Ada", 7, 0.1) != study_order(CASES, "Ben", 7, 0.1)
    assert study_order(CASES, "Ada", 7, 0.1) != study_order(CASES, "Ada", 8, 0.1)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_studies_have_an_order_too(count):
    order = study_order(CASES[:count], "Ada", 7, 0.1)
    assert len({case for case, _ in order}) == count
    assert sum(reading == 2 for _, reading in order) == (count >= 2)


def test_the_blank_sample_is_the_same_for_everyone_and_as_large_as_asked():
    assert blank_sample(CASES, 7, 30) == blank_sample(CASES[::-1], 7, 30)
    assert len(blank_sample(CASES, 7, 30)) == 30
    assert len(blank_sample(CASES, 7, 300)) == 40


def test_a_case_whose_outline_was_seen_gives_its_place_in_the_sample_to_the_next():
    (first, *others), longer = blank_sample(CASES, 7, 30), blank_sample(CASES, 7, 31)
    assert blank_sample(CASES, 7, 30, frozenset({first[0]})) == (*others, longer[-1])
    assert blank_sample(CASES, 7, 30, frozenset(CASES)) == ()


def test_simulated_verdicts_are_no_progress():
    assert signed_readings([replace(VERDICT, mask_key="")], "Ada", "work list") == frozenset()
    signed = signed_readings([VERDICT], "Ada", "work list")
    assert progress([("c00", 1), ("c01", 1)], signed).signed == 1


def test_readers_of_a_case_are_counted_once_each_and_simulated_repeated_and_blank_readings_not():
    changed, repeat = replace(VERDICT, amends="looked again"), replace(VERDICT, mode="reader study", reading=2)
    simulated = replace(VERDICT, case_id="c01", reader="reader-A", mask_key="")
    rows = [VERDICT, changed, replace(repeat, reader="Ben"), simulated, replace(VERDICT, reader="Cleo")]
    assert readers_by_case(rows) == {"c00": 2}


def test_unread_cases_come_first_and_the_next_one_is_unread():
    order, signed = [("a", 1), ("b", 1), ("c", 1)], frozenset({("a", 1)})
    assert unread_first(order, signed) == (("b", 1), ("c", 1), ("a", 1))
    assert next_reading(order, signed, ("c", 1)) == ("b", 1)
    assert next_reading(order, frozenset(order), ("c", 1)) is None


def test_only_cases_that_two_others_judged_differently_are_adjudicated():
    ben = replace(VERDICT, reader="Ben", judgement="major")
    assert to_adjudicate([VERDICT, ben], "Cleo") == (("c00", 1),)
    assert to_adjudicate([VERDICT, ben], "Ben") == ()
    assert to_adjudicate([VERDICT, replace(ben, judgement="minor")], "Cleo") == ()
    assert to_adjudicate([VERDICT], "Cleo") == ()


def test_simulated_readers_and_words_on_another_mask_are_no_disagreement():
    ben = replace(VERDICT, reader="Ben", judgement="major", signed_at="2026-01-02T00:00:00")
    simulated = replace(ben, reader="reader-A", mask_key="")
    assert to_adjudicate([VERDICT, simulated], "Cleo") == ()
    assert to_adjudicate([replace(VERDICT, mask_key=""), simulated], "Cleo") == ()
    assert to_adjudicate([VERDICT, ben, simulated], "Cleo") == (("c00", 1),)
    later = replace(ben, mask_key="segmented again")
    assert to_adjudicate([VERDICT, later], "Cleo") == ()
    assert to_adjudicate([replace(VERDICT, mask_key="segmented again"), later], "Cleo") == (("c00", 1),)


def test_simulated_readers_are_told_from_people_by_the_mask_that_they_never_saw():
    simulated = replace(VERDICT, reader="reader-A", mask_key="")
    contour = replace(VERDICT, reader="Dora", judgement="drawn", mode="blank canvas", mask_key="", drawn_key="k")
    assert simulated_readers([VERDICT, simulated, contour]) == {"reader-A"}


def test_readers_who_drew_differently_are_adjudicated():
    one, other = replace(VERDICT, drawn_key="k1"), replace(VERDICT, reader="Ben", drawn_key="k2")
    assert to_adjudicate([one, other], "Cleo") == (("c00", 1),)


def test_words_on_a_mask_that_is_no_more_are_no_progress_and_no_dispute():
    ben = replace(VERDICT, reader="Ben", judgement="major")
    contour = replace(VERDICT, reader="Dora", judgement="drawn", mode="blank canvas", mask_key="", drawn_key="k")
    rows = (VERDICT, ben, contour)
    assert on_present_masks(rows, {"c00": "seen"}) == on_present_masks(rows, {}) == rows
    assert on_present_masks(rows, {"c00": "segmented again"}) == (contour,)


def test_the_adjudicators_word_stands_until_a_reader_changes_his():
    settled = replace(VERDICT, reader="Cleo", role="adjudicator", mode="adjudication")
    assert adjudications([VERDICT, settled]) == {"c00": settled}
    assert adjudications([VERDICT, settled, replace(VERDICT, amends="looked again")]) == {}


def test_a_dispute_is_open_until_it_is_adjudicated_and_again_once_a_reader_changes_his_word():
    ben = replace(VERDICT, reader="Ben", judgement="major")
    settled = replace(VERDICT, reader="Cleo", role="adjudicator", mode="adjudication")
    assert open_disputes([VERDICT, ben]) == ("c00",)
    assert open_disputes([VERDICT, ben, settled]) == ()
    assert open_disputes([VERDICT, ben, settled, replace(ben, judgement="missed", amends="looked again")]) == ("c00",)
    assert open_disputes([VERDICT, replace(ben, judgement="minor")]) == ()
