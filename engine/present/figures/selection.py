"""What the resamples kept: how often each feature, from which ROI, and how alike the sets are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from engine.present.colours import GREY, HEAT_SCALE, LEVEL_COLOURS, ROI_COLOURS, faded, plain_model, roi_label
from engine.present.figures.heat import Cell, roi_heat_map
from engine.present.figures.layout import AXIS, SMALL_TICKS, TWO_LINES, framed, rows_height
from engine.present.wording.features import two_line_label
from store.queries.prognosis import KeptShare
from store.queries.selection import FrequencyAtSize
from store.records import ROIS, CoSelection, FeatureGroup, PermutedAuc, SelectionFrequency, SizeStability, Stability

STEP_COLOURS = {"mrmr": "#56B4E9", "rfe": "#0072B2"}
SIZE_TICKS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500)
ROI_SHORT = {"intratumoural": "tumour", "peritumoural": "ring", "whole_lung": "lung"}
WIDEST_LIFT = 2.0  # log2: a quarter of what chance gives, or four times
HALF = 0.5  # added to both counts: never together in few resamples is no proof of never
COLOUR_BAR = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "len": 0.6, "thickness": 12}
STEP_LABELS = {"mrmr": "after mRMR", "rfe": "after RFE (kept)"}


def frequency_bars(rows: Sequence[SelectionFrequency], colour_by: str = "roi") -> go.Figure:
    """Share of resamples that kept each feature, the commonest at the top, and its correlation with volume if known.

    colour_by: roi, image_type (the family of the filter) or feature_class.
    """
    names = [two_line_label(row.image_type, row.feature_class, row.feature) for row in rows]
    with_volume = any(row.volume_correlation is not None for row in rows)
    widths = [0.74, 0.26] if with_volume else [1.0]
    figure = make_subplots(1, len(widths), shared_yaxes=True, column_widths=widths, horizontal_spacing=0.1)
    kinds = kind_order(rows, colour_by)
    for number, kind in enumerate(kinds):
        mine = [(place, row) for place, row in enumerate(rows) if kind_of(row, colour_by) == kind]
        figure.add_trace(_bar(kind, _colour(kind, number, colour_by), mine, names), 1, 1)
    resamples = rows[0].resamples if rows else 0
    framed(figure, f"Kept by so many of {resamples} resamples", "", rows_height(len(rows), row=TWO_LINES))
    figure.update_layout(bargap=0.25)
    figure.update_xaxes(range=[0, 1], tickformat=".0%", col=1)
    volume = {"range": [-1.05, 1.05], "tickvals": [-1, 0, 1], "title": {"text": "ρ with volume"}, "zeroline": True}
    if with_volume:
        figure.add_trace(_volume_points(rows, names), 1, 2)
        figure.update_xaxes(**volume, zerolinecolor=AXIS, col=2)
    ticks = {"tickvals": list(range(len(rows))), "ticktext": names, "range": [len(rows) - 0.4, -0.6]}
    figure.update_yaxes(**ticks, showgrid=False, tickfont={"size": SMALL_TICKS})
    return figure


def kind_of(row: SelectionFrequency, colour_by: str) -> str:
    """What a bar is coloured by, as the legend writes it."""
    if colour_by == "roi":
        return roi_label(row.roi)
    return filter_family(row.image_type) if colour_by == "image_type" else row.feature_class


def filter_family(image_type: str) -> str:
    """The filter of an image type without its settings: wavelet-LLH is wavelet, log-sigma-2-0-mm-3D is LoG."""
    head = image_type.split("-")[0]
    return {"log": "LoG", "lbp": "LBP"}.get(head, head.rstrip("0123456789"))


def kind_order(rows: Sequence[SelectionFrequency], colour_by: str) -> list[str]:
    """Regions in their fixed order; filters and classes by the number of their bars, the commonest first."""
    kinds = [kind_of(row, colour_by) for row in rows]
    if colour_by == "roi":
        return [
            roi_label(roi) for roi in (*ROIS, *sorted({row.roi for row in rows} - set(ROIS))) if roi_label(roi) in kinds
        ]
    return sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))


def _colour(kind: str, number: int, colour_by: str) -> str:
    if colour_by == "roi":
        return next((ROI_COLOURS[roi] for roi in ROIS if roi_label(roi) == kind), GREY)
    return LEVEL_COLOURS[number] if number < len(LEVEL_COLOURS) else GREY


def _bar(kind: str, colour: str, mine: Sequence[tuple[int, SelectionFrequency]], names: Sequence[str]) -> go.Bar:
    return go.Bar(
        y=[place for place, _ in mine],
        x=[row.kept_count / max(1, row.resamples) for _, row in mine],
        orientation="h",
        name=kind,
        marker={"color": colour},
        customdata=[[names[place], row.kept_count, row.resamples, row.mrmr_count] for place, row in mine],
        hovertemplate="%{customdata[0]}<br>kept in %{customdata[1]} of %{customdata[2]}, "
        "taken by mRMR in %{customdata[3]}<extra></extra>",
    )


def _volume_points(rows: Sequence[SelectionFrequency], names: Sequence[str]) -> go.Scatter:
    known = [(place, row.volume_correlation) for place, row in enumerate(rows) if row.volume_correlation is not None]
    return go.Scatter(
        x=[rho for _, rho in known],
        y=[place for place, _ in known],
        mode="markers",
        marker={"size": 8, "color": GREY},
        showlegend=False,
        customdata=[names[place] for place, _ in known],
        hovertemplate="%{customdata}<br>Spearman ρ with tumour volume %{x:.2f}<extra></extra>",
    )


def size_figure(rows: Sequence[SizeStability]) -> go.Figure:
    """Stability of the sets of every size with its 95 % band, by step."""
    figure = go.Figure()
    for step, colour in STEP_COLOURS.items():
        mine = [row for row in rows if row.step == step]
        if not mine:
            continue
        sizes = [row.size for row in mine]
        band = {"x": sizes + sizes[::-1], "y": [row.hi for row in mine] + [row.lo for row in mine][::-1]}
        fill = {"fill": "toself", "fillcolor": faded(colour, 0.2), "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(**band, **fill, showlegend=False))
        figure.add_trace(
            go.Scatter(
                x=sizes,
                y=[row.stability for row in mine],
                mode="lines+markers",
                name=STEP_LABELS.get(step, step),
                line={"color": colour, "width": 2},
                hovertemplate="%{x} features: %{y:.2f}<extra></extra>",
            )
        )
    framed(figure, "Features in the set", "Stability (0 = chance, 1 = same set)", 340)
    lowest = min((row.lo for row in rows), default=0.0)
    figure.update_yaxes(range=[min(0.0, lowest), 1.02])
    figure.update_xaxes(type="log", tickvals=SIZE_TICKS, ticktext=[str(size) for size in SIZE_TICKS])
    return figure


def frequency_by_size(rows: Sequence[FrequencyAtSize]) -> go.Figure:
    """Share of resamples in which mRMR's first K features held each feature: rows are features, columns sizes K."""
    names = list(
        dict.fromkeys(
            two_line_label(r.image_type, r.feature_class, r.feature) + f" ({ROI_SHORT.get(r.roi, r.roi)})" for r in rows
        )
    )
    sizes = sorted({row.size for row in rows})
    shares = [row.count / max(1, row.resamples) for row in rows]
    cells = [shares[place : place + len(sizes)] for place in range(0, len(shares), max(1, len(sizes)))]
    heat = go.Heatmap(
        z=cells,
        x=[str(size) for size in sizes],
        y=list(range(len(names))),
        zmin=0,
        zmax=max(shares, default=1.0) or 1.0,
        colorscale=[list(step) for step in HEAT_SCALE],
        showscale=False,
        texttemplate="%{z:.0%}",
        textfont={"size": 11},
        hovertemplate="the first %{x} of mRMR: %{z:.0%}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    figure = framed(go.Figure(heat), "K, features taken by mRMR", "", rows_height(len(names), row=TWO_LINES))
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, autorange="reversed", showgrid=False)
    figure.update_yaxes(tickfont={"size": SMALL_TICKS})
    figure.update_xaxes(showgrid=False, type="category")
    figure.update_layout(margin={"t": 10})
    return figure


