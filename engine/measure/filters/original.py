"""The image itself."""

from __future__ import annotations

from collections.abc import Iterator

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx
from engine.metrics.recipe import ORIGINAL


def original(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """The image cut to the box."""
    yield ORIGINAL, source.cut()
