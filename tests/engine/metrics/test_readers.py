"""What is said of readers is counted from their last words, first readings apart from repeats."""

import math
from dataclasses import replace

import pytest

from engine.metrics.readers import (
    LeftOut,
    RepeatsLeftOut,
    intra_reader,
    left_out,
    order_effect,
    pair_agreements,
    readers_of,
    repeats_left_out,
    summaries,
)
from engine.present.wording.review import (
    aware_sentence,
    intra_sentence,
    left_out_sentence,
    readers_answer,
    repeats_left_out_sentence,
)
from engine.protocol import Review
from engine.statistics.rater_agreement import weighted_kappa
from store.reading_orders import EVERY_MASK
from store.records import Verdict

WORD = Verdict("", "tumour", "", "none", "", "", 60.0, "2026-01-01T00:00:00", "seen")
ADA = ["none", "none", "minor", "major", "missed", "none"]
BEN = ["none", "minor", "minor", "major", "missed", "major"]


def said(reader, words, **other):
    return [
        replace(WORD, case_id=f"c{n}", reader=reader, judgement=word, drawn_key="", **other)
        for n, word in enumerate(words)
    ]


def test_the_table_of_a_pair_and_its_kappa():
    (pair,) = pair_agreements(said("Ada", ADA) + said("Ben", BEN), Review())
    table = ((1, 1, 1, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    assert (pair.n, pair.agreed, pair.table) == (6, 4, table)
    assert pair.kappa == weighted_kappa(table, "quadratic")
    assert pair.positive.estimate == pytest.approx(2 * 3 / (2 * 3 + 2))


def test_only_cases_that_both_judged_count():
    (pair,) = pair_agreements(said("Ada", ADA) + said("Ben", BEN[:2]), Review())
    assert pair.n == 2
    assert pair_agreements(said("Ada", ADA), Review()) == ()


def test_the_last_word_counts_and_the_change_is_told():
    rows = [*said("Ada", ["none"]), *said("Ada", ["major"], amends="looked again")]
    (ada,) = summaries(rows)
    assert (ada.counts, ada.amended, ada.median_minutes) == ((0, 0, 1, 0), 1, 2.0)  # a minute each


def test_adjudicators_and_blank_canvases_are_no_readers_here():
    rows = [
        *said("Cleo", ["none"], role="adjudicator", mode="adjudication"),
        replace(WORD, case_id="c0", reader="Dora", judgement="drawn", mode="blank canvas", drawn_key="k"),
    ]
    assert readers_of(rows) == ()
    assert summaries(rows) == ()


def test_a_reader_is_compared_with_himself_over_his_hidden_repeats():
    first = said("Ada", ADA, mode="reader study")
    again = said("Ada", ["none", "minor"], mode="reader study", reading=2)
    (ada,) = intra_reader(first + again, Review())
    assert (ada.n, ada.agreed) == (2, 1)


def test_a_repeat_signed_once_the_others_words_could_be_seen_on_that_mask_says_nothing_of_the_reader():
    first = said("Ada", ADA[:4], mode="reader study")
    again = said("Ada", ADA[:4], mode="reader study", reading=2)
    met = said("Ada", ["none", "none"]) + said("Ada", ["none"], mask_key="newer")  # c0 and c1 on this mask
    met[1] = replace(met[1], role="adjudicator", mode="adjudication")
    shown = {("Ada", "c3", "seen"): WORD.signed_at, ("Ada", "c2", "newer"): WORD.signed_at}
    pairs = intra_reader(first + met + again, Review())
    assert [(one.n, one.agreed) for one in pairs] == [(2, 2)]
    (later,) = intra_reader(first + again + met, Review())
    assert later.n == 4
    seen_between = [replace(v, signed_at="2025-12-31T00:00:00") for v in first]
    (ada,) = intra_reader(seen_between + met + again, Review(), shown)
    assert ada.n == 1


def test_every_signed_repeat_is_counted_or_told_as_left_out():
    first = said("Ada", ADA[:4], mode="reader study")
    again = said("Ada", ADA[:4], mode="reader study", reading=2)
    again[3] = replace(again[3], mask_key="newer")
    met = said("Ada", ADA[:2])
    between = first + met + again  # c0, c1 met after the first reading; c2 counts; c3 on another mask
    assert [one.n for one in intra_reader(between, Review())] == [1]
    assert left_out(between) == (LeftOut("Ada", "Ada, again", 1),)
    assert repeats_left_out(between) == (RepeatsLeftOut("Ada", 2),)
    assert repeats_left_out(first + again + met) == ()
    shown = {("Ada", "c2", "seen"): WORD.signed_at}
    assert repeats_left_out(between, shown) == (RepeatsLeftOut("Ada", 3),)


def test_no_repeat_that_is_left_out_is_denied():
    rows = said("Ada", ADA) + said("Ada", ADA, mode="reader study")  # the work list first
    rows += said("Ada", ADA[:3], mode="reader study", reading=2)
    assert intra_reader(rows, Review()) == ()
    assert repeats_left_out(rows) == (RepeatsLeftOut("Ada", 3),)
    assert "no reader has read" not in intra_sentence(())
    assert repeats_left_out_sentence(repeats_left_out(rows)).startswith("Left out: 3 repeats of Ada.")
    assert repeats_left_out_sentence(()) == ""


def test_a_drift_along_the_order_is_found():
    order = [(f"c{n}", 1) for n in range(6)]
    words = ["none", "none", "minor", "minor", "major", "missed"]
    rows = [replace(v, mode="reader study", active_seconds=60.0 - n) for n, v in enumerate(said("Ada", words))]
    found = order_effect("Ada", order, rows)
    assert found.n == 6
    assert found.severity.rho > 0.9
    assert found.seconds.rho == pytest.approx(-1)
    late = replace(rows[0], amends="looked again", active_seconds=0.5)
    assert order_effect("Ada", order, [*rows, late]).seconds.rho == pytest.approx(-1)


def test_no_drift_is_told_from_four_readings_or_from_equal_ones():
    order = [(f"c{n}", 1) for n in range(6)]
    assert order_effect("Ada", order, said("Ada", ADA[:4], mode="reader study")).severity is None
    assert order_effect("Ada", order, said("Ada", ["none"] * 6, mode="reader study")).severity is None


def test_one_word_for_all_leaves_kappa_undefined():
    (pair,) = pair_agreements(said("Ada", ["none"] * 3) + said("Ben", ["none"] * 3), Review())
    assert math.isnan(pair.kappa.estimate)
    assert pair.ac1.estimate == 1


def test_no_interval_is_told_where_all_agree_or_one_case_was_judged_for_it_would_have_no_width():
    words = ["none", "none", "minor", "major"]
    for same in (words, words[:1]):
        said_of = readers_answer(pair_agreements(said("Ada", same) + said("Ben", same), Review()))
        assert "to 1.00" not in said_of
        assert "nan" not in said_of
    answer = readers_answer(pair_agreements(said("Ada", words) + said("Ben", words), Review()))
    assert answer.count("no interval from these 4 cases") == 2
    assert "95 % CI" in readers_answer(pair_agreements(said("Ada", ADA) + said("Ben", BEN), Review()))


def test_words_on_different_masks_are_no_pair_and_are_told():
    ben = [replace(v, mask_key="newer") if n < 2 else v for n, v in enumerate(said("Ben", BEN))]
    rows = said("Ada", ADA) + ben
    (pair,) = pair_agreements(rows, Review())
    assert (pair.n, pair.agreed) == (4, 3)
    assert left_out(rows) == (LeftOut("Ada", "Ben", 2),)
    assert "2 cases of Ada and Ben" in left_out_sentence(left_out(rows))
    newer = [replace(v, mask_key="newer") for v in ben]
    assert pair_agreements(said("Ada", ADA) + newer, Review()) == ()
    assert left_out(said("Ada", ADA) + newer) == (LeftOut("Ada", "Ben", 6),)


def test_a_repeat_on_another_mask_says_nothing_of_the_reader():
    first = said("Ada", ADA, mode="reader study")
    again = said("Ada", ["none", "minor"], mode="reader study", reading=2)
    again[1] = replace(again[1], mask_key="newer")
    (ada,) = intra_reader(first + again, Review())
    assert (ada.n, ada.agreed) == (1, 1)
    assert left_out(first + again) == (LeftOut("Ada", "Ada, again", 1),)


def test_simulated_readers_name_no_mask_and_are_compared_among_themselves_only():
    simulated = [replace(v, mask_key="") for v in said("reader-A", ADA) + said("reader-B", BEN)]
    (pair,) = pair_agreements(simulated + said("Cleo", ADA), Review())
    assert (pair.first, pair.second, pair.n) == ("reader-A", "reader-B", 6)
    assert left_out_sentence(left_out(simulated)) == ""
    assert [(one.first, one.second) for one in left_out(simulated + said("Cleo", ADA))] == [
        ("Cleo", "reader-A"),
        ("Cleo", "reader-B"),
    ]


LATER = {"amends": "saw the other's", "signed_at": "2026-01-02T00:00:00"}


def test_a_word_changed_once_the_others_were_shown_is_no_agreement_and_is_told():
    blind = said("Ada", ADA) + said("Ben", BEN)
    copied = [*blind, *said("Ben", ADA, **LATER)]
    assert pair_agreements(copied, Review()) == pair_agreements(blind, Review())
    ben = summaries(copied)[1]
    assert (ben.counts, ben.amended, ben.amended_knowing, ben.aware) == ((3, 1, 1, 1), 6, 6, 0)


def test_a_change_within_a_reader_study_stays_unaware_and_counts():
    rows = said("Ada", ADA, mode="reader study") + said("Ben", BEN, mode="reader study")
    (pair,) = pair_agreements([*rows, *said("Ben", ADA, mode="reader study", **LATER)], Review())
    assert pair.agreed == 6


def test_a_reader_study_after_the_work_list_is_not_unaware():
    rows = said("Ada", ADA) + said("Ben", BEN)
    again = [*rows, *said("Ben", ADA, mode="reader study")]
    assert pair_agreements(again, Review()) == pair_agreements(rows, Review())
    assert summaries(again, "reader study")[0].aware == 6
    assert readers_of(again, "reader study") == ("Ben",)


def test_a_word_of_a_reader_study_gives_way_to_a_later_one_on_a_new_mask():
    newer = {"mask_key": "newer"}
    rows = said("Ada", ["major"] * 3, mode="reader study") + said("Ada", ["none"] * 2, **newer)
    rows += said("Ben", ["none"] * 3, **newer)
    assert summaries(rows)[0].counts == (2, 0, 1, 0)
    (pair,) = pair_agreements(rows, Review())
    assert (pair.n, pair.agreed) == (2, 2)
    assert summaries(rows, "reader study")[0].counts == (0, 0, 3, 0)


def test_a_case_that_a_reader_adjudicated_before_he_judged_it_is_left_out():
    rows = said("Ada", ADA) + said("Cleo", ["none"], role="adjudicator", mode="adjudication") + said("Cleo", ADA)
    (pair,) = pair_agreements(rows, Review())
    assert pair.n == 5
    cleo = summaries(rows)[1]
    assert (cleo.n, cleo.aware) == (6, 1)
    assert "1 case of Cleo" in aware_sentence(summaries(rows))


def test_what_is_judged_after_one_saw_an_adjudication_and_signed_nothing_is_left_out():
    rows = said("Ada", ADA) + said("Cleo", ADA)
    last = rows[-1]
    on_mask, signed_at = ("Cleo", last.case_id, last.mask_key), last.signed_at
    assert pair_agreements(rows, Review(), shown={on_mask: "2027-01-01"})[0].n == 6
    shown = {on_mask: signed_at}
    assert pair_agreements(rows, Review(), shown=shown)[0].n == 5
    assert [one.aware for one in summaries(rows, shown=shown)] == [0, 1]


def test_who_was_shown_the_words_on_no_named_mask_of_a_case_knows_them_of_every_mask():
    first = said("Ada", ADA[:2], mode="reader study")
    rows = first + said("Ben", BEN[:2]) + said("Ada", ADA[:2], mode="reader study", reading=2)
    shown = {("Ada", "c0", EVERY_MASK): WORD.signed_at}
    assert [pair.n for pair in pair_agreements(rows, Review(), shown=shown)] == [1]
    assert [pair.n for pair in intra_reader(rows, Review(), shown)] == [1]
    assert repeats_left_out(rows, shown) == (RepeatsLeftOut("Ada", 1),)


def test_what_others_said_of_an_older_mask_leaves_the_word_on_a_new_one_unaware():
    adjudicated = said("Cleo", ["none"], role="adjudicator", mode="adjudication")
    newer = {**LATER, "mask_key": "newer"}
    rows = adjudicated + said("Ada", ADA, **newer) + said("Cleo", ADA, **newer)
    shown = {("Cleo", one.case_id, adjudicated[0].mask_key): one.signed_at for one in rows}
    assert pair_agreements(rows, Review(), shown=shown)[0].n == 6
    assert [one.aware for one in summaries(rows, shown=shown)] == [0, 0]


def test_a_word_on_a_new_mask_counts_as_the_first_on_it():
    newer = [{**LATER, "mask_key": "newer"}, {"mask_key": "newer"}]
    rows = said("Ada", ["none"]) + said("Ada", ["major"], **newer[0]) + said("Ben", ["major"], **newer[1])
    (pair,) = pair_agreements(rows, Review())
    assert (pair.n, pair.agreed) == (1, 1)
    assert summaries(rows)[0].amended == 0
