"""A plotly figure as native PowerPoint charts, tables and shapes: everything on the slide can be edited.

python-pptx is imported in this package's slide files only (native_chart, native_table, slides).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from lxml import etree
from pptx.chart.chart import Chart
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.chart.series import XySeries
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_AXIS_CROSSES,
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
)
from pptx.enum.dml import MSO_LINE
from pptx.oxml.ns import qn
from pptx.slide import Slide
from pptx.util import Emu, Pt

from engine.present.disclosure import histogram_bars, listed
from engine.present.native_table import draw_flow, draw_heatmap, draw_text_rows, hex_colour, plain_text

CHART_TEXT = Pt(12)
LABEL_TEXT = Pt(11)
GRID_COLOUR, INK = RGBColor(0xD9, 0xD9, 0xD9), RGBColor(0x1A, 0x1F, 0x24)
MANY_ROWS = 14
TEXT_SHARE = 0.2
PAD_SHARE = 0.05
LETTER_INCHES = 0.09  # of chart text
EMU_INCH = 914_400
GROUP_OFFSET = 0.16
DASHES = {"dash": MSO_LINE.DASH, "dot": MSO_LINE.ROUND_DOT, "dashdot": MSO_LINE.DASH_DOT}
MARKERS = {"x": XL_MARKER_STYLE.X, "square": XL_MARKER_STYLE.SQUARE, "diamond": XL_MARKER_STYLE.DIAMOND}


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


@dataclass(slots=True)
class Line:
    """One series of an XY chart."""

    name: str
    x: list[float]
    y: list[float]
    colour: str
    width: float = 0.0  # points; 0: no line
    marker: str = ""  # empty: none
    size: int = 7
    dash: str = ""
    named: bool = False
    error: tuple[str, list[float], list[float]] | None = None  # x or y, plus, minus
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: title, ends, labels at places, whether it runs backwards, is logarithmic or in percent."""

    title: str
    low: float
    high: float
    labels: dict[float, str]
    reversed: bool
    log: bool
    percent: bool


def draw_figure(slide: Slide, figure: go.Figure, frame: Frame) -> int:
    """Draw a figure natively; returns how many charts, tables and groups of shapes were made (0: nothing drawable)."""
    figure = listed(figure)
    if not any(
        trace.type != "scatter" or (trace.mode or "") != "markers" or trace.marker.opacity != 0 for trace in figure.data
    ):
        return draw_flow(slide, figure, frame)
    heat = [trace for trace in figure.data if trace.type == "heatmap"]
    if heat:
        return draw_heatmap(slide, figure, heat, frame)
    if any(trace.type == "bar" for trace in figure.data):  # what stands beside bars shares their rows: page and HTML
        bars = [trace for trace in figure.data if trace.type == "bar"]
        return _draw_bars(slide, figure, bars, (bars[0].xaxis or "x", bars[0].yaxis or "y"), frame)
    parts = dict.fromkeys((trace.xaxis or "x", trace.yaxis or "y") for trace in figure.data if trace.type != "mesh3d")
    made = 0
    under = [axes for axes in parts if _is_text(figure, axes)]
    for x_name, y_name in parts:
        mine = [t for t in figure.data if (t.xaxis or "x", t.yaxis or "y") == (x_name, y_name)]
        x_axis, y_axis = (figure.layout[n[0] + "axis" + n[1:]] for n in (x_name, y_name))
        place = frame.part(tuple(x_axis.domain or (0, 1)), tuple(y_axis.domain or (0, 1)))
        if len(parts) > 1:
            place = _breathing(place)
        if under:  # numbers at risk stand close under their curves
            place = frame.part((0, 1), (0, TEXT_SHARE) if (x_name, y_name) in under else (TEXT_SHARE + 0.03, 1))
        made += _draw_part(slide, figure, mine, (x_name, y_name), place)
    return made


def _is_text(figure: go.Figure, axes: tuple[str, str]) -> bool:
    mine = [t for t in figure.data if (t.xaxis or "x", t.yaxis or "y") == axes]
    return all(trace.type == "scatter" and trace.mode == "text" for trace in mine)


def _breathing(frame: Frame) -> Frame:
    gap = Emu(60_000)
    return Frame(frame.left + gap, frame.top + gap, frame.width - 2 * gap, frame.height - 2 * gap)


