"""Cumulative incidence of the event and of competing death by group, with the numbers at risk beneath."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from engine.present.colours import LEVEL_COLOURS, faded
from engine.present.figures.layout import AXIS, TEXT_SIZE, framed
from store.records import IncidencePoint

TICK_DAYS = 365
CURVE_HEIGHT = 360
RISK_ROW_HEIGHT = 26
EVENT = "event"


def incidence_figure(points: Sequence[IncidencePoint], horizon_days: int, endpoint: str) -> go.Figure:
    """Aalen-Johansen steps: the event solid with its 95 % band, competing death dotted; numbers at risk beneath."""
    levels = list(dict.fromkeys(point.level for point in points))
    risk_height = RISK_ROW_HEIGHT * (len(levels) + 1)
    share = risk_height / (CURVE_HEIGHT + risk_height)
    figure = make_subplots(2, 1, shared_xaxes=False, row_heights=[1 - share, share], vertical_spacing=0.16)
    last = max((point.days for point in points), default=0.0)
    ticks = list(range(0, int(last) + 1, TICK_DAYS * max(1, round(last / TICK_DAYS / 8))))
    for place, level in enumerate(levels):
        colour = LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
        for cause in dict.fromkeys(point.cause for point in points):
            _curve(figure, [p for p in points if (p.level, p.cause) == (level, cause)], colour)
        _risk_row(figure, [p for p in points if (p.level, p.cause) == (level, EVENT)], ticks, place)
    framed(figure, "", "", CURVE_HEIGHT + risk_height + 110)
    span = {"range": [-TICK_DAYS * 0.15, max(ticks, default=0) + TICK_DAYS * 0.6], "tickvals": ticks}
    labels = [f"{tick / TICK_DAYS:g}" for tick in ticks]
    figure.update_xaxes(title_text="Years from time zero", row=1, col=1, ticktext=labels, **span)
    figure.update_xaxes(row=2, col=1, showticklabels=False, showgrid=False, **span)
    figure.update_yaxes(title_text="Cumulative incidence", rangemode="tozero", tickformat=".0%", row=1, col=1)
    rows = {"tickvals": list(range(len(levels))), "ticktext": levels, "range": [len(levels) - 0.5, -0.6]}
    figure.update_yaxes(title_text="At risk", showgrid=False, row=2, col=1, **rows)
    figure.add_vline(x=horizon_days, line={"color": AXIS, "width": 1, "dash": "dash"}, row=1, col=1)
    return figure


def _curve(figure: go.Figure, mine: Sequence[IncidencePoint], colour: str) -> None:
    days = [point.days for point in mine]
    own = mine[0].cause == EVENT
    shape = {"shape": "hv", "color": colour}
    if own:
        edge = {"mode": "lines", "showlegend": False, "hoverinfo": "skip", "line": {**shape, "width": 0}}
        figure.add_trace(go.Scatter(x=days, y=[point.hi for point in mine], **edge), row=1, col=1)
        lower = [point.lo for point in mine]
        band = go.Scatter(x=days, y=lower, fill="tonexty", fillcolor=faded(colour, 0.12), **edge)
        figure.add_trace(band, row=1, col=1)
    name = f"{mine[0].level} (n = {mine[0].at_risk})" if own else f"{mine[0].level}, {mine[0].cause}"
    line = go.Scatter(
        x=days,
        y=[point.incidence for point in mine],
        mode="lines",
        name=name,
        line={**shape, "width": 2.5 if own else 1.5, "dash": "solid" if own else "dot"},
        customdata=[point.at_risk for point in mine],
        hovertemplate=f"{name}<br>day %{{x:.0f}}: %{{y:.2f}}, %{{customdata}} at risk<extra></extra>",
    )
    figure.add_trace(line, row=1, col=1)


def _risk_row(figure: go.Figure, mine: Sequence[IncidencePoint], ticks: Sequence[int], place: int) -> None:
    ordered = sorted(mine, key=lambda point: point.days)
    counts = [next((point.at_risk for point in ordered if point.days >= tick), 0) for tick in ticks]
    style = {"mode": "text", "textfont": {"size": TEXT_SIZE - 1}, "showlegend": False, "hoverinfo": "skip"}
    text = go.Scatter(x=list(ticks), y=[place] * len(ticks), text=[str(count) for count in counts], **style)
    figure.add_trace(text, row=2, col=1)
