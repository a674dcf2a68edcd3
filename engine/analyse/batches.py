"""Which batch a patient belongs to: kernel, contrast, manufacturer, slice thickness; unknown is a level of its own."""

from __future__ import annotations

from engine.protocol import Batch
from store.records import Acquisition

UNKNOWN = "unknown"
VARIABLES = ("kernel", "contrast", "manufacturer", "slice thickness")


def batch_of(variable: str, acquisition: Acquisition, choices: Batch) -> str:
    """A patient's level of a batch variable."""
    if variable == "kernel":
        return acquisition.kernel_group or UNKNOWN
    if variable == "contrast":
        return acquisition.contrast or UNKNOWN
    if variable == "manufacturer":
        return acquisition.manufacturer.strip().upper() or UNKNOWN
    if variable == "slice thickness":
        return _thickness(acquisition.slice_thickness_mm, choices)
    raise ValueError(f"variable must be one of {VARIABLES}, got {variable!r}")


def _thickness(thickness_mm: float | None, choices: Batch) -> str:
    if thickness_mm is None:
        return UNKNOWN
    if thickness_mm <= choices.thin_mm:
        return f"up to {choices.thin_mm:g} mm"
    if thickness_mm > choices.thick_mm:
        return f"over {choices.thick_mm:g} mm"
    return f"{choices.thin_mm:g} to {choices.thick_mm:g} mm"
