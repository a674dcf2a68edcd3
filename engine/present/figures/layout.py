"""What all figures share: margins, titles of axes, sizes that can be read from the back of a room."""

from __future__ import annotations

import plotly.graph_objects as go

TEXT_SIZE = 14
ROOM_TEXT_SIZE = 20
FONTS = "system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, DejaVu Sans, sans-serif"
LIGHT_PAGE_INK = "#101418"
DARK_PAGE_INK = "#E8ECEF"
ROW_HEIGHT = 26
TWO_LINES = 34  # of a row whose label has two
SMALL_TICKS = TEXT_SIZE - 3
GRID = "rgba(128, 128, 128, 0.25)"
AXIS = "rgba(128, 128, 128, 0.7)"
MOST_SVG_POINTS = 2000


def framed(figure: go.Figure, x_title: str, y_title: str, height: int) -> go.Figure:
    """The figure with its axes named, a legend above, and no decoration; changes and returns it."""
    figure.update_layout(
        template="none",
        height=height,
        font={"size": TEXT_SIZE},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.01,
            "xanchor": "left",
            "x": 0,
            "title": {"text": ""},
            "traceorder": "normal",
        },
        dragmode=False,
        hoverlabel={"font": {"size": TEXT_SIZE}},
    )
    axis = {"gridcolor": GRID, "linecolor": AXIS, "showline": True, "automargin": True, "zeroline": False}
    axis |= {"ticks": ""}
    axis |= {"tickfont": {"size": TEXT_SIZE - 1}}
    figure.update_xaxes(title={"text": x_title, "font": {"size": TEXT_SIZE}}, **axis)
    figure.update_yaxes(title={"text": y_title, "font": {"size": TEXT_SIZE}}, **axis)
    return figure


def inked(figure: go.Figure, dark: bool) -> go.Figure:
    """The figure with every letter in the ink of a light or dark page; changes and returns it."""
    ink = DARK_PAGE_INK if dark else LIGHT_PAGE_INK
    size = figure.layout.legend.font.size or TEXT_SIZE
    figure.update_layout(font={"color": ink, "family": FONTS}, legend={"font": {"color": ink, "size": size}})
    figure.update_layout(hoverlabel={"font": {"family": FONTS}})
    return figure


def enlarged(figure: go.Figure, height: int) -> go.Figure:
    """A copy with letters that can be read from the back of a meeting room."""
    made = go.Figure(figure)
    made.update_layout(height=height, font={"size": ROOM_TEXT_SIZE}, legend={"font": {"size": ROOM_TEXT_SIZE}})
    made.update_xaxes(tickfont={"size": ROOM_TEXT_SIZE - 2}, title_font={"size": ROOM_TEXT_SIZE})
    made.update_yaxes(tickfont={"size": ROOM_TEXT_SIZE - 2}, title_font={"size": ROOM_TEXT_SIZE})
    grown = ROOM_TEXT_SIZE / TEXT_SIZE
    made.for_each_annotation(lambda note: note.update(font={"size": grown * (note.font.size or TEXT_SIZE)}))
    return made


def clickable(figure: go.Figure) -> go.Figure:
    """The figure with points that can be clicked and axes that do not move; changes and returns it."""
    figure.update_layout(dragmode="pan", clickmode="event+select")
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return figure


def rows_height(rows: int, least: int = 220, row: int = ROW_HEIGHT) -> int:
    """Height in pixels of a figure of so many text rows, each of a height."""
    return max(least, rows * row + 110)
