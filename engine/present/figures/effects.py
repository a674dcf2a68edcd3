"""Effects on the DSC with their intervals: adjusted ones, and differences between scans against a margin."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import AUTOMATIC, GREY, MISSED, faded
from engine.present.figures.layout import framed, rows_height
from engine.present.wording.segmentation import variable_label
from store.records import Association, BatchDifference

VERDICT_COLOURS = {"equivalent": AUTOMATIC, "different": MISSED, "inconclusive": GREY}


def forest_figure(rows: Sequence[Association]) -> go.Figure:
    """Change of the mean DSC with one variable, all others kept, with its 95 % interval; one line a variable."""
    labels = [f"{variable_label(row.variable)}<br><sub>{row.change_per}</sub>" for row in rows]
    figure = go.Figure()
    figure.add_trace(_effects([row.effect for row in rows], [(row.effect_lo, row.effect_hi) for row in rows], labels))
    return _laid_out(figure, "Change of the mean DSC (95 % CI)", 2 * len(rows))


def batch_figure(rows: Sequence[BatchDifference]) -> go.Figure:
    """Difference of the mean DSC of two groups of scans with its 90 % interval, over the band of the margin."""
    figure = go.Figure()
    for verdict, colour in VERDICT_COLOURS.items():
        part = [row for row in rows if row.verdict == verdict]
        if part:
            labels = [_batch_label(row) for row in part]
            trace = _effects([row.difference for row in part], [(row.lo, row.hi) for row in part], labels, colour)
            trace.name = verdict
            trace.showlegend = True
            figure.add_trace(trace)
    _laid_out(figure, "Difference of the mean DSC (90 % CI)", 2 * len(rows))
    if rows:
        figure.add_vrect(x0=-rows[0].margin, x1=rows[0].margin, fillcolor=faded(AUTOMATIC, 0.12), line_width=0)
        figure.update_yaxes(categoryorder="array", categoryarray=[_batch_label(row) for row in reversed(rows)])
    return figure


def _batch_label(row: BatchDifference) -> str:
    sizes = f"{row.first} (n = {row.n_first}) less {row.second} (n = {row.n_second})"
    return f"{variable_label(row.variable)}<br><sub>{sizes}</sub>"


def _effects(
    middles: Sequence[float | None],
    bounds: Sequence[tuple[float | None, float | None]],
    labels: Sequence[str],
    colour: str = AUTOMATIC,
) -> go.Scatter:
    up = [(hi or 0.0) - (m or 0.0) for m, (_, hi) in zip(middles, bounds, strict=True)]
    down = [(m or 0.0) - (lo or 0.0) for m, (lo, _) in zip(middles, bounds, strict=True)]
    return go.Scatter(
        x=list(middles),
        y=list(labels),
        mode="markers",
        showlegend=False,
        marker={"color": colour, "size": 11},
        error_x={"array": up, "arrayminus": down, "color": colour, "thickness": 2, "width": 0},
        hovertemplate="%{x:.3f}<extra></extra>",
    )


def _laid_out(figure: go.Figure, title: str, rows: int) -> go.Figure:
    framed(figure, title, "", rows_height(rows))
    figure.update_yaxes(autorange=False, range=[rows / 2 - 0.4, -0.6], showgrid=False)
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    return figure
