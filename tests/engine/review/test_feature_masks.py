"""The mask that stands downstream is the first that exists of feature_mask_order."""

from dataclasses import replace

import numpy as np
import pytest

from engine.protocol import Masks
from engine.review.feature_masks import choose_feature_masks
from store.artifacts import read_value, write_value
from store.records import Verdict
from store.sources import Verdicts
from store.volumes import AutomaticMasks, Grid, Mask, ReferenceMasks, mask_key

GRID = Grid((4, 4, 4), (1, 1, 1), (0, 0, 0))


def mask(structure, origin, filled=True):
    return Mask(structure, origin, origin, np.full((4, 4, 4), filled), GRID)


def verdict(judgement, reader="reader A", seen=None):
    key = mask_key(mask("tumour", "automatic")) if seen is None else seen
    return Verdict("A", "tumour", reader, judgement, "", "", 1.0, "2026-01-01T00:00:00", key)


def choose(references=(), automatic=(), verdicts=(), order=None):
    found = choose_feature_masks(
        ReferenceMasks(tuple(references)), AutomaticMasks(tuple(automatic)), Verdicts(tuple(verdicts)), order or Masks()
    )
    return {c.structure: (c.mask_source, c.origin) for c in found.chosen}, found.masks


BOTH = {"references": (mask("tumour", "independent"),), "automatic": (mask("tumour", "automatic"),)}


def test_without_verdicts_the_reference_stands():
    assert choose(**BOTH)[0]["tumour"] == ("reference", "independent")


def test_an_approved_automatic_mask_is_reviewed_and_accepted():
    chosen, masks = choose(**BOTH, verdicts=(verdict("none"), verdict("none", "reader B")))
    assert chosen["tumour"] == ("reviewed", "accepted")
    assert masks.find("tumour").origin == "accepted"


@pytest.mark.parametrize("judgement", ["minor", "major", "missed"])
def test_one_reader_who_wants_a_change_keeps_it_from_being_accepted(judgement):
    assert choose(**BOTH, verdicts=(verdict("none"), verdict(judgement, "reader B")))[0]["tumour"][0] == "reference"


def test_an_empty_automatic_mask_is_never_accepted():
    empty = (mask("tumour", "automatic", filled=False),)
    chosen, _ = choose(automatic=empty, verdicts=(verdict("none", seen=mask_key(empty[0])),))
    assert chosen["tumour"] == ("automatic", "automatic")


def test_the_order_is_the_protocols():
    order = Masks(feature_mask_order=("automatic", "reference"))
    assert choose(**BOTH, order=order)[0]["tumour"] == ("automatic", "automatic")


def test_a_structure_nobody_drew_has_no_mask():
    chosen, masks = choose(**BOTH)
    assert chosen["lung_left"] == ("none", "none")
    assert masks.find("lung_left") is None


def test_only_the_largest_piece_of_an_automatic_tumour_is_measured():
    voxels = np.zeros((4, 4, 4), bool)
    voxels[0, 0, 0] = voxels[3, 2:, 2:] = True
    _, masks = choose(automatic=(Mask("tumour", "automatic", "model", voxels, GRID),))
    assert masks.find("tumour").voxels.sum() == 4
    assert not masks.find("tumour").voxels[0, 0, 0]


@pytest.mark.parametrize("seen", ["", "0" * 64])
def test_a_verdict_on_another_mask_accepts_nothing(seen):
    assert choose(**BOTH, verdicts=(verdict("none", seen=seen),))[0]["tumour"][0] == "reference"


def test_a_readers_last_word_counts():
    assert choose(**BOTH, verdicts=(verdict("minor"), verdict("none")))[0]["tumour"][0] == "reviewed"
    assert choose(**BOTH, verdicts=(verdict("none"), verdict("minor")))[0]["tumour"][0] == "reference"


def test_other_lesions_come_along_to_be_kept_out():
    satellite = Mask("tumour", "independent", "reference", np.ones((4, 4, 4), bool), GRID, 1, "node")
    _, masks = choose(references=(mask("tumour", "independent"), satellite))
    assert [m.lesion for m in masks.masks] == [0, 1]


def row(*columns):
    """A tumour mask of whole columns x of the grid."""
    voxels = np.zeros((4, 4, 4), bool)
    voxels[:, :, list(columns)] = True
    return voxels


def reviewed(outlined, found, other=None):
    references = [Mask("tumour", "independent", "reference", outlined, GRID)] if outlined is not None else []
    references += [] if other is None else [Mask("tumour", "independent", "reference", other, GRID, 1, "node")]
    automatic = AutomaticMasks((Mask("tumour", "automatic", "model", found, GRID),))
    order = Masks(feature_mask_order=("automatic",))
    return choose_feature_masks(ReferenceMasks(tuple(references)), automatic, Verdicts(()), order)


@pytest.mark.parametrize(
    ("outlined", "found", "touches"),
    [(row(0), row(0, 2, 3), False), (row(3), row(0, 2, 3), True), (None, row(0), None), (row(0), row(), None)],
)
def test_whether_the_measured_component_touches_the_reference_is_recorded(outlined, found, touches):
    assert reviewed(outlined, found).chosen[0].overlaps_reference is touches


def test_several_components_are_flagged_with_their_number():
    (flag,) = reviewed(None, row(0, 2, 3)).flags
    assert (flag.stage, flag.code) == ("review", "several_components")
    assert "2 pieces" in flag.message
    assert reviewed(None, row(2, 3)).flags == ()


def test_a_satellite_is_not_measured_though_it_is_the_largest_piece():
    found = reviewed(row(0), row(0, 2, 3), other=row(2, 3))
    assert np.array_equal(found.masks.find("tumour").voxels, row(0))


def test_what_two_outlines_share_belongs_to_the_index_lesion():
    found = reviewed(row(0, 1), row(0, 1), other=row(1, 2))
    assert np.array_equal(found.masks.find("tumour").voxels, row(0, 1))
    assert np.array_equal(found.masks.find("tumour", 1).voxels, row(2))


def test_a_mask_has_the_same_key_as_stored_and_as_read(tmp_path):
    made = AutomaticMasks((mask("tumour", "automatic"),))
    write_value(tmp_path / "masks.npz", AutomaticMasks, made)
    back = read_value(tmp_path / "masks.npz", AutomaticMasks).masks[0]
    assert mask_key(back) == mask_key(made.masks[0])
    assert mask_key(replace(back, voxels=row(0))) != mask_key(back)
    shifted = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 1.0))
    assert len({mask_key(back), mask_key(replace(back, grid=shifted)), mask_key(replace(back, source="other"))}) == 3
