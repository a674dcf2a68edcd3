"""How well the arms tell events from non-events, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from engine.present.colours import faded, model_colour, plain_model
from engine.present.figures.layout import AXIS, framed, rows_height
from store.records import ModelSummary, Performance, RocPoint, Subgroup

DASHES = {"clinical + volume": "dash", "shuffled": "dot"} | dict.fromkeys(
    ("intratumoural", "peritumoural", "whole lung", "forest: clinical + volume", "Cox: clinical + volume"), "dashdot"
)
SQUARE_HEIGHT = 470
MOST_FAINT = 101


def roc_figure(points: Sequence[RocPoint], summaries: Sequence[ModelSummary], banded: Sequence[str] = ()) -> go.Figure:
    """Weighted ROC curves, mean over resamples, one line an arm; the legend gives the AUC, which is the area.

    Of the arms in `banded` the middle 95 % of the resamples' own curves is drawn beneath the lines.
    """
    figure = go.Figure()
    aucs = {row.model: row.auc for row in summaries}
    diagonal(figure)
    for model in banded:
        _band(figure, [point for point in points if point.model == model], model_colour(model, 0))
    for place, model in enumerate(dict.fromkeys(point.model for point in points)):
        mine = [point for point in points if point.model == model]
        auc = f" {aucs[model]:.2f}" if model in aucs else ""
        figure.add_trace(
            go.Scatter(
                x=[point.false_positive_share for point in mine],
                y=[point.true_positive_share for point in mine],
                mode="lines",
                name=f"{plain_model(model)}{auc}",
                line={"color": model_colour(model, place), "width": 2.5, "dash": DASHES.get(plain_model(model))},
                hovertemplate=f"{plain_model(model)}<br>false positive %{{x:.2f}}<br>true positive %{{y:.2f}}"
                "<extra></extra>",
            )
        )
    framed(figure, "1 − specificity", "Sensitivity", SQUARE_HEIGHT)
    inside = {"orientation": "v", "x": 0.98, "y": 0.03, "xanchor": "right", "yanchor": "bottom"}
    figure.update_layout(legend=inside, margin={"t": 10})
    return unit_square(figure)


def auc_forest(summaries: Sequence[ModelSummary], performances: Sequence[Performance]) -> go.Figure:
    """AUC of each arm with its spread over resamples (bar) and the resamples (faint points); not a CI.

    Of more than MOST_FAINT resamples their hundredths are drawn: as many points say no more and cost a second.
    """
    figure = go.Figure()
    for place, row in enumerate(summaries):
        colour, name = model_colour(row.model, place), plain_model(row.model)
        each = [p.auc for p in performances if p.model == row.model]
        if len(each) > MOST_FAINT:
            each = np.quantile(each, np.linspace(0, 1, MOST_FAINT)).tolist()
        faint = {"color": faded(colour, 0.25), "size": 6}
        figure.add_trace(go.Scatter(x=each, y=[place] * len(each), mode="markers", marker=faint, hoverinfo="skip"))
        figure.add_trace(
            go.Scatter(
                x=[row.auc],
                y=[place],
                mode="markers",
                marker={"color": colour, "size": 12},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [row.auc_hi - row.auc],
                    "arrayminus": [row.auc - row.auc_lo],
                    "thickness": 2.5,
                },
                hovertemplate=f"{name}<br>AUC {row.auc:.2f}, spread {row.auc_lo:.2f} to {row.auc_hi:.2f}"
                "<extra></extra>",
            )
        )
    framed(figure, "Out-of-bag AUC", "", max(SQUARE_HEIGHT, rows_height(2 * len(summaries))))
    figure.update_layout(showlegend=False, margin={"t": 10})
    labels = [f"{plain_model(row.model)}<br>{row.auc:.2f}" for row in summaries]
    figure.update_yaxes(tickvals=list(range(len(summaries))), ticktext=labels, autorange="reversed", showgrid=False)
    figure.add_vline(x=0.5, line={"color": AXIS, "width": 1.5, "dash": "dash"})
    return figure


def subgroup_forest(groups: Sequence[Subgroup]) -> go.Figure:
    """AUC difference in each group of patients with its spread over resamples; groups too small have no point."""
    shown = [group for group in groups if group.difference_lo is not None]
    figure = go.Figure()
    for place, group in enumerate(shown):
        found, lo, hi = (value or 0.0 for value in (group.difference, group.difference_lo, group.difference_hi))
        colour = model_colour(group.extended, 0)
        figure.add_trace(
            go.Scatter(
                x=[found],
                y=[place],
                mode="markers",
                marker={"color": colour, "size": 10, "symbol": "square"},
                error_x={"type": "data", "symmetric": False, "array": [hi - found], "arrayminus": [found - lo]},
                hovertemplate=f"{group.grouping}: {group.level}<br>{found:+.2f} ({lo:+.2f} to {hi:+.2f})"
                f"<br>n = {group.n}, {group.events} events<extra></extra>",
            )
        )
    labels = [f"{group.grouping}: {group.level} (n = {group.n}, {group.events} ev.)" for group in shown]
    framed(figure, f"AUC difference, {_pair(shown)}", "", rows_height(len(shown)))
    figure.update_layout(showlegend=False, margin={"t": 10})
    figure.update_yaxes(tickvals=list(range(len(shown))), ticktext=labels, autorange="reversed", showgrid=False)
    figure.add_vline(x=0, line={"color": AXIS, "width": 1.5, "dash": "dash"})
    return figure


def _pair(groups: Sequence[Subgroup]) -> str:
    return " − ".join(plain_model(model) for group in groups[:1] for model in (group.extended, group.base))


def _band(figure: go.Figure, mine: Sequence[RocPoint], colour: str) -> None:
    known = [(point.false_positive_share, point.lo, point.hi) for point in mine if point.lo is not None]
    along, lower, upper = ([row[place] for row in known] for place in range(3))
    style = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_trace(go.Scatter(x=along, y=upper, **style))
    figure.add_trace(go.Scatter(x=along, y=lower, fill="tonexty", fillcolor=faded(colour, 0.13), **style))


def diagonal(figure: go.Figure) -> None:
    """The line of no discrimination, or of exact risks."""
    line = {"color": AXIS, "width": 1, "dash": "dash"}
    figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False))


def unit_square(figure: go.Figure) -> go.Figure:
    """Both axes from 0 to 1; changes and returns the figure."""
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_yaxes(range=[-0.02, 1.02])
    return figure
