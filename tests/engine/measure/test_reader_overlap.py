"""Readers' masks against the automatic one, the reference and each other; cubes of known overlap."""

from dataclasses import replace

import numpy as np
import pytest

from engine.measure.reader_overlap import compare_readers
from engine.protocol import Agreement
from store.records import Verdict
from store.sources import Verdicts
from store.volumes import AutomaticMasks, Grid, Mask, ReferenceMasks, mask_key

GRID = Grid((12, 12, 12), (1, 1, 1), (0, 0, 0))


def cube(source, origin, stop):
    """10 x 10 x (stop - 1) voxels: DSC of two such is 2 x the smaller over the sum."""
    voxels = np.zeros(GRID.shape_zyx, bool)
    voxels[1:stop, 1:11, 1:11] = True
    return Mask("tumour", origin, source, voxels, GRID)


AUTOMATIC, REFERENCE = cube("model", "automatic", 11), cube("reference", "independent", 9)


def said(reader, judgement, mask=None, mode="work list"):
    seen = "" if mode == "blank canvas" else mask_key(AUTOMATIC)
    words = ("A", "tumour", reader, judgement, "", "", 1.0, "2026-01-01T00:00:00", seen)
    return Verdict(*words, mode=mode, drawn_key=mask_key(mask) if mask else "")


def compared(verdicts, *masks, references=(REFERENCE,), automatic=(AUTOMATIC,)):
    given = Verdicts(tuple(verdicts), tuple((mask_key(m), m) for m in masks))
    found = compare_readers(ReferenceMasks(references), AutomaticMasks(automatic), given, Agreement())
    return {(row.from_source, row.to_source, row.comparison): row.dsc for row in found.overlaps}


def test_without_verdicts_there_are_no_rows():
    assert compared([]) == {}


def test_an_edit_is_a_distance_and_against_the_reference_it_is_agreement():
    mask = cube("Ben", "corrected", 6)
    assert compared([said("Ben", "major", mask)], mask) == pytest.approx(
        {("Ben", "model", "edit_distance"): 10 / 15, ("reference", "Ben", "readers"): 10 / 13}
    )


def test_who_accepted_has_the_automatic_mask_and_who_only_complained_has_none():
    mask = cube("Ben", "corrected", 6)
    rows = compared([said("Ada", "none"), said("Ben", "major", mask), said("Cleo", "major")], mask, references=())
    assert rows == pytest.approx(
        {
            ("Ada", "model", "edit_distance"): 1,
            ("Ben", "model", "edit_distance"): 10 / 15,
            ("Ada", "Ben", "readers"): 10 / 15,
        }
    )


def test_a_blank_canvas_is_agreement_and_is_never_compared_with_an_edit():
    free, edit = cube("Ada", "independent", 6), cube("Ben", "corrected", 11)
    rows = compared([said("Ada", "drawn", free, "blank canvas"), said("Ben", "minor", edit)], free, edit, references=())
    assert ("Ada, blank canvas", "model", "agreement") in rows
    assert not [pair for pair in rows if pair[2] == "readers"]


def test_a_contour_by_who_had_judged_the_outline_before_is_an_edit_distance():
    free = cube("Ada", "independent", 6)
    judged, contoured = said("Ada", "major"), said("Ada", "drawn", free, "blank canvas")
    assert ("Ada, blank canvas", "model", "edit_distance") in compared([judged, contoured], free)
    assert ("Ada, blank canvas", "model", "agreement") in compared([contoured, judged], free)
    accepted = compared([said("Ada", "none"), contoured, said("Ben", "none")], free)
    readers = {pair[:2] for pair in accepted if pair[2] == "readers" and pair[0] != "reference"}
    assert readers == {("Ada", "Ben"), ("Ben", "Ada, blank canvas")}


def test_an_amended_contour_is_not_independent_so_the_first_that_was_signed_stands():
    first, amended = cube("Ada", "independent", 6), replace(AUTOMATIC, origin="independent", source="Ada")
    contours = [said("Ada", "drawn", mask, "blank canvas") for mask in (first, amended)]
    assert compared(contours, first, amended, references=()) == {
        ("Ada, blank canvas", "model", "agreement"): pytest.approx(10 / 15)
    }
    knowing = compared([said("Ada", "major"), *contours], first, amended, references=())
    assert knowing == {("Ada, blank canvas", "model", "edit_distance"): 1}


def test_verdicts_on_another_mask_have_no_row():
    other = cube("model", "automatic", 5)
    assert compared([said("Ada", "none")], automatic=(other,)) == {}


def test_what_was_drawn_on_other_images_of_the_case_is_left_out_and_stops_nobody_else():
    moved = replace(GRID, origin_mm=(6.0, 0.0, 0.0))
    smaller = Grid((12, 12, 6), (1, 1, 2), (0, 0, 0))
    edit = replace(cube("Ben", "corrected", 6), grid=moved)
    free = Mask("tumour", "independent", "Ada", np.ones(smaller.shape_zyx, bool), smaller)
    now = cube("Cleo", "corrected", 6)
    said_of = [said("Ben", "major", edit), said("Ada", "drawn", free, "blank canvas"), said("Cleo", "major", now)]
    assert {pair[:2] for pair in compared(said_of, edit, free, now)} == {("Cleo", "model"), ("reference", "Cleo")}


def test_a_contour_drawn_again_on_new_images_counts_from_the_first_on_them():
    before = replace(cube("Ada", "independent", 6), grid=replace(GRID, origin_mm=(6.0, 0.0, 0.0)))
    again, amended = cube("Ada", "independent", 8), cube("Ada", "independent", 11)
    contours = [said("Ada", "drawn", mask, "blank canvas") for mask in (before, again, amended)]
    expected = {("Ada, blank canvas", "model", "agreement"): pytest.approx(14 / 17)}
    assert compared(contours, before, again, amended, references=()) == expected
