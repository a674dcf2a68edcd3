"""Parts of a task on cores that are idle: same results in the same order, and no thread where no core is idle."""

from __future__ import annotations

import threading

import pytest

from engine.run.idle_cores import IdleCores


def test_results_keep_the_order_of_their_parts():
    assert IdleCores(lambda: 3).map(lambda part: part * part, tuple(range(50))) == [part * part for part in range(50)]
    assert IdleCores(lambda: 3).map(str, ()) == []


def test_two_parts_are_computed_at_once_where_a_core_is_idle():
    both = threading.Barrier(2, timeout=20)
    assert len(IdleCores(lambda: 1).map(lambda _: both.wait(), (0, 1))) == 2


def test_without_an_idle_core_all_is_done_where_the_task_runs():
    found = IdleCores(lambda: 0).map(lambda _: threading.get_ident(), range(5))
    assert set(found) == {threading.get_ident()}


def test_a_core_that_another_task_takes_back_is_given_back():
    idle = [1]
    here = threading.get_ident()
    first = threading.Barrier(2, timeout=20)

    def part(number: int) -> bool:
        if number < 2:
            first.wait()
            idle[0] = 0
        return threading.get_ident() == here

    found = IdleCores(lambda: idle[0]).map(part, range(20))
    assert found[:2].count(False) == 1
    assert found[3:].count(False) == 0


def test_the_earliest_error_is_raised_when_every_thread_has_ended():
    def part(number: int) -> int:
        if number % 2:
            raise ValueError(str(number))
        return number

    before = threading.active_count()
    with pytest.raises(ValueError, match=r"^1$"):
        IdleCores(lambda: 0).map(part, range(10))
    with pytest.raises(ValueError, match=r"^\d$"):
        IdleCores(lambda: 2).map(part, range(10))
    assert threading.active_count() == before
