"""What of a figure may leave the house as an aggregate: no row of a patient, no id, no count under five.

Every rule works on the figure itself, so that slides, web pages and pictures made of it hold the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from engine.present.catalogue import COUNTS, DECISION, FLOW, PATIENTS, ROC, ROWS, SUMMARY, SURVIVAL

AGGREGATE, PSEUDONYMISED, IMAGES = "aggregate", "pseudonymised", "images"
LEVELS = (AGGREGATE, PSEUDONYMISED, IMAGES)
LEAST = 5  # patients behind any number that leaves the house
MOST_GROUPS = 8
MONTH_DAYS = 30.4375
ROC_STEPS = 20
DECISION_STEP = 0.1
BIN_WIDTHS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
MOST_SUPPRESSED = 0.2
DEFAULT_COLOUR = "#009E73"
HIDDEN = "< 5"
# what a caption says of the mouse
POINTING = "Click a point to see its images; the box tool above the figure lists the cases in it."
SMALL_N = re.compile(r"\bn = ([1-4])\b(?![.,]?\d)")
SMALL_COUNT = re.compile(
    r"\b([1-4])(\*\*)? (?=(?:empty|elsewhere|missed|undetermined|detected|(?:case|patient|event|verdict)s?\b|misses))"
)
OVER_ALL, OVER_DETECTED = re.compile(r"\b[Oo]ver all (\d+) "), re.compile(r"\bover the (\d+) detected it")
GROUPED = "Points are means of five patients or more, bars one standard deviation of them."
SAID = {
    PATIENTS: GROUPED,
    COUNTS: "Counts under five are left out.",
    FLOW: "Numbers under five are not told.",
    SURVIVAL: "Read once a month while five patients are at risk.",
    ROC: "Read at twenty points.",
    DECISION: "Read at every 10 %.",
}
ARRAYS = ("x", "y", "z", "customdata", "text", "q1", "median", "q3")
Floats = NDArray[np.float64]


def disclosed(figure: go.Figure, kind: str) -> go.Figure | None:
    """The figure as it may leave the house; None where nothing of it can be told without single patients."""
    makers = {
        SUMMARY: _summary,
        PATIENTS: _grouped_patients,
        COUNTS: _counts,
        FLOW: _flow,
        SURVIVAL: _survival,
        ROC: _roc,
        DECISION: _decision,
    }
    if kind == ROWS or kind not in makers:
        return None
    plain = listed(figure)
    small = any(SMALL_N.search(trace.name or "") for trace in plain.data)
    made = go.Figure(makers[kind](plain))
    if small:
        _without_sizes(made)
    for trace in made.data:
        _without_rows(trace)
    made.for_each_annotation(lambda note: note.update(text=masked(note.text)))
    for axis in (*made.select_xaxes(), *made.select_yaxes()):
        if axis.ticktext is not None:
            axis.ticktext = [masked(str(text)) for text in axis.ticktext]
    return made


def listed(figure: go.Figure) -> go.Figure:
    """A copy of a figure whose numbers are plain lists, however plotly stores them."""
    made = go.Figure(figure)
    for trace in made.data:
        for name in ARRAYS:
            if name in trace and isinstance(trace[name], np.ndarray):
                trace[name] = trace[name].tolist()
    return made


def masked(text: str | None) -> str:
    """A sentence without counts of one to four patients; statistics and other numbers stay."""
    said = SMALL_N.sub("n < 5", text or "")
    said = OVER_DETECTED.sub("over the detected it", said) if _few_missed(said) else said
    return SMALL_COUNT.sub("fewer than 5 ", said)


def printed(caption: str) -> str:
    """A caption without what can only be done on a screen."""
    return caption.replace(POINTING, "").strip()


def _few_missed(text: str) -> bool:
    """Whether a sentence tells all and detected so that fewer than five were missed."""
    found = OVER_ALL.search(text), OVER_DETECTED.search(text)
    return None not in found and 0 < int(found[0][1]) - int(found[1][1]) < LEAST  # type: ignore[index]


def caption_beside(kind: str, caption: str) -> str:
    """The caption of an aggregate figure: what was done to it is said."""
    return f"{masked(printed(caption))} {SAID.get(kind, '')}".strip()


def suppressed(counts: Sequence[float]) -> list[float | None]:
    """Counts with those of one to four left out; one alone takes the next smallest with it, or it could be told.

    Zero stays. Primary and complementary suppression of a row whose total is known.
    """
    kept: list[float | None] = [None if 0 < count < LEAST else count for count in counts]
    if sum(value is None for value in kept) == 1:
        others = [place for place, value in enumerate(kept) if value]
        if others:
            kept[min(others, key=lambda place: counts[place])] = None
    return kept


def _without_rows(trace: go.Figure) -> None:
    """Take ids, hover texts and custom data from a trace."""
    for name in ("customdata", "hovertext", "ids", "hovertemplate", "selectedpoints", "meta"):
        if name in trace and trace[name] is not None:
            trace[name] = None
    if trace.name:
        trace.name = masked(trace.name)


def _without_sizes(figure: go.Figure) -> None:
    """No n beside any name where one of them is small: the total would tell it."""
    for trace in figure.data:
        trace.name = re.sub(r" \(n = \d+\)", "", trace.name) if trace.name else trace.name


def _summary(figure: go.Figure) -> go.Figure:
    return figure


def _grouped_patients(figure: go.Figure) -> go.Figure:
    made = go.Figure(layout=figure.layout)
    for trace in figure.data:
        for part in _grouped_trace(figure, trace):
            made.add_trace(part)
    return _trimmed(made)


def _trimmed(figure: go.Figure) -> go.Figure:
    """Fitted lines no further than the means beside them: their ends are the values of single patients."""
    for trace in figure.data:
        means = [x for other in figure.data if _is_means(other) and other.xaxis == trace.xaxis for x in other.x]
        if trace.mode == "lines" and len(trace.x) > LEAST and means and all(isinstance(x, float) for x in trace.x):
            kept = [place for place, x in enumerate(trace.x) if min(means) <= x <= max(means)]
            trace.x, trace.y = [trace.x[p] for p in kept], [trace.y[p] for p in kept]
    return figure


def _is_means(trace: go.Figure) -> bool:
    return bool(trace.type == "scatter" and trace.mode == "markers")


def _grouped_trace(figure: go.Figure, trace: go.Figure) -> list[go.Figure]:
    """What stands for one trace of patients: means of groups, quartiles, or a fitted line."""
    if trace.type == "box":
        return _quartiles(trace)
    if trace.type != "scatter" or trace.x is None or len(trace.x) == 0:
        return []
    if "markers" in (trace.mode or "markers"):
        if len(trace.x) == 1:  # one mark that stands for a group, as a mean with its interval
            return [trace] if trace.customdata is None else []
        found = _means(figure, trace)
        return [found] if found is not None else []
    broken = any(value is None for value in trace.x)  # a line a patient
    return [] if broken else [trace]


def _means(figure: go.Figure, trace: go.Figure) -> go.Scatter | None:
    """Means of x and y over groups of at least five, by tick where x is a category."""
    pairs = [(a, b) for a, b in zip(trace.x, trace.y, strict=True) if a is not None and b is not None]
    axis = figure.layout[(trace.xaxis or "x").replace("x", "xaxis")]
    groups = (
        _by_tick(pairs, axis.tickvals) if axis.tickvals is not None and axis.ticktext is not None else _in_order(pairs)
    )
    groups = [group for group in groups if len(group) >= LEAST]
    if not groups:
        return None
    xs, ys = ([np.array([p[i] for p in group], float) for group in groups] for i in (0, 1))
    return go.Scatter(
        x=[float(part.mean()) for part in xs],
        y=[float(part.mean()) for part in ys],
        error_y={"type": "data", "array": [float(part.std(ddof=1)) for part in ys], "thickness": 1.5},
        mode="markers",
        name=trace.name,
        marker={"size": 11, "color": _one_colour(trace)},
        showlegend=trace.showlegend,
        legendgroup=trace.legendgroup,
        xaxis=trace.xaxis,
        yaxis=trace.yaxis,
    )


def _one_colour(trace: go.Figure) -> str:
    colour = trace.marker.color
    return colour if isinstance(colour, str) else DEFAULT_COLOUR


def _by_tick(pairs: Sequence[tuple[float, float]], ticks: Sequence[float]) -> list[list[tuple[float, float]]]:
    places = np.array(ticks, float)
    nearest = [int(np.abs(places - x).argmin()) for x, _ in pairs]
    return [
        [(float(places[tick]), y) for (_, y), mine in zip(pairs, nearest, strict=True) if mine == tick]
        for tick in range(places.size)
    ]


def _in_order(pairs: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    ordered = sorted(pairs)
    groups = min(MOST_GROUPS, len(ordered) // LEAST)
    if not groups:
        return []
    cuts = np.array_split(np.arange(len(ordered)), groups)
    return [[ordered[place] for place in part] for part in cuts]


def _quartiles(trace: go.Figure) -> list[go.Box]:
    """A box of five patients or more by its quartiles alone, without whiskers and points."""
    values: dict[object, list[float]] = {}
    for x, y in zip(trace.x, trace.y, strict=True):
        values.setdefault(x, []).append(float(y))
    made = []
    for x, ys in values.items():
        if len(ys) >= LEAST:
            low, middle, high = (float(v) for v in np.quantile(ys, (0.25, 0.5, 0.75)))
            box = {"q1": [low], "median": [middle], "q3": [high], "lowerfence": [low], "upperfence": [high]}
            style = {
                "line": trace.line,
                "fillcolor": trace.fillcolor,
                "showlegend": trace.showlegend,
                "name": trace.name,
            }
            made.append(go.Box(x=[x], width=trace.width, hoverinfo="skip", **box, **style))
    return made


def _counts(figure: go.Figure) -> go.Figure:
    """Histograms, bars, calibration groups and tables of counts with small ones left out."""
    histograms = [trace for trace in figure.data if trace.type == "histogram"]
    made = go.Figure(layout=figure.layout)
    if histograms:
        made.update_xaxes(type="category", range=None)
        made.add_traces(_binned(histograms))
    for trace in figure.data:
        if trace.type == "heatmap":
            _suppress_table(made, trace)
            made.add_trace(trace)
        elif trace.type == "scatter" and trace.customdata is not None:
            made.add_trace(_large_groups(trace))
        elif trace.type != "histogram":
            made.add_trace(_large_shares(trace) if trace.type == "bar" else trace)
    return _within_groups(made)


def _within_groups(figure: go.Figure) -> go.Figure:
    """Smooth curves no further than the groups beside them: their ends are the values of single patients."""
    groups = [trace for trace in figure.data if _is_means(trace) and trace.legendgroup]
    for trace in figure.data:
        own = [x for group in groups if group.legendgroup == trace.legendgroup for x in group.x]
        if trace.type == "scatter" and trace.mode == "lines" and trace.legendgroup and len(trace.x):
            kept = [place for place, x in enumerate(trace.x) if own and min(own) <= x <= max(own)]
            trace.x, trace.y = [trace.x[p] for p in kept], [trace.y[p] for p in kept]
    return figure


def _large_shares(trace: go.Figure) -> go.Figure:
    """Bars of shares of n patients (n stands in their name) without those of one to four."""
    found = re.search(r"n = (\d+)", trace.name or "")
    if found is not None:
        n = int(found[1])
        kept = suppressed([round((y or 0) * n) for y in trace.y])
        trace.y = [None if count is None else y for y, count in zip(trace.y, kept, strict=True)]
    return trace


def _binned(histograms: Sequence[go.Figure]) -> list[go.Bar]:
    """Bars of the narrowest width at which few patients are left out; bins at either end are
    one until they hold five."""
    for width in BIN_WIDTHS:
        edges = np.arange(0.0, 1.0 + width / 2, width)
        every = np.concatenate([np.array(t.x, float) for t in histograms])
        upper = next((e for e in edges[1:] if (every < e).sum() >= LEAST), edges[-1])
        lower = next((e for e in edges[-2::-1] if (every >= e).sum() >= LEAST), edges[0])
        middle = edges[(edges >= upper - 1e-9) & (edges <= max(lower, upper) + 1e-9)]
        edges = np.concatenate([[0.0], middle, [1.0]]) if middle[-1] < 1 - 1e-9 else np.concatenate([[0.0], middle])
        edges[-1] = 1.0 + 1e-9
        counts = [np.histogram(np.array(t.x, float), bins=edges)[0].tolist() for t in histograms]
        lost = sum(c for row in counts for c, kept in zip(row, suppressed(row), strict=True) if kept is None)
        if lost <= MOST_SUPPRESSED * every.size:
            break
    names = [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)]
    return [
        go.Bar(x=names, y=suppressed(row), name=t.name, marker={"color": t.marker.color})
        for t, row in zip(histograms, counts, strict=True)
    ]


def histogram_bars(trace: go.Figure) -> tuple[list[float], list[int]]:
    """Centres and counts of a histogram with its own bins; for levels that tell every count."""
    bins = trace.xbins
    edges = np.arange(bins.start, bins.end + bins.size / 2, bins.size)
    counts = np.histogram(np.array(trace.x, float), bins=edges)[0]
    return ((edges[:-1] + edges[1:]) / 2).round(4).tolist(), counts.tolist()


def _large_groups(trace: go.Figure) -> go.Scatter:
    """A curve over groups without those of fewer than five; customdata holds the size of each."""
    sizes = [value[0] if isinstance(value, list | tuple | np.ndarray) else value for value in trace.customdata]
    kept = [place for place, n in enumerate(sizes) if n >= LEAST]
    for name in ("x", "y"):
        trace[name] = [trace[name][place] for place in kept]
    if trace.error_y.array is not None:
        trace.error_y.array = [trace.error_y.array[place] for place in kept]
        trace.error_y.arrayminus = [trace.error_y.arrayminus[place] for place in kept]
    return trace


def _suppress_table(figure: go.Figure, trace: go.Figure) -> None:
    """Leave small cells of a table of counts out, in the shades and in the numbers written over them."""
    rows = [suppressed([float(v or 0) for v in row]) for row in trace.z]
    trace.z = rows
    gone = {
        (str(trace.x[column]), str(trace.y[row]))
        for row, cells in enumerate(rows)
        for column, value in enumerate(cells)
        if value is None
    }
    figure.for_each_annotation(lambda note: note.update(text=HIDDEN) if (str(note.x), str(note.y)) in gone else None)


def _flow(figure: go.Figure) -> go.Figure:
    """Boxes whose number is small, and all shades, without it; where boxes add up to theirs, a second one goes too."""
    notes = list(figure.layout.annotations)
    labels, counts = notes[0::2], notes[1::2]
    sizes = [_leading(note.text) for note in counts]
    told = [HIDDEN if 0 < n < LEAST else _with_large_events(note.text) for n, note in zip(sizes, counts, strict=True)]
    for parent, children in _families([float(label.x) for label in labels]).items():
        small = [child for child in children if told[child] == HIDDEN]
        others = [child for child in children if child not in small and sizes[child] > 0]
        if len(small) == 1 and others and sum(sizes[child] for child in children) == sizes[parent]:
            told[min(others, key=lambda child: sizes[child])] = "not told"
    for note, text in zip(counts, told, strict=True):
        note.text = text
    shades = [shape for shape in figure.layout.shapes if not (shape.type == "rect" and shape.fillcolor)]
    figure.layout.shapes = shades
    return figure


def _families(lefts: Sequence[float]) -> dict[int, list[int]]:
    """Children of every box of a flow, by how far boxes are indented."""
    found: dict[int, list[int]] = {}
    for place, left in enumerate(lefts):
        above = [p for p in range(place) if lefts[p] < left - 1e-6]
        if above:
            found.setdefault(above[-1], []).append(place)
    return found


def _leading(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0


def _with_large_events(text: str) -> str:
    return re.sub(r"\(([1-4]) events?\)", "(< 5 events)", text)


def _survival(figure: go.Figure) -> go.Figure:
    """Steps read once a month up to the last month with five at risk; numbers at risk under five not told."""
    band: list[go.Figure] = []
    for trace in figure.data:
        if trace.mode == "text":
            trace.text = [HIDDEN if 0 < _leading(str(cell)) < LEAST else cell for cell in trace.text]
        elif trace.customdata is None:
            band.append(trace)
        else:
            grid = _months(trace)
            for part in (*band, trace):
                _read_at(part, grid)
            band = []
    return figure


def _months(trace: go.Figure) -> Floats:
    days = np.array(trace.x, float)
    enough = days[np.array([_leading(str(n)) for n in trace.customdata]) >= LEAST]
    last = enough.max() if enough.size else 0.0
    return np.arange(0.0, last + 1e-9, MONTH_DAYS)


def _read_at(trace: go.Figure, grid: Floats) -> None:
    days, values = np.array(trace.x, float), np.array(trace.y, float)
    place = np.searchsorted(days, grid, side="right") - 1
    trace.x = grid.round(1).tolist()
    trace.y = [float(values[max(p, 0)]) for p in place]


def _roc(figure: go.Figure) -> go.Figure:
    grid = np.linspace(0, 1, ROC_STEPS + 1).round(4)
    for trace in figure.data:
        x, y = np.array(trace.x, float), np.array(trace.y, float)
        if x.size > 2:
            place = np.searchsorted(x, grid, side="right") - 1
            best = np.maximum.accumulate(y)
            trace.x, trace.y = grid.tolist(), [float(best[p]) if p >= 0 else 0.0 for p in place]
    return figure


def _decision(figure: go.Figure) -> go.Figure:
    for trace in figure.data:
        kept = [p for p, x in enumerate(trace.x) if abs(x / DECISION_STEP - round(x / DECISION_STEP)) < 1e-6]
        trace.x, trace.y = [trace.x[p] for p in kept], [trace.y[p] for p in kept]
    return figure
