"""Heat maps, numbers at risk and flows as native PowerPoint tables and boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import plotly.graph_objects as go
from pptx.dml.color import RGBColor
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.slide import Slide
from pptx.table import Table, _Cell
from pptx.util import Emu, Pt

MOST_ROWS, MOST_COLUMNS = 34, 27
LONGEST_ROW = 60
EMU_POINT = 12_700
INK = RGBColor(0x1A, 0x1F, 0x24)
WHITE = RGBColor(0xFF, 0xFF, 0xFF)
BOX_EDGE, BOX_FILL = RGBColor(0x66, 0xAA, 0xD1), RGBColor(0xEA, 0xF2, 0xF8)
DARK = 140  # mean of red, green and blue under which letters are white
FALLBACK = "808080"
LEAST_OPACITY = 0.4
LONGEST_NAME = 26
INDENT_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle on a slide, in EMU."""

    left: int
    top: int
    width: int
    height: int

    def part(self, x: tuple[float, float], y: tuple[float, float]) -> Frame:
        """The rectangle of a subplot by its domains (shares of width from the left, of height from below)."""
        return Frame(
            self.left + int(self.width * x[0]),
            self.top + int(self.height * (1 - y[1])),
            int(self.width * (x[1] - x[0])),
            int(self.height * (y[1] - y[0])),
        )


def plain_text(text: str) -> str:
    """Text without plotly's tags; a break stays a break."""
    return re.sub(r"<[^>]+>", "", text.replace("<br>", "\n"))


def one_line(text: str) -> str:
    """A label of a figure in one line."""
    return plain_text(text).replace("\n", " ")


def hex_colour(colour: object) -> str:
    """RRGGBB of a colour as plotly writes it; grey where it is none."""
    if isinstance(colour, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", colour):
        return colour[1:].upper()
    found = re.match(r"rgba?\((\d+), ?(\d+), ?(\d+)(?:, ?([\d.]+))?", colour) if isinstance(colour, str) else None
    if found is None:
        return FALLBACK
    opacity = max(LEAST_OPACITY, float(found[4] or 1))  # a slide is white: what is faint on a page is light there
    return "".join(f"{round(255 + (int(found[i]) - 255) * opacity):02X}" for i in (1, 2, 3))


def draw_heatmap(slide: Slide, figure: go.Figure, panels: Sequence[go.Figure], place: Frame) -> int:
    """Heat maps of the same rows as one table, cells in their colours; 0 with more cells than a slide can show."""
    first = panels[0]
    rows, columns = len(first.z), sum(len(panel.x) for panel in panels)
    if not columns or rows > MOST_ROWS or columns > MOST_COLUMNS:
        return 0
    titled = len(panels) > 1
    heads = 1 + titled
    axis = figure.layout["yaxis" + (first.yaxis or "y")[1:]]
    names = [one_line(str(text)) for text in (axis.ticktext if axis.ticktext is not None else first.y)]
    notes = list(figure.layout.annotations)
    written = {(str(n.x), str(n.y)): plain_text(str(n.text)) for n in notes}
    table = slide.shapes.add_table(rows + heads, columns + 1, place.left, place.top, place.width, place.height).table
    _plain(table)
    size = Pt(max(7, min(14, int(place.height / EMU_POINT / (rows + heads) * 0.55))))
    name_share = min(0.4, 0.05 + 0.0065 * max(len(name[:LONGEST_ROW]) for name in names))
    table.columns[0].width = int(place.width * name_share)
    for column in range(1, columns + 1):
        table.columns[column].width = int(place.width * (1 - name_share) / columns)
    for row in range(rows + heads):
        table.rows[row].height = int(place.height / (rows + heads))
    for row in range(rows + heads):
        text = plain_text(names[row - heads])[:LONGEST_ROW] if row >= heads else ""
        _write(table.cell(row, 0), text, size, None, PP_ALIGN.LEFT)
    start = 1
    for number, panel in enumerate(panels):
        if titled:
            _write(table.cell(0, start), plain_text(str(notes[number].text)), size, None, PP_ALIGN.LEFT, bold=True)
            table.cell(0, start).merge(table.cell(0, start + len(panel.x) - 1))
        for column, head in enumerate(panel.x):
            _write(table.cell(heads - 1, start + column), plain_text(str(head)), size, None)
            for row in range(rows):
                text = _cell_text(panel, row, column, {} if titled else written)
                _write(table.cell(row + heads, start + column), text, size, _shade(panel, panel.z[row][column]))
        start += len(panel.x)
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
    for (a, first), (b, second) in pairwise(stops):
        if share <= b:
            part = (share - a) / (b - a or 1)
            mixed = [_mix(first, second, i, part) for i in (0, 2, 4)]
            return "".join(f"{round(v):02X}" for v in mixed)
    return stops[-1][1]


def _mix(first: str, second: str, at: int, part: float) -> float:
    a, b = int(first[at : at + 2], 16), int(second[at : at + 2], 16)
    return a + (b - a) * part


def draw_text_rows(
    slide: Slide, figure: go.Figure, traces: Sequence[go.Figure], axes: tuple[str, str], place: Frame
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


def draw_table(slide: Slide, rows: Sequence[Sequence[str]], widths: Sequence[float], place: Frame, size: int) -> None:
    """A plain table; the first row is its head, widths are shares of the whole."""
    table = slide.shapes.add_table(len(rows), len(rows[0]), place.left, place.top, place.width, place.height).table
    _plain(table)
    for column, share in enumerate(widths):
        table.columns[column].width = int(place.width * share)
    for row, cells in enumerate(rows):
        table.rows[row].height = int(place.height / len(rows))
        for column, text in enumerate(cells):
            _write(table.cell(row, column), text, Pt(size), None, PP_ALIGN.LEFT, bold=row == 0)


def draw_flow(slide: Slide, figure: go.Figure, place: Frame) -> int:
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
        frame.text = f"{plain_text(str(label.text))}: {plain_text(str(count.text))}".replace("\n", " ")
        paragraph = frame.paragraphs[0]
        paragraph.alignment = PP_ALIGN.LEFT
        paragraph.runs[0].font.size, paragraph.runs[0].font.color.rgb = Pt(14), INK
    return 1


def _plain(table: Table) -> None:
    """No banding, no theme colours."""
    for name in ("first_row", "horz_banding"):
        setattr(table, name, False)


def _write(
    cell: _Cell, text: str, size: int, fill: str | None, align: int = PP_ALIGN.CENTER, bold: bool = False
) -> None:
    cell.margin_top = cell.margin_bottom = Emu(9_000)
    cell.margin_left = cell.margin_right = Emu(40_000)
    cell.vertical_anchor = MSO_ANCHOR.MIDDLE
    cell.fill.solid()
    cell.fill.fore_color.rgb = WHITE if fill is None else RGBColor.from_string(fill)
    cell.text = text
    dark = fill is not None and sum(int(fill[i : i + 2], 16) for i in (0, 2, 4)) / 3 < DARK
    for paragraph in cell.text_frame.paragraphs:
        paragraph.alignment, paragraph.font.size = align, size
        for run in paragraph.runs:
            run.font.size, run.font.bold, run.font.color.rgb = size, bold, WHITE if dark else INK
