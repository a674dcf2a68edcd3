"""Which features survive perturbed masks: by ROI and image type, and how their ICC is distributed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from engine.present.colours import ROI_COLOURS, faded, roi_label
from engine.present.figures.heat import Cell, roi_heat_map
from engine.present.figures.layout import AXIS, framed
from store.queries.reproducibility import FeatureIcc, SurvivalShare
from store.records import ROIS

BINS = 20


def survival_heat_map(shares: Sequence[SurvivalShare]) -> go.Figure:
    """Share of tested features that survive, per ROI and image type."""
    return roi_heat_map([_cell(share) for share in shares])


def _cell(share: SurvivalShare) -> Cell:
    if share.tested == 0:
        return Cell(share.roi, share.image_type, None, "not tested")
    text = f"{share.surviving} of {share.tested}"
    return Cell(share.roi, share.image_type, share.surviving / share.tested, text)


def icc_distribution(rows: Sequence[FeatureIcc], threshold: float) -> go.Figure:
    """How many features have which lower 95 % bound of the ICC, one stepped line a ROI, the threshold marked."""
    figure = go.Figure()
    for roi in ROIS:
        bounds = [max(0.0, row.icc_lo) for row in rows if row.roi == roi and row.icc_lo is not None]
        if bounds:
            counts, edges = np.histogram(bounds, bins=BINS, range=(0.0, 1.0))
            figure.add_trace(
                go.Scatter(
                    x=edges.tolist(),
                    y=[*counts.tolist(), int(counts[-1])],
                    mode="lines",
                    name=f"{roi_label(roi)} (n = {len(bounds)})",
                    line={"color": ROI_COLOURS[roi], "width": 2.5, "shape": "hv"},
                    fill="tozeroy",
                    fillcolor=faded(ROI_COLOURS[roi], 0.10),
                    hovertemplate="from %{x:.2f}: %{y} features<extra></extra>",
                )
            )
    framed(figure, "Lower 95 % bound of the ICC", "Features", 400)
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(rangemode="tozero")
    figure.add_vline(x=threshold, line={"color": AXIS, "width": 2, "dash": "dash"})
    return figure
