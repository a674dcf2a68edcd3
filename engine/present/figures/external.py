"""A model made elsewhere on this study's patients: AUC of each arm with its interval, and where it was made."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import model_colour, plain_model
from engine.present.figures.layout import AXIS, framed, rows_height
from store.records import ExternalSummary


def external_forest(summaries: Sequence[ExternalSummary]) -> go.Figure:
    """AUC here with DeLong's 95 % interval (filled) and out-of-bag AUC where the model was made (open)."""
    figure = go.Figure()
    for place, row in enumerate(summaries):
        colour, name = model_colour(row.model, place), plain_model(row.model)
        error = {
            "type": "data",
            "symmetric": False,
            "array": [row.auc_hi - row.auc],
            "arrayminus": [row.auc - row.auc_lo],
            "thickness": 2.5,
        }
        said = f"{name}<br>AUC {row.auc:.2f} ({row.auc_lo:.2f} to {row.auc_hi:.2f})<extra></extra>"
        here = {"color": colour, "size": 12}
        figure.add_trace(
            go.Scatter(x=[row.auc], y=[place], mode="markers", marker=here, error_x=error, hovertemplate=said)
        )
        if row.internal_auc is not None:
            there = {"color": colour, "size": 11, "symbol": "circle-open", "line": {"width": 2}}
            text = f"{name}<br>out of bag where it was made {row.internal_auc:.2f}<extra></extra>"
            figure.add_trace(
                go.Scatter(x=[row.internal_auc], y=[place], mode="markers", marker=there, hovertemplate=text)
            )
    framed(figure, "AUC", "", rows_height(2 * len(summaries)))
    figure.update_layout(showlegend=False, margin={"t": 10})
    labels = [f"{plain_model(row.model)}<br>{row.auc:.2f}" for row in summaries]
    figure.update_yaxes(tickvals=list(range(len(summaries))), ticktext=labels, autorange="reversed", showgrid=False)
    figure.add_vline(x=0.5, line={"color": AXIS, "width": 1.5, "dash": "dash"})
    return figure