def _draw_part(
    slide: Slide, figure: go.Figure, traces: Sequence[go.Figure], axes: tuple[str, str], place: Frame
) -> int:
    kinds = {trace.type for trace in traces}
    if _is_text(figure, axes):
        return draw_text_rows(slide, figure, traces, axes, place)
    if kinds & {"bar", "histogram"}:
        return _draw_bars(slide, figure, [t for t in traces if t.type in ("bar", "histogram")], axes, place)
    return _draw_xy(slide, figure, traces, axes, place)


# Bars


def _draw_bars(
    slide: Slide, figure: go.Figure, traces: Sequence[go.Figure], axes: tuple[str, str], place: Frame
) -> int:
    flat = traces[0].orientation == "h"
    named_axis = figure.layout[
        (axes[1] if flat else axes[0]).replace("y" if flat else "x", "yaxis" if flat else "xaxis")
    ]
    value_axis = figure.layout[
        (axes[0] if flat else axes[1]).replace("x" if flat else "y", "xaxis" if flat else "yaxis")
    ]
    rows = [_bar_values(trace, flat) for trace in traces]
    keys = _bar_keys(rows, named_axis)
    labels = _bar_labels(keys, named_axis)
    data = CategoryChartData()
    data.categories = labels
    for trace, values in zip(traces, rows, strict=True):
        data.add_series(plain_text(trace.name or ""), [values.get(key) for key in keys])
    stacked = figure.layout.barmode == "stack"
    disjoint = len(traces) > 1 and not stacked and _disjoint(rows)
    kind = {
        (True, True): XL_CHART_TYPE.BAR_STACKED,
        (True, False): XL_CHART_TYPE.BAR_CLUSTERED,
        (False, True): XL_CHART_TYPE.COLUMN_STACKED,
        (False, False): XL_CHART_TYPE.COLUMN_CLUSTERED,
    }[flat, stacked]
    chart = slide.shapes.add_chart(kind, place.left, place.top, place.width, place.height, data).chart
    _common(chart, [(trace.name or "", bool(trace.name) and trace.showlegend is not False) for trace in traces])
    plot = chart.plots[0]
    plot.gap_width, plot.overlap = 35, 100 if stacked or disjoint else 0
    for series, trace in zip(plot.series, traces, strict=True):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = RGBColor.from_string(hex_colour(trace.marker.color))
        series.invert_if_negative = False
        _bar_errors(series, trace, flat)
    if flat and _is_reversed(named_axis):
        chart.category_axis.reverse_order = True
        chart.value_axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH
    _name(chart.category_axis, plain_text(named_axis.title.text or ""))
    _name(chart.value_axis, plain_text(value_axis.title.text or ""))
    chart.category_axis.has_major_gridlines = False
    chart.value_axis.major_gridlines.format.line.color.rgb = GRID_COLOUR
    if len(keys) > MANY_ROWS:
        chart.category_axis.tick_labels.font.size = Pt(9)
        every = etree.SubElement(chart.category_axis._element, qn("c:tickLblSkip"))
        every.set("val", "1")
        last = chart.category_axis._element.find(qn("c:noMultiLvlLbl"))
        if last is not None:
            last.addprevious(every)
    if value_axis.range is not None:
        chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = (float(v) for v in value_axis.range)
    if value_axis.tickformat == ".0%":
        chart.value_axis.tick_labels.number_format, chart.value_axis.tick_labels.number_format_is_linked = "0%", False
    return 1


def _bar_values(trace: go.Figure, flat: bool) -> dict[object, float | None]:
    if trace.type == "histogram":
        return dict(zip(*histogram_bars(trace), strict=True))
    keys, values = (trace.y, trace.x) if flat else (trace.x, trace.y)
    return dict(zip(keys, (None if v is None else float(v) for v in values), strict=True))


def _bar_keys(rows: Sequence[dict[object, float | None]], axis: go.Figure) -> list[object]:
    if axis.tickvals is not None and axis.ticktext is not None:
        return list(axis.tickvals)
    if axis.categoryarray is not None:
        return list(axis.categoryarray)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return sorted(keys) if all(isinstance(key, int | float) for key in keys) else keys


def _bar_labels(keys: Sequence[object], axis: go.Figure) -> list[str]:
    if axis.tickvals is not None and axis.ticktext is not None:
        return [plain_text(str(text)).replace("\n", " ") for text in axis.ticktext]
    if all(isinstance(key, float) for key in keys) and len(keys) > 1:
        step = keys[1] - keys[0]  # type: ignore[operator]
        return [f"{key - step / 2:.2f} to {key + step / 2:.2f}" for key in keys]  # type: ignore[operator]
    return [str(key) for key in keys]


