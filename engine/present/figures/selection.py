"""What the resamples kept: how often each feature, from which ROI, and how alike the sets are."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import ROI_COLOURS, roi_label
from engine.present.figures.heat import Cell, roi_heat_map
from engine.present.figures.layout import AXIS, framed, rows_height
from engine.present.wording.features import feature_label
from store.queries.prognosis import KeptShare
from store.records import ROIS, SelectionFrequency, Stability

STEP_LABELS = {"mrmr": "after mRMR", "rfe": "after RFE (kept)"}


def frequency_bars(rows: Sequence[SelectionFrequency]) -> go.Figure:
    """Share of resamples that kept each feature, the commonest at the top, coloured by ROI."""
    names = [feature_label(row.image_type, row.feature_class, row.feature) for row in rows]
    figure = go.Figure()
    for roi in ROIS:
        mine = [(place, row) for place, row in enumerate(rows) if row.roi == roi]
        if mine:
            figure.add_trace(_bar(roi, mine, names))
    resamples = rows[0].resamples if rows else 0
    framed(figure, f"Share of {resamples} resamples that kept the feature", "", rows_height(len(rows)))
    figure.update_layout(bargap=0.25)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    ticks = {"tickvals": list(range(len(rows))), "ticktext": names, "range": [len(rows) - 0.4, -0.6]}
    figure.update_yaxes(**ticks, showgrid=False)
    return figure


def _bar(roi: str, mine: Sequence[tuple[int, SelectionFrequency]], names: Sequence[str]) -> go.Bar:
    return go.Bar(
        y=[place for place, _ in mine],
        x=[row.kept_count / max(1, row.resamples) for _, row in mine],
        orientation="h",
        name=roi_label(roi),
        marker={"color": ROI_COLOURS[roi]},
        customdata=[[names[place], row.kept_count, row.resamples, row.mrmr_count] for place, row in mine],
        hovertemplate="%{customdata[0]}<br>kept in %{customdata[1]} of %{customdata[2]}, "
        "taken by mRMR in %{customdata[3]}<extra></extra>",
    )


def stability_figure(rows: Sequence[Stability]) -> go.Figure:
    """Nogueira stability of each step with its 95 % interval."""
    figure = go.Figure(
        go.Scatter(
            x=[row.stability for row in rows],
            y=[STEP_LABELS.get(row.step, row.step) for row in rows],
            mode="markers",
            marker={"size": 11, "color": "#0072B2"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [row.hi - row.stability for row in rows],
                "arrayminus": [row.stability - row.lo for row in rows],
                "thickness": 2,
            },
            hovertemplate="%{y}: %{x:.2f}<extra></extra>",
        )
    )
    framed(figure, "Stability (0 = chance, 1 = always the same set)", "", rows_height(len(rows), 180))
    figure.update_xaxes(range=[min(0.0, *(row.lo for row in rows)) if rows else 0, 1.02])
    figure.update_layout(margin={"t": 10})
    figure.add_vline(x=0, line={"color": AXIS, "width": 1})
    return figure


def roi_share_heat_map(shares: Sequence[KeptShare]) -> go.Figure:
    """Share of all kept selections per ROI and image type."""
    cells = [Cell(s.roi, s.image_type, s.share, str(s.kept) if s.kept else "") for s in shares]
    highest = max((share.share for share in shares), default=1.0) or 1.0
    return roi_heat_map(cells, highest)
