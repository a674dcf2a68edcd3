"""A heat map of counts or shares over ROI and image type, each cell with its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from engine.present.colours import HEAT_SCALE, roi_label
from engine.present.figures.layout import framed, rows_height
from store.records import ROIS

DARK_CELL_SHARE = 0.55


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: value in 0..1 (None: nothing to show), the numbers written in it."""

    roi: str
    image_type: str
    value: float | None
    text: str


def image_type_order(image_types: Sequence[str]) -> list[str]:
    """Original first, then LoG, wavelets and the rest by name."""

    def rank(name: str) -> tuple[int, str]:
        leads = ("original", "log-sigma", "wavelet")
        return (next((i for i, lead in enumerate(leads) if name.startswith(lead)), len(leads)), name)

    return sorted(set(image_types), key=rank)


def roi_heat_map(cells: Sequence[Cell], highest: float = 1.0) -> go.Figure:
    """Rows are image types (original at the top), columns are ROIs; a blank cell has no value, its text says why."""
    rows = image_type_order([cell.image_type for cell in cells])
    columns = [roi for roi in ROIS if any(cell.roi == roi for cell in cells)]
    found = {(cell.roi, cell.image_type): cell for cell in cells}
    heat = go.Heatmap(
        z=[[_value(found.get((roi, row))) for roi in columns] for row in rows],
        x=[roi_label(roi) for roi in columns],
        y=rows,
        zmin=0,
        zmax=highest,
        colorscale=[list(step) for step in HEAT_SCALE],
        showscale=False,
        customdata=[[_text(found.get((roi, row))) for roi in columns] for row in rows],
        hovertemplate="%{y}<br>%{x}: %{customdata}<extra></extra>",
        xgap=2,
        ygap=2,
    )
    figure = framed(go.Figure(heat), "", "", rows_height(len(rows)))
    figure.update_layout(annotations=[_note(cell, highest) for cell in cells], margin={"t": 10})
    figure.update_yaxes(autorange="reversed", showgrid=False, showline=False)
    figure.update_xaxes(side="top", showgrid=False, showline=False, tickangle=0)
    return figure


def _value(cell: Cell | None) -> float | None:
    return None if cell is None else cell.value


def _text(cell: Cell | None) -> str:
    return "no features" if cell is None else cell.text


def _note(cell: Cell, highest: float) -> dict[str, object]:
    """The numbers of one cell, white on dark, grey where there is no value."""
    dark = cell.value is not None and cell.value > DARK_CELL_SHARE * highest
    colour = "#808080" if cell.value is None else "#FFFFFF" if dark else "#1A1A1A"
    place = {"x": roi_label(cell.roi), "y": cell.image_type, "text": cell.text}
    return {**place, "showarrow": False, "font": {"size": 12, "color": colour}}
