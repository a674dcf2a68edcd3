"""Agreement of masks against what may drive it; every point carries its case so that it can be opened."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from scipy.special import expit
from scipy.stats import norm

from engine.present.colours import AUTOMATIC, GREY, HEAT_SCALE, LEVEL_COLOURS, MISSED, faded
from engine.present.figures.layout import framed
from engine.present.wording.segmentation import variable_label
from engine.statistics.fractional_logit import fit_fractional
from store.queries.agreement import CaseAgreement, CurvePoint
from store.records import DeclinedError

NUMBERS = (
    "sphericity",
    "maximum_3d_diameter_mm",
    "volume_ml",
    "elongation",
    "contact_share",
    "costal_contact_share",
    "distance_to_mediastinum_mm",
    "protrusion_mm",
    "slice_thickness_mm",
)
CATEGORIES = (
    "third",
    "side",
    "lobe",
    "chest_wall_contact",
    "kernel_group",
    "contrast",
    "vendor",
    "manufacturer",
    "missed_kind",
)
MEASURES = {"dsc": "DSC", "surface_dsc": "Surface DSC", "surface_dsc_smooth": "Surface DSC, smooth surfaces"}
JITTER = 0.28
TREND_POINTS = 60
FEWEST_FOR_TREND = 10
BINS = {"start": 0.0, "end": 1.0001, "size": 0.05}
THIRDS, SIDES = ("upper", "middle", "lower"), ("right", "left")  # as one looks at a patient
Floats = NDArray[np.float64]
Values = Mapping[str, float | str | None]


def value_of(row: CaseAgreement, variable: str) -> float | str | None:
    """One driver of one case as it is drawn; yes / no for what is true or false, unknown stays None for numbers."""
    value = getattr(row, variable)
    if variable in NUMBERS:
        return None if value is None else float(value)
    if value is None or value == "":
        return "unknown"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def drawn_rows(rows: Sequence[CaseAgreement], variable: str) -> tuple[CaseAgreement, ...]:
    """The rows that have a value of the variable."""
    return tuple(row for row in rows if value_of(row, variable) is not None)


def driver_figure(
    rows: Sequence[CaseAgreement], variable: str, measure: str, colours: tuple[str, Values] | None = None
) -> go.Figure:
    """Agreement (0..1) against one driver: a scatter with its trend for numbers, boxes with their points for groups.

    colours: a title and one value a case to colour the points by; without it, detected and missed. A miss is a cross.
    The trend is a fractional logit of the measure with its 95 % band, over all points drawn.
    """
    shown = [row for row in drawn_rows(rows, variable) if getattr(row, measure) is not None]
    figure = go.Figure()
    groups: list[str] = []
    if variable in CATEGORIES:
        groups = sorted({str(value_of(row, variable)) for row in shown})
        _boxes(figure, shown, variable, measure, groups)
    else:
        _trend(figure, shown, variable, measure)
    _coloured(figure, shown, (variable, measure), groups, colours)
    framed(figure, variable_label(variable), MEASURES[measure], 460)
    figure.update_yaxes(range=[-0.04, 1.04])
    if groups:
        labels = [f"{g}<br>n = {sum(value_of(r, variable) == g for r in shown)}" for g in groups]
        figure.update_xaxes(tickvals=list(range(len(groups))), ticktext=labels, showgrid=False)
    return figure


def _coloured(
    figure: go.Figure,
    shown: Sequence[CaseAgreement],
    axes: tuple[str, str],
    groups: Sequence[str],
    colours: tuple[str, Values] | None,
) -> None:
    """The points, in one trace a colour."""
    if colours is None:
        found, missed = [r for r in shown if not r.missed], [r for r in shown if r.missed]
        _points(figure, found, axes, groups, f"detected (n = {len(found)})", {"color": AUTOMATIC})
        if missed:
            _points(figure, missed, axes, groups, f"missed (n = {len(missed)})", {"color": MISSED})
        return
    title, values = colours
    own = [values.get(row.case_id) for row in shown]
    if any(isinstance(value, str) for value in own):
        names = ["unknown" if value is None else str(value) for value in own]
        for place, name in enumerate(sorted(set(names))):
            part = [row for row, level in zip(shown, names, strict=True) if level == name]
            colour = GREY if name == "unknown" else LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
            _points(figure, part, axes, groups, f"{name} (n = {len(part)})", {"color": colour})
        return
    known = [row for row, value in zip(shown, own, strict=True) if value is not None]
    marker = {
        "color": [values[row.case_id] for row in known],
        "colorscale": [list(stop) for stop in HEAT_SCALE],
        "line": {"color": GREY, "width": 1},
        "colorbar": {"title": {"text": title, "side": "right"}, "thickness": 12},
    }
    _points(figure, known, axes, groups, f"{title} known (n = {len(known)})", marker)
    unknown = [row for row, value in zip(shown, own, strict=True) if value is None]
    if unknown:
        _points(figure, unknown, axes, groups, f"unknown (n = {len(unknown)})", {"color": GREY})


def _trend(figure: go.Figure, rows: Sequence[CaseAgreement], variable: str, measure: str) -> None:
    """The fitted mean with its 95 % band; nothing with few points or where nothing varies."""
    x = np.array([value_of(row, variable) for row in rows], dtype=np.float64)
    y = np.array([getattr(row, measure) for row in rows], dtype=np.float64)
    if x.size < FEWEST_FOR_TREND or np.ptp(x) == 0:
        return
    scale = float(x.std())
    try:
        fit = fit_fractional(x[:, None] / scale, y)
    except DeclinedError:
        return
    line = np.linspace(x.min(), x.max(), TREND_POINTS)
    design = np.column_stack([np.ones(line.size), line / scale])
    middle = design @ fit.coefficients
    half = norm.ppf(0.975) * np.sqrt(np.einsum("ij,jk,ik->i", design, fit.covariance, design))
    band = np.concatenate([expit(middle + half), expit(middle - half)[::-1]])
    _line(figure, np.concatenate([line, line[::-1]]), band, {"fill": "toself", "fillcolor": faded(GREY, 0.25)}, 0)
    _line(figure, line, expit(middle), {"name": "mean, 95 % band", "showlegend": True}, 2)


def _line(
    figure: go.Figure,
    x: Floats,
    y: Floats,
    more: dict[str, object],
    width: int,
) -> None:
    line = {"color": GREY, "width": width}
    style = {"showlegend": False, "hoverinfo": "skip", "line": line, "mode": "lines"} | more
    figure.add_trace(go.Scatter(x=x, y=y, **style))


def _boxes(
    figure: go.Figure, rows: Sequence[CaseAgreement], variable: str, measure: str, groups: Sequence[str]
) -> None:
    for place, group in enumerate(groups):
        values = [getattr(row, measure) for row in rows if value_of(row, variable) == group]
        figure.add_trace(
            go.Box(
                x=[place] * len(values),
                y=values,
                boxpoints=False,
                width=0.7,
                line={"color": GREY, "width": 1.5},
                fillcolor="rgba(128,128,128,0.12)",
                showlegend=False,
                hoverinfo="skip",
            )
        )


def _points(
    figure: go.Figure,
    rows: Sequence[CaseAgreement],
    axes: tuple[str, str],
    groups: Sequence[str],
    label: str,
    marker: dict[str, object],
) -> None:
    variable, measure = axes
    values = [value_of(row, variable) for row in rows]
    x = [groups.index(str(v)) + _jitter(r.case_id) for v, r in zip(values, rows, strict=True)] if groups else values
    symbols = ["x" if row.missed else "circle" for row in rows]
    figure.add_trace(
        go.Scatter(
            x=x,
            y=[getattr(row, measure) for row in rows],
            mode="markers",
            name=label,
            marker={"size": 9, "opacity": 0.85, "symbol": symbols} | marker,
            customdata=[[row.case_id, str(v) if groups else f"{v:.3g}"] for v, row in zip(values, rows, strict=True)],
            hovertemplate=f"%{{customdata[0]}}<br>{MEASURES[measure]} %{{y:.2f}}<br>%{{customdata[1]}}<extra></extra>",
        )
    )


def _jitter(case_id: str) -> float:
    """A sideways shift that is always the same for a case."""
    return (zlib.crc32(case_id.encode()) % 1000 / 999 - 0.5) * 2 * JITTER


def distribution_figure(rows: Sequence[CaseAgreement], measure: str) -> go.Figure:
    """How many cases reach which agreement, in steps of 0.05, missed ones apart."""
    figure = go.Figure()
    for missed, name, colour in ((False, "detected", AUTOMATIC), (True, "missed", MISSED)):
        values = [getattr(row, measure) for row in rows if row.missed is missed and getattr(row, measure) is not None]
        if values:
            figure.add_trace(
                go.Histogram(x=values, xbins=BINS, name=f"{name} (n = {len(values)})", marker={"color": colour})
            )
    framed(figure, MEASURES[measure], "Cases", 360)
    figure.update_layout(barmode="stack", bargap=0.06)
    figure.update_xaxes(range=[0, 1])
    return figure


def curve_figure(points: Sequence[CurvePoint]) -> go.Figure:
    """Mean surface DSC over tolerances (mm) by both estimators, with 95 % intervals of the mean."""
    figure = go.Figure()
    for name, field, colour in (("voxel surfaces (Nikolov)", "", AUTOMATIC), ("smooth surfaces", "smooth_", GREY)):
        half = [1.96 * (getattr(p, f"{field}sd") or 0.0) / p.n**0.5 for p in points]
        figure.add_trace(
            go.Scatter(
                x=[p.tolerance_mm for p in points],
                y=[getattr(p, f"{field}mean") for p in points],
                error_y={"array": half, "width": 3, "thickness": 1},
                mode="lines+markers",
                name=name,
                line={"color": colour},
            )
        )
    framed(figure, "Tolerance (mm)", "Surface DSC", 360)
    figure.update_yaxes(range=[0, 1.02])
    return figure


def location_figure(rows: Sequence[CaseAgreement], variable: str, measure: str) -> go.Figure:
    """Agreement against a number, one small figure a third and side; the right lung on the left, as in a CT."""
    shown = [row for row in drawn_rows(rows, variable) if getattr(row, measure) is not None]
    places = [(third, side) for third in THIRDS for side in SIDES]
    parts = {place: [row for row in shown if (row.third, row.side) == place] for place in places}
    titles = [f"{third} third, {side} (n = {len(parts[third, side])})" for third, side in places]
    figure = make_subplots(3, 2, shared_xaxes=True, shared_yaxes=True, subplot_titles=titles, vertical_spacing=0.09)
    for number, place in enumerate(places):
        part = parts[place]
        figure.add_trace(
            go.Scatter(
                x=[value_of(row, variable) for row in part],
                y=[getattr(row, measure) for row in part],
                mode="markers",
                showlegend=False,
                marker={
                    "color": [MISSED if row.missed else AUTOMATIC for row in part],
                    "symbol": ["x" if row.missed else "circle" for row in part],
                    "size": 8,
                },
                customdata=[[row.case_id] for row in part],
                hovertemplate=f"%{{customdata[0]}}<br>{MEASURES[measure]} %{{y:.2f}}<extra></extra>",
            ),
            row=number // 2 + 1,
            col=number % 2 + 1,
        )
    framed(figure, "", "", 640)
    figure.update_yaxes(range=[-0.04, 1.04])
    figure.update_yaxes(title_text=MEASURES[measure], col=1)
    figure.update_xaxes(title_text=variable_label(variable), row=3)
    return figure
