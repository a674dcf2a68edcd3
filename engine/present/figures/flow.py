"""The inclusion flow: who came in, who left where, as an indented tree of boxes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import faded
from engine.present.figures.layout import TEXT_SIZE, framed
from store.records import FlowStep

INDENT = 0.06
BOX_RIGHT = 1.0
ROW_PIXELS = 44
BOX_COLOUR = "#0072B2"
LABEL_CHARACTERS, DEEPER_CHARACTERS = 46, 3  # beside the count, in half of a laptop's page; fewer at each depth


def flow_figure(steps: Sequence[FlowStep], row_pixels: int = ROW_PIXELS) -> go.Figure:
    """Boxes in reading order, each under its parent; the width of the shade is the share of the first box's n."""
    placed = _placed(steps)
    figure = go.Figure(go.Scatter(x=[0, 1], y=[0, 0], mode="markers", marker={"opacity": 0}, hoverinfo="skip"))
    most = max((step.n for step, _ in placed), default=1) or 1
    rows = {step.label: row for row, (step, _) in enumerate(placed)}
    for row, (step, depth) in enumerate(placed):
        _box(figure, step, row, depth, most)
        if step.parent in rows:
            _elbow(figure, rows[step.parent], row, depth)
    framed(figure, "", "", row_pixels * max(1, len(placed)) + 10)
    figure.update_layout(margin={"l": 2, "r": 2, "t": 2, "b": 2}, showlegend=False)
    figure.update_xaxes(visible=False, range=[-0.005, 1.005], fixedrange=True)
    figure.update_yaxes(visible=False, range=[max(1, len(placed)) - 0.45, -0.55], fixedrange=True)
    return figure


def _placed(steps: Sequence[FlowStep]) -> list[tuple[FlowStep, int]]:
    """Steps in reading order with their depth; a step whose parent is absent stands at the top."""
    labels = {step.label for step in steps}
    found: list[tuple[FlowStep, int]] = []

    def descend(parent: str, depth: int) -> None:
        for step in steps:
            above = step.parent if step.parent in labels else ""
            if above == parent:
                found.append((step, depth))
                descend(step.label, depth + 1)

    descend("", 0)
    return found


def _box(figure: go.Figure, step: FlowStep, row: int, depth: int, most: int) -> None:
    left = depth * INDENT
    edge = {"y0": row - 0.38, "y1": row + 0.38, "type": "rect"}
    filled = left + (BOX_RIGHT - left) * step.n / most
    figure.add_shape(x0=left, x1=filled, fillcolor=faded(BOX_COLOUR, 0.18), line={"width": 0}, **edge)
    figure.add_shape(x0=left, x1=BOX_RIGHT, line={"color": faded(BOX_COLOUR, 0.6), "width": 1}, **edge)
    events = "" if step.events is None else f" ({step.events} event{'' if step.events == 1 else 's'})"
    style = {"showarrow": False, "font": {"size": TEXT_SIZE}, "y": row, "yanchor": "middle"}
    lines = textwrap.wrap(step.label, LABEL_CHARACTERS - DEEPER_CHARACTERS * depth) or [""]
    size = {"size": TEXT_SIZE if len(lines) == 1 else TEXT_SIZE - 2}
    figure.add_annotation(
        x=left + 0.012, text="<br>".join(lines), xanchor="left", align="left", **style | {"font": size}
    )
    figure.add_annotation(x=BOX_RIGHT - 0.012, text=f"<b>{step.n}</b>{events}", xanchor="right", **style)


def _elbow(figure: go.Figure, parent_row: int, row: int, depth: int) -> None:
    line = {"color": faded(BOX_COLOUR, 0.6), "width": 1}
    x = (depth - 0.5) * INDENT
    figure.add_shape(type="line", x0=x, x1=x, y0=parent_row + 0.38, y1=row, line=line)
    figure.add_shape(type="line", x0=x, x1=depth * INDENT, y0=row, y1=row, line=line)
