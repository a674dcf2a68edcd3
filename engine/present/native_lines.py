"""Traces of a figure as the series of an XY chart: numbers, colours and axes, before anything is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from engine.present.native_table import hex_colour, plain_text

PAD_SHARE = 0.05
GROUP_OFFSET = 0.16


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


def codes_of(figure: go.Figure, traces: Sequence[go.Figure], axis: str, letter: str) -> dict[object, float]:
    """Places of the categories of an axis; empty where it counts numbers."""
    values = [v for trace in traces for v in (trace[letter] if trace[letter] is not None else ())]
    if not any(isinstance(value, str) for value in values):
        return {}
    ordered = figure.layout[letter + "axis" + axis[1:]].categoryarray
    every = list(dict.fromkeys((*(ordered if ordered is not None else ()), *(v for v in values if v is not None))))
    return {value: float(place) for place, value in enumerate(v for v in every if v in set(values))}


def lines_of(trace: go.Figure, codes: dict[int, dict[object, float]], number: int, of: int) -> list[Line]:
    """One trace as series: a band becomes its two edges, steps get their corners."""
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


def unit_of_labels(axis: go.Figure) -> float:
    """How many units of the data one unit of the axis' labels is (days a year); 1 where they are the same."""
    texts = [str(text) for text in axis.ticktext or ()]
    if axis.type == "log" or not texts or not all(_is_number(text) for text in texts):
        return 1.0
    pairs = [(float(v), float(t)) for v, t in zip(axis.tickvals, texts, strict=True) if float(t)]
    return pairs[-1][0] / pairs[-1][1] if pairs else 1.0


def intervals(line: Line, axis: Axis) -> list[Line]:
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


def extent(line: Line, axis: int) -> list[float]:
    """All values of a series along an axis (0: x, 1: y), ends of its intervals among them."""
    values = line.x if axis == 0 else line.y
    if line.error is None or line.error[0] != "xy"[axis]:
        return values
    highs = [v + up for v, up in zip(values, line.error[1], strict=True)]
    return [*values, *highs, *(v - down for v, down in zip(values, line.error[2], strict=True))]


def axis_of(
    figure: go.Figure, name: str, letter: str, codes: dict[object, float], values: Sequence[float], scale: float = 1.0
) -> Axis:
    """An axis with its ends on round numbers, and the names of its categories."""
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
    return Axis(plain_text(given.title.text or ""), low, high, labels, is_reversed(given), log, percent)


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


def is_reversed(axis: go.Figure) -> bool:
    """Whether an axis runs from its high end to its low one."""
    return axis.autorange == "reversed" or (axis.range is not None and float(axis.range[0]) > float(axis.range[1]))


def guides(figure: go.Figure, axes: tuple[str, str], x: Axis, y: Axis, scale: float) -> list[Line]:
    """Lines of reference (chance, threshold, horizon) as series of two points."""
    found = []
    for shape in figure.layout.shapes:
        upright = shape.type == "line" and shape.xref == axes[0] and shape.x0 == shape.x1
        if upright and x.low <= float(shape.x0) / scale <= x.high:
            at = float(shape.x0) / scale
            found.append(Line("reference", [at, at], [y.low, y.high], "808080", 1.25, dash="dash"))
    return found


def label_lines(x: Axis, y: Axis) -> list[Line]:
    """Names of categories as labels of unseen points along the axis: they move with the chart and can be edited."""
    found = []
    if y.labels:
        texts = tuple(y.labels.values())
        found.append(Line("labels", [x.low] * len(texts), list(y.labels), "FFFFFF", labels=texts))
    if x.labels:
        texts = tuple(x.labels.values())
        found.append(Line("labels", list(x.labels), [y.low] * len(texts), "FFFFFF", labels=texts))
    return found