def _disjoint(rows: Sequence[dict[object, float | None]]) -> bool:
    seen = [key for row in rows for key in row]
    return len(seen) == len(set(seen))


def _bar_errors(series: XySeries, trace: go.Figure, flat: bool) -> None:
    bars = trace.error_x if flat else trace.error_y
    if bars.array is not None:
        minus = bars.arrayminus if bars.arrayminus is not None else bars.array
        _error_bars(series._element, "", list(bars.array), list(minus), "404040", qn("c:cat"))


# XY charts


def _draw_xy(slide: Slide, figure: go.Figure, traces: Sequence[go.Figure], axes: tuple[str, str], place: Frame) -> int:
    codes = {0: _codes(figure, traces, axes[0], "x"), 1: _codes(figure, traces, axes[1], "y")}
    lines = [line for number, trace in enumerate(traces) for line in _lines(trace, codes, number, len(traces))]
    lines = [line for line in lines if line.x]
    if not lines:
        return 0
    scale = _unit_of_labels(figure.layout["xaxis" + axes[0][1:]])
    for line in lines:
        line.x = [x / scale for x in line.x]
    x_axis = _axis(figure, axes[0], "x", codes[0], [v for line in lines for v in _extent(line, 0)], scale)
    y_axis = _axis(figure, axes[1], "y", codes[1], [v for line in lines for v in _extent(line, 1)])
    lines = [*lines, *(part for line in lines for part in _intervals(line, x_axis))]
    lines += _guides(figure, axes, x_axis, y_axis, scale) + _label_lines(x_axis, y_axis)
    data = XyChartData()
    for line in lines:
        series = data.add_series(line.name)
        for x, y in zip(line.x, line.y, strict=True):
            series.add_data_point(x, y)
    kind = XL_CHART_TYPE.XY_SCATTER
    chart = slide.shapes.add_chart(kind, place.left, place.top, place.width, place.height, data).chart
    _common(chart, [(line.name, line.named) for line in lines])
    for series, line in zip(chart.plots[0].series, lines, strict=True):
        _style(series, line)
    _apply(chart.category_axis, x_axis)
    _apply(chart.value_axis, y_axis)
    _make_room(chart, x_axis, y_axis, lines, place)
    return 1


def _codes(figure: go.Figure, traces: Sequence[go.Figure], axis: str, letter: str) -> dict[object, float]:
    """Places of the categories of an axis; empty where it counts numbers."""
    values = [v for trace in traces for v in (trace[letter] if trace[letter] is not None else ())]
    if not any(isinstance(value, str) for value in values):
        return {}
    ordered = figure.layout[letter + "axis" + axis[1:]].categoryarray
    every = list(dict.fromkeys((*(ordered if ordered is not None else ()), *(v for v in values if v is not None))))
    return {value: float(place) for place, value in enumerate(v for v in every if v in set(values))}


def _lines(trace: go.Figure, codes: dict[int, dict[object, float]], number: int, of: int) -> list[Line]:
    if trace.type == "box":
        return _box_lines(trace, codes[0], number, of)
    pairs = [
        (codes[0].get(x, x) if codes[0] else x, codes[1].get(y, y) if codes[1] else y)
        for x, y in zip(trace.x, trace.y, strict=True)
        if x is not None and y is not None
    ]
    if not pairs:
        return []
    x, y = [float(p[0]) for p in pairs], [float(p[1]) for p in pairs]
    named = bool(trace.name) and trace.showlegend is not False
    if trace.fill == "toself":
        half = len(x) // 2
        edges = ((x[:half], y[:half]), (x[half:], y[half:]))
        colour = hex_colour(trace.fillcolor)
        return [Line("95 % band", list(a), list(b), colour, 1.0, dash="dot") for a, b in edges]
    mode = trace.mode or "lines"
    colour = hex_colour(trace.line.color if "lines" in mode and trace.line.color else trace.marker.color)
    width = 0.0
    if "lines" in mode:
        width = float(trace.line.width) if trace.line.width is not None else 2.0
        if width == 0:  # the edge of a band
            width, colour = 0.75, hex_colour(trace.fillcolor or trace.line.color)
    if (trace.line.shape or "") == "hv":
        x, y = _stepped(x, y)
    symbol = trace.marker.symbol if isinstance(trace.marker.symbol, str) else "circle"
    marker = symbol if "markers" in mode else ""
    size = trace.marker.size if isinstance(trace.marker.size, int | float) else 8
    found = Line(
        plain_text(trace.name or ""),
        x,
        y,
        colour,
        width,
        marker,
        int(max(3, size * 0.75)),
        trace.line.dash or "",
        named,
    )
    for letter, bars in (("x", trace.error_x), ("y", trace.error_y)):
        if bars.array is not None and len(bars.array) == len(x):
            minus = bars.arrayminus if bars.arrayminus is not None else bars.array
            found.error = (letter, [float(v or 0) for v in bars.array], [float(v or 0) for v in minus])
    return [found]


