"""Agreement of masks against what may drive it; every point carries its case so that it can be opened."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.colours import AUTOMATIC, MISSED
from engine.present.figures.layout import framed
from engine.present.wording.segmentation import variable_label
from store.queries.agreement import CaseAgreement

NUMBERS = ("sphericity", "maximum_3d_diameter_mm", "volume_ml", "contact_share", "slice_thickness_mm")
CATEGORIES = ("third", "side", "chest_wall_contact", "kernel_group", "contrast", "manufacturer")
MEASURES = {"dsc": "DSC", "surface_dsc": "Surface DSC"}
JITTER = 0.28


def value_of(row: CaseAgreement, variable: str) -> float | str | None:
    """One driver of one case as it is drawn; yes / no for what is true or false, unknown stays None for numbers."""
    value = getattr(row, variable)
    if variable in NUMBERS:
        return None if value is None else float(value)
    if value is None:
        return "unknown"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def drawn_rows(rows: Sequence[CaseAgreement], variable: str) -> tuple[CaseAgreement, ...]:
    """The rows that have a value of the variable."""
    return tuple(row for row in rows if value_of(row, variable) is not None)


def driver_figure(rows: Sequence[CaseAgreement], variable: str, measure: str, name: str) -> go.Figure:
    """Agreement (0..1) against one driver: a scatter for numbers, boxes with their points for categories."""
    shown = drawn_rows(rows, variable)
    figure = go.Figure()
    found, missed = [r for r in shown if not r.missed], [r for r in shown if r.missed]
    groups: list[str] = []
    if variable in CATEGORIES:
        groups = sorted({str(value_of(row, variable)) for row in shown})
        _boxes(figure, shown, variable, measure, groups)
    _points(figure, found, (variable, measure), groups, f"detected (n = {len(found)})", AUTOMATIC, "circle")
    if missed:
        _points(figure, missed, (variable, measure), groups, f"missed (n = {len(missed)})", MISSED, "x")
    framed(figure, variable_label(variable), name, 400)
    figure.update_yaxes(range=[-0.04, 1.04])
    if groups:
        labels = [f"{g}<br>n = {sum(value_of(r, variable) == g for r in shown)}" for g in groups]
        figure.update_xaxes(tickvals=list(range(len(groups))), ticktext=labels, showgrid=False)
    return figure


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
                line={"color": "#8C8C8C", "width": 1.5},
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
    colour: str,
    symbol: str,
) -> None:
    variable, measure = axes
    values = [value_of(row, variable) for row in rows]
    x = [groups.index(str(v)) + _jitter(r.case_id) for v, r in zip(values, rows, strict=True)] if groups else values
    figure.add_trace(
        go.Scatter(
            x=x,
            y=[getattr(row, measure) for row in rows],
            mode="markers",
            name=label,
            marker={"color": colour, "size": 9, "opacity": 0.85, "symbol": symbol},
            customdata=[[row.case_id, str(v) if groups else f"{v:.3g}"] for v, row in zip(values, rows, strict=True)],
            hovertemplate=f"%{{customdata[0]}}<br>{MEASURES[measure]} %{{y:.2f}}<br>%{{customdata[1]}}<extra></extra>",
        )
    )


def _jitter(case_id: str) -> float:
    """A sideways shift that is always the same for a case."""
    return (zlib.crc32(case_id.encode()) % 1000 / 999 - 0.5) * 2 * JITTER
