"""The picture of the scaling bench: CPU seconds against voxels, and a mask against the number of masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.bench.scaling import Point

SIDES = (("engine", "engine", "#0072B2", "o"), ("pyradiomics", "PyRadiomics 3.0.1", "#D55E00", "s"))
SIZE_INCHES, DOTS_PER_INCH = (10.0, 3.8), 120
GRID_COLOUR = "#DDDDDD"


def draw_scaling(points: Sequence[Point], file: Path) -> None:
    """Write a PNG; both axes logarithmic, every measured point a mark."""
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(left, points, "voxels", "voxels of the mask (1 mm)", "CPU seconds, one mask, filters included")
    _draw(right, points, "masks", "perturbed masks of one 33 ml tumour", "CPU seconds, all masks")
    left.legend(frameon=False)
    figure.savefig(file)


def _draw(axes: Axes, points: Sequence[Point], what: str, across: str, up: str) -> None:
    for side, label, colour, mark in SIDES:
        found = sorted((p.count, p.cpu_seconds) for p in points if (p.what, p.side) == (what, side))
        if found:
            axes.plot([x for x, _ in found], [y for _, y in found], color=colour, marker=mark, label=label)
    axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
    axes.grid(color=GRID_COLOUR)
    axes.spines[["top", "right"]].set_visible(False)
