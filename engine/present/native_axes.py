"""How series, axes and legends of native charts look, and what python-pptx cannot say of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pptx.chart.axis import _BaseAxis
from pptx.chart.chart import Chart
from pptx.chart.series import XySeries
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_AXIS_CROSSES,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
    XL_TICK_LABEL_POSITION,
)
from pptx.enum.dml import MSO_LINE
from pptx.oxml import parse_xml
from pptx.oxml.ns import qn
from pptx.oxml.xmlchemy import BaseOxmlElement
from pptx.util import Pt

from engine.present.native_lines import Axis, Line
from engine.present.native_table import Frame

CHART_TEXT = Pt(12)
CHART_SPACE = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
UNNAMED = f'<c:legendEntry {CHART_SPACE}><c:idx val="{{place}}"/><c:delete val="1"/></c:legendEntry>'
LABEL_TEXT = Pt(11)
GRID_COLOUR, INK = RGBColor(0xD9, 0xD9, 0xD9), RGBColor(0x1A, 0x1F, 0x24)
LETTER_INCHES = 0.09  # of chart text
EMU_INCH = 914_400
DASHES = {"dash": MSO_LINE.DASH, "dot": MSO_LINE.ROUND_DOT, "dashdot": MSO_LINE.DASH_DOT}
MARKERS = {"x": XL_MARKER_STYLE.X, "square": XL_MARKER_STYLE.SQUARE, "diamond": XL_MARKER_STYLE.DIAMOND}


def common(chart: Chart, names: Sequence[tuple[str, bool]]) -> None:
    """Letters of a chart, and a legend of those series that are named."""
    chart.font.size, chart.font.color.rgb = CHART_TEXT, INK
    chart.has_title = False
    chart.has_legend = any(named for _, named in names)
    if chart.has_legend:
        chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
        chart.legend.font.size = CHART_TEXT
        layout = chart.legend._element
        for place, (_, named) in enumerate(names):
            if not named:
                layout.insert(1, parse_xml(UNNAMED.format(place=place)))


def apply_axis(drawn: _BaseAxis, axis: Axis) -> None:
    """Ends, grid, labels and direction of an axis."""
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
        scaling.insert(0, parse_xml(f'<c:logBase {CHART_SPACE} val="10"/>'))
    name_axis(drawn, axis.title)


def name_axis(axis: _BaseAxis, title: str) -> None:
    """The title of an axis, none where it is empty."""
    axis.has_title = bool(title)
    if title:
        axis.axis_title.text_frame.text = title
        for paragraph in axis.axis_title.text_frame.paragraphs:
            for run in paragraph.runs:
                run.font.size, run.font.bold = CHART_TEXT, False


def make_room(chart: Chart, x: Axis, y: Axis, lines: Sequence[Line], place: Frame) -> None:
    """Fix the plot's inner rectangle so that names, titles and every row of the legend have room beside it."""
    wide, high = place.width / EMU_INCH, place.height / EMU_INCH
    longest = max((len(part) for text in y.labels.values() for part in text.split("\n")), default=0)
    left = min(0.45, (0.25 + LETTER_INCHES * longest) / wide) if y.labels else (0.95 if y.title else 0.6) / wide
    bottom = 0.72 / high
    row = sum(0.55 + LETTER_INCHES * len(line.name) for line in lines if line.named)
    top = (0.12 + 0.27 * math.ceil(row / (0.85 * wide)) if chart.has_legend else 0.1) / high
    layout = parse_xml(
        f"<c:layout {CHART_SPACE}><c:manualLayout>"
        '<c:layoutTarget val="inner"/><c:xMode val="edge"/><c:yMode val="edge"/>'
        f'<c:x val="{left:.3f}"/><c:y val="{top:.3f}"/>'
        f'<c:w val="{0.97 - left:.3f}"/><c:h val="{1 - top - bottom:.3f}"/>'
        "</c:manualLayout></c:layout>"
    )
    area = chart._chartSpace.find(f".//{qn('c:plotArea')}")
    old = area.find(qn("c:layout"))
    if old is not None:
        area.remove(old)
    area.insert(0, layout)


def style(series: XySeries, line: Line) -> None:
    """Line, marker, interval and labels of one series."""
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
        error_bars(series._element, letter, plus, minus, line.colour, qn("c:xVal"))
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


def error_bars(
    series: BaseOxmlElement, letter: str, plus: Sequence[float], minus: Sequence[float], colour: str, before: str
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
    bars = parse_xml("".join(xml))
    anchor = series.find(before)
    series.insert(len(series) if anchor is None else list(series).index(anchor), bars)
