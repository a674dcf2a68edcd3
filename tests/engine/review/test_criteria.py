"""The protocol's words against actual edits."""

import numpy as np
import pytest

from engine.protocol import Review
from engine.review.criteria import contradiction, measured_edit, word_for
from store.records import DrawnMask
from store.volumes import Grid, Mask

GRID = Grid((100, 1, 1), (1, 1, 1), (0, 0, 0))


def line(start, stop):
    voxels = np.zeros((1, 1, 100), bool)
    voxels[..., start:stop] = True
    return Mask("tumour", "corrected", "Ada", voxels, GRID)


def saved(dsc, volume):
    return DrawnMask("A", "tumour", 1, "Ada", "corrected", "k", "p", "viewer", 1, 1, 1.0, dsc, volume, "")


def test_an_edit_is_measured_against_its_parent():
    edit = measured_edit(line(0, 44), line(0, 40))
    assert edit.changed_voxels == 4
    assert edit.dsc == pytest.approx(2 * 40 / 84)
    assert edit.volume_change_percent == pytest.approx(10)


def test_a_blank_canvas_has_no_parent():
    edit = measured_edit(line(0, 44), None)
    assert (edit.changed_voxels, edit.dsc, edit.volume_change_percent) == (44, None, None)


def test_an_empty_parent_has_no_volume_to_change():
    assert measured_edit(line(0, 5), line(0, 0)).volume_change_percent is None


@pytest.mark.parametrize(
    ("dsc", "volume", "word"),
    [
        (0.95, 9.9, "minor"),
        (0.9, -9.9, "minor"),
        (0.95, 10.0, "major"),
        (0.89, 0.0, "major"),
        (0.0, 0.0, "missed"),
        (None, None, "missed"),
        (0.95, None, "major"),
    ],
)
def test_the_words_are_the_protocols(dsc, volume, word):
    assert word_for(saved(dsc, volume), Review()) == word


def test_a_word_that_the_edit_contradicts_is_named():
    assert "**major** (DSC 0.80, volume +25 %), not minor" in contradiction("minor", saved(0.8, 25.0), Review())
    assert contradiction("major", saved(0.8, 25.0), Review()) == ""
    assert contradiction("minor", None, Review()) == ""
