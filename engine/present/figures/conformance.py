"""How our values stand to published references, one bar a group."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from engine.present.figures.layout import framed, rows_height
from engine.present.wording.conformance import group_label
from store.queries.conformance import ConformityCount

# label, field of the count, colour
VERDICTS = (("met", "met", "#0072B2"), ("not met", "not_met", "#D55E00"), ("not offered", "not_offered", "#CFCFCF"))


def conformity_bars(counts: Sequence[ConformityCount]) -> go.Figure:
    """Reference values met, not met and not offered, stacked, the first group at the top."""
    names = [group_label(count) for count in counts]
    figure = go.Figure()
    for label, field, colour in VERDICTS:
        figure.add_trace(
            go.Bar(
                y=list(range(len(counts))),
                x=[getattr(count, field) for count in counts],
                orientation="h",
                name=label,
                marker={"color": colour},
                customdata=names,
                hovertemplate="%{customdata}: %{x} " + label + "<extra></extra>",
            )
        )
    framed(figure, "Reference values", "", rows_height(len(counts)))
    figure.update_layout(barmode="stack", bargap=0.25)
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "range": [len(names) - 0.4, -0.6]}
    figure.update_yaxes(**ticks, showgrid=False)
    return figure
