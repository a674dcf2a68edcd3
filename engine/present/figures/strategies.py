"""Training strategies: the same cases under each, and how each learned."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import STRATEGY_COLOURS, STRATEGY_LABELS, faded
from engine.present.figures.layout import framed
from store.queries.strategies import CaseByStrategy, CurvePoint
from store.records import StrategySummary

PAIR_LINE = "rgba(128, 128, 128, 0.28)"
CURVES = {"tumour_pseudo_dice": "Pseudo-Dice of the tumour", "loss": "Training loss"}


def strategy_label(name: str) -> str:
    """A strategy as figures and tables call it."""
    return STRATEGY_LABELS.get(name, name)


def paired_dsc(rows: Sequence[CaseByStrategy], summaries: Sequence[StrategySummary]) -> go.Figure:
    """DSC of every case under every strategy, a line a case; the mean with its 95 % interval beside the points."""
    order = [summary.strategy for summary in summaries]
    figure = go.Figure(_case_lines(rows, order))
    for place, summary in enumerate(summaries):
        mine = [row for row in rows if row.strategy == summary.strategy]
        figure.add_trace(_points(place, mine))
        figure.add_trace(_mean(place + 0.16, summary))
    framed(figure, "", "DSC", 440)
    ticks = [f"{strategy_label(s.strategy)}<br>n = {s.cases} × {s.trainings}" for s in summaries]
    figure.update_xaxes(
        tickvals=list(range(len(order))), ticktext=ticks, range=[-0.4, len(order) - 0.55], showgrid=False
    )
    figure.update_yaxes(range=[-0.03, 1.03])
    figure.update_layout(showlegend=False, margin={"t": 10})
    return figure


def _case_lines(rows: Sequence[CaseByStrategy], order: Sequence[str]) -> go.Scatter:
    """All cases' lines as one trace, broken between cases."""
    x: list[float | None] = []
    y: list[float | None] = []
    for case in dict.fromkeys(row.case_id for row in rows):
        mine = sorted((order.index(r.strategy), r.dsc) for r in rows if r.case_id == case and r.strategy in order)
        x += [place for place, _ in mine] + [None]
        y += [dsc for _, dsc in mine] + [None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": PAIR_LINE, "width": 1}, hoverinfo="skip")


def _points(place: int, rows: Sequence[CaseByStrategy]) -> go.Scatter:
    return go.Scatter(
        x=[place] * len(rows),
        y=[row.dsc for row in rows],
        mode="markers",
        marker={"color": faded(_colour(rows), 0.75), "size": 8},
        customdata=[[row.case_id, row.volume_ml, row.missed_share] for row in rows],
        hovertemplate="%{customdata[0]}<br>DSC %{y:.2f}<br>%{customdata[1]:.1f} ml, missed by "
        "%{customdata[2]:.0%} of trainings<extra></extra>",
    )


def _colour(rows: Sequence[CaseByStrategy]) -> str:
    return STRATEGY_COLOURS.get(rows[0].strategy, "#8C8C8C") if rows else "#8C8C8C"


def _mean(place: float, summary: StrategySummary) -> go.Scatter:
    half = [] if summary.dsc_hi is None else [summary.dsc_hi - summary.dsc_mean]
    return go.Scatter(
        x=[place],
        y=[summary.dsc_mean],
        mode="markers",
        marker={"color": STRATEGY_COLOURS.get(summary.strategy, "#8C8C8C"), "size": 13, "symbol": "diamond"},
        error_y={"type": "data", "array": half, "thickness": 2.5, "width": 7},
        hovertemplate=f"{strategy_label(summary.strategy)}<br>mean DSC %{{y:.2f}}<extra></extra>",
    )


def learning_figure(rows: Sequence[CurvePoint], measure: str) -> go.Figure:
    """A measure by epoch, one line a training; pretraining is dotted."""
    figure = go.Figure()
    named: set[str] = set()
    for run in dict.fromkeys((row.strategy, row.seed, row.fold, row.phase) for row in rows):
        mine = [row for row in rows if (row.strategy, row.seed, row.fold, row.phase) == run]
        strategy, seed, _, phase = run
        figure.add_trace(
            go.Scatter(
                x=[row.epoch for row in mine],
                y=[getattr(row, measure) for row in mine],
                mode="lines",
                name=strategy_label(strategy),
                legendgroup=strategy,
                showlegend=phase == "training" and strategy not in named,
                line={
                    "color": STRATEGY_COLOURS.get(strategy, "#8C8C8C"),
                    "width": 2,
                    "dash": "dot" if phase == "pretraining" else "solid",
                },
                hovertemplate=f"{strategy_label(strategy)}, seed {seed}<br>epoch %{{x}}: %{{y:.2f}}<extra></extra>",
            )
        )
        if phase == "training":
            named.add(strategy)
    return framed(figure, "Epoch", CURVES[measure], 380)
