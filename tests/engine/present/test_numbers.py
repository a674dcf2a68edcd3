from __future__ import annotations

import pytest

from engine.present.numbers import counted, duration, interval, moment, number, p_term, p_value, percent


@pytest.mark.parametrize(
    ("p", "text"), [(0.0214, "0.021"), (0.00001, "< 0.0001"), (0.5, "0.5"), (0.999, "1.0"), (None, "–")]
)
def test_p_has_two_significant_digits(p, text):
    assert p_value(p) == text


def test_p_below_the_smallest_has_no_equals_sign():
    assert p_term(1e-9, "q") == "q < 0.0001"


def test_minus_is_a_minus_sign():
    assert interval(-0.05, 0.16) == "−0.05 to 0.16"


def test_missing_numbers_are_dashes():
    assert (number(None), number(float("nan")), percent(None)) == ("–", "–", "–")


def test_one_is_singular():
    assert (counted(1, "case"), counted(2, "case"), counted(5901, "feature")) == ("1 case", "2 cases", "5 901 features")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "not known yet"), (12, "under a minute"), (720, "12 min"), (7500, "2 h 05 min")]
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_moments_are_utc():
    assert moment("2026-11-03T09:05:00.123+00:00") == "3 Nov 2026, 09:05 UTC"