def co_selection_map(pairs: Sequence[CoSelection], groups: Sequence[FeatureGroup]) -> go.Figure:
    """Pairs of features in the order of groups: blue, together in mRMR less often than by chance; orange, more."""
    size = max((pair.second for pair in pairs), default=-1) + 1
    shown = groups[:size]
    names = [f"{g.group} · {two_line_label(g.image_type, g.feature_class, g.feature)}" for g in shown]
    cells: list[list[float | None]] = [[None] * size for _ in range(size)]
    notes = [[""] * size for _ in range(size)]
    for pair in pairs:
        rho = "unknown" if pair.correlation is None else f"{pair.correlation:.2f}"
        text = f"{pair.first_name}<br>{pair.second_name}<br>together in {pair.together} of {pair.resamples}, "
        text += f"by chance {pair.expected:.1f}; ρ {rho}"
        for a, b in ((pair.first, pair.second), (pair.second, pair.first)):
            cells[a][b] = math.log2((pair.together + HALF) / (pair.expected + HALF))
            notes[a][b] = text
    heat = go.Heatmap(
        z=cells,
        x=list(range(size)),
        y=list(range(size)),
        zmin=-WIDEST_LIFT,
        zmax=WIDEST_LIFT,
        colorscale=[[0, "#0072B2"], [0.5, "#F4F4F4"], [1, "#D55E00"]],
        colorbar=COLOUR_BAR
        | {"title": {"text": "together in mRMR"}, "tickvals": [-2, 0, 2], "ticktext": ["¼", "as by chance", "4×"]},
        customdata=notes,
        hovertemplate="%{customdata}<extra></extra>",
        xgap=1,
        ygap=1,
    )
    figure = framed(go.Figure(heat), "Features in the same order", "", rows_height(size, 320, TWO_LINES))
    figure.update_yaxes(tickvals=list(range(size)), ticktext=names, autorange="reversed", showgrid=False)
    figure.update_yaxes(tickfont={"size": SMALL_TICKS})
    figure.update_xaxes(tickvals=list(range(size)), ticktext=[str(g.group) for g in shown], showgrid=False)
    figure.update_layout(margin={"t": 70})
    return figure


def self_test_figure(rows: Sequence[PermutedAuc]) -> go.Figure:
    """Mean AUC of every permutation, by model; a model that saw nothing of its patients lies about 0.5."""
    figure = go.Figure()
    labels = list(dict.fromkeys(f"{plain_model(row.model)}, {row.evaluation}" for row in rows))
    for label in labels:
        mine = [row.auc for row in rows if f"{plain_model(row.model)}, {row.evaluation}" == label]
        marker = {"size": 7, "color": faded("#0072B2", 0.6)}
        hover = "%{x:.2f}<extra></extra>"
        figure.add_trace(go.Scatter(x=mine, y=[label] * len(mine), mode="markers", marker=marker, hovertemplate=hover))
    framed(
        figure, "AUC with permuted outcomes, mean of one permutation's bootstraps", "", rows_height(len(labels), 200)
    )
    figure.add_vrect(x0=0.45, x1=0.55, fillcolor=faded("#009E73", 0.15), line_width=0)
    figure.update_layout(showlegend=False, margin={"t": 10})
    figure.update_xaxes(range=[0.2, 0.8])
    figure.update_yaxes(autorange="reversed")
    return figure


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
