"""Whether the arms' risks can be believed (calibration) and used (decision curve)."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import faded, model_colour, plain_model
from engine.present.figures.discrimination import DASHES, SQUARE_HEIGHT, diagonal, unit_square
from engine.present.figures.layout import AXIS, framed
from store.records import CalibrationBin, CalibrationPoint, DecisionPoint

TREAT_ALL = "treat all"
LOWEST_BENEFIT_SHOWN = -0.05


def calibration_figure(
    bins: Sequence[CalibrationBin], curves: Sequence[CalibrationPoint], models: Sequence[str]
) -> go.Figure:
    """Observed against predicted risk: groups of patients with 95 % intervals, and a smooth curve through all."""
    figure = go.Figure()
    diagonal(figure)
    every = list(dict.fromkeys(row.model for row in bins))
    for model in (m for m in every if m in models):
        colour = model_colour(model, every.index(model))
        smooth = [point for point in curves if point.model == model]
        mine = [row for row in bins if row.model == model]
        line = {"color": colour, "width": 2.5, "dash": DASHES.get(plain_model(model))}
        figure.add_trace(
            go.Scatter(
                x=[point.predicted for point in smooth],
                y=[point.observed for point in smooth],
                mode="lines",
                name=plain_model(model),
                line=line,
                legendgroup=model,
                showlegend=bool(smooth),
                hovertemplate="predicted %{x:.2f}, observed %{y:.2f}<extra></extra>",
            )
        )
        figure.add_trace(_groups(mine, model, colour, named=not smooth))
    framed(figure, "Predicted risk", "Observed risk", SQUARE_HEIGHT)
    return unit_square(figure)


def _groups(mine: Sequence[CalibrationBin], model: str, colour: str, *, named: bool) -> go.Scatter:
    return go.Scatter(
        x=[row.predicted for row in mine],
        y=[row.observed for row in mine],
        mode="markers",
        name=plain_model(model),
        legendgroup=model,
        showlegend=named,
        marker={"size": 9, "color": colour},
        customdata=[row.n for row in mine],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [row.observed_hi - row.observed for row in mine],
            "arrayminus": [row.observed - row.observed_lo for row in mine],
            "thickness": 1.5,
            "color": faded(colour, 0.6),
        },
        hovertemplate="predicted %{x:.2f}, observed %{y:.2f}, n = %{customdata}<extra></extra>",
    )


def decision_figure(points: Sequence[DecisionPoint], models: Sequence[str]) -> go.Figure:
    """Net benefit by the risk from which one would act; treating all and none for comparison."""
    figure = go.Figure()
    every = [model for model in dict.fromkeys(point.model for point in points) if model != TREAT_ALL]
    for model in (*(m for m in every if m in models), TREAT_ALL):
        mine = [point for point in points if point.model == model]
        dash = "dash" if model == TREAT_ALL else DASHES.get(plain_model(model))
        colour = AXIS if model == TREAT_ALL else model_colour(model, every.index(model))
        figure.add_trace(
            go.Scatter(
                x=[point.threshold for point in mine],
                y=[point.net_benefit for point in mine],
                mode="lines",
                name=plain_model(model),
                line={"color": colour, "width": 2.5, "dash": dash},
                hovertemplate=f"{plain_model(model)}<br>act from %{{x:.0%}}: %{{y:.3f}}<extra></extra>",
            )
        )
    top = max((point.net_benefit for point in points), default=0.1)
    framed(figure, "Risk from which one would act", "Net benefit", SQUARE_HEIGHT)
    figure.add_hline(y=0, line={"color": AXIS, "width": 1.5})
    figure.update_xaxes(tickformat=".0%", range=[0, 0.8])
    figure.update_yaxes(range=[LOWEST_BENEFIT_SHOWN, top * 1.1 + 0.01])
    return figure
