"""The picture of the store bench: disk, seconds and the questions of pages against the number of cases."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.bench.store_scale import StoreBench

SIZE_INCHES, DOTS_PER_INCH = (13.0, 3.8), 120
GRID_COLOUR = "#DDDDDD"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
ASKED = ("cases", "agreement by case", "one feature's values", "every feature")


def draw_growth(found: StoreBench, file: Path) -> None:
    """Write a PNG; all axes logarithmic, a mark for every size at which there was something."""
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, layout="constrained")
    disk, seconds, asked = figure.subplots(1, 3)
    across = [size.cases for size in found.sizes]
    _draw(
        disk,
        across,
        {
            "artifacts": [size.artifacts_mb for size in found.sizes],
            "sealed vectors, once for all": [size.sealed_mb for size in found.sizes],
            "one generation": [size.generation_mb for size in found.sizes],
            "ledger": [size.ledger_mb for size in found.sizes],
        },
        "MB on disk",
    )
    taken = {
        "taking in what is new": [size.ingest_seconds for size in found.sizes],
        "publishing again": [size.publish_seconds for size in found.sizes],
    }
    _draw(seconds, across, taken, "seconds")
    times = {name: [q.first_ms for q in found.queries if q.name == name] for name in ASKED}
    _draw(asked, across, times, "milliseconds, asked for the first time")
    figure.savefig(file)


def _draw(axes: Axes, across: list[int], lines: dict[str, list[float]], up: str) -> None:
    for (label, values), colour in zip(lines.items(), COLOURS, strict=False):
        known = [(cases, value) for cases, value in zip(across, values, strict=True) if value > 0]
        if known:
            axes.plot(*zip(*known, strict=True), color=colour, marker="o", label=label)
    axes.set(xscale="log", yscale="log", xlabel="cases (3 regions × 21 masks)", ylabel=up)
    axes.grid(color=GRID_COLOUR)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