def _box_lines(trace: go.Figure, codes: dict[object, float], number: int, of: int) -> list[Line]:
    """A box as its median with a bar from the first to the third quartile."""
    places, middles, up, down = [], [], [], []
    for x, (low, middle, high) in _boxes(trace).items():
        offset = (number - (of - 1) / 2) * GROUP_OFFSET if codes and of > 1 else 0.0
        places.append(float(codes.get(x, x) if codes else x) + offset)  # type: ignore[arg-type]
        middles.append(middle)
        up.append(high - middle)
        down.append(middle - low)
    name = f"{trace.name}, median and quartiles" if trace.name else "median and quartiles"
    return [
        Line(
            name, places, middles, hex_colour(trace.line.color), 0.0, "square", 7, "", bool(trace.name), ("y", up, down)
        )
    ]


def _boxes(trace: go.Figure) -> dict[object, tuple[float, float, float]]:
    if trace.q1 is not None:
        keys = trace.x if trace.x is not None else range(len(trace.q1))
        return {x: (a, b, c) for x, a, b, c in zip(keys, trace.q1, trace.median, trace.q3, strict=True)}
    values: dict[object, list[float]] = {}
    for x, y in zip(trace.x, trace.y, strict=True):
        values.setdefault(x, []).append(float(y))
    return {x: _quartiles(ys) for x, ys in values.items()}


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)

    return at(0.25), at(0.5), at(0.75)


def _stepped(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    xs, ys = [x[0]], [y[0]]
    for a, b in zip(x[1:], y[1:], strict=True):
        xs += [a, a]
        ys += [ys[-1], b]
    return xs, ys


def _unit_of_labels(axis: go.Figure) -> float:
    """How many units of the data one unit of the axis' labels is (days a year); 1 where they are the same."""
    texts = [str(text) for text in axis.ticktext or ()]
    if axis.type == "log" or not texts or not all(_is_number(text) for text in texts):
        return 1.0
    pairs = [(float(v), float(t)) for v, t in zip(axis.tickvals, texts, strict=True) if float(t)]
    return pairs[-1][0] / pairs[-1][1] if pairs else 1.0


def _intervals(line: Line, axis: Axis) -> list[Line]:
    """Intervals along x as lines of two points: LibreOffice draws no custom error bars in that direction."""
    if line.error is None or line.error[0] != "x":
        return []
    _, plus, minus = line.error
    line.error = None
    ends = [
        ([max(axis.low, x - down), min(axis.high, x + up)], [y, y])
        for x, y, up, down in zip(line.x, line.y, plus, minus, strict=True)
    ]
    return [Line("interval", x, y, line.colour, 2.0) for x, y in ends]


def _extent(line: Line, axis: int) -> list[float]:
    values = line.x if axis == 0 else line.y
    if line.error is None or line.error[0] != "xy"[axis]:
        return values
    highs = [v + up for v, up in zip(values, line.error[1], strict=True)]
    return [*values, *highs, *(v - down for v, down in zip(values, line.error[2], strict=True))]


def _axis(
    figure: go.Figure, name: str, letter: str, codes: dict[object, float], values: Sequence[float], scale: float = 1.0
) -> Axis:
    given = figure.layout[letter + "axis" + name[1:]]
    log = given.type == "log"
    labels = {place: plain_text(str(key)) for key, place in codes.items()}
    if not codes and given.tickvals is not None and given.ticktext is not None:
        texts = [plain_text(str(text)) for text in given.ticktext]
        named = {float(v): t for v, t in zip(given.tickvals, texts, strict=True)}
        labels = {} if log or all(_is_number(t) for t in texts) or given.showticklabels is False else named
    if labels:
        low, high = min(labels) - 0.6, max(labels) + 0.6
    elif given.range is not None:
        ends = [10 ** float(v) for v in given.range] if log else [float(v) / scale for v in given.range]
        low, high = min(ends), max(ends)
    else:
        low, high = (min(values), max(values)) if log else _padded(values)
    if not log and not labels:
        low, high = _round_ends(low, high)
    if log:
        low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
    percent = given.tickformat == ".0%"
    return Axis(plain_text(given.title.text or ""), low, high, labels, _is_reversed(given), log, percent)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[\d.]+", text) is not None


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low or abs(high) or 1.0) * PAD_SHARE
    return (low if low == 0 else low - pad), high + pad


