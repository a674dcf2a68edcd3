"""Figures become charts that PowerPoint can edit, and the workbook inside holds the figure's own numbers."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from pptx import Presentation
from pptx.util import Inches

from engine.present.figures.discrimination import roc_figure
from engine.present.figures.flow import flow_figure
from engine.present.figures.heat import Cell, roi_heat_map
from engine.present.figures.layout import framed
from engine.present.native_chart import draw_figure
from engine.present.native_table import Frame, hex_colour, plain_text
from engine.present.slides import fitting_size
from store.records import FlowStep, ModelSummary, RocPoint

PLACE = Frame(0, 0, Inches(10), Inches(4))


@pytest.fixture
def slide():
    deck = Presentation()
    return deck.slides.add_slide(deck.slide_layouts[6])


def charts(slide):
    return [shape.chart for shape in slide.shapes if shape.has_chart]


def points(series) -> list[tuple[float, float]]:
    cells = {"xVal": [], "yVal": []}
    for name in cells:
        found = series._element.find(f"{{http://schemas.openxmlformats.org/drawingml/2006/chart}}{name}")
        cells[name] = [float(cell.text) for cell in found.iter() if cell.tag.endswith("}v")]
    return list(zip(cells["xVal"], cells["yVal"], strict=True))


def test_a_curve_is_an_xy_chart_with_its_own_points(slide):
    curve = [
        RocPoint("clinical", 0.0, 0.0, None, None),
        RocPoint("clinical", 0.25, 0.8, None, None),
        RocPoint("clinical", 1.0, 1.0, None, None),
    ]
    row = ModelSummary("clinical", 0.71, 0.6, 0.8, 0.2, None, None, 40, 15, 38.0)
    assert draw_figure(slide, roc_figure(curve, [row]), PLACE) == 1
    drawn = {series.name: points(series) for series in charts(slide)[0].plots[0].series}
    assert drawn["clinical 0.71"] == [(0.0, 0.0), (0.25, 0.8), (1.0, 1.0)]
    assert charts(slide)[0].value_axis.axis_title.text_frame.text == "Sensitivity"


def test_bars_are_a_bar_chart_with_names_and_numbers(slide):
    figure = framed(go.Figure(go.Bar(y=["b", "a"], x=[0.4, 0.1], orientation="h", name="kept")), "Share", "", 300)
    draw_figure(slide, figure, PLACE)
    plot = charts(slide)[0].plots[0]
    assert list(plot.categories) == ["b", "a"]
    assert list(plot.series[0].values) == [0.4, 0.1]


def test_groups_on_an_axis_are_labels_that_can_be_edited(slide):
    figure = go.Figure(
        go.Scatter(x=[0.6, 0.7], y=["clinical", "combined"], mode="markers", error_x={"array": [0.1, 0.2]})
    )
    draw_figure(slide, framed(figure, "AUC", "", 300), PLACE)
    series = list(charts(slide)[0].plots[0].series)
    labels = next(one for one in series if one.name == "labels")
    assert [labels.points[place].data_label.text_frame.text for place in (0, 1)] == ["clinical", "combined"]
    ends = [points(one) for one in series if one.name == "interval"]
    assert ends[0] == [(pytest.approx(0.5), 0.0), (pytest.approx(0.7), 0.0)]


def test_a_step_curve_keeps_its_corners(slide):
    figure = go.Figure(go.Scatter(x=[0, 1, 2], y=[1.0, 0.5, 0.25], mode="lines", line={"shape": "hv"}))
    draw_figure(slide, framed(figure, "Day", "Free", 300), PLACE)
    assert points(charts(slide)[0].plots[0].series[0]) == [(0, 1), (1, 1), (1, 0.5), (2, 0.5), (2, 0.25)]


def test_days_under_labels_of_years_are_drawn_in_years(slide):
    figure = framed(go.Figure(go.Scatter(x=[0, 365, 730], y=[1.0, 0.5, 0.2], mode="lines")), "Years", "Free", 300)
    figure.update_xaxes(tickvals=[0, 365, 730], ticktext=["0", "1", "2"])
    draw_figure(slide, figure, PLACE)
    assert [x for x, _ in points(charts(slide)[0].plots[0].series[0])] == [0, 1, 2]


def test_a_box_is_its_median_with_its_quartiles(slide):
    box = go.Box(x=["ring"] * 5, y=[1.0, 2.0, 3.0, 4.0, 5.0], name="without")
    draw_figure(slide, framed(go.Figure(box), "", "Variance", 300), PLACE)
    series = next(one for one in charts(slide)[0].plots[0].series if "quartiles" in one.name)
    assert points(series) == [(0, 3)]
    bars = [cell.text for cell in series._element.iter() if cell.tag.endswith("}v")]
    assert bars.count("1.0") == 2  # from the median to either quartile


def test_a_heat_map_is_a_table_with_its_numbers(slide):
    cells = [Cell("intratumoural", "original", 0.5, "12"), Cell("peritumoural", "original", 1.0, "24")]
    draw_figure(slide, roi_heat_map(cells), PLACE)
    table = next(shape.table for shape in slide.shapes if shape.has_table)
    assert [table.cell(1, column).text for column in range(3)] == ["original", "12", "24"]


def test_a_flow_is_boxes_with_text(slide):
    long = "scanned more than 60 days before time zero: left out"  # two lines on a page, one on a slide
    steps = [FlowStep("inclusion", 0, "all", "", 20, None), FlowStep("inclusion", 1, long, "all", 7, 2)]
    draw_figure(slide, flow_figure(steps), PLACE)
    texts = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
    assert texts == ["all: 20", f"{long}: 7 (2 events)"]


def test_a_surface_is_not_drawn_natively(slide):
    assert draw_figure(slide, go.Figure(go.Mesh3d(x=[0, 1, 0], y=[0, 0, 1], z=[0, 0, 0])), PLACE) == 0


def test_plotly_words_and_colours_become_plain():
    assert plain_text("a<br><sub>b</sub>") == "a\nb"
    assert hex_colour("#0072B2") == "0072B2"
    assert hex_colour("rgba(0, 0, 0, 0.5)") == "808080"  # half black on a white slide: 255 * 0.5 rounds to 128


def test_longer_text_gets_smaller_letters_and_never_too_small():
    sizes = [fitting_size("word " * count, 6, 1, 20) for count in (5, 60, 2000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 20
    assert sizes[-1] == 8
