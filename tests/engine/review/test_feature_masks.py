"""The mask that stands downstream is the first that exists of feature_mask_order."""

from dataclasses import replace

import numpy as np
import pytest

from engine.protocol import Masks
from engine.review.feature_masks import choose_feature_masks
from engine.review.judged import drawings_to_take
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


def drawn(origin="corrected", reader="reader A", corner=0):
    voxels = np.zeros((4, 4, 4), bool)
    voxels[corner, corner, corner] = True
    return Mask("tumour", origin, reader, voxels, GRID)


def correction(mask, reader="reader A", judgement="minor", signed_at="2026-01-01T00:00:00", **other):
    words = ("A", "tumour", reader, judgement, "", "", 1.0, signed_at, mask_key(BOTH["automatic"][0]))
    return Verdict(*words, drawn_key=mask_key(mask), **other)


def reviewed_drawn(verdicts, masks, order=None, automatic=BOTH["automatic"], references=BOTH["references"]):
    named = Verdicts(tuple(verdicts), tuple((mask_key(mask), mask) for mask in masks))
    return choose_feature_masks(ReferenceMasks(references), AutomaticMasks(automatic), named, order or Masks())


def choose_drawn(verdicts, masks, order=None):
    found = reviewed_drawn(verdicts, masks, order)
    tumour = next(c for c in found.chosen if c.structure == "tumour")
    return (tumour.mask_source, tumour.origin, tumour.source), found.masks.find("tumour")


def test_a_corrected_mask_is_reviewed_and_stands_before_the_reference():
    mask = drawn()
    chosen, standing = choose_drawn([correction(mask)], [mask])
    assert chosen == ("reviewed", "corrected", "reader A")
    assert (standing.voxels == mask.voxels).all()


def test_of_two_corrections_the_one_signed_last_stands_or_none_until_adjudicated():
    one, other = drawn(), drawn(reader="reader B", corner=1)
    said = [correction(one), correction(other, "reader B", signed_at="2026-01-02T00:00:00")]
    assert choose_drawn(said, [one, other])[0] == ("reviewed", "corrected", "reader B")
    assert choose_drawn(said, [one, other], Masks(disagreement="wait"))[0][0] == "reference"


def test_the_adjudicators_word_stands_before_everything():
    one, other = drawn(), drawn(reader="Cleo", corner=2)
    said = [correction(one), correction(other, "Cleo", role="adjudicator", mode="adjudication")]
    assert choose_drawn(said, [one, other])[0] == ("adjudicated", "corrected", "Cleo")


def test_an_adjudicator_may_accept_the_automatic_mask():
    one = drawn()
    seen = mask_key(BOTH["automatic"][0])
    words = ("A", "tumour", "Cleo", "none", "", "", 1.0, "2026-01-02T00:00:00", seen)
    said = [correction(one), Verdict(*words, role="adjudicator", mode="adjudication")]
    assert choose_drawn(said, [one])[0] == ("adjudicated", "accepted", "automatic")


def test_repeats_and_blank_canvases_never_stand_downstream():
    repeat, blank = drawn(), drawn("independent")
    said = [
        correction(repeat, mode="reader study", reading=2),
        correction(blank, judgement="drawn", mode="blank canvas"),
    ]
    assert choose_drawn(said, [repeat, blank])[0][0] == "reference"


def test_a_correction_of_an_earlier_automatic_mask_does_not_stand():
    mask = drawn()
    old = replace(correction(mask), mask_key="0" * 64)
    assert choose_drawn([old], [mask])[0][0] == "reference"


def test_an_amended_correction_replaces_the_first():
    one, other = drawn(), drawn(corner=3)
    said = [correction(one), correction(other, amends="a vessel", signed_at="2026-01-02T00:00:00")]
    assert (choose_drawn(said, [one, other])[1].voxels == other.voxels).all()


CLEO = {"reader": "Cleo", "role": "adjudicator", "mode": "adjudication"}


@pytest.mark.parametrize("judgement", ["minor", "major", "missed"])
def test_an_adjudication_that_names_no_mask_decides_nothing(judgement):
    one, cleos = drawn(), drawn(reader="Cleo", corner=2)
    unnamed = replace(correction(one), **CLEO | {"reader": "the team", "judgement": judgement, "drawn_key": ""})
    adjudicated = replace(correction(cleos), **CLEO)
    assert choose_drawn([correction(one), adjudicated, unnamed], [one, cleos])[0][::2] == ("adjudicated", "Cleo")
    assert choose_drawn([correction(one), unnamed], [one])[0][::2] == ("reviewed", "reader A")


def test_an_adjudicator_may_name_the_mask_of_a_reader():
    one, other = drawn(), drawn(reader="reader B", corner=1)
    said = [correction(one), correction(other, "reader B"), replace(correction(one), **CLEO)]
    assert choose_drawn(said, [one, other])[0] == ("adjudicated", "corrected", "reader A")


def test_a_drawing_on_other_images_does_not_stand_and_is_flagged():
    mask = drawn(reader="Cleo")
    said = [replace(correction(mask), **CLEO)]
    moved = Grid((4, 4, 4), (1, 1, 1), (100, 0, 0))
    now = (replace(BOTH["automatic"][0], grid=moved),)
    for automatic, references in ((now, ()), ((), (replace(BOTH["references"][0], grid=moved),))):
        found = reviewed_drawn(said, [mask], automatic=automatic, references=references)
        assert found.chosen[0].mask_source in ("automatic", "reference")
        assert [flag.code for flag in found.flags] == ["outdated_mask"]
    assert reviewed_drawn(said, [mask]).flags == ()


def test_an_accepted_mask_that_was_segmented_again_brings_no_overruled_drawing_back():
    mask = drawn(reader="Cleo")
    accepted = replace(correction(mask), **CLEO | {"judgement": "none", "drawn_key": "", "mask_key": "0" * 64})
    found = reviewed_drawn([replace(correction(mask), **CLEO), accepted], [mask])
    assert found.chosen[0].mask_source == "reference"
    assert [flag.code for flag in found.flags] == ["outdated_mask"]


def test_readers_who_drew_the_same_voxels_agree_and_one_who_drew_none_does_not():
    one, same = drawn(), drawn(reader="reader B")
    wait = Masks(disagreement="wait")
    agreed = [correction(one), correction(same, "reader B", judgement="major")]
    assert choose_drawn(agreed, [one, same], wait)[0] == ("reviewed", "corrected", "reader B")
    assert choose_drawn([correction(one), verdict("none", "reader B")], [one], wait)[0][0] == "reference"


def test_drawings_to_take_are_those_of_others_over_the_mask_as_it_is_each_once():
    one, other, cleos = drawn(), drawn(reader="reader B", corner=1), drawn(reader="Cleo", corner=2)
    seen = mask_key(BOTH["automatic"][0])
    said = [
        correction(one),
        replace(correction(other, "reader B"), mask_key="0" * 64),
        correction(other, "Dora", mode="blank canvas", judgement="drawn"),
        replace(correction(cleos), **CLEO),
        replace(correction(one), **CLEO | {"reader": "the team"}),
        replace(correction(one), case_id="B"),
    ]
    assert [v.reader for v in drawings_to_take(said, "A", seen, "")] == ["reader A", "Cleo"]
    assert [v.reader for v in drawings_to_take(said, "A", seen, "Cleo")] == ["reader A"]
