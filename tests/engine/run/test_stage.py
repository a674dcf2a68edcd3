"""A stage's signature says what it reads and makes; a pipeline that reads what nobody makes is refused at the start."""

from dataclasses import dataclass

import numpy as np
import pytest

from engine.protocol import Rois
from engine.run.stage import Stage, check_pipeline, inputs_of, outputs_of, producer_of
from store.records import Cohort, Flag, Morphology, Overlap
from store.sources import CaseSource
from store.volumes import CtSeries, RoiMasks


@dataclass(frozen=True)
class Read:
    ct: CtSeries
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Measured:
    masks: RoiMasks
    overlaps: tuple[Overlap, ...]


@dataclass(frozen=True)
class Summarised:
    shapes: tuple[Morphology, ...]


def read(source: CaseSource) -> Read: ...


def measure(ct: CtSeries, rois: Rois, rng: np.random.Generator) -> Measured: ...


def summarise(overlaps: Cohort[Overlap], masks: RoiMasks | None) -> Summarised: ...


PIPELINE = (
    Stage("read", 1, "case", read),
    Stage("measure", 1, "case", measure),
    Stage("summarise", 1, "cohort", summarise),
)


def test_outputs_are_the_fields_of_the_returned_record():
    assert [(o.kind, o.record_type) for o in outputs_of(PIPELINE[0])] == [
        ("read.ct", CtSeries),
        ("read.flags", Flag),
    ]


def test_inputs_are_read_from_the_annotations():
    found = {i.parameter: (i.form, i.record_type, i.optional) for i in inputs_of(PIPELINE[1])}
    assert found["ct"] == ("one", CtSeries, False)
    assert found["rois"] == ("section", Rois, False)
    assert found["rng"][0] == "generator"
    found = {i.parameter: (i.form, i.record_type, i.optional) for i in inputs_of(PIPELINE[2])}
    assert found["overlaps"] == ("cohort", Overlap, False)
    assert found["masks"] == ("one", RoiMasks, True)


def test_the_producer_is_an_earlier_stage():
    assert producer_of(PIPELINE, PIPELINE[2], Overlap).stage.name == "measure"
    assert producer_of(PIPELINE, PIPELINE[0], Overlap) is None


def test_reading_what_nobody_makes_is_refused_by_name():
    with pytest.raises(ValueError, match="stage summarise reads Overlap"):
        check_pipeline((PIPELINE[0], PIPELINE[2]))


def test_two_makers_of_one_record_are_refused():
    twice = (*PIPELINE[:2], Stage("again", 1, "case", measure), PIPELINE[2])
    with pytest.raises(ValueError, match="one maker only"):
        check_pipeline(twice)
