"""The image filters: one file each, one line here. A recipe takes the images it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from engine.measure.filters.exponential import exponential
from engine.measure.filters.gradient import gradient
from engine.measure.filters.lbp2d import lbp2d
from engine.measure.filters.lbp3d import lbp3d
from engine.measure.filters.log import laplacian
from engine.measure.filters.logarithm import logarithm
from engine.measure.filters.original import original
from engine.measure.filters.source import FilterSource
from engine.measure.filters.square import square
from engine.measure.filters.squareroot import squareroot
from engine.measure.filters.wavelet import wavelet
from engine.measure.levels import ValuesZyx

Filter = Callable[[FilterSource], Iterator[tuple[str, ValuesZyx]]]

# A filter and how the names of its images begin.
FILTERS: tuple[tuple[str, Filter], ...] = (
    ("original", original),
    ("log-sigma", laplacian),
    ("wavelet", wavelet),
    ("squareroot", squareroot),
    ("square", square),
    ("logarithm", logarithm),
    ("exponential", exponential),
    ("gradient", gradient),
    ("lbp-2D", lbp2d),
    ("lbp-3D", lbp3d),
)


def filtered_images(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """The images of the source's recipe cut to its box, z, y, x, one after the other; none of them is kept.

    An image too small for a filter yields nothing for it.
    """
    for begins, make in FILTERS:
        if any(_belongs(name, begins) for name in source.recipe.image_types):
            for name, values in make(source):
                if name in source.recipe.image_types:
                    yield name, values


def _belongs(name: str, begins: str) -> bool:
    """Whether an image is that filter's: its name, perhaps with a level (wavelet2), and what follows a hyphen."""
    return re.fullmatch(rf"{begins}\d*(-.*)?", name) is not None
