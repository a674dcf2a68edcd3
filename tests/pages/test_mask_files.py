"""Files that leave the review page are told apart by their case where it is shown, and name none where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pages.mask_files import mask_files
from store.access import Person
from tests.engine.run.test_drawing import GRANT

READER = Person("Ada", "reader", "proxy")


@pytest.fixture
def handed_out(monkeypatch, tmp_path):
    """The names of the files offered in a mode, for a case that could go out as a DICOM SEG."""
    monkeypatch.setattr("pages.mask_files.has_segment", lambda study, grant: True)
    names: list[str] = []
    monkeypatch.setattr("pages.mask_files._hand_out", lambda label, made, name: names.append(name))

    def offered(mode: str) -> list[str]:
        names.clear()
        mask_files(tmp_path, READER, replace(GRANT, mode=mode), False)
        return names

    return offered


@pytest.mark.parametrize("mode", ["work list", "adjudication"])
def test_a_file_is_named_by_its_case_where_the_mode_shows_it(handed_out, mode):
    assert handed_out(mode) == ["A_mask.nii.gz", "A_ct.nii.gz", "A_mask.dcm"]


@pytest.mark.parametrize("mode", ["reader study", "blank canvas"])
def test_a_blind_mode_hands_out_no_file_that_names_the_case(handed_out, mode):
    assert handed_out(mode) == ["mask.nii.gz", "ct.nii.gz"]
