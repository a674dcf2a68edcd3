"""What every filter reads: the whole image, and the box in which its result is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.geometry import Box
from engine.measure.levels import ValuesZyx
from engine.metrics.recipe import Recipe
from store.volumes import BoolZyx, Triple

WHOLE_HU = 2**16
HALF_HU = 2**15


@dataclass(frozen=True, slots=True, eq=False)
class FilterSource:
    """Whole HU of the whole image (z, y, x), spacing x, y, z in mm, the box around all masks, their union inside it."""

    intensity_hu: NDArray[np.int16]
    spacing_mm: Triple
    box: Box
    union: BoolZyx
    recipe: Recipe

    @property
    def largest(self) -> float:
        """Largest absolute value of the whole image: it scales the pointwise filters."""
        return float(max(abs(int(self.intensity_hu.min())), abs(int(self.intensity_hu.max()))))

    def cut(self) -> NDArray[np.int16]:
        """The image in the box."""
        return self.intensity_hu[self.box]

    def widened(self, margin: tuple[int, int, int]) -> tuple[Box, Box]:
        """The box grown by a margin (voxels z, y, x) up to the image's border, and where the box lies in it."""
        wide, inner = [], []
        for side, size, extra in zip(self.box, self.intensity_hu.shape, margin, strict=True):
            start = max(0, side.start - extra)
            wide.append(slice(start, min(size, side.stop + extra)))
            inner.append(slice(side.start - start, side.stop - start))
        return (wide[0], wide[1], wide[2]), (inner[0], inner[1], inner[2])

    def looked_up(self, function: Callable[[NDArray[np.float64], float], NDArray[np.float64]]) -> NDArray[np.float64]:
        """A function of value and largest absolute value, worked out once for each possible whole HU."""
        every = np.arange(-HALF_HU, HALF_HU, dtype=np.float64)
        table = function(every, self.largest)
        return np.asarray(table[self.cut().astype(np.int32) + HALF_HU])

    def itk_image(self, box: Box) -> sitk.Image:
        """A box of the image for ITK."""
        image = sitk.GetImageFromArray(self.intensity_hu[box])
        image.SetSpacing(self.spacing_mm)
        return image


def array_of(image: sitk.Image, inner: Box) -> ValuesZyx:
    """A box of an ITK image as an array of its own; a view would outlive its image."""
    return np.array(sitk.GetArrayViewFromImage(image)[inner], order="C")
