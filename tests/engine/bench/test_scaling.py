"""The scaling bench runs from end to end on its smallest points."""

import pytest

from engine.bench import scaling
from engine.bench.scaling import Point, bench_scaling, scaling_lines
from engine.bench.scaling_figure import draw_scaling


def test_a_point_is_measured_in_a_process_of_its_own(shared, monkeypatch):
    monkeypatch.setitem(scaling.QUICK, "cases", (3,))
    found = bench_scaling(shared, ("cases",), quick=True)
    assert [(p.what, p.side, p.count) for p in found.points] == [("cases", "engine", 3)]
    assert all(p.cpu_seconds_each == pytest.approx(p.cpu_seconds / p.count) for p in found.points)
    assert all(50 < p.peak_mb < 4000 for p in found.points)
    assert len(scaling_lines(found)) == 1


def test_an_unknown_part_is_refused(shared):
    with pytest.raises(ValueError, match="--part must be one of"):
        bench_scaling(shared, ("colours",), quick=True)


def test_the_figure_is_a_picture(tmp_path):
    points = [Point(what, "engine", n, n * 0.1, 0.1, 100.0) for what in ("masks", "voxels") for n in (10, 100)]
    draw_scaling(points, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
