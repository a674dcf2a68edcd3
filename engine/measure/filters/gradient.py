"""Gradient magnitude by central differences, in HU per millimetre."""

from __future__ import annotations

from collections.abc import Iterator

import SimpleITK as sitk

from engine.measure.filters.source import FilterSource, array_of
from engine.measure.levels import ValuesZyx

REACH = (2, 2, 2)


def gradient(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """ITK's gradient magnitude, single precision; one neighbour on each side is all it reads."""
    wide, inner = source.widened(REACH)
    step = sitk.GradientMagnitudeImageFilter()
    step.SetUseImageSpacing(True)
    yield "gradient", array_of(step.Execute(source.itk_image(wide)), inner)
