"""Heat maps, numbers at risk and flows as native PowerPoint tables and boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol as Shape

import plotly.graph_objects as go
from pptx.dml.color import RGBColor
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.slide import Slide
from pptx.util import Emu, Pt

MOST_ROWS, MOST_COLUMNS = 34, 16
INK = RGBColor(0x1A, 0x1F, 0x24)
WHITE = RGBColor(0xFF, 0xFF, 0xFF)
BOX_EDGE, BOX_FILL = RGBColor(0x66, 0xAA, 0xD1), RGBColor(0xEA, 0xF2, 0xF8)
DARK = 140  # mean of red, green and blue under which letters are white
FALLBACK = "808080"
LONGEST_NAME = 26
INDENT_SHARE = 0.06


class Rectangle(Shape):
    """A rectangle on a slide, in EMU."""

    left: int
    top: int
    width: int
    height: int


def plain_text(text: str) -> str:
    """Text without plotly's tags; a break stays a break."""
    return re.sub(r"<[^>]+>", "", text.replace("<br>", "\n"))


def hex_colour(colour: object) -> str:
    """RRGGBB of a colour as plotly writes it; grey where it is none."""
    if isinstance(colour, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", colour):
        return colour[1:].upper()
    found = re.match(r"rgba?\((\d+), ?(\d+), ?(\d+)", colour) if isinstance(colour, str) else None
    return "".join(f"{int(part):02X}" for part in found.groups()) if found else FALLBACK


def draw_heatmap(slide: Slide, figure: go.Figure, trace: go.Figure, place: Rectangle) -> int:
    """A heat map as a table whose cells carry the colours; 0 where it has more cells than a slide can show."""
    rows, columns = len(trace.z), len(trace.z[0]) if len(trace.z) else 0
    if not columns or rows > MOST_ROWS or columns > MOST_COLUMNS:
        return 0
    named = trace.yaxis in (None, "y")
    y_axis = figure.layout["yaxis" + (trace.yaxis or "y")[1:]]
    y_axis = y_axis if y_axis.ticktext is not None else figure.layout.yaxis
    names = list(y_axis.ticktext) if y_axis.ticktext is not None else [str(y) for y in trace.y]
    written = {(str(n.x), str(n.y)): plain_text(str(n.text)) for n in figure.layout.annotations}
    shape = slide.shapes.add_table(rows + 1, columns + named, place.left, place.top, place.width, place.height)
    table = shape.table
    size = Pt(max(7, min(14, int(place.height / 12700 / (rows + 1) * 0.62))))
    _plain(table)
    if named:
        table.columns[0].width = int(place.width * 0.3)
        for column in range(1, columns + 1):
            table.columns[column].width = int(place.width * 0.7 / columns)
    for column, name in enumerate(trace.x):
        _write(table.cell(0, column + named), plain_text(str(name)), size, None)
    for row in range(rows):
        table.rows[row + 1].height = int(place.height / (rows + 1))
        if named:
            _write(table.cell(row + 1, 0), plain_text(str(names[row]))[:60], size, None, PP_ALIGN.LEFT)
        for column in range(columns):
            text = _cell_text(trace, row, column, written)
            _write(table.cell(row + 1, column + named), text, size, _shade(trace, trace.z[row][column]))
    table.rows[0].height = int(place.height / (rows + 1))
    return 1


def _cell_text(trace: go.Figure, row: int, column: int, written: dict[tuple[str, str], str]) -> str:
    key = (str(trace.x[column]), str(trace.y[row]))
    if key in written:
        return written[key]
    if trace.text is not None:
        return str(trace.text[row][column])
    value = trace.z[row][column]
    if value is None:
        return ""
    return f"{100 * value:.0f} %" if "%{z:.0%}" in (trace.texttemplate or "") else f"{value:g}"


def _shade(trace: go.Figure, value: float | None) -> str | None:
    """The colour of a value on the trace's scale; None without a value."""
    if value is None:
        return None
    low, high = float(trace.zmin or 0), float(trace.zmax or 1)
    share = min(1.0, max(0.0, (value - low) / (high - low or 1)))
    stops = [(float(at), hex_colour(colour)) for at, colour in trace.colorscale]
    for (a, first), (b, second) in zip(stops, stops[1:], strict=False):
        if share <= b:
            part = (share - a) / (b - a or 1)
            mixed = [_mix(first, second, i, part) for i in (0, 2, 4)]
            return "".join(f"{int(round(v)):02X}" for v in mixed)
    return stops[-1][1]


def _mix(first: str, second: str, at: int, part: float) -> float:
    a, b = int(first[at : at + 2], 16), int(second[at : at + 2], 16)
    return a + (b - a) * part


def draw_text_rows(
    slide: Slide, figure: go.Figure, traces: Sequence[go.Figure], axes: tuple[str, str], place: Rectangle
) -> int:
    """Numbers at risk: a row a group, a column a time."""
    x_axis = figure.layout["xaxis" + axes[0][1:]]
    y_axis = figure.layout["yaxis" + axes[1][1:]]
    heads = list(x_axis.ticktext) if x_axis.ticktext is not None else [f"{x:g}" for x in traces[0].x]
    names = list(y_axis.ticktext) if y_axis.ticktext is not None else [trace.name or "" for trace in traces]
    width = max(len(trace.text) for trace in traces)
    table = slide.shapes.add_table(len(traces) + 1, width + 1, place.left, place.top, place.width, place.height).table
    _plain(table)
    size = Pt(11)
    _write(table.cell(0, 0), "At risk at year", size, None, PP_ALIGN.LEFT)
    for column, head in enumerate(heads[:width]):
        _write(table.cell(0, column + 1), str(head), size, None)
    for row, trace in enumerate(traces, start=1):
        _write(table.cell(row, 0), str(names[row - 1])[:LONGEST_NAME], size, None, PP_ALIGN.LEFT)
        for column, text in enumerate(trace.text):
            _write(table.cell(row, column + 1), str(text), size, None)
    return 1


def draw_table(slide: Slide, rows: Sequence[Sequence[str]], widths: Sequence[float], place: Rectangle, size: int) -> None:
    """A plain table; the first row is its head, widths are shares of the whole."""
    table = slide.shapes.add_table(len(rows), len(rows[0]), place.left, place.top, place.width, place.height).table
    _plain(table)
    for column, share in enumerate(widths):
        table.columns[column].width = int(place.width * share)
    for row, cells in enumerate(rows):
        table.rows[row].height = int(place.height / len(rows))
        for column, text in enumerate(cells):
            _write(table.cell(row, column), text, Pt(size), None, PP_ALIGN.LEFT, bold=row == 0)


def draw_flow(slide: Slide, figure: go.Figure, place: Rectangle) -> int:
    """The boxes of a flow as shapes with text, indented as on the page."""
    notes = list(figure.layout.annotations)
    pairs = list(zip(notes[0::2], notes[1::2], strict=True))
    if not pairs:
        return 0
    height = min(int(place.height / len(pairs)), Emu(520_000))
    for row, (label, count) in enumerate(pairs):
        left = int(place.width * max(0.0, float(label.x) - 0.012))
        top = place.top + row * height
        box = slide.shapes.add_shape(
            MSO_SHAPE.RECTANGLE, place.left + left, top, place.width - left, int(height * 0.82)
        )
        box.fill.solid()
        box.fill.fore_color.rgb, box.line.color.rgb, box.line.width = BOX_FILL, BOX_EDGE, Pt(1)
        frame = box.text_frame
        frame.vertical_anchor, frame.word_wrap = MSO_ANCHOR.MIDDLE, True
        frame.margin_top = frame.margin_bottom = 0
        frame.text = f"{plain_text(str(label.text))}: {plain_text(str(count.text))}"
        paragraph = frame.paragraphs[0]
        paragraph.alignment = PP_ALIGN.LEFT
        paragraph.runs[0].font.size, paragraph.runs[0].font.color.rgb = Pt(14), INK
    return 1


def _plain(table: object) -> None:
    """No banding, no theme colours."""
    for name in ("first_row", "horz_banding"):
        setattr(table, name, False)


def _write(
    cell: object, text: str, size: int, fill: str | None, align: int = PP_ALIGN.CENTER, bold: bool = False
) -> None:
    cell.margin_top = cell.margin_bottom = Emu(9_000)
    cell.margin_left = cell.margin_right = Emu(40_000)
    cell.vertical_anchor = MSO_ANCHOR.MIDDLE
    cell.fill.solid()
    cell.fill.fore_color.rgb = WHITE if fill is None else RGBColor.from_string(fill)
    cell.text = text
    dark = fill is not None and sum(int(fill[i : i + 2], 16) for i in (0, 2, 4)) / 3 < DARK
    for paragraph in cell.text_frame.paragraphs:
        paragraph.alignment = align
        for run in paragraph.runs:
            run.font.size, run.font.bold, run.font.color.rgb = size, bold, WHITE if dark else INK
