"""A plotly figure as native PowerPoint charts, tables and shapes: everything on the slide can be edited.

python-pptx is imported in this package's slide files only (slides, native_chart, native_axes, native_table).
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.chart.series import XySeries
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_TICK_LABEL_POSITION
from pptx.oxml import parse_xml
from pptx.oxml.ns import qn
from pptx.slide import Slide
from pptx.util import Emu, Pt

from engine.present.disclosure import histogram_bars, listed
from engine.present.native_axes import (
    CHART_SPACE,
    GRID_COLOUR,
    apply_axis,
    common,
    error_bars,
    make_room,
    name_axis,
    style,
)
from engine.present.native_lines import (
    axis_of,
    codes_of,
    extent,
    guides,
    intervals,
    is_reversed,
    label_lines,
    lines_of,
    unit_of_labels,
)
from engine.present.native_table import Frame, draw_flow, draw_heatmap, draw_text_rows, hex_colour, plain_text

MANY_ROWS = 14
TEXT_SHARE = 0.2


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
    common(chart, [(trace.name or "", bool(trace.name) and trace.showlegend is not False) for trace in traces])
    plot = chart.plots[0]
    plot.gap_width, plot.overlap = 35, 100 if stacked or disjoint else 0
    for series, trace in zip(plot.series, traces, strict=True):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = RGBColor.from_string(hex_colour(trace.marker.color))
        series.invert_if_negative = False
        _bar_errors(series, trace, flat)
    if flat and is_reversed(named_axis):
        chart.category_axis.reverse_order = True
        chart.value_axis.tick_label_position = XL_TICK_LABEL_POSITION.HIGH
    name_axis(chart.category_axis, plain_text(named_axis.title.text or ""))
    name_axis(chart.value_axis, plain_text(value_axis.title.text or ""))
    chart.category_axis.has_major_gridlines = False
    chart.value_axis.major_gridlines.format.line.color.rgb = GRID_COLOUR
    if len(keys) > MANY_ROWS:
        chart.category_axis.tick_labels.font.size = Pt(8)
        every = parse_xml(f'<c:tickLblSkip {CHART_SPACE} val="1"/>')
        chart.category_axis._element.find(qn("c:noMultiLvlLbl")).addprevious(every)
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
    numbers = sorted(key for key in keys if isinstance(key, int | float))
    ordered: list[object] = []
    ordered.extend(numbers)
    return ordered if len(ordered) == len(keys) else keys


def _bar_labels(keys: Sequence[object], axis: go.Figure) -> list[str]:
    if axis.tickvals is not None and axis.ticktext is not None:
        return [plain_text(str(text)).replace("\n", " ") for text in axis.ticktext]
    centres = [key for key in keys if isinstance(key, float)]
    if len(centres) == len(keys) > 1:
        half = (centres[1] - centres[0]) / 2
        return [f"{centre - half:.2f} to {centre + half:.2f}" for centre in centres]
    return [str(key) for key in keys]


def _disjoint(rows: Sequence[dict[object, float | None]]) -> bool:
    seen = [key for row in rows for key in row]
    return len(seen) == len(set(seen))


def _bar_errors(series: XySeries, trace: go.Figure, flat: bool) -> None:
    bars = trace.error_x if flat else trace.error_y
    if bars.array is not None:
        minus = bars.arrayminus if bars.arrayminus is not None else bars.array
        error_bars(series._element, "", list(bars.array), list(minus), "404040", qn("c:cat"))


def _draw_xy(slide: Slide, figure: go.Figure, traces: Sequence[go.Figure], axes: tuple[str, str], place: Frame) -> int:
    codes = {0: codes_of(figure, traces, axes[0], "x"), 1: codes_of(figure, traces, axes[1], "y")}
    lines = [line for number, trace in enumerate(traces) for line in lines_of(trace, codes, number, len(traces))]
    lines = [line for line in lines if line.x]
    if not lines:
        return 0
    scale = unit_of_labels(figure.layout["xaxis" + axes[0][1:]])
    for line in lines:
        line.x = [x / scale for x in line.x]
    x_axis = axis_of(figure, axes[0], "x", codes[0], [v for line in lines for v in extent(line, 0)], scale)
    y_axis = axis_of(figure, axes[1], "y", codes[1], [v for line in lines for v in extent(line, 1)])
    lines = [*lines, *(part for line in lines for part in intervals(line, x_axis))]
    lines += guides(figure, axes, x_axis, y_axis, scale) + label_lines(x_axis, y_axis)
    data = XyChartData()
    for line in lines:
        series = data.add_series(line.name)
        for x, y in zip(line.x, line.y, strict=True):
            series.add_data_point(x, y)
    kind = XL_CHART_TYPE.XY_SCATTER
    chart = slide.shapes.add_chart(kind, place.left, place.top, place.width, place.height, data).chart
    common(chart, [(line.name, line.named) for line in lines])
    for series, line in zip(chart.plots[0].series, lines, strict=True):
        style(series, line)
    apply_axis(chart.category_axis, x_axis)
    apply_axis(chart.value_axis, y_axis)
    make_room(chart, x_axis, y_axis, lines, place)
    return 1
