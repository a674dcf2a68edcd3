"""The full table of two readers' judgements, each cell with its count."""

from __future__ import annotations

import plotly.graph_objects as go

from engine.metrics.readers import PairAgreement, ReaderSummary
from engine.present.colours import HEAT_SCALE, READER_A, READER_B, SPARE_COLOURS
from engine.present.figures.layout import framed
from engine.present.intervals import share_interval
from store.records import JUDGEMENTS

TABLE_HEIGHT = 360
SHARES_HEIGHT = 320
DARK_CELL_SHARE = 0.55
READER_COLOURS = (READER_A, READER_B, *SPARE_COLOURS)


def judgement_table(pair: PairAgreement) -> go.Figure:
    """Rows are the first reader's words, columns the second's; the diagonal is agreement."""
    highest = max(max(row) for row in pair.table) or 1
    words = [word.capitalize() for word in JUDGEMENTS]
    heat = go.Heatmap(
        z=[list(row) for row in pair.table],
        x=words,
        y=words,
        zmin=0,
        zmax=highest,
        colorscale=[list(step) for step in HEAT_SCALE],
        showscale=False,
        hovertemplate=f"{pair.first}: %{{y}}<br>{pair.second}: %{{x}}<br>%{{z}} cases<extra></extra>",
        xgap=2,
        ygap=2,
    )
    figure = framed(go.Figure(heat), f"{pair.second}: correction needed", f"{pair.first}", TABLE_HEIGHT)
    notes = [
        {
            "x": words[column],
            "y": words[row],
            "text": str(count),
            "showarrow": False,
            "font": {"size": 14, "color": "#FFFFFF" if count > DARK_CELL_SHARE * highest else "#1A1A1A"},
        }
        for row, cells in enumerate(pair.table)
        for column, count in enumerate(cells)
    ]
    figure.update_layout(annotations=notes)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False)
    return figure


def judgement_shares(readers: tuple[ReaderSummary, ...]) -> go.Figure:
    """Share of each word by reader with Wilson's 95 % intervals."""
    words = [word.capitalize() for word in JUDGEMENTS]
    bars = []
    for place, reader in enumerate(readers):
        shares = [share_interval(count, reader.n) for count in reader.counts]
        bars.append(
            go.Bar(
                name=f"{reader.reader} (n = {reader.n})",
                x=words,
                y=[share.estimate for share in shares],
                marker_color=READER_COLOURS[place % len(READER_COLOURS)],
                error_y={
                    "type": "data",
                    "array": [share.upper - share.estimate for share in shares],
                    "arrayminus": [share.estimate - share.lower for share in shares],
                    "thickness": 1.2,
                },
                hovertemplate="%{x}: %{y:.0%}<extra>" + reader.reader + "</extra>",
            )
        )
    figure = framed(go.Figure(bars), "Correction needed", "Share of cases", SHARES_HEIGHT)
    figure.update_layout(barmode="group", showlegend=True, legend={"orientation": "h", "y": 1.15})
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure
