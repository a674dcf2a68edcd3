"""What scanners and settings explain of the features, and where patients lie, without and with ComBat."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from engine.present.colours import GREY, LEVEL_COLOURS, faded, roi_label
from engine.present.figures.layout import TEXT_SIZE, framed
from store.records import ROIS, BatchPoint, BatchVariance

UNKNOWN = "unknown"
HEIGHT = 420


def variance_figure(rows: Sequence[BatchVariance]) -> go.Figure:
    """Variance explained (%) of all features by ROI: a box without and, where it could be fitted, one with ComBat."""
    figure = go.Figure()
    rois = [roi for roi in ROIS if any(row.roi == roi for row in rows)]
    for after in (False, True):
        shown = [row for row in rows if not after or row.after is not None]
        if not shown:
            continue
        figure.add_trace(
            go.Box(
                x=[roi_label(row.roi) for row in shown],
                y=[100 * (row.after or 0.0 if after else row.before) for row in shown],
                name="with ComBat" if after else "without",
                boxpoints=False,
                line={"color": "#0072B2" if after else GREY},
                fillcolor=faded("#0072B2" if after else GREY, 0.25),
            )
        )
    framed(figure, "", "Variance explained (%, adjusted)", HEIGHT)
    figure.update_layout(boxmode="group", boxgap=0.3)
    figure.update_xaxes(categoryorder="array", categoryarray=[roi_label(roi) for roi in rois], showgrid=False)
    return figure


def plane_figure(points: Sequence[BatchPoint]) -> go.Figure:
    """Patients on the first two principal components, coloured by batch: without and with ComBat side by side."""
    states = [state for state in (False, True) if any(p.harmonised == state for p in points)]
    titles = ["with ComBat" if state else "without" for state in states]
    figure = make_subplots(1, len(states), subplot_titles=titles, horizontal_spacing=0.16)
    levels = sorted({p.level for p in points}, key=lambda level: (level == UNKNOWN, level))
    for place, state in enumerate(states, start=1):
        for number, level in enumerate(levels):
            own = [p for p in points if p.harmonised == state and p.level == level]
            trace = go.Scatter(
                x=[p.first for p in own],
                y=[p.second for p in own],
                mode="markers",
                name=f"{level} (n = {len(own)})",
                legendgroup=level,
                showlegend=place == 1,
                marker={"color": level_colour(level, number), "size": 9, "opacity": 0.8, "symbol": number % 6},
                customdata=[[p.case_id] for p in own],
                hovertemplate="%{customdata[0]}<extra>" + level + "</extra>",
            )
            figure.add_trace(trace, 1, place)
    framed(figure, "", "", HEIGHT)
    figure.update_layout(margin={"t": 70}, legend={"y": 1.12})
    for place, state in enumerate(states, start=1):
        one = next(p for p in points if p.harmonised == state)
        first, second = f"Component 1 ({100 * one.first_share:.0f} %)", f"Component 2 ({100 * one.second_share:.0f} %)"
        figure.update_xaxes(title={"text": first, "font": {"size": TEXT_SIZE}}, row=1, col=place)
        figure.update_yaxes(title={"text": second, "font": {"size": TEXT_SIZE}}, row=1, col=place)
    return figure


def level_colour(level: str, place: int) -> str:
    """The colour of a batch: grey where it is unknown."""
    return GREY if level == UNKNOWN else LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