def _round_ends(low: float, high: float) -> tuple[float, float]:
    """Ends on the steps that an axis would count in, so that ticks fall on round numbers; slack under 5 % is cut."""
    raw = (high - low) / 5 or 1.0
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    slack = 0.25 * step
    return math.floor((low + slack) / step) * step, math.ceil((high - slack) / step) * step


def _is_reversed(axis: go.Figure) -> bool:
    return axis.autorange == "reversed" or (axis.range is not None and float(axis.range[0]) > float(axis.range[1]))


def _guides(figure: go.Figure, axes: tuple[str, str], x: Axis, y: Axis, scale: float) -> list[Line]:
    """Lines of reference (chance, threshold, horizon) as series of two points."""
    found = []
    for shape in figure.layout.shapes:
        upright = shape.type == "line" and shape.xref == axes[0] and shape.x0 == shape.x1
        if upright and x.low <= float(shape.x0) / scale <= x.high:
            at = float(shape.x0) / scale
            found.append(Line("reference", [at, at], [y.low, y.high], "808080", 1.25, dash="dash"))
    return found


def _label_lines(x: Axis, y: Axis) -> list[Line]:
    """Names of categories as labels of unseen points along the axis: they move with the chart and can be edited."""
    found = []
    if y.labels:
        texts = tuple(y.labels.values())
        found.append(Line("labels", [x.low] * len(texts), list(y.labels), "FFFFFF", labels=texts))
    if x.labels:
        texts = tuple(x.labels.values())
        found.append(Line("labels", list(x.labels), [y.low] * len(texts), "FFFFFF", labels=texts))
    return found


def _style(series: XySeries, line: Line) -> None:
    colour = RGBColor.from_string(line.colour)
    if line.width:
        series.format.line.color.rgb = colour
        series.format.line.width = Pt(line.width)
        if line.dash in DASHES:
            series.format.line.dash_style = DASHES[line.dash]
    else:
        series.format.line.fill.background()
    series.smooth = False
    if line.marker:
        series.marker.style = MARKERS.get(line.marker, XL_MARKER_STYLE.CIRCLE)
        series.marker.size = min(72, max(2, line.size))
        series.marker.format.fill.solid()
        series.marker.format.fill.fore_color.rgb = colour
        series.marker.format.line.color.rgb = colour
    else:
        series.marker.style = XL_MARKER_STYLE.NONE
    if line.error is not None:
        letter, plus, minus = line.error
        _error_bars(series._element, letter, plus, minus, line.colour, qn("c:xVal"))
    if line.labels:
        upright = len(set(line.x)) == 1
        where = XL_LABEL_POSITION.LEFT if upright else XL_LABEL_POSITION.BELOW
        for point, text in enumerate(line.labels):
            label = series.points[point].data_label
            label.position = where
            frame = label.text_frame
            frame.text = text
            for paragraph in frame.paragraphs:
                for run in paragraph.runs:
                    run.font.size, run.font.color.rgb = LABEL_TEXT, INK


