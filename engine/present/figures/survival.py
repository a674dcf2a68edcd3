"""Survival by group with the numbers at risk beneath, and the clinical Cox model as a forest."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from engine.present.colours import LEVEL_COLOURS, faded
from engine.present.figures.layout import AXIS, TEXT_SIZE, framed, rows_height
from store.records import CoxTerm, SurvivalPoint

TICK_DAYS = 365
CURVE_HEIGHT = 360
RISK_ROW_HEIGHT = 26
RATIO_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)


def levels_of(points: Sequence[SurvivalPoint]) -> list[str]:
    """The groups in order."""
    return list(dict.fromkeys(point.level for point in points))


def at_risk(points: Sequence[SurvivalPoint], days: float) -> int:
    """How many of one group are still followed at a time: those at risk at the next time recorded, 0 past the last."""
    return next((point.at_risk for point in sorted(points, key=lambda p: p.days) if point.days >= days), 0)


def survival_figure(points: Sequence[SurvivalPoint], horizon_days: int, endpoint: str) -> go.Figure:
    """Kaplan-Meier steps with 95 % bands, the horizon marked, numbers at risk in a table beneath."""
    levels = levels_of(points)
    risk_height = RISK_ROW_HEIGHT * (len(levels) + 1)
    total = CURVE_HEIGHT + risk_height + 110
    share = risk_height / (CURVE_HEIGHT + risk_height)
    figure = make_subplots(2, 1, shared_xaxes=False, row_heights=[1 - share, share], vertical_spacing=0.16)
    ticks = _ticks(points)
    for place, level in enumerate(levels):
        mine = [point for point in points if point.level == level]
        _curve(figure, mine, LEVEL_COLOURS[place % len(LEVEL_COLOURS)])
        _risk_row(figure, mine, ticks, place)
    framed(figure, "", "", total)
    _axes(figure, levels, ticks, endpoint)
    figure.add_vline(x=horizon_days, line={"color": AXIS, "width": 1, "dash": "dash"}, row=1, col=1)
    return figure


def _ticks(points: Sequence[SurvivalPoint]) -> list[int]:
    last = max((point.days for point in points), default=0.0)
    step = TICK_DAYS * max(1, round(last / TICK_DAYS / 8))
    return list(range(0, int(last) + 1, step))


def _curve(figure: go.Figure, mine: Sequence[SurvivalPoint], colour: str) -> None:
    days = [point.days for point in mine]
    shape = {"shape": "hv", "color": colour}
    edge = {"mode": "lines", "showlegend": False, "hoverinfo": "skip"}
    band = {"line": {**shape, "width": 0}, **edge}
    figure.add_trace(go.Scatter(x=days, y=[point.hi for point in mine], **band), row=1, col=1)
    lower = go.Scatter(x=days, y=[p.lo for p in mine], fill="tonexty", fillcolor=faded(colour, 0.12), **band)
    figure.add_trace(lower, row=1, col=1)
    line = go.Scatter(
        x=days,
        y=[point.survival for point in mine],
        mode="lines",
        name=f"{mine[0].level} (n = {max(point.at_risk for point in mine)})",
        line={**shape, "width": 2.5},
        customdata=[point.at_risk for point in mine],
        hovertemplate=f"{mine[0].level}<br>day %{{x:.0f}}: %{{y:.2f}}, %{{customdata}} at risk<extra></extra>",
    )
    figure.add_trace(line, row=1, col=1)


def _risk_row(figure: go.Figure, mine: Sequence[SurvivalPoint], ticks: Sequence[int], place: int) -> None:
    text = go.Scatter(
        x=list(ticks),
        y=[place] * len(ticks),
        mode="text",
        text=[str(at_risk(mine, tick)) for tick in ticks],
        textfont={"size": TEXT_SIZE - 1},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_trace(text, row=2, col=1)


def _axes(figure: go.Figure, levels: Sequence[str], ticks: Sequence[int], endpoint: str) -> None:
    last = max(ticks, default=0) + TICK_DAYS * 0.6
    labels = [f"{tick / TICK_DAYS:g}" for tick in ticks]
    span = {"range": [-TICK_DAYS * 0.15, last], "tickvals": list(ticks), "ticktext": labels}
    figure.update_xaxes(title_text="Years from time zero", row=1, col=1, **span)
    figure.update_xaxes(row=2, col=1, **(span | {"showticklabels": False, "showgrid": False, "title_text": ""}))
    title = endpoint[:1].upper() + endpoint[1:]
    figure.update_yaxes(title_text=title, range=[0, 1.02], tickformat=".0%", row=1, col=1)
    rows = {"tickvals": list(range(len(levels))), "ticktext": list(levels), "range": [len(levels) - 0.5, -0.6]}
    figure.update_yaxes(title_text="At risk", showgrid=False, row=2, col=1, **rows)


def cox_forest(terms: Sequence[CoxTerm]) -> go.Figure:
    """Hazard ratios with 95 % intervals on a log axis; 1 is no effect; terms that cannot be estimated are left out."""
    estimated = [(t.term, t.hazard_ratio, t.lo, t.hi) for t in terms if None not in (t.hazard_ratio, t.lo, t.hi)]
    names, ratios, lows, highs = zip(*estimated, strict=True) if estimated else ((), (), (), ())
    figure = go.Figure(
        go.Scatter(
            x=ratios,
            y=names,
            mode="markers",
            marker={"size": 11, "color": "#0072B2", "symbol": "square"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - ratio for high, ratio in zip(highs, ratios, strict=True)],
                "arrayminus": [ratio - low for ratio, low in zip(ratios, lows, strict=True)],
                "thickness": 2,
            },
            hovertemplate="%{y}<br>hazard ratio %{x:.2f}<extra></extra>",
        )
    )
    framed(figure, "Hazard ratio (log scale)", "", rows_height(len(names) + 1))
    figure.update_xaxes(
        type="log", tickvals=[0.1, 0.2, 0.5, 1, 2, 5, 10], ticktext=["0.1", "0.2", "0.5", "1", "2", "5", "10"]
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(margin={"t": 10})
    figure.add_vline(x=1, line={"color": AXIS, "width": 1.5, "dash": "dash"})
    return figure
