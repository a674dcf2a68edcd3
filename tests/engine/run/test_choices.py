"""Choices changed on a page: checked as a whole, written as a whole, refused while locked or while a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.protocol import PROTOCOL_FILE, Protocol, read_protocol, write_protocol
from engine.run.choices import EDITABLE, change_choices
from engine.run.plan_lock import lock_plan
from engine.run.runner import run_lock
from engine.service import change_the_choices
from store.access import ForbiddenActionError, Person
from store.audit import audit_lines
from store.layout import StudyFolder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_protocol(tmp_path, Protocol())
    return tmp_path


def test_a_change_is_in_the_file_and_nothing_else_is(study):
    assert change_choices(study, "rois", {"ring_mm": 3.0, "smallest_voxels": 27}) == ("rois.ring_mm",)
    expected = Protocol().model_copy(update={"rois": Protocol().rois.model_copy(update={"ring_mm": 3.0})})
    assert read_protocol(study) == expected


def test_several_values_come_as_a_list_and_are_numbers_again(study):
    change_choices(study, "features", {"distances": ["1", "2"]})
    assert read_protocol(study).features.distances == (1, 2)


@pytest.mark.parametrize(
    ("section", "values", "says"),
    [
        ("rois", {"ring_mm": 300.0}, "rois.ring_mm"),
        ("features", {"bin_count": 8, "bin_origin": "ibsi"}, "features.bin_origin must be pyradiomics"),
        ("grid", {"wrong": 1}, "grid.wrong"),
        ("outcome", {"horizon_days": 365}, "not changed on a page"),
        ("plan", {"locked_at": ""}, "not changed on a page"),
    ],
)
def test_what_breaks_a_law_is_refused_and_nothing_is_written(study, section, values, says):
    before = (study / PROTOCOL_FILE).read_bytes()
    with pytest.raises(ValueError, match=says):
        change_choices(study, section, values)
    assert (study / PROTOCOL_FILE).read_bytes() == before


def test_a_locked_choice_is_refused_and_one_outside_the_lock_is_not(study):
    lock_plan(study, "administrator")
    with pytest.raises(ValueError, match="changed after locking"):
        change_choices(study, "rois", {"ring_mm": 3.0})
    assert change_choices(study, "self_test", {"repeats": 3}) == ("self_test.repeats",)


def test_nothing_is_changed_while_a_run_goes_on(study):
    with run_lock(StudyFolder(study)), pytest.raises(RuntimeError, match="going on"):
        change_choices(study, "rois", {"ring_mm": 3.0})


def test_every_part_that_may_be_changed_is_one_of_the_protocol():
    assert set(EDITABLE) < set(Protocol.model_fields)


def test_who_changed_what_is_in_the_audit_and_a_reader_may_not(study):
    change_the_choices(study, Person("Ada", "administrator", "command line"), "rois", {"ring_mm": 3.0})
    line = audit_lines(study, 1)[-1]
    assert (line.actor, line.action, line.detail) == ("Ada", "change choices", "rois.ring_mm = 3.0")
    with pytest.raises(ForbiddenActionError):
        change_the_choices(study, Person("Ben", "reader", "command line"), "rois", {"ring_mm": 9.0})
    assert read_protocol(study).rois.ring_mm == 3.0
