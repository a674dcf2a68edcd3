"""Which features survive perturbation: by ROI, image type and class, how their ICC is distributed, what hurts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from engine.present.colours import GREY, HEAT_SCALE, LEVEL_COLOURS, ROI_COLOURS, faded, roi_label
from engine.present.figures.heat import image_type_order
from engine.present.figures.layout import AXIS, framed, rows_height
from store.queries.reproducibility import FeatureIcc as Row
from store.queries.reproducibility import FeatureValue, SurvivalShare
from store.records import ROIS, PerturbationEffect

BINS = 20
CLASS_ORDER = ("shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
CLASS_LABELS = {"firstorder": "first order", "shape": "shape"}
METHOD_COLOURS = dict(
    zip(("rotation", "translation", "noise", "contour", "volume", "combined"), LEVEL_COLOURS, strict=True)
)
CELL_TEXT_SIZE = 11
LONGEST_BARS = 14


def survival_heat_map(shares: Sequence[SurvivalShare]) -> go.Figure:
    """Share of tested features that survive: a panel for each ROI, rows image types, columns feature classes."""
    rois = [roi for roi in ROIS if any(s.roi == roi for s in shares)] or sorted({s.roi for s in shares})
    rows = image_type_order([share.image_type for share in shares])
    classes = sorted({s.feature_class for s in shares}, key=_class_place)
    titles = [roi_label(roi) for roi in rois]
    figure = make_subplots(1, len(rois), shared_yaxes=True, horizontal_spacing=0.02, subplot_titles=titles)
    cells = {(s.roi, s.image_type, s.feature_class): s for s in shares}
    for place, roi in enumerate(rois, start=1):
        found = [[cells.get((roi, row, name)) for name in classes] for row in rows]
        figure.add_trace(_panel(found, [CLASS_LABELS.get(name, name) for name in classes], rows), 1, place)
    height = rows_height(len(rows)) + 40
    framed(figure, "", "", height)
    figure.update_yaxes(autorange="reversed", showgrid=False, showline=False)
    figure.update_xaxes(showgrid=False, showline=False, tickangle=-45)
    figure.update_layout(margin={"t": 40})
    return figure


def _class_place(name: str) -> tuple[int, str]:
    return (CLASS_ORDER.index(name) if name in CLASS_ORDER else len(CLASS_ORDER), name)


def _panel(found: Sequence[Sequence[SurvivalShare | None]], x: list[str], y: list[str]) -> go.Heatmap:
    """One ROI; a cell without tested features is left blank and says why when it is pointed at."""
    return go.Heatmap(
        z=[[_share(cell) for cell in row] for row in found],
        x=x,
        y=y,
        zmin=0,
        zmax=1,
        colorscale=[list(step) for step in HEAT_SCALE],
        showscale=False,
        text=[["" if _share(cell) is None else f"{100 * (_share(cell) or 0):.0f}" for cell in row] for row in found],
        texttemplate="%{text}",
        textfont={"size": CELL_TEXT_SIZE},
        customdata=[[_words(cell) for cell in row] for row in found],
        hovertemplate="%{y}, %{x}<br>%{customdata}<extra></extra>",
        xgap=1,
        ygap=1,
    )


def _share(cell: SurvivalShare | None) -> float | None:
    return None if cell is None or cell.tested == 0 else cell.surviving / cell.tested


def _words(cell: SurvivalShare | None) -> str:
    if cell is None:
        return "no such features"
    if cell.tested == 0:
        return f"{cell.not_tested} features, not tested"
    constant = f", {cell.constant} constant" if cell.constant else ""
    return f"{cell.surviving} of {cell.tested} survive{constant}"


def icc_distribution(rows: Sequence[Row], threshold: float) -> go.Figure:
    """How many features have which lower 95 % bound of the ICC, one stepped line a ROI, the threshold marked."""
    figure = go.Figure()
    for roi in dict.fromkeys((*ROIS, *(row.roi for row in rows))):
        bounds = [max(0.0, row.icc_lo) for row in rows if row.roi == roi and row.icc_lo is not None]
        if bounds:
            counts, edges = np.histogram(bounds, bins=BINS, range=(0.0, 1.0))
            colour = ROI_COLOURS.get(roi, GREY)
            figure.add_trace(
                go.Scatter(
                    x=edges.tolist(),
                    y=[*counts.tolist(), int(counts[-1])],
                    mode="lines",
                    name=f"{roi_label(roi)} (n = {len(bounds)})",
                    line={"color": colour, "width": 2.5, "shape": "hv"},
                    fill="tozeroy",
                    fillcolor=faded(colour, 0.10),
                    hovertemplate="from %{x:.2f}: %{y} features<extra></extra>",
                )
            )
    framed(figure, "Lower 95 % bound of the ICC", "Features", 400)
    figure.update_xaxes(range=[0, 1])
    figure.update_yaxes(rangemode="tozero")
    figure.add_vline(x=threshold, line={"color": AXIS, "width": 2, "dash": "dash"})
    return figure


def harm_figure(effects: Sequence[PerturbationEffect]) -> go.Figure:
    """Share of features that a perturbation alone takes under the threshold: a bar for each, most harmful first."""
    worst = sorted(tested(effects), key=lambda e: -e.below / e.features)
    names = list(dict.fromkeys(effect.perturbation for effect in worst))[:LONGEST_BARS]
    figure = go.Figure()
    for roi in dict.fromkeys((*ROIS, *(effect.roi for effect in worst))):
        own = {e.perturbation: e for e in worst if e.roi == roi}
        shown = [name for name in names if name in own]
        if shown:
            figure.add_trace(
                go.Bar(
                    y=shown,
                    x=[100 * own[name].below / own[name].features for name in shown],
                    name=roi_label(roi),
                    orientation="h",
                    marker={"color": ROI_COLOURS.get(roi, GREY)},
                    customdata=[[own[name].below, own[name].features, own[name].n] for name in shown],
                    hovertemplate="%{y}: %{customdata[0]} of %{customdata[1]} features under the threshold, "
                    "n = %{customdata[2]} patients<extra></extra>",
                )
            )
    framed(figure, "Features under the threshold by this perturbation alone (%)", "", rows_height(2 * len(names)))
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names)
    figure.update_xaxes(range=[0, 100])
    return figure


def tested(effects: Sequence[PerturbationEffect]) -> list[PerturbationEffect]:
    """The perturbations by which any feature was tested."""
    return [effect for effect in effects if effect.features > 0]


def feature_figure(values: Sequence[FeatureValue], name: str) -> go.Figure:
    """One feature's values by patient, ordered by the unperturbed value, coloured by what perturbed it."""
    base = {v.case_id: v.value for v in values if v.method == "unperturbed" and v.value is not None}
    order = sorted(base, key=lambda case: base[case])
    figure = go.Figure()
    for method in dict.fromkeys(v.method for v in sorted(values, key=lambda v: v.method == "unperturbed")):
        own = [v for v in values if v.method == method and v.value is not None and v.case_id in base]
        plain = method == "unperturbed"
        figure.add_trace(
            go.Scatter(
                x=[v.case_id for v in own],
                y=[v.value for v in own],
                mode="markers",
                name=method.replace("_", " "),
                marker={
                    "color": "#1A1F24" if plain else METHOD_COLOURS.get(method, GREY),
                    "size": 13 if plain else 8,
                    "symbol": "line-ew-open" if plain else "circle",
                    "line": {"width": 2 if plain else 0},
                    "opacity": 1.0 if plain else 0.75,
                },
                customdata=[[v.case_id, v.perturbation] for v in own],
                hovertemplate="%{x}, %{customdata[1]}: %{y:.4g}<extra></extra>",
            )
        )
    framed(figure, "Patient", name, 440)
    figure.update_xaxes(categoryorder="array", categoryarray=order, tickangle=-45)
    return figure
