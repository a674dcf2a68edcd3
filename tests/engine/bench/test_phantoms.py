"""The bench of a model on unseen phantoms: two phantoms from end to end, and its counting by hand."""

from __future__ import annotations

import pytest

from engine.bench.phantoms import PhantomRow, bench_phantoms, group_of, phantom_lines
from engine.segment.model import find_model


def row(dsc: float | None, detected: bool = True, kind: str = "free", ml: float = 1.0) -> PhantomRow:
    return PhantomRow(0, kind, ml, detected, dsc, 0.99, 0.99)


def test_the_mean_is_of_the_found_tumours_alone():
    group = group_of("all", [row(0.8), row(0.6), row(0.0, detected=False)])
    assert (group.n, group.detected, group.mean_dsc, group.median_dsc) == (3, 2, pytest.approx(0.7), 0.7)
    assert 0.6 <= group.mean_dsc_lower <= 0.7 <= group.mean_dsc_upper <= 0.8


def test_a_group_without_a_found_tumour_has_no_mean():
    group = group_of("hilar", [row(0.0, detected=False)])
    assert (group.n, group.detected, group.mean_dsc) == (1, 0, None)


def test_phantoms_are_segmented_without_their_outlines_and_compared_with_them():
    heard: list[tuple[int, int]] = []
    found = bench_phantoms(find_model("demo"), 2, 0, lambda done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]
    assert [p.number for p in found.phantoms] == [0, 1]
    assert found.groups[0].n == 2
    assert 0.9 < found.lung_left_dsc < 1  # 1 would be a comparison with itself
    assert 0.9 < found.lung_right_dsc < 1
    assert len(phantom_lines(found)) == len(found.groups) + 2


def test_no_phantom_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        bench_phantoms(find_model("demo"), 0, 0, lambda done, total: None)
