"""A reason is said without any path, because paths may hold patient identifiers."""

import pytest

from engine.run.task import reason_of


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("cannot read /data/LUNG1-001/ct/1.dcm: short"), "ValueError: cannot read <path>: short"),
        (
            FileNotFoundError(2, "No such file or directory", "/data/LUNG1-001/x"),
            "FileNotFoundError: No such file or directory",
        ),
        (RuntimeError("plain"), "RuntimeError: plain"),
    ],
)
def test_reasons_hold_no_path(error, expected):
    assert reason_of(error) == expected
