"""Parts of `bench overlap` that need no other software: its masks, our side, its words."""

from __future__ import annotations

import numpy as np
import pytest

from engine.bench.overlap import EXACT, SPACINGS, TOLERANCE_MM, OverlapBench, SphereRow, overlap_lines, shifted_spheres
from engine.bench.overlap_worker import main
from engine.metrics.smooth_surface import smooth_distances

BALL_MM3 = 4 / 3 * np.pi * 20.0**3


@pytest.mark.parametrize("spacing", SPACINGS)
def test_spheres_have_their_volume_and_smooth_surfaces_come_near_the_closed_form(spacing):
    pair = shifted_spheres(spacing)
    for ball in (pair.one, pair.other):
        assert ball.sum() * np.prod(spacing) == pytest.approx(BALL_MM3, rel=0.02)
    assert smooth_distances(pair.one, pair.other, spacing).share_within(TOLERANCE_MM) == pytest.approx(EXACT, abs=0.05)


def test_our_worker_measures_every_pair_it_is_given(tmp_path):
    same, shifted = np.zeros((2, 20, 20, 20), np.bool_)
    same[5:15, 5:15, 5:15] = shifted[5:15, 5:15, 8:18] = True
    arrays = {"count": np.array(2), "tolerance_mm": np.array(2.0)}
    for place, other in enumerate((same, shifted)):
        arrays |= {f"one{place}": np.packbits(same), f"other{place}": np.packbits(other)}
        arrays |= {f"shape{place}": np.array(same.shape), f"spacing{place}": np.ones(3)}
    np.savez(tmp_path / "given.npz", **arrays)
    main(str(tmp_path / "given.npz"), str(tmp_path / "found.npz"))
    with np.load(tmp_path / "found.npz") as found:
        assert found["values"][0] == 1.0
        assert 0.5 < found["values"][1] < 1.0
        assert (found["seconds"] > 0).all()


def test_words_name_the_ratio_the_peer_and_every_spacing():
    rows = tuple(SphereRow(spacing, EXACT, 0.53, 0.53, 0.5) for spacing in SPACINGS)
    said = overlap_lines(OverlapBench((300, 512, 512), 14.4, (0.1,), (1.44,), 0.0, rows, "1.5.1"))
    assert said[0].startswith("14.4 times less CPU time than MONAI 1.5.1 on 512 x 512 x 300")
    assert len(said) == 2 + len(SPACINGS)
    assert "5, 0.7, 0.7" in said[-1]
