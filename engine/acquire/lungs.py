"""Outlined lungs: side from the name, or one mask of both split by side."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.geometry import index_to_points_mm
from store.volumes import BoolZyx, Grid

LARGEST_ONE_LUNG_SHARE = 0.85
LEFT_WORDS = re.compile(r"(left|(^|[-_ ])(l|lt)$)", re.IGNORECASE)
RIGHT_WORDS = re.compile(r"(right|(^|[-_ ])(r|rt)$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class LungSides:
    """Both lungs, boolean z, y, x, on the patient's own left and right."""

    left: BoolZyx
    right: BoolZyx


def is_lung_name(name: str, pattern: str) -> bool:
    """Whether a whole name matches the study's lung pattern, in any case."""
    return bool(pattern) and re.fullmatch(pattern, name.strip(), re.IGNORECASE) is not None


def side_of_name(name: str) -> str:
    """`left`, `right`, or `both` where the name says neither."""
    text = name.strip()
    left = LEFT_WORDS.search(text) or re.fullmatch(r"lungl", text, re.IGNORECASE)
    right = RIGHT_WORDS.search(text) or re.fullmatch(r"lungr", text, re.IGNORECASE)
    if bool(left) == bool(right):
        return "both"
    return "left" if left else "right"


def split_by_side(lungs: BoolZyx, grid: Grid) -> LungSides:
    """A mask of both lungs split into the patient's left and right (LPS: x grows to the left).

    Each connected part goes to the side of its centre relative to the middle of the mask's extent along x; where one
    part holds more than 85 % of the voxels (touching lungs), voxels are split at that middle instead.
    """
    if not lungs.any():
        return LungSides(lungs.copy(), lungs.copy())
    index = np.argwhere(lungs)[:, ::-1].astype(np.float64)
    x_mm = index_to_points_mm(index, grid)[:, 0]
    middle = (x_mm.min() + x_mm.max()) / 2
    parts = ndimage.label(lungs)[0][lungs]
    counts = np.bincount(parts)
    if counts.max() > LARGEST_ONE_LUNG_SHARE * len(x_mm):
        is_left = x_mm > middle
    else:
        centres = np.bincount(parts, weights=x_mm) / np.maximum(counts, 1)
        is_left = (centres > middle)[parts]
    left = np.zeros_like(lungs)
    left[lungs] = is_left
    return LungSides(left, lungs & ~left)