def _error_bars(
    series: etree._Element, letter: str, plus: Sequence[float], minus: Sequence[float], colour: str, before: str
) -> None:
    """Custom error bars, which python-pptx does not offer; placed where the schema wants them."""
    xml = [
        '<c:errBars xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main">'
    ]
    if letter:
        xml.append(f'<c:errDir val="{letter}"/>')
    xml.append('<c:errBarType val="both"/><c:errValType val="cust"/><c:noEndCap val="1"/>')
    for name, values in (("plus", plus), ("minus", minus)):
        points = "".join(f'<c:pt idx="{i}"><c:v>{float(v or 0)!r}</c:v></c:pt>' for i, v in enumerate(values))
        count = f'<c:formatCode>General</c:formatCode><c:ptCount val="{len(values)}"/>'
        xml.append(f"<c:{name}><c:numLit>{count}{points}</c:numLit></c:{name}>")
    xml.append(
        f'<c:spPr><a:ln w="22225"><a:solidFill><a:srgbClr val="{colour}"/></a:solidFill></a:ln></c:spPr></c:errBars>'
    )
    bars = etree.fromstring("".join(xml))
    anchor = series.find(before)
    series.insert(len(series) if anchor is None else list(series).index(anchor), bars)


# Axes and legend


def _common(chart: Chart, names: Sequence[tuple[str, bool]]) -> None:
    chart.font.size, chart.font.color.rgb = CHART_TEXT, INK
    chart.has_title = False
    chart.has_legend = any(named for _, named in names)
    if chart.has_legend:
        chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
        chart.legend.font.size = CHART_TEXT
        layout = chart.legend._element
        for place, (_, named) in enumerate(names):
            if not named:
                entry = etree.SubElement(layout, qn("c:legendEntry"))
                etree.SubElement(entry, qn("c:idx")).set("val", str(place))
                etree.SubElement(entry, qn("c:delete")).set("val", "1")
                layout.remove(entry)
                layout.insert(1, entry)


def _apply(drawn: Chart, axis: Axis) -> None:
    drawn.minimum_scale, drawn.maximum_scale = axis.low, axis.high
    drawn.has_major_gridlines = not axis.labels
    if drawn.has_major_gridlines:
        drawn.major_gridlines.format.line.color.rgb = GRID_COLOUR
    drawn.format.line.color.rgb = RGBColor(0x8C, 0x8C, 0x8C)
    drawn.crosses = XL_AXIS_CROSSES.MAXIMUM if axis.reversed else XL_AXIS_CROSSES.MINIMUM
    drawn.tick_labels.font.size = CHART_TEXT
    beside = XL_TICK_LABEL_POSITION.NEXT_TO_AXIS
    drawn.tick_label_position = XL_TICK_LABEL_POSITION.NONE if axis.labels else beside
    drawn.tick_labels.number_format_is_linked = False
    drawn.tick_labels.number_format = "0%" if axis.percent else "General"
    if axis.reversed:
        drawn.reverse_order = True
    if axis.log:
        scaling = drawn._element.find(qn("c:scaling"))
        base = etree.SubElement(scaling, qn("c:logBase"))
        base.set("val", "10")
        scaling.remove(base)
        scaling.insert(0, base)
    _name(drawn, axis.title)


def _name(axis: Chart, title: str) -> None:
    axis.has_title = bool(title)
    if title:
        axis.axis_title.text_frame.text = title
        for paragraph in axis.axis_title.text_frame.paragraphs:
            for run in paragraph.runs:
                run.font.size, run.font.bold = CHART_TEXT, False


def _make_room(chart: Chart, x: Axis, y: Axis, lines: Sequence[Line], place: Frame) -> None:
    """Fix the plot's inner rectangle so that names, titles and every row of the legend have room beside it."""
    wide, high = place.width / EMU_INCH, place.height / EMU_INCH
    longest = max((len(part) for text in y.labels.values() for part in text.split("\n")), default=0)
    left = min(0.45, (0.25 + LETTER_INCHES * longest) / wide) if y.labels else (0.95 if y.title else 0.6) / wide
    bottom = 0.72 / high
    row = sum(0.55 + LETTER_INCHES * len(line.name) for line in lines if line.named)
    top = (0.12 + 0.27 * math.ceil(row / (0.85 * wide)) if chart.has_legend else 0.1) / high
    layout = etree.fromstring(
        '<c:layout xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:manualLayout>'
        '<c:layoutTarget val="inner"/><c:xMode val="edge"/><c:yMode val="edge"/>'
        f'<c:x val="{left:.3f}"/><c:y val="{top:.3f}"/><c:w val="{0.97 - left:.3f}"/><c:h val="{1 - top - bottom:.3f}"/>'
        "</c:manualLayout></c:layout>"
    )
    area = chart._chartSpace.find(f".//{qn('c:plotArea')}")
    old = area.find(qn("c:layout"))
    if old is not None:
        area.remove(old)
    area.insert(0, layout)
