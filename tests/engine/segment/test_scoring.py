"""A model that learned every lesion is scored on the index lesion, without what it found on the others."""

from pathlib import Path

import numpy as np
import pytest

from engine.protocol import Agreement, Segment
from engine.segment import scoring
from engine.segment.model import find_model
from store.records import TrainingMember
from store.sources import Lookup, TrainingUnit
from store.volumes import Mask, ReferenceMasks, TrainedWeights
from tests.engine.segment.trainings import GRID, box, ct_of

INDEX = box(slice(8, 13), slice(8, 13), slice(5, 10))
OTHER = box(slice(8, 13), slice(8, 13), slice(20, 25))
NOWHERE = box(slice(16, 21), slice(16, 21), slice(5, 10))


@pytest.fixture
def score(monkeypatch):
    """The score of T1 when the model marks these voxels; the weights are never loaded."""

    def run(predicted):
        monkeypatch.setattr(scoring, "place_model", lambda *_: None)
        monkeypatch.setattr(scoring, "_tumour", lambda *_: predicted)
        monkeypatch.setattr(scoring, "refuse_seen", lambda *_: None)
        lesions = enumerate((INDEX, OTHER))
        masks = [Mask("tumour", "independent", "reader", voxels, GRID, place) for place, voxels in lesions]
        members = (TrainingMember(0, "T1", "a" * 64, "reported", ""),)
        outlined = Lookup(("T1",), lambda _: ReferenceMasks(tuple(masks)))
        images = Lookup(("T1",), ct_of)
        weights = TrainedWeights(Path(find_model("demo").manifest_path).read_text(), np.zeros(0, dtype=np.uint8))
        unit = TrainingUnit("tumour-only", 1, 0)
        (row,) = scoring.score_model(unit, weights, members, images, outlined, Segment(), Agreement()).overlaps
        return row

    return run


def test_both_lesions_found_is_a_perfect_score(score):
    row = score(INDEX | OTHER)
    assert (row.dsc, row.surface_dsc, row.missed) == (1.0, 1.0, False)
    assert row.volume_ml == pytest.approx(125 * 0.027)


def test_a_false_lesion_still_costs(score):
    """Two cubes of 125 voxels for one: 2 * 125 / (250 + 125)."""
    assert score(INDEX | NOWHERE).dsc == pytest.approx(2 / 3)


def test_only_the_other_lesion_found_is_a_miss(score):
    row = score(OTHER)
    assert (row.dsc, row.surface_dsc, row.missed) == (0.0, 0.0, True)
