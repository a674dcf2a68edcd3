"""Predicted against achieved DSC, one point a case that can be opened."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import AUTOMATIC, GREY, MISSED
from engine.present.figures.layout import framed
from store.records import DoubtEstimate


def doubt_figure(estimates: Sequence[DoubtEstimate]) -> go.Figure:
    """Left-out predictions of the DSC (x) against what was achieved (y), both 0..1, with the line of equality."""
    shown = [row for row in estimates if row.basis == "left out"]
    figure = go.Figure()
    line = {"color": GREY, "width": 1.5, "dash": "dash"}
    figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, name="equal", hoverinfo="skip"))
    found, missed = [row for row in shown if not row.missed], [row for row in shown if row.missed]
    _points(figure, found, f"detected (n = {len(found)})", AUTOMATIC, "circle")
    if missed:
        _points(figure, missed, f"missed (n = {len(missed)})", MISSED, "x")
    framed(figure, "Predicted DSC", "Achieved DSC", 400)
    figure.update_xaxes(range=[-0.04, 1.04])
    figure.update_yaxes(range=[-0.04, 1.04])
    return figure


def _points(figure: go.Figure, rows: Sequence[DoubtEstimate], label: str, colour: str, symbol: str) -> None:
    figure.add_trace(
        go.Scatter(
            x=[row.predicted_dsc for row in rows],
            y=[row.achieved_dsc for row in rows],
            mode="markers",
            name=label,
            marker={"color": colour, "size": 9, "opacity": 0.85, "symbol": symbol},
            customdata=[[row.case_id] for row in rows],
            hovertemplate="%{customdata[0]}<br>predicted %{x:.2f}<br>achieved %{y:.2f}<extra></extra>",
        )
    )
