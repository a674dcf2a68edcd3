"""A reason is said without any path, because paths may hold patient identifiers."""

import pytest

from engine.run.task import reason_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("cannot read /data/LUNG1-001/ct/1.dcm: short"), "ValueError: cannot read <path>: short"),
        (ValueError("cannot read '/data/John Smith/1.dcm' here"), "ValueError: cannot read <path> here"),
        (ValueError("cannot read /data/John Smith/scan 1.nii"), "ValueError: cannot read <path>"),
        (ValueError("spacing in mm/voxel"), "ValueError: spacing in mm/voxel"),
        (FileNotFoundError(2, "No such file", "/data/x"), "FileNotFoundError: No such file (in a library)"),
        (KeyError("MUELLER_HANS.dcm"), "KeyError (in a library)"),
        (RuntimeError("at /data/Smith"), "RuntimeError (in a library)"),
    ],
)
def test_reasons_hold_no_path(error, expected):
    assert reason_of(error) == expected
